"""One file of a spool: written at its end only, and what was written is on the disk when a call returns.

Everything here blocks and may raise ``OSError``.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from pathlib import Path
from typing import Final, Self

MAGIC: Final = b"DeskpulseSpool1\n"
"""The beginning of every segment; the digit is the version of the format."""

_NAME: Final = re.compile(r"^(\d{20})-([0-9a-f]{8})\.spool$")
_FULL_SYNC: Final = getattr(fcntl, "F_FULLFSYNC", None)


class Segment:
    """A segment. ``first`` is the number of its first entry, ``seed`` begins its checksums, ``size`` is how much of it
    is on the disk for certain."""

    def __init__(self, path: Path) -> None:
        """``path`` has a name that :meth:`create` gave."""
        named = _NAME.match(path.name)
        assert named is not None, path
        self.path = path
        self.first = int(named[1])
        self.seed = int(named[2], 16)
        self.size = path.stat().st_size if path.exists() else 0
        self._file: int | None = None

    @classmethod
    def named(cls, folder: Path, first: int) -> Self:
        """A segment that is not there yet: the first :meth:`append` makes it."""
        return cls(folder / f"{first:020d}-{secrets.token_hex(4)}.spool")

    def append(self, frames: bytes) -> None:
        """Returns when ``frames`` are on the disk. When it raises, the segment must not be appended to again."""
        if self._file is None:
            assert self.size == 0, "a segment of an earlier process is only read"
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
            _write(self._file, MAGIC + frames)
            synced(self._file)
            synced_folder(self.path.parent)
            self.size = len(MAGIC) + len(frames)
        else:
            _write(self._file, frames)
            synced(self._file)
            self.size += len(frames)

    def read(self, start: int = 0) -> bytes:
        """What is on the disk for certain, from ``start`` on."""
        file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            parts = []
            while start < self.size and (part := os.pread(file, self.size - start, start)):
                parts.append(part)
                start += len(part)
            return b"".join(parts)
        finally:
            os.close(file)

    def cut(self, size: int) -> None:
        """Forgets what lies behind ``size``; the file goes when that is everything."""
        self.close()
        if size <= len(MAGIC):
            self.remove()
            return
        file = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.ftruncate(file, size)
            synced(file)
        finally:
            os.close(file)
        self.size = size

    def remove(self) -> None:
        """The file goes. Where the folder's entry survives a crash, its entries are only sent again."""
        self.close()
        self.path.unlink(missing_ok=True)
        self.size = 0

    def close(self) -> None:
        """No more appends. May be repeated."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def listed(folder: Path) -> list[Segment]:
    """The segments of ``folder``, in order."""
    return [Segment(path) for path in sorted(folder.iterdir()) if _NAME.match(path.name)]


def synced(file: int) -> None:
    """On the disk itself; macOS's ``fsync`` stops at the disk's cache."""
    if _FULL_SYNC is None:
        os.fsync(file)
    else:
        fcntl.fcntl(file, _FULL_SYNC)


def synced_folder(folder: Path) -> None:
    """The names of the files in ``folder`` are on the disk too."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _write(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]
