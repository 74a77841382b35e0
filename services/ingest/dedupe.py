"""Which events have already been taken: a redelivered webhook is answered well and produced no second time.

An event is marked *after* Kafka acknowledged it. A crash in between leads to a second copy in Kafka that carries
the same ``event_id``, which the metrics worker ignores; marking first would lose the event instead. For the same
reason nothing depends on this memory: without Redis every event passes, and copies are ignored downstream.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from schemas.failure import NotNow
from services.clock import steady_s

HORIZON_S: Final = 72 * 3600
"""How long an id is remembered where nothing else is said (``DESKPULSE_DEDUPE_HORIZON``): three times the longest
period over which a vendor retries (24 hours)."""

PREFIX: Final = "deskpulse:seen:"


class Dedupe(Protocol):
    """Remembers ids for a time, :data:`HORIZON_S` by default. Neither method raises when the memory is away."""

    async def seen(self, ids: Sequence[str]) -> list[bool]:
        """For each id whether it was marked; all ``False`` when that cannot be known."""
        ...

    async def mark(self, ids: Sequence[str]) -> None:
        """From now on these are seen."""
        ...


class MemoryDedupe:
    """For one process; forgets when it ends."""

    def __init__(self, steady: Callable[[], float] = steady_s, horizon_s: float = HORIZON_S) -> None:
        self._steady = steady
        self._horizon_s = horizon_s
        self._marked: dict[str, float] = {}

    async def seen(self, ids: Sequence[str]) -> list[bool]:
        now = self._steady()
        return [one in self._marked and now - self._marked[one] < self._horizon_s for one in ids]

    async def mark(self, ids: Sequence[str]) -> None:
        now = self._steady()
        for one in ids:
            self._marked.pop(one, None)
            self._marked[one] = now
        while self._marked and now - next(iter(self._marked.values())) >= self._horizon_s:
            del self._marked[next(iter(self._marked))]


class RedisDedupe:
    """For all processes. Works on a single Redis and on a cluster, since no command touches two keys.

    While Redis is away, calls pass through after ``deadline_s`` and for ``rest_s`` without asking it again, so
    that a dead Redis does not slow every webhook; ``degraded`` hears of each call that passed through.
    """

    def __init__(
        self,
        client: Redis,
        degraded: Callable[[], None],
        steady: Callable[[], float] = steady_s,
        horizon_s: int = HORIZON_S,
        deadline_s: float = 0.25,
        rest_s: float = 1.0,
    ) -> None:
        self._client = client
        self._degraded = degraded
        self._steady = steady
        self._horizon_s = horizon_s
        self._deadline_s = deadline_s
        self._rest_s = rest_s
        self._resting_until = float("-inf")
        self._asked: list[tuple[list[tuple[Any, ...]], asyncio.Future[list[Any] | None]]] = []
        self._trips: set[asyncio.Task[None]] = set()

    async def seen(self, ids: Sequence[str]) -> list[bool]:
        found = await self._together([("EXISTS", PREFIX + one) for one in ids])
        return [False] * len(ids) if found is None else [bool(count) for count in found]

    async def mark(self, ids: Sequence[str]) -> None:
        await self._together([("SET", PREFIX + one, b"", "NX", "EX", self._horizon_s) for one in ids])

    async def _together(self, commands: list[tuple[Any, ...]]) -> list[Any] | None:
        """The answers to ``commands``; ``None`` when Redis is away. What is asked for in one turn of the loop by many
        webhooks goes out in one round trip: under load that is most of what a webhook would spend on Redis."""
        if not commands:
            return []
        if self._steady() < self._resting_until:
            self._degraded()
            return None
        mine: asyncio.Future[list[Any] | None] = asyncio.get_running_loop().create_future()
        self._asked.append((commands, mine))
        if len(self._asked) == 1:
            asyncio.get_running_loop().call_soon(self._depart)
        answers = await mine
        if answers is None:
            self._degraded()
        return answers

    def _depart(self) -> None:
        asked, self._asked = self._asked, []
        trip = asyncio.ensure_future(self._trip(asked))
        self._trips.add(trip)  # the loop itself holds tasks only weakly
        trip.add_done_callback(self._trips.discard)

    async def _trip(self, asked: list[tuple[list[tuple[Any, ...]], asyncio.Future[list[Any] | None]]]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for commands, _ in asked:
            for command in commands:
                pipeline.execute_command(*command)
        found: list[Any] | None
        try:
            async with asyncio.timeout(self._deadline_s):
                found = list(await pipeline.execute())
        except (RedisError, OSError, TimeoutError):
            self._resting_until = self._steady() + self._rest_s
            found = None
        place = 0
        for commands, waiting in asked:
            if not waiting.done():
                waiting.set_result(None if found is None else found[place : place + len(commands)])
            place += len(commands)


def client(url: str) -> Redis:
    """A client that does not retry by itself: a webhook must not wait for a Redis that it can do without."""
    return Redis.from_url(url, retry=Retry(NoBackoff(), 0), socket_timeout=1.0, socket_connect_timeout=1.0)


class InTurn:
    """Lets deliveries with the same key through one after the other, so that the second sees the first's mark.

    Copies that arrive together are common: senders retry when an answer is slow. Works within one process.
    """

    def __init__(self) -> None:
        self._queues: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def of(self, key: str, deadline_s: float) -> AsyncIterator[None]:
        """Waits until no other holder of ``key`` is left; raises :class:`NotNow` after ``deadline_s``."""
        lock, holders = self._queues.get(key, (None, 0))
        if lock is None:
            lock = asyncio.Lock()
        self._queues[key] = (lock, holders + 1)
        try:
            await _acquired(lock, deadline_s, alone=holders == 0)
            try:
                yield
            finally:
                lock.release()
        finally:
            _, holders = self._queues[key]
            if holders == 1:
                del self._queues[key]
            else:
                self._queues[key] = (lock, holders - 1)


async def _acquired(lock: asyncio.Lock, deadline_s: float, alone: bool) -> None:
    if alone:
        await lock.acquire()  # cannot wait, so it needs no timer: nearly every delivery has no copy under way
        return
    try:
        async with asyncio.timeout(deadline_s):
            await lock.acquire()
    except TimeoutError:
        raise NotNow("Another copy of this delivery is still waiting") from None
