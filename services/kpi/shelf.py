"""What a reader keeps of buckets that it has read, so that the next reading fetches only what changed.

A bucket that is over by its partition's clock changes no more but for late and withdrawn cases; a step that changes
one then marks it with a new version (``services.metrics.store``). So a kept bucket is good as long as its version is
the one that it was read with and the partition still leads the same life: a worker that takes a partition over, which
a Redis restored from an older copy makes it do, begins a new one.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from services.kpi.bucket import Fields

Place = tuple[str, int]
"""``(resolution, start in seconds)``."""

NOTHING: Final[Fields] = {}
"""The fields of every empty bucket."""
MOST_FIELDS: Final = 1_000_000
"""Fields kept in all, at about 80 bytes each; an empty bucket counts as one. The rows longest unused go first."""
_MOST_PLACES: Final = 3000


@dataclass(slots=True)
class Row:
    """Buckets of one segment in one partition. ``versions`` has those that were changed after their end."""

    life: str = ""
    buckets: dict[Place, Fields] = field(default_factory=dict)
    versions: dict[Place, str] = field(default_factory=dict)
    size: int = 0

    def put(self, place: Place, fields: Fields, version: str | None) -> None:
        """Keeps a bucket that is over."""
        old = self.buckets.get(place)
        self.size += (len(fields) or 1) - ((len(old) or 1) if old is not None else 0)
        self.buckets[place] = fields
        if version is not None:
            self.versions[place] = version
        else:
            self.versions.pop(place, None)

    def put_empty(self, places: list[Place]) -> None:
        """Keeps that these buckets are over and empty, but for those that another question filled meanwhile."""
        before = len(self.buckets)
        for place in places:
            self.buckets.setdefault(place, NOTHING)
        self.size += len(self.buckets) - before

    def begin(self, life: str) -> None:
        """Forgets everything: what was kept belongs to another life of the partition."""
        self.life, self.size = life, 0
        self.buckets.clear()
        self.versions.clear()

    def trim(self) -> None:
        """Drops what was read first once there is too much: windows move on, and old buckets are asked for no more."""
        if len(self.buckets) > _MOST_PLACES:
            for place in list(self.buckets)[: _MOST_PLACES // 2]:
                self.size -= len(self.buckets.pop(place)) or 1
                self.versions.pop(place, None)


class Shelf:
    """Rows by partition and segment, and the sums of their buckets over all partitions."""

    def __init__(self, most_fields: int = MOST_FIELDS) -> None:
        self._most = most_fields
        self._rows: OrderedDict[str, dict[int, Row]] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._size = 0
        self._sums: dict[str, dict[Place, tuple[tuple[Fields, ...], Fields]]] = {}

    def rows(self, segment: str) -> dict[int, Row]:
        """The rows of a segment by partition, to read and to fill."""
        found = self._rows.setdefault(segment, {})
        self._sizes.setdefault(segment, 0)
        self._rows.move_to_end(segment)
        return found

    def total(self, segment: str, parts: dict[Place, list[Fields]]) -> Fields:
        """The sum of a window: ``parts`` has the buckets of every partition for each of its places. Sums of buckets
        that are the very same as last time are not added up again."""
        sums = self._sums.setdefault(segment, {}) if segment in self._rows else {}
        if len(sums) > _MOST_PLACES:
            sums.clear()
        total: Fields = {}
        for place, buckets in parts.items():
            key = tuple(fields for fields in buckets if fields)
            if not key:
                continue
            known = sums.get(place)
            if known is None or list(map(id, known[0])) != list(map(id, key)):
                known = (key, _sum(key))
                sums[place] = known
            for name, amount in known[1].items():
                total[name] = total.get(name, 0) + amount
        return total

    def settle(self, segment: str) -> None:
        """Keeps within bounds, after the rows of ``segment`` were filled."""
        rows = self._rows.get(segment)
        if rows is None:  # another question took so much room meanwhile that these had to go
            return
        for row in rows.values():
            row.trim()
        size = sum(row.size for row in rows.values())
        self._size += size - self._sizes.get(segment, 0)
        self._sizes[segment] = size
        while self._size > self._most and len(self._rows) > 1:
            oldest, _ = self._rows.popitem(last=False)
            self._sums.pop(oldest, None)
            self._size -= self._sizes.pop(oldest)


def _sum(parts: tuple[Fields, ...]) -> Fields:
    if len(parts) == 1:
        return parts[0]
    total = parts[0].copy()
    for fields in parts[1:]:
        for name, amount in fields.items():
            total[name] = total.get(name, 0) + amount
    return total
