"""From contributions to counters: every contribution counts in each of its segments, at every resolution.

One event of a ticket often changes several cells at one instant, and a batch touches few segments many times: so
amounts are added up by instant and attributes first, then by segment, then from finer buckets into coarser ones.
"""

from __future__ import annotations

from typing import Final

from schemas.instant import SECOND_US
from schemas.state import Who
from services.fold.flow import Flow
from services.kpi import bucket
from services.kpi.catalogue import GAUGES, Cell
from services.kpi.window import Resolution
from services.metrics.contribution import Contribution
from services.metrics.delta import Delta
from services.metrics.segments import EVERYTHING, Scope, Segments

Amounts = dict[str, int]
Place = tuple[int, str]
Level = dict[Place, Amounts]

_CREATED_IN: Final = Cell.CREATED_IN.value


class Counting:
    """Collects what a batch changes and writes it into its delta once."""

    def __init__(self, segments: Segments, kept: tuple[Resolution, ...]) -> None:
        self._segments = segments
        self._kept = kept
        self._gathered: dict[tuple[str, Who, Scope, int], Amounts] = {}
        self._gauge: dict[tuple[str, Who, Scope], Amounts] = {}
        self._who: Who | None = None
        self._at_us = 0
        self._source = ""
        self._scope = EVERYTHING
        self._amounts: Amounts = {}
        self._now: Amounts | None = None

    def add(self, source: str, contribution: Contribution, sign: int, scope: Scope = EVERYTHING) -> None:
        """Counts ``contribution`` in the cuts of ``scope``, or with a ``sign`` of -1 takes it back. A gauge counts
        in its bucket and in what stands now."""
        cell, at_us, who, first, second = contribution
        gauge = cell in GAUGES
        amounts = self._at(source, who, scope, at_us)
        if gauge or cell.startswith(_CREATED_IN):
            now = self._now
            if now is None:
                now = self._now = self._gauge.setdefault((source, who, scope), {})
            now[cell] = now.get(cell, 0) + sign
            if not gauge:
                return  # ages are told of the present only
        if first is None:
            amounts[cell] = amounts.get(cell, 0) + sign
            return
        for field, amount in bucket.fields(cell, first, second):
            amounts[field] = amounts.get(field, 0) + sign * amount

    def flow(self, source: str, flow: Flow, sign: int, scope: Scope = EVERYTHING) -> None:
        """Counts ``flow`` in the same way."""
        self.add(source, flow[:5], sign * flow[5], scope)

    def undecided(self) -> dict[str, list[str]]:
        """Segments that must be decided before :meth:`into`, by cut."""
        holders = dict.fromkeys((source, who, scope) for source, who, scope, _ in self._gathered)
        return self._segments.undecided(holders | dict.fromkeys(self._gauge))

    def into(self, delta: Delta, now_us: int) -> int:
        """Writes the counters of all buckets that are still kept at ``now_us``. Returns how many instants were
        older than every one of them."""
        for (source, who, scope), now in self._gauge.items():
            changed = [(cell, amount) for cell, amount in now.items() if amount]
            if changed:
                for segment in self._segments.keys(source, who, scope):
                    there = delta.gauge.setdefault(segment, {})
                    for cell, amount in changed:
                        there[cell] = there.get(cell, 0) + amount
        level: Level = {}
        own: set[Place] = set()
        for (source, who, scope, start_s), amounts in self._gathered.items():
            if 0 in amounts.values():  # what came and went within the bucket, as statuses of a busy ticket do
                amounts = {field: amount for field, amount in amounts.items() if amount}
            for segment in self._segments.keys(source, who, scope):
                _merge(level, own, (start_s, segment), amounts)
        now_s = now_us // SECOND_US
        finest = self._kept[0]
        for resolution in self._kept:
            if resolution is not finest:
                level = _coarser(level, resolution.width_s)
            for (start_s, segment), amounts in level.items():
                expires_s = resolution.expires(start_s)
                if expires_s > now_s and any(amounts.values()):
                    target = (resolution.name, start_s, segment)
                    delta.buckets[target] = amounts
                    delta.expires[target] = expires_s
        oldest = self._kept[-1]
        return sum(oldest.expires(start_s) <= now_s for *_, start_s in self._gathered)

    def _at(self, source: str, who: Who, scope: Scope, at_us: int) -> Amounts:
        # What one fact adds comes in a row: the last place is mostly the next one, and hashing attributes is slow.
        if who is self._who and at_us == self._at_us and source == self._source and scope == self._scope:
            return self._amounts
        self._who, self._at_us, self._source, self._scope, self._now = who, at_us, source, scope, None
        self._amounts = self._gathered.setdefault((source, who, scope, self._kept[0].start(at_us)), {})
        return self._amounts


def _coarser(level: Level, width_s: int) -> Level:
    coarse: Level = {}
    own: set[Place] = set()
    for (start_s, segment), amounts in level.items():
        _merge(coarse, own, (start_s - start_s % width_s, segment), amounts)
    return coarse


def _merge(level: Level, own: set[Place], place: Place, amounts: Amounts) -> None:
    """Adds ``amounts`` to a place. What nothing was added to is shared between places, and copied (``own``) before it
    is."""
    there = level.get(place)
    if there is None:
        level[place] = amounts
        return
    if place not in own:
        own.add(place)
        there = level[place] = there.copy()
    for field, amount in amounts.items():
        there[field] = there.get(field, 0) + amount
