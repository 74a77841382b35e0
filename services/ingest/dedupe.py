"""Which events have already been taken: a redelivered webhook is answered well and produced no second time.

An event is marked *after* Kafka acknowledged it. A crash in between leads to a second copy in Kafka that carries
the same ``event_id``, which the metrics worker ignores; marking first would lose the event instead. For the same
reason nothing depends on this memory: without Redis every event passes, and copies are ignored downstream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from schemas.failure import NotNow
from services.clock import steady_s
from services.state.cluster import Cluster

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
        """From now on these are seen in this process, and as soon as can be in all others."""
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
    """For all processes. What many webhooks ask for and mark goes out together, one round trip at a time.

    A mark is on its way when :meth:`mark` returns, and seen in this process from then on; in others, once Redis has it.
    Waiting for it would make every answer later and protect from nothing: see docs/adr/0007-dedupe-after-the-ack.md.

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
        self._asked: list[_Question] = []
        self._marked: list[Sequence[str]] = []
        self._on_the_way: set[str] = set()
        self._apart = isinstance(client, Cluster)
        self._travelling: asyncio.Task[None] | None = None

    async def seen(self, ids: Sequence[str]) -> list[bool]:
        known = [one in self._on_the_way for one in ids]
        if all(known):
            return known
        if self._resting:
            self._degraded()
            return known
        mine: asyncio.Future[list[bool] | None] = asyncio.get_running_loop().create_future()
        self._asked.append((ids, mine))
        self._set_off()
        found = await mine
        if found is None:
            self._degraded()
            return known
        return [here or there for here, there in zip(known, found, strict=True)]

    async def mark(self, ids: Sequence[str]) -> None:
        if not ids:
            return
        if self._resting:
            self._degraded()
            return
        self._marked.append(ids)
        self._on_the_way.update(ids)
        self._set_off()

    async def flushed(self) -> None:
        """Returns when Redis has every mark, or is away."""
        while self._travelling is not None:
            await asyncio.wait((self._travelling,))

    @property
    def _resting(self) -> bool:
        return self._steady() < self._resting_until

    def _set_off(self) -> None:
        """The task begins in the next turn of the loop: what is asked for in this one goes with it."""
        if self._travelling is None:
            self._travelling = asyncio.create_task(self._travel())

    async def _travel(self) -> None:
        try:
            while self._asked or self._marked:
                asked, self._asked = self._asked, []
                marked, self._marked = self._marked, []
                await self._trip(asked, marked)
        finally:
            self._travelling = None
            if self._asked or self._marked:  # a bug ended the trip before theirs
                self._set_off()

    async def _trip(self, asked: list[_Question], marked: list[Sequence[str]]) -> None:
        marks = [one for ids in marked for one in ids]
        questions = [one for ids, _ in asked for one in ids]
        found: list[bool] | None = None
        try:
            if not self._resting:
                async with asyncio.timeout(self._deadline_s):
                    found = await self._told(questions, marks)
        except (RedisError, OSError, TimeoutError):
            self._resting_until = self._steady() + self._rest_s
        except Exception as bug:
            for _, waiting in asked:
                if not waiting.done():
                    waiting.set_exception(bug)
            if not asked:
                raise  # nobody else would hear of it
        finally:
            self._on_the_way.difference_update(marks)
        place = 0
        for ids, waiting in asked:
            if not waiting.done():
                waiting.set_result(None if found is None else found[place : place + len(ids)])
            place += len(ids)
        if found is None:
            for _ in marked:
                self._degraded()

    async def _told(self, questions: list[str], marks: list[str]) -> list[bool]:
        """For each question whether it is there; the marks are set first."""
        if not self._apart:
            try:
                return await self._told_together(questions, marks)
            except ResponseError:
                # A proxy that takes no command over two slots, or a Redis that lets nobody run scripts.
                self._apart = True
        pipeline = self._client.pipeline(transaction=False)
        for one in marks:
            pipeline.execute_command("SET", PREFIX + one, b"", "NX", "EX", self._horizon_s)
        for one in questions:
            pipeline.execute_command("EXISTS", PREFIX + one)
        return [bool(count) for count in (await pipeline.execute())[len(marks) :]]

    async def _told_together(self, questions: list[str], marks: list[str]) -> list[bool]:
        """Two commands, however many ids: a command of its own for each costs more than all else that is done here."""
        pipeline = self._client.pipeline(transaction=False)
        if marks:
            keys = [PREFIX + one for one in marks]
            pipeline.execute_command("EVAL", _MARK, len(keys), *keys, self._horizon_s)
        if questions:
            pipeline.execute_command("MGET", *(PREFIX + one for one in questions))
        answers = await pipeline.execute()
        return [value is not None for value in answers[-1]] if questions else []


_Question = tuple[Sequence[str], "asyncio.Future[list[bool] | None]"]

_MARK: Final = "for _, key in ipairs(KEYS) do redis.call('SET', key, '', 'NX', 'EX', ARGV[1]) end"


class InTurn:
    """Lets deliveries with the same key through one after the other, so that the second sees the first's mark.

    Copies that arrive together are common: senders retry when an answer is slow. Works within one process.
    """

    def __init__(self) -> None:
        self._queues: dict[str, tuple[asyncio.Lock, int]] = {}

    def of(self, key: str, deadline_s: float) -> _Turn:
        """``async with`` waits until no other holder is left. Raises :class:`NotNow` after ``deadline_s``."""
        return _Turn(self._queues, key, deadline_s)


class _Turn:
    """One holder's turn. A class, since a generator would cost more than the lock."""

    __slots__ = ("_deadline_s", "_key", "_lock", "_queues")

    def __init__(self, queues: dict[str, tuple[asyncio.Lock, int]], key: str, deadline_s: float) -> None:
        self._queues = queues
        self._key = key
        self._deadline_s = deadline_s
        self._lock: asyncio.Lock

    async def __aenter__(self) -> None:
        lock, holders = self._queues.get(self._key, (None, 0))
        if lock is None:
            lock = asyncio.Lock()
        self._lock = lock
        self._queues[self._key] = (lock, holders + 1)
        try:
            await _acquired(lock, self._deadline_s, alone=holders == 0)
        except BaseException:
            self._leave()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._lock.release()
        self._leave()

    def _leave(self) -> None:
        lock, holders = self._queues[self._key]
        if holders == 1:
            del self._queues[self._key]
        else:
            self._queues[self._key] = (lock, holders - 1)


async def _acquired(lock: asyncio.Lock, deadline_s: float, alone: bool) -> None:
    if alone:
        await lock.acquire()  # cannot wait, so it needs no timer: nearly every delivery has no copy under way
        return
    try:
        async with asyncio.timeout(deadline_s):
            await lock.acquire()
    except TimeoutError:
        raise NotNow("Another copy of this delivery is still waiting") from None
