"""Where a partition stands: the fence that makes a batch count once, whoever else thinks that it owns it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

from services.stream.record import Record


@dataclass(frozen=True, slots=True)
class Position:
    """``epoch`` counts owners, ``step`` applied batches; ``next_offset`` is the first record that is not in the state.

    ``last`` is the identity of the record before it, by which a topic that was made anew is told from the old one.
    ``clock_us`` is the partition's clock and never goes back. ``swept`` is the revision of the cuts in which every
    ticket of the partition counts. ``began_us`` is when the log took the first record that is in the state; 0 before.
    ``oldest`` and ``newest`` are the versions that occur in it (``schemas.forms``).
    """

    epoch: int
    step: int = 0
    next_offset: int = 0
    last: str = ""
    clock_us: int = 0
    swept: int = 0
    began_us: int = 0
    oldest: int = 0
    newest: int = 0

    def only(self, version: int) -> Position:
        """The same where nothing but this version occurs."""
        return replace(self, oldest=version, newest=version)

    def also(self, version: int) -> Position:
        """The same where this version occurs too."""
        if self.oldest <= version <= self.newest:
            return self
        return replace(self, oldest=min(self.oldest, version), newest=max(self.newest, version))

    def begun_us(self, first: Record) -> int:
        """When this state began, or begins with ``first``."""
        return self.began_us or first.appended_us

    def after(self, record: Record | None, clock_us: int) -> Position:
        """The position once everything up to ``record`` (``None``: nothing new) is applied."""
        moved = self if record is None else replace(self, next_offset=record.offset + 1, last=identity(record))
        return replace(moved, step=self.step + 1, clock_us=max(self.clock_us, clock_us))


def identity(record: Record) -> str:
    """What tells this record from any other that could have its offset in a topic of the same name."""
    return f"{record.offset}:{record.appended_us}:{zlib.crc32(record.value or b''):08x}"
