"""The real Kafka, the real Redis and the processes that are measured. Nothing of it outlives the run.

The bench runs from a checkout, so it may use ``tests.support``: the same Kafka, Redis and emptied topics as the tests.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import orjson
from redis import Redis

from bench.configuration import CONFIG, SECRETS
from schemas import codec
from schemas.envelope import ticket_headers
from schemas.state import position_key
from schemas.ticket import TicketEvent
from schemas.topics import TICKETS, TOPICS
from services import clock
from services.embedded import Unavailable
from services.embedded.child import Child
from services.embedded.port import LOOPBACK, free_port
from services.stream.producer import Connection, Producer
from services.stream.record import Outgoing
from tests.support.kafka import Kafka, KafkaKind, serving_kafka
from tests.support.kafka import candidates as kafka_candidates
from tests.support.redis import RedisServer, serving_redis
from tests.support.redis import candidates as redis_candidates
from tests.support.topics import renewed
from tests.support.wait import until

_READY_S = 60.0
_CHUNK = 1000
_TICKS = os.sysconf("SC_CLK_TCK")


class Process:
    """A program under measurement; it ends with us, whatever ends us (``services.embedded.child``)."""

    def __init__(self, name: str, argv: list[str], environment: Mapping[str, str], port: int = 0) -> None:
        self.name = name
        self.port = port
        self.said: list[str] = []
        self._child = Child(name, argv, env={**os.environ, **environment}, sink=self.said.append)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def cpu_s(self) -> float:
        """Processor time that it has used so far; 0 where the system does not tell."""
        with suppress(OSError):
            fields = Path(f"/proc/{self._child.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / _TICKS
        return 0.0

    def answers(self, path: str) -> bool:
        """Whether it answers 200. Raises ``Unavailable`` with the end of its log once it has ended."""
        if not self._child.running:
            raise Unavailable(f"{self.name} ended: {self._child.tail()[-1500:]}")
        try:
            return httpx.get(self.url + path, timeout=2, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def json(self, path: str) -> Any:
        """What it answers. Raises ``httpx.HTTPError`` for anything but success."""
        return httpx.get(self.url + path, timeout=10, trust_env=False).raise_for_status().json()

    def told(self, timeout_s: float) -> Any:
        """The JSON object that it prints as its result. Raises ``Unavailable`` when there is none in time."""
        found: list[str] = []

        def spoken() -> bool:
            # Faust writes terminal codes in front of it.
            found[:] = [line[line.index("{") :] for line in self.said if '{"' in line]
            return bool(found) or not self._child.running

        with suppress(AssertionError):
            until(spoken, f"{self.name} has a result", timeout_s=timeout_s)
        if not found:
            raise Unavailable(f"{self.name} has no result: {self._child.tail()[-1500:]}")
        return orjson.loads(found[0])

    def stop(self) -> None:
        self._child.terminate()


class World:
    """What measurements share. Kafka and Redis start when first asked for, and stop with ``stack``."""

    def __init__(
        self, stack: ExitStack, say: Callable[[str], None], *, quick: bool, profile: bool, full: bool = False
    ) -> None:
        self.say = say
        self.full = full
        self.quick = quick
        self.profile = profile
        self._stack = stack

    @cached_property
    def folder(self) -> Path:
        """For logs, profiles and requests; removed at the end."""
        return Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="deskpulse-bench-")))

    @cached_property
    def kafka(self) -> Kafka:
        """A real one: the embedded broker has other costs, so numbers taken with it would tell nothing."""
        kinds: list[KafkaKind] = [kind for kind in kafka_candidates() if kind is not KafkaKind.EMBEDDED]
        self.say("starting Kafka")
        return self._stack.enter_context(serving_kafka(kinds, self.say))

    @cached_property
    def redis(self) -> RedisServer:
        return self._stack.enter_context(serving_redis(redis_candidates(), self.say))

    @property
    def connection(self) -> Connection:
        return Connection(self.kafka.bootstrap)

    @cached_property
    def state(self) -> Redis:
        """A client for looking at the state from outside."""
        client: Redis = Redis.from_url(self.redis.url)
        self._stack.callback(client.close)
        return client

    def fresh(self) -> None:
        """Empty topics, as declared, and an empty Redis."""
        asyncio.run(renewed(self.connection))
        self.redis.empty()

    def fill(self, events: Iterable[TicketEvent]) -> int:
        """Writes the events to the topic as ingest would, and returns how many there were."""
        return asyncio.run(self._fill(events))

    async def _fill(self, events: Iterable[TicketEvent]) -> int:
        producer, number = Producer(self.connection, "bench"), 0
        await producer.start()
        try:
            chunk: list[Outgoing] = []
            for event in events:
                number += 1
                chunk.append(Outgoing(TICKETS, event.key.encode(), codec.encode(event), ticket_headers(event)))
                if len(chunk) == _CHUNK:
                    await producer.send(chunk, deadline_s=60)
                    chunk.clear()
            if chunk:
                await producer.send(chunk, deadline_s=60)
        finally:
            await producer.stop()
        return number

    def applied(self) -> int:
        """Records that are in the state, over all partitions."""
        pipeline = self.state.pipeline(transaction=False)
        for number in range(TOPICS[TICKETS].partitions):
            pipeline.hget(position_key(number), "next")
        return sum(int(offset or 0) for offset in pipeline.execute())

    def redis_cpu_s(self) -> float:
        """Processor time that Redis has used so far."""
        told: Any = self.state.info("cpu")
        return float(told["used_cpu_user"]) + float(told["used_cpu_sys"])

    @contextmanager
    def service(
        self, name: str, *, config: str = CONFIG, profile: Path | None = None, ready: bool = True
    ) -> Iterator[Process]:
        """``deskpulse NAME`` as an operator runs it, ready; with ``profile`` under cProfile, which writes there."""
        file = self.folder / f"{name}.yaml"
        file.write_text(config)
        port = free_port()
        environment = {
            **SECRETS,
            "DESKPULSE_CONFIG": str(file),
            "DESKPULSE_KAFKA_BOOTSTRAP": self.kafka.bootstrap,
            "DESKPULSE_REDIS_URL": self.redis.url,
            "DESKPULSE_INSTANCE_ID": "bench",
            "DESKPULSE_DATA_DIR": str(self.folder / f"data-{port}"),
            f"DESKPULSE_{name.upper()}_PORT": str(port),
        }
        under = ["-m", "cProfile", "-o", str(profile)] if profile is not None else []
        process = Process(name, [sys.executable, *under, "-m", "services.cli", name], environment, port)
        try:
            if ready:
                until(lambda: process.answers("/readyz"), f"{name} is ready", timeout_s=_READY_S)
            yield process
        finally:
            process.stop()

    @contextmanager
    def program(self, module: str, *arguments: object, port: int = 0) -> Iterator[Process]:
        """``python -m MODULE ARGUMENTS``, for what stands beside and for senders."""
        argv = [sys.executable, "-m", module, *map(str, arguments)]
        # What a program leaves in its temporary folder (Faust makes a data folder) goes with ours.
        process = Process(module, argv, {"TMPDIR": str(self.folder)}, port)
        try:
            yield process
        finally:
            process.stop()

    def settled(self, number: int, timeout_s: float = 300.0) -> None:
        """Returns once ``number`` records are in the state."""
        until(lambda: self.applied() >= number, f"{number} records are in the state", timeout_s=timeout_s)


def steady_s() -> float:
    """The clock of all measurements."""
    return clock.steady_s()
