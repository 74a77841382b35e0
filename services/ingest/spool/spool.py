"""The spool as ingest sees it: entries go in at the end, are on the disk, and come out in the same order.

One event loop uses it. Everything that touches the disk runs on a thread of its own, one thing after the other, and
whoever wants to append meanwhile waits for the next write: a hundred waiting deliveries cost one sync.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, TypeVar

import structlog

from schemas.failure import NotNow
from services import clock
from services.ingest.measures import Measures
from services.ingest.spool import payload
from services.ingest.spool.frame import HEAD_BYTES
from services.ingest.spool.store import Incident, Store, Unusable
from services.operate.health import Note
from services.stream.record import Outgoing

SEGMENT_BYTES: Final = 8 << 20
"""A segment goes when all of it was sent, so this is the step in which space becomes free, and what is held in memory
while draining."""
_SEGMENTS_AT_LEAST: Final = 8
_WRITE_BYTES: Final = 4 << 20
_WARN_AT: Final = 0.8
_FULL_AT: Final = 0.99
_FULL: Final = "is full"
_UNWRITABLE: Final = "cannot be written"

log = structlog.get_logger("ingest")
_T = TypeVar("_T")


class Full(NotNow):
    """The spool has no room for this delivery: nothing of it was taken."""


class Unwritable(NotNow):
    """The disk did not take this delivery: nothing of it was taken."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One delivery as it was taken. ``content`` is what lies on the disk of it."""

    number: int
    at_us: int
    content: bytes

    def records(self) -> tuple[Outgoing, ...]:
        """What Kafka is to have. Raises ``Invalid`` for bytes that this version did not make."""
        return payload.from_bytes(self.content)


@dataclass(frozen=True, slots=True)
class _Waiting:
    content: bytes
    at_us: int
    size: int
    written: asyncio.Future[None]


class Spool:
    """Entries on disk, at most ``max_bytes`` of them. :meth:`open` makes one."""

    def __init__(
        self, store: Store, thread: ThreadPoolExecutor, max_bytes: int, measures: Measures, now_us: Callable[[], int]
    ) -> None:
        self._now_us = now_us
        self._store = store
        self._thread = thread
        self._max_bytes = max_bytes
        self._measures = measures
        self._oldest_us: int | None = None
        self._waiting: deque[_Waiting] = deque()
        self._pending = 0
        self._pending_bytes = 0
        self._next_number = store.next_number
        self._stored = store.records
        self._stored_bytes = store.size
        self._writing: asyncio.Task[None] | None = None
        self._filled = asyncio.Event()
        self._closed = False
        self._trouble: str | None = None

    @classmethod
    async def open(
        cls, folder: Path, max_bytes: int, measures: Measures, now_us: Callable[[], int] = clock.now_us
    ) -> Self:
        """The spool in ``folder``, with what an earlier process left there. Raises :class:`Unusable`."""
        thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        segment_bytes = max(1, min(SEGMENT_BYTES, max_bytes // _SEGMENTS_AT_LEAST))

        def heard(incident: Incident) -> None:
            measures.spool_incidents.labels(incident.value).inc()

        try:
            store = await asyncio.get_running_loop().run_in_executor(thread, Store, folder, segment_bytes, heard)
        except Unusable:
            thread.shutdown()
            raise
        spool = cls(store, thread, max_bytes, measures, now_us)
        if store.records:
            log.warning("spool_recovered", folder=str(folder), records=store.records, bytes=store.size)
            measures.spool_recovered.inc(store.records)
            spool._oldest_us = store.oldest_us
        spool._settle()
        measures.spool_oldest.set_function(
            lambda: 0.0 if spool.oldest_us is None else max(0, now_us() - spool.oldest_us) / 1e6
        )
        return spool

    @property
    def empty(self) -> bool:
        """Whether Kafka has everything that was ever appended, and nothing is being appended."""
        return self.records == 0

    @property
    def records(self) -> int:
        """Entries that Kafka may not have, those included that are on their way to the disk."""
        return self._stored + self._pending

    @property
    def size(self) -> int:
        """What is on the disk or on its way there; what was set aside is not counted."""
        return self._stored_bytes + self._pending_bytes

    @property
    def oldest_us(self) -> int | None:
        """When the oldest entry was taken; while a batch of them is being sent, the oldest of the batch."""
        return None if self.empty else self._oldest_us

    def readiness(self) -> str | Note | None:
        """A readiness check: no room is a problem, little room is worth a note."""
        used, waiting = self.size / self._max_bytes, f"{self.records} deliveries wait for Kafka"
        if trouble := self._trouble or (_FULL if used >= _FULL_AT else None):
            return f"The spool {trouble}: {waiting}, and no more can be kept."
        return Note(f"The spool is {used:.0%} full: {waiting}.") if used >= _WARN_AT else None

    async def append(self, records: Sequence[Outgoing]) -> None:
        """Returns when ``records`` are on the disk, as one entry behind all others. Raises :class:`Full` or
        :class:`Unwritable`; who is cancelled while waiting does not know."""
        content = payload.to_bytes(records)
        size = HEAD_BYTES + len(content)
        if self.size + size > self._max_bytes:
            self._trouble = _FULL
            raise Full("Kafka is away and the spool is full", retry_after_s=30.0)
        if self._closed:
            raise Unwritable("This process is stopping")
        waiting = _Waiting(content, self._now_us(), size, asyncio.get_running_loop().create_future())
        if self.empty:
            self._oldest_us = waiting.at_us
        self._waiting.append(waiting)
        self._pending += 1
        self._pending_bytes += size
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="spool-write")
        await waiting.written

    async def front(self, count: int, size: int) -> list[Entry]:
        """The oldest entries, at least one: waits until there is one. At most ``count``, and no more once they have
        ``size`` bytes. The same again until :meth:`passed`. Raises ``OSError``."""
        while True:
            await self._filled.wait()
            frames = await self._on_disk(self._store.front, count, size)
            if frames:
                self._oldest_us = frames[0].at_us
                return [Entry(frame.number, frame.at_us, frame.payload) for frame in frames]
            self._settle()

    async def passed(self, entries: Sequence[Entry]) -> None:
        """Kafka has ``entries``, which :meth:`front` gave: they are forgotten."""
        await self._on_disk(self._store.passed, len(entries))
        self._oldest_us = entries[-1].at_us
        self._trouble = None
        self._measures.spool_drained.inc(len(entries))
        self._settle()

    async def set_aside(self, entry: Entry) -> Path:
        """Kafka will never take ``entry``, the oldest one: it is kept in a file of its own and forgotten. Raises
        ``OSError``."""
        kept = await self._on_disk(self._store.set_aside, Incident.REFUSED, f"{entry.number:020d}", entry.content)
        await self._on_disk(self._store.passed, 1)
        self._settle()
        return kept

    async def close(self) -> None:
        """Writes what is waiting, then lets another process have the folder. May be repeated."""
        if self._closed:
            return
        self._closed = True
        if self._writing is not None:
            await self._writing
        await self._on_disk(self._store.close)
        self._thread.shutdown()

    async def _write(self) -> None:
        while self._waiting:
            batch: list[_Waiting] = []
            size = 0
            while self._waiting and size < _WRITE_BYTES:
                batch.append(self._waiting.popleft())
                size += batch[-1].size
            first, self._next_number = self._next_number, self._next_number + len(batch)
            failure: Exception | None = None
            try:
                await self._on_disk(self._store.append, first, [(one.at_us, one.content) for one in batch])
            except OSError as exc:
                failure, self._trouble = Unwritable("Kafka is away and the spool cannot be written", 30.0), _UNWRITABLE
                log.warning("spool_unwritable", error=exc.strerror or type(exc).__name__)
            except Exception as bug:
                failure = bug  # loud where the delivery waits; nobody may wait for ever
            self._pending -= len(batch)
            self._pending_bytes -= size
            for one in batch:
                if one.written.done():
                    continue  # its request went away; the entry is kept all the same
                if failure is None:
                    one.written.set_result(None)
                else:
                    one.written.set_exception(failure)
            if failure is None:
                self._trouble = None
                self._measures.spool_appended.inc(len(batch))
            self._settle()
        self._writing = None

    def _settle(self) -> None:
        self._stored, self._stored_bytes = self._store.records, self._store.size
        if self._stored:
            self._filled.set()
        else:
            self._filled.clear()
        self._measures.spool_records.set(self.records)
        self._measures.spool_bytes.set(self.size)

    async def _on_disk(self, work: Callable[..., _T], *arguments: object) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
