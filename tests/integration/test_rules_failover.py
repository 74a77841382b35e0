"""Two alerts workers as an operator runs them: KPIs move, the receiver is told once, whoever of them dies."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from services import clock
from services.alerts import keys
from services.config.document import parse
from services.embedded.port import free_port
from services.state import client
from services.stream.producer import Connection
from tests.support.counting import Counting, created, solved
from tests.support.kafka import Kafka
from tests.support.receiver import SECRET, Receiver
from tests.support.service import Service
from tests.support.topics import renewed

pytestmark = [pytest.mark.kafka, pytest.mark.redis, pytest.mark.anyio, pytest.mark.timeout(240)]

SEGMENTS = "segments: [[team]]\n"
TAKEOVER_S = 8
"""A lease of four seconds, a second until it is looked at, and a machine that is shared."""


class Pair:
    """Two workers, a receiver, and KPIs that we move."""

    def __init__(self, folder: Path, config: str, kafka: Kafka, redis_db: str, receiver: Receiver) -> None:
        self.receiver = receiver
        self._environment = {
            "DESKPULSE_CONFIG": str(folder / "deskpulse.yaml"),
            "DESKPULSE_KAFKA_BOOTSTRAP": kafka.bootstrap,
            "DESKPULSE_REDIS_URL": redis_db,
            "DESKPULSE_KAFKA_SESSION_TIMEOUT_S": "6",
        }
        (folder / "deskpulse.yaml").write_text(config)
        self._folder = folder
        self.ports: dict[str, int] = {}
        self.workers: dict[str, Service] = {}
        self.redis = client.writer(redis_db)
        self._counting = Counting(self.redis, parse(SEGMENTS, {}))

    def start(self, name: str) -> None:
        self.ports[name] = free_port()
        environment = {**self._environment, "DESKPULSE_ALERTS_PORT": str(self.ports[name])}
        self.workers[name] = Service("alerts", environment, self._folder / f"{name}.log")

    async def leader(self) -> str | None:
        async with httpx.AsyncClient(trust_env=False) as http:
            for name, port in self.ports.items():
                with contextlib.suppress(httpx.TransportError):
                    text = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
                    if re.search(r"^deskpulse_rules_leads 1\.0$", text, re.M):
                        return name
        return None

    async def come(self, team: str, number: int) -> None:
        now_us = clock.now_us()
        await self._counting.count([created(f"{team}-{n}", now_us, team=team) for n in range(number)], now_us)

    async def go(self, team: str, number: int) -> None:
        now_us = clock.now_us()
        await self._counting.count([solved(f"{team}-{n}", now_us) for n in range(number)], now_us)

    async def settled(self) -> bool:
        """Whether every message was dealt with: one that a killed worker held waits for the end of its lease."""
        return bool(await self.redis.zcard(keys.PENDING) == 0)

    def told(self) -> list[tuple[str, str]]:
        """What the receiver knows, each message once: it may come again when a worker dies, with the same id."""
        once = {got.message_id: got.event for got in self.receiver.got}
        return [(event.alert.labels["team"], event.transition.value) for event in once.values()]


async def until(condition: Callable[[], bool | Awaitable[bool]], what: str, timeout_s: float = 40) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                answer = condition()
                if answer if isinstance(answer, bool) else await answer:
                    return
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"not within {timeout_s:g} s: {what}") from None


@pytest.fixture
async def pair(kafka: Kafka, redis_db: str, tmp_path: Path) -> AsyncIterator[Pair]:
    if not kafka.can_create_topics:
        pytest.skip(f"{kafka.kind} cannot create topics")
    await renewed(Connection(kafka.bootstrap))
    receiver = Receiver()
    await receiver.server.start()
    hook = f'webhook: {{url: "{receiver.url}", secrets: ["{SECRET}"], allow_private: true}}'
    config = (
        f"{SEGMENTS}rules:\n"
        "  - {name: full, type: threshold, kpi: backlog, above: 5, clear: 3, by: [team], for: 2s, every: 1s}\n"
        f"receivers:\n  hook: {{{hook}}}\nroutes: [{{receiver: hook}}]\n"
    )
    found = Pair(tmp_path, config, kafka, redis_db, receiver)
    for name in ("first", "second"):
        found.start(name)
    yield found
    for worker in found.workers.values():
        worker.kill()
    await found.redis.aclose()
    await receiver.server.stop()


async def test_the_receiver_is_told_once_though_the_leader_is_killed(pair: Pair) -> None:
    await until(lambda: all(worker.started for worker in pair.workers.values()), "both have started", 60)
    leader: list[str | None] = [None]

    async def somebody_leads() -> bool:
        leader[0] = await pair.leader()
        return leader[0] is not None

    await until(somebody_leads, "one leads")
    await pair.come("billing", 8)
    began_s = time.monotonic()
    await until(lambda: pair.told() == [("billing", "fired")], "the first alert")
    assert time.monotonic() - began_s < 15, "for 2 s, judged every second"

    await until(pair.settled, "it is written down as delivered")
    await pair.come("sales", 9)
    first = leader[0]
    assert first is not None
    pair.workers[first].kill()
    killed_s = time.monotonic()

    async def another_leads() -> bool:
        return await somebody_leads() and leader[0] != first

    await until(another_leads, "another leads")
    assert time.monotonic() - killed_s < TAKEOVER_S
    await until(lambda: ("sales", "fired") in pair.told(), "the second alert, by the one that took over")

    pair.start(first)
    await pair.go("billing", 8)
    await until(lambda: ("billing", "cleared") in pair.told(), "the end of the first")
    await pair.go("sales", 9)
    await until(lambda: ("sales", "cleared") in pair.told(), "the end of the second")
    assert sorted(pair.told()) == [
        ("billing", "cleared"),
        ("billing", "fired"),
        ("sales", "cleared"),
        ("sales", "fired"),
    ]
    assert pair.receiver.forged == []
