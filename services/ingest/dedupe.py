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
"""How long an id is remembered: three times the longest period over which a vendor retries (24 hours)."""

PREFIX: Final = "deskpulse:seen:"


class Dedupe(Protocol):
    """Remembers ids for :data:`HORIZON_S`. Neither method raises when the memory is away."""

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

    async def seen(self, ids: Sequence[str]) -> list[bool]:
        pipeline = self._client.pipeline(transaction=False)
        for one in ids:
            pipeline.exists(PREFIX + one)
        found = await self._run(pipeline) if ids else []
        return [False] * len(ids) if found is None else [bool(count) for count in found]

    async def mark(self, ids: Sequence[str]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for one in ids:
            pipeline.set(PREFIX + one, b"", nx=True, ex=self._horizon_s)
        if ids:
            await self._run(pipeline)

    async def _run(self, pipeline: Any) -> list[Any] | None:
        if self._steady() >= self._resting_until:
            try:
                async with asyncio.timeout(self._deadline_s):
                    return list(await pipeline.execute())
            except (RedisError, OSError, TimeoutError):
                self._resting_until = self._steady() + self._rest_s
        self._degraded()
        return None


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
