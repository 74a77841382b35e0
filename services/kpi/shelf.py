"""What a reader keeps of buckets that it has read, so that the next reading fetches only what changed.

A bucket that is over by its partition's clock changes no more but for late and withdrawn cases, and those the partition
notes (``apply.lua``): a reader that says up to which step it knows is told which buckets changed since. So what is kept
is good as long as the partition leads the same life and has noted everything since: a worker that takes it over, which
a Redis restored from an older copy makes it do, begins a new life.

Windows are sums that move: what comes in is added, what falls out is taken away again, and whole numbers stay exact.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from services.kpi.bucket import Fields

Place = tuple[str, int]
"""``(resolution, start in seconds)``."""
Counted = dict[str, Fields]
"""What was counted at a place, by segment; segments that counted nothing are left out."""

NOTHING: Final[Counted] = {}
"""Every place at which nothing was counted."""
MOST: Final = 1_000_000
"""Fields kept in all, at about 80 bytes each; a bucket counts as three more. What is longest unused goes first."""
_OF_BUCKET: Final = 3
_MOST_PLACES: Final = 3000
_MOST_WINDOWS: Final = 64


@dataclass(slots=True)
class Row:
    """What is known of one partition: as of ``step`` of ``life``, every bucket of the segments at ``places``."""

    life: str = ""
    step: int = -1
    places: dict[Place, Counted] = field(default_factory=dict)
    size: int = 0

    def put(self, place: Place, counted: Counted) -> None:
        """Keeps a place that is over."""
        self.drop(place)
        self.places[place] = counted or NOTHING
        self.size += _size(counted)

    def drop(self, place: Place) -> None:
        """Forgets a place."""
        old = self.places.pop(place, None)
        if old is not None:
            self.size -= _size(old)

    def begin(self, life: str, step: int) -> None:
        """Forgets everything: what was kept is of another life, or nobody can tell what changed since."""
        self.life, self.step, self.size = life, step, 0
        self.places.clear()

    def trim(self) -> None:
        """Drops what was read first once there is too much: windows move on, and old buckets are asked for no more."""
        if len(self.places) > _MOST_PLACES:
            for place in list(self.places)[: _MOST_PLACES // 2]:
                self.drop(place)


@dataclass(slots=True)
class _Window:
    """A sum, and what it was made of."""

    parts: dict[Place, Counted] = field(default_factory=dict)
    total: Counted = field(default_factory=dict)

    def moved(self, parts: dict[Place, Counted]) -> Counted:
        """The sum of ``parts``. Parts that are the very same as last time are not looked at."""
        for place, counted in self.parts.items():
            if parts.get(place) is not counted:
                add(self.total, counted, -1)
        for place, counted in parts.items():
            if self.parts.get(place) is not counted:
                add(self.total, counted)
        self.parts = parts
        return self.total


@dataclass(slots=True)
class Group:
    """Segments that are asked for together: their rows by partition, and the windows summed up of these."""

    segments: dict[str, None] = field(default_factory=dict)
    rows: dict[int, Row] = field(default_factory=dict)
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)
    _sums: dict[Place, tuple[tuple[Counted, ...], Counted]] = field(default_factory=dict)
    _windows: dict[object, _Window] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """In fields, with the sums: these are at most as much again."""
        return 2 * sum(row.size for row in self.rows.values())

    def widen(self, segments: Iterable[str]) -> None:
        """Takes more segments in. Nothing of them is known, so nothing that was kept is whole any more."""
        before = len(self.segments)
        self.segments.update(dict.fromkeys(segments))
        if len(self.segments) > before:
            self.rows.clear()

    def summed(self, window: object | None, places: Iterable[Place]) -> Counted:
        """The sum over all partitions of what is kept at ``places``; ``window`` says which of those that are asked for
        again and again it is. Not to be changed, nor kept."""
        if len(self._sums) > _MOST_PLACES:
            self._sums.clear()
        if len(self._windows) > _MOST_WINDOWS:
            self._windows.clear()
        rows = [row.places for row in self.rows.values()]
        parts = {}
        for place in places:
            there = tuple([counted for row in rows if (counted := row.get(place))])
            if there:
                known = self._sums.get(place)
                if known is None or len(known[0]) != len(there) or any(map(_other, known[0], there)):
                    known = self._sums[place] = (there, _sum(there))
                parts[place] = known[1]
        return (_Window() if window is None else self._windows.setdefault(window, _Window())).moved(parts)


class Shelf:
    """Groups by what they are asked for."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._groups: OrderedDict[object, Group] = OrderedDict()
        self._sizes: dict[object, int] = {}

    def group(self, key: object) -> Group:
        """The group of this name, to read and to fill."""
        found = self._groups.get(key)
        if found is None:
            found = self._groups[key] = Group()
        self._groups.move_to_end(key)
        return found

    def settle(self, key: object) -> None:
        """Keeps within bounds, after the group of this name was filled."""
        group = self._groups.get(key)
        if group is None:  # another question took so much room meanwhile that it had to go
            return
        for row in group.rows.values():
            row.trim()
        self._sizes[key] = group.size
        while sum(self._sizes.values()) > self._most and self._sizes:
            oldest = next(name for name in self._groups if name in self._sizes)
            del self._groups[oldest], self._sizes[oldest]


def add(total: Counted, counted: Mapping[str, Mapping[str, int]], sign: int = 1) -> None:
    """Adds what was counted to ``total``, or takes it away."""
    for segment, fields in counted.items():
        there = total.get(segment)
        if there is None:
            there = total[segment] = {}
        for name, amount in fields.items():
            sum_ = there.get(name, 0) + sign * amount
            if sum_:
                there[name] = sum_
            else:
                there.pop(name, None)


def _sum(parts: tuple[Counted, ...]) -> Counted:
    if len(parts) == 1:
        return parts[0]
    total: Counted = {}
    for counted in parts:
        for segment, fields in counted.items():
            there = total.get(segment)
            if there is None:
                total[segment] = fields
                continue
            both = there.copy()
            for name, amount in fields.items():
                both[name] = both.get(name, 0) + amount
            total[segment] = both
    return total


def _other(one: Counted, another: Counted) -> bool:
    return one is not another


def _size(counted: Counted) -> int:
    return 1 + sum(len(fields) + _OF_BUCKET for fields in counted.values())
