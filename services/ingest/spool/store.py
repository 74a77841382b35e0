"""The folder of a spool: its lock, its segments in order, how far it was drained, and what was set aside.

Everything here blocks; :class:`~services.ingest.spool.spool.Spool` calls it from one thread.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections import deque
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final
from zlib import crc32

import structlog

from services.ingest.spool.frame import Frame, Gap, packed, scanned
from services.ingest.spool.segment import MAGIC, Segment, listed, synced, synced_folder

ASIDE: Final = "aside"
_VERSION_AT: Final = len(MAGIC) - 2
_OTHER_VERSIONS: Final = tuple(
    f"{digit}\n".encode() for digit in range(10) if f"{digit}\n".encode() != MAGIC[_VERSION_AT:]
)

log = structlog.get_logger("ingest")


class Incident(StrEnum):
    """What had to be set aside: nothing of a spool is deleted that Kafka does not have."""

    TORN = "torn"
    """Bytes after the last whole entry: a write that was under way when the process or the machine ended."""
    DAMAGED = "damaged"
    """Bytes between whole entries that are none: the disk did not keep what was written."""
    REFUSED = "refused"
    """A whole entry that Kafka will never take."""


class Unusable(ValueError):
    """The folder cannot be a spool now; the message is one line for the operator."""


class Store:
    """Appends at the end, reads from the front, forgets what was passed."""

    def __init__(self, folder: Path, segment_bytes: int, heard: Callable[[Incident], None]) -> None:
        """Takes the folder for this process, makes it where it is missing, and recovers what lies in it. Raises
        :class:`Unusable`. ``heard`` is told of each incident."""
        self.folder = folder
        self.records = 0
        """Entries that were not passed yet."""
        self.next_number = 0
        """More than every number that was ever used."""
        self.oldest_us = 0
        """When the oldest entry was taken that was found at the start."""
        self._segment_bytes = segment_bytes
        self._heard = heard
        self._segments: deque[Segment] = deque()
        self._left: dict[Segment, int] = {}
        self._active: Segment | None = None
        self._ready: deque[Frame] = deque()
        self._offset = len(MAGIC)
        self._lock: int | None = None
        try:
            self._lock = _locked(folder)
            self._cursor = self.next_number = _read_cursor(folder)
            segments = listed(folder)
            for segment in segments:
                self._recover(segment, last=segment is segments[-1])
        except OSError as exc:
            self.close()
            raise Unusable(
                f"The spool {folder} cannot be used: {exc.strerror or type(exc).__name__}. Set DESKPULSE_SPOOL_DIR to "
                "a folder on a disk, or DESKPULSE_SPOOL_MAX_BYTES=0 to do without."
            ) from None
        except Unusable:
            self.close()
            raise

    @property
    def size(self) -> int:
        """What the segments take on the disk; less what was set aside."""
        return sum(segment.size for segment in tuple(self._segments))

    def append(self, first: int, entries: Sequence[tuple[int, bytes]]) -> None:
        """Returns when ``entries``, each a time and a content, are on the disk, numbered from ``first``, which must
        be more than any number before. One sync for all. Raises ``OSError``; none of them is in the spool then."""
        segment = self._active
        if segment is None or segment.size >= self._segment_bytes:
            if segment is not None:
                segment.close()
            segment = Segment.named(self.folder, first)
        frames = [
            packed(number, at_us, content, segment.seed) for number, (at_us, content) in enumerate(entries, first)
        ]
        try:
            segment.append(b"".join(frames))
        except OSError:
            # After a failed sync nobody knows what the system kept: this file is not written to again.
            self._active = None
            with contextlib.suppress(OSError):
                segment.cut(segment.size)
            raise
        if segment is not self._active:
            self._active = segment
            self._segments.append(segment)
            self._left[segment] = 0
        self._left[segment] += len(frames)
        self.records += len(frames)
        self.next_number = first + len(frames)

    def front(self, count: int, size: int) -> list[Frame]:
        """The oldest entries: at most ``count``, and no more once they have ``size`` bytes. Raises ``OSError``."""
        while not self._ready and self._segments:
            segment = self._segments[0]
            if self._offset < segment.size:
                self._load(segment)
            else:
                self._drop(segment)  # what was left of it is damaged, and set aside
        chosen: list[Frame] = []
        for frame in self._ready:
            if len(chosen) == count or size <= 0:
                break
            chosen.append(frame)
            size -= frame.end - frame.start
        return chosen

    def passed(self, count: int) -> None:
        """Kafka has the ``count`` oldest entries, which :meth:`front` gave: they are forgotten, and a segment with
        them when it has no others."""
        segment = self._segments[0]
        for _ in range(count):
            self._cursor = self._ready.popleft().number + 1
        self._left[segment] -= count
        self.records -= count
        try:
            _write_cursor(self.folder, self._cursor)
        except OSError as exc:
            # What was sent is sent again after a restart, which does no harm; a full disk must not stop the draining.
            log.warning("spool_cursor_unwritable", error=exc.strerror)
        if not self._ready and self._offset >= segment.size:
            self._drop(segment)

    def set_aside(self, incident: Incident, name: str, data: bytes) -> Path:
        """Keeps ``data`` for somebody to look at, unless it is kept already. Raises ``OSError``."""
        path = self._aside(incident, name)
        if path.exists():
            return path
        part = path.with_name(f"{path.name}.part")
        with part.open("wb") as file:
            part.chmod(0o600)
            file.write(data)
            file.flush()
            synced(file.fileno())
        part.replace(path)
        synced_folder(path.parent)
        self._heard(incident)
        return path

    def close(self) -> None:
        """Lets another process have the folder. May be repeated."""
        for segment in self._segments:
            segment.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _recover(self, segment: Segment, last: bool) -> None:
        data = segment.read()
        if data[:_VERSION_AT] == MAGIC[:_VERSION_AT] and data[_VERSION_AT:].startswith(_OTHER_VERSIONS):
            raise Unusable(f"{segment.path} was written by another version of Deskpulse: let that one drain it.")
        found = list(scanned(data, segment.seed, len(MAGIC) if data.startswith(MAGIC) else 0))
        if last and found and isinstance(found[-1], Gap):
            self._cut(segment, data, found.pop().start)
        if lost := sum(piece.end - piece.start for piece in found if isinstance(piece, Gap)):
            self._damaged(segment, lost)
        frames = [piece for piece in found if isinstance(piece, Frame)]
        left = [frame for frame in frames if frame.number >= self._cursor]
        self.next_number = max(self.next_number, segment.first, *(frame.number + 1 for frame in frames[-1:]))
        if not left:
            segment.remove()  # drained just before the last process ended, or nothing whole in it
            return
        if not self._segments:
            self._offset, self.oldest_us = left[0].start, left[0].at_us
        self._segments.append(segment)
        self._left[segment] = len(left)
        self.records += len(left)

    def _cut(self, segment: Segment, data: bytes, size: int) -> None:
        """Nobody was told that these bytes were taken, so a full disk that cannot keep them as well is no obstacle."""
        kept: Path | None = None
        with contextlib.suppress(OSError):
            kept = self.set_aside(Incident.TORN, f"{segment.path.name}-{size}", data[size:])
        segment.cut(size)
        lost = len(data) - size
        log.warning("spool_tail_cut", segment=segment.path.name, bytes=lost, kept=str(kept) if kept else None)

    def _load(self, segment: Segment) -> None:
        data = segment.read(self._offset)
        found = list(scanned(data, segment.seed))
        missing = segment.size - self._offset - len(data)  # somebody cut the file
        if lost := missing + sum(piece.end - piece.start for piece in found if isinstance(piece, Gap)):
            self._damaged(segment, lost)
        self._ready.extend(piece for piece in found if isinstance(piece, Frame) and piece.number >= self._cursor)
        self._offset = segment.size

    def _damaged(self, segment: Segment, lost: int) -> None:
        """Keeps the whole file: what was around the damage may help to understand it."""
        path = self._aside(Incident.DAMAGED, segment.path.name)
        if not path.exists():
            path.hardlink_to(segment.path)
            synced_folder(path.parent)
            self._heard(Incident.DAMAGED)
        log.error("spool_damaged", segment=segment.path.name, bytes=lost, kept=str(path))

    def _aside(self, incident: Incident, name: str) -> Path:
        folder = self.folder / ASIDE
        if not folder.exists():
            folder.mkdir(mode=0o700)
            synced_folder(self.folder)
        return folder / f"{name}.{incident.value}"

    def _drop(self, segment: Segment) -> None:
        assert segment is self._segments[0]
        self._segments.popleft()
        self.records -= self._left.pop(segment)
        self._offset = len(MAGIC)
        if segment is self._active:
            self._active = None
        try:
            segment.remove()
        except OSError as exc:
            log.warning("spool_segment_stays", segment=segment.path.name, error=exc.strerror)


def _locked(folder: Path) -> int | None:
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for one in missing:
        synced_folder(one.parent)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise Unusable(
            f"The spool {folder} belongs to another process: give each ingest its own DESKPULSE_SPOOL_DIR."
        ) from None
    return lock


def _read_cursor(folder: Path) -> int:
    """The number of the first entry that Kafka may not have; 0 where nobody knows."""
    try:
        number, checksum = (folder / "cursor").read_text("ascii").split()
        return int(number) if int(checksum, 16) == crc32(number.encode()) else 0
    except FileNotFoundError:
        return 0
    except ValueError:
        log.warning("spool_cursor_unreadable")
        return 0


def _write_cursor(folder: Path, number: int) -> None:
    """Whole or not at all, and not synced: an old cursor only sends a little again."""
    text = str(number)
    part = folder / "cursor.part"
    part.write_text(f"{text} {crc32(text.encode()):08x}\n", "ascii")
    part.replace(folder / "cursor")
