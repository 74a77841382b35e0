"""From contributions to counters: every contribution counts in each of its segments, at every resolution.

One event of a ticket often changes several cells at one instant, and a batch touches few segments many times: so
amounts are added up by instant and attributes first, then by segment, then from finer buckets into coarser ones.
"""

from __future__ import annotations

from schemas.instant import SECOND_US
from schemas.state import Who
from services.fold.ticket import Move
from services.kpi import bucket
from services.kpi.catalogue import Cell
from services.kpi.window import Resolution
from services.metrics.contribution import Contribution
from services.metrics.delta import Delta
from services.metrics.segments import EVERYTHING, Scope, Segments

Amounts = dict[str, int]


class Counting:
    """Collects what a batch changes and writes it into its delta once."""

    def __init__(self, segments: Segments, kept: tuple[Resolution, ...]) -> None:
        self._segments = segments
        self._kept = kept
        self._gathered: dict[tuple[str, Who, Scope, int], Amounts] = {}
        self._gauge: dict[tuple[str, Who, Scope], int] = {}

    def add(self, source: str, contribution: Contribution, sign: int, scope: Scope = EVERYTHING) -> None:
        """Counts ``contribution`` in the cuts of ``scope``, or with a ``sign`` of -1 takes it back."""
        cell, at_us, who, calendar_ms, business_ms = contribution
        amounts = self._at(source, who, scope, at_us)
        for field, amount in bucket.fields(cell, calendar_ms, business_ms):
            amounts[field] = amounts.get(field, 0) + sign * amount

    def move(self, source: str, move: Move, scope: Scope = EVERYTHING) -> None:
        """Counts a change of the backlog, in its bucket and in the backlog as it is now."""
        at_us, who, amount = move
        amounts = self._at(source, who, scope, at_us)
        amounts[Cell.BACKLOG.value] = amounts.get(Cell.BACKLOG.value, 0) + amount
        holder = (source, who, scope)
        self._gauge[holder] = self._gauge.get(holder, 0) + amount

    def undecided(self) -> dict[str, list[str]]:
        """Segments that must be decided before :meth:`into`, by cut."""
        holders = dict.fromkeys((source, who, scope) for source, who, scope, _ in self._gathered)
        return self._segments.undecided(holders)

    def into(self, delta: Delta, now_us: int) -> int:
        """Writes the counters of all buckets that are still kept at ``now_us``. Returns how many instants were
        older than every one of them."""
        for (source, who, scope), amount in self._gauge.items():
            if amount:
                for segment in self._segments.keys(source, who, scope):
                    delta.gauge[segment] = delta.gauge.get(segment, 0) + amount
        level: dict[tuple[int, str], Amounts] = {}
        for (source, who, scope, start_s), amounts in self._gathered.items():
            for segment in self._segments.keys(source, who, scope):
                _merge(level, (start_s, segment), amounts)
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
        return self._gathered.setdefault((source, who, scope, self._kept[0].start(at_us)), {})


def _coarser(level: dict[tuple[int, str], Amounts], width_s: int) -> dict[tuple[int, str], Amounts]:
    coarse: dict[tuple[int, str], Amounts] = {}
    for (start_s, segment), amounts in level.items():
        _merge(coarse, (start_s - start_s % width_s, segment), amounts)
    return coarse


def _merge(level: dict[tuple[int, str], Amounts], place: tuple[int, str], amounts: Amounts) -> None:
    there = level.get(place)
    if there is None:
        level[place] = amounts.copy()
        return
    for field, amount in amounts.items():
        there[field] = there.get(field, 0) + amount
