"""One partition in a worker's hands: where it stands, what its clock reads, and whether its log is still the same."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from services.metrics.position import Position, identity
from services.stream.record import Record


class Resumed(StrEnum):
    """How a partition was taken over; metric label and log field."""

    FRESH = "fresh"
    CONTINUED = "continued"
    RECREATED = "recreated"
    GAP = "gap"


@dataclass(slots=True)
class Partition:
    """``expected`` is the identity that the next record must show before anything else is believed of this log."""

    number: int
    position: Position
    expected: str | None = None

    def resume(self, first: int, end: int) -> tuple[int, Resumed]:
        """The offset to read from, given the log's first offset and its end, and what was found.

        The last applied record is read once more where it still exists, to see that it is the same one. A log that
        ends before our position is another log of the same name: it is read from its start, and the state stays,
        since facts that were counted before are known by their ids.
        """
        self.expected = None
        following = self.position.next_offset
        if following == 0:
            self.position = replace(self.position, next_offset=first)
            return first, Resumed.FRESH
        if end < following:
            return self.restart(first), Resumed.RECREATED
        if first > following:
            self.position = replace(self.position, next_offset=first, last="")
            return first, Resumed.GAP
        if first == following or not self.position.last:
            return following, Resumed.CONTINUED
        self.expected = self.position.last
        return following - 1, Resumed.CONTINUED

    def restart(self, first: int) -> int:
        """Begins at the start of a log that was made anew."""
        self.expected = None
        self.position = replace(self.position, next_offset=first, last="")
        return first

    def verified(self, records: list[Record]) -> list[Record] | None:
        """The records without the one that was read again; ``None`` when it is not the one that it should be."""
        if self.expected is None:
            return records
        if records[0].offset == self.position.next_offset - 1 and identity(records[0]) != self.expected:
            return None
        if records[0].offset < self.position.next_offset - 1:
            return None
        self.expected = None
        return [record for record in records if record.offset >= self.position.next_offset]

    def clock(self, caught_up_us: int | None, last: Record | None) -> int:
        """The partition's clock: when the broker last had nothing for us, else when the last record was appended."""
        seen_us = last.appended_us if last is not None else 0
        if caught_up_us is not None and self.expected is None:
            seen_us = max(seen_us, caught_up_us)
        return max(self.position.clock_us, seen_us)
