"""The metrics worker's own loop in this process, over a real Redis, with records from memory in place of Kafka's.

Everything that a record costs the worker is in it but Kafka's client: decoding, folding, counting, the fenced step, the
ticks. What is told is processor time, so that it can be believed on a machine that is busy with other things.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import process_time
from typing import Any
from zlib import crc32

from prometheus_client import CollectorRegistry

from bench.world import World
from schemas import codec
from schemas.state import outbox_key
from schemas.ticket import TicketEvent
from schemas.topics import TICKETS, TOPICS
from services import clock
from services.config.document import Document
from services.embedded import Unavailable
from services.metrics.meters import Meters
from services.metrics.plan import planned
from services.metrics.store import RedisStore
from services.metrics.worker import Worker
from services.operate import garbage
from services.operate.health import Health
from services.state import client
from services.state.forms import Forms
from services.state.recompute import Recomputes
from services.stream.record import Record

PARTITIONS = TOPICS[TICKETS].partitions


@dataclass(frozen=True, slots=True)
class Cost:
    """Processor time in µs per event, of the worker and of Redis."""

    worker_us: float
    redis_us: float

    @property
    def both_us(self) -> float:
        return self.worker_us + self.redis_us

    def __str__(self) -> str:
        return f"{self.worker_us:.0f} + {self.redis_us:.0f} µs"


class Fed:
    """A worker that is fed by hand: :meth:`feed` returns what its events cost once they are in the state."""

    def __init__(self, world: World, log: _Log, running: asyncio.Task[None]) -> None:
        self._world = world
        self._log = log
        self._running = running

    async def feed(self, events: Iterable[TicketEvent]) -> Cost:
        """All of ``events``, which are made and encoded before the time begins."""
        made = self._log.made(events)
        number = sum(map(len, made.values()))
        began_s, redis_s = process_time(), self._world.redis_cpu_s()
        await self._log.passed(made)
        if self._running.done():
            self._running.result()  # why it ended
            raise Unavailable("the worker ended by itself")
        worker_s = process_time() - began_s
        return Cost(worker_s / number * 1e6, (self._world.redis_cpu_s() - redis_s) / number * 1e6)

    async def idle(self, lasting_s: float) -> Cost:
        """What a second costs in which nothing comes: ticks over what is open."""
        began_s, redis_s, at_s = process_time(), self._world.redis_cpu_s(), clock.steady_s()
        await asyncio.sleep(lasting_s)
        seconds = clock.steady_s() - at_s
        redis_us = (self._world.redis_cpu_s() - redis_s) * 1e6 / seconds
        return Cost((process_time() - began_s) * 1e6 / seconds, redis_us)

    def unannounced(self) -> None:
        """Nobody relays the SLA events here: forgets them, for they are no state of tickets."""
        self._world.state.delete(*(outbox_key(number) for number in range(PARTITIONS)))


@asynccontextmanager
async def fed(world: World, document: Document) -> AsyncIterator[Fed]:
    """A worker over an empty Redis, for as long as the block lasts."""
    world.redis.empty()
    writer, stop, log = client.writer(world.redis.url), asyncio.Event(), _Log()
    stand_in: Any = log
    worker = Worker(
        stand_in,
        RedisStore(writer),
        planned(document),
        stand_in,
        stand_in,
        Meters(CollectorRegistry()),
        Health(),
        Recomputes(writer, writer),
        Forms(writer, "metrics", Health()),
    )
    garbage.settle()
    running = asyncio.create_task(worker.run(stop))
    running.add_done_callback(lambda _: log.ended())
    try:
        yield Fed(world, log, running)
    finally:
        stop.set()
        await running
        await writer.aclose()


class _Log:
    """In the place of the consumer: a log that ends where we say. Of the outbox too, which stays where it is."""

    def __init__(self) -> None:
        self.partitions: set[int] = set()
        self._ends = [0] * PARTITIONS
        self._waiting: dict[int, list[Record]] = {}
        self._new = asyncio.Event()
        self._empty = asyncio.Event()
        self._fresh = set(range(PARTITIONS))

    def made(self, events: Iterable[TicketEvent]) -> dict[int, list[Record]]:
        found: dict[int, list[Record]] = {}
        now_us = clock.now_us()
        for event in events:
            key = event.key.encode()
            number = crc32(key) % PARTITIONS
            record = Record(TICKETS, number, self._ends[number], now_us, key, codec.encode(event))
            self._ends[number] += 1
            found.setdefault(number, []).append(record)
        return found

    async def passed(self, records: dict[int, list[Record]]) -> None:
        """Returns once the loop asks for more, which is when these are applied."""
        self._empty.clear()
        self._waiting = records
        self._new.set()
        await self._empty.wait()

    def ended(self) -> None:
        """Nobody will ask for more."""
        self._empty.set()

    def notify(self) -> None:
        """The outbox has something: see :meth:`Fed.unannounced`."""

    async def start(self) -> None:
        """There is nothing to connect to."""

    async def stop(self) -> None:
        """Nor to leave."""

    @property
    def owned(self) -> frozenset[int]:
        return frozenset(range(PARTITIONS))

    def newly_owned(self) -> set[int]:
        fresh, self._fresh = self._fresh, set()
        return fresh

    async def fetch(self, each: int) -> dict[int, list[Record]]:
        if not self._waiting:
            self._empty.set()
            try:
                # As long as a broker is let wait for a first record.
                await asyncio.wait_for(self._new.wait(), 0.1)
            except TimeoutError:
                return {}
        self._new.clear()
        found = {number: records[:each] for number, records in self._waiting.items()}
        self._waiting = {n: records[each:] for n, records in self._waiting.items() if len(records) > each}
        return found

    async def ends(self, partition: int) -> tuple[int, int]:
        return 0, self._ends[partition]

    def seek(self, partition: int, offset: int) -> None:
        """It is only ever read forward."""

    def caught_up_us(self, partition: int) -> int | None:
        return None if partition in self._waiting else clock.now_us()

    def lag(self, partition: int) -> int:
        return len(self._waiting.get(partition, ()))

    async def commit(self, offsets: Mapping[int, int]) -> None:
        """There are no lag tools."""
