"""Ingest with parts left out, to see what each costs: ``python -m bench.ingest_parts PORT REDIS``.

Kafka is left out always: what is sent is acknowledged at once. With ``REDIS`` ``-`` no id is looked up either.
Otherwise it is what ``deskpulse ingest`` is, in the same kind of event loop.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

import uvloop
from prometheus_client import CollectorRegistry

from bench.configuration import DOCUMENT
from services.config.environment import Environment
from services.embedded.port import LOOPBACK
from services.ingest.app import build
from services.ingest.dedupe import RedisDedupe
from services.ingest.measures import Measures
from services.operate import garbage
from services.operate.health import Health
from services.operate.server import Server
from services.operate.stop import signalled
from services.state.client import hasty
from services.stream.record import Outgoing


class Acknowledging:
    """A sender without a Kafka."""

    async def send(self, records: Sequence[Outgoing], deadline_s: float) -> None:
        """Says at once that all is there."""


class NeverSeen:
    """A dedupe without a memory: the same webhook is new every time."""

    async def seen(self, ids: Sequence[str]) -> list[bool]:
        """That nothing is known."""
        return [False] * len(ids)

    async def mark(self, ids: Sequence[str]) -> None:
        """Nothing."""


async def main(port: int, redis_url: str) -> None:
    """Serves until SIGINT or SIGTERM."""
    registry = CollectorRegistry()
    measures = Measures(registry)
    redis = None if redis_url == "-" else hasty(redis_url)
    dedupe = NeverSeen() if redis is None else RedisDedupe(redis, measures.degraded.inc)
    app = build(DOCUMENT, Environment(), Acknowledging(), dedupe, health=Health(), measures=measures, registry=registry)
    with signalled() as stop:
        server = Server(app, LOOPBACK, port)
        await server.start()
        garbage.settle()
        await stop.wait()
        await server.stop()
    if redis is not None:
        await redis.aclose()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]), sys.argv[2]))
