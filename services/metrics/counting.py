"""From contributions to counters: every contribution counts in each of its segments, at every resolution.

One event of a ticket often changes several cells at one instant, and a batch touches few segments many times: so
amounts are added up by attributes and instant first, then by segment, then from finer buckets into coarser ones. What
is the same for several buckets, as for a ticket alone in its ten seconds, is one and the same dictionary.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from schemas.instant import SECOND_US
from schemas.state import Who
from services.fold.flow import Flow
from services.kpi import bucket
from services.kpi.catalogue import GAUGES, Cell
from services.kpi.window import Resolution
from services.metrics.delta import Amounts, Delta
from services.metrics.segments import EVERYTHING, Scope, Segments

Holder = tuple[str, Who, Scope]
Level = dict[int, dict[str, Amounts]]
"""By start in seconds and segment."""

_CREATED_IN: Final = Cell.CREATED_IN.value
_GAUGES: Final = frozenset(cell.value for cell in GAUGES)  # looked up much faster than members of an enum


class Counting:
    """Collects what a batch changes and writes it into its delta once."""

    def __init__(self, segments: Segments, kept: tuple[Resolution, ...]) -> None:
        self._segments = segments
        self._kept = kept
        self._width_us = kept[0].width_s * SECOND_US
        self._gathered: dict[Holder, dict[int, Amounts]] = {}
        self._gauge: dict[Holder, Amounts] = {}

    def add(self, source: str, flows: Iterable[Flow], scope: Scope = EVERYTHING) -> None:
        """Counts a ticket's ``flows`` in the cuts of ``scope``. A gauge counts in its bucket and in what stands now."""
        width_us = self._width_us
        # What one fact adds comes in a row: the last place is mostly the next one, and hashing attributes is slow.
        who_before: Who | None = None
        from_us = till_us = 0
        starts: dict[int, Amounts] = {}
        amounts: Amounts = {}
        now: Amounts | None = None
        for cell, at_us, who, first, second, sign in flows:
            if who is not who_before:
                starts = self._gathered.setdefault((source, who, scope), {})
                who_before, till_us, now = who, 0, None
            if not from_us <= at_us < till_us:
                from_us = at_us - at_us % width_us
                till_us = from_us + width_us
                amounts = starts.setdefault(from_us // SECOND_US, {})
            if first is not None:
                for field, amount in bucket.fields(cell, first, second):
                    amounts[field] = amounts.get(field, 0) + sign * amount
                continue
            of_present = cell[0] == _CREATED_IN  # ages are told of the present only
            if of_present or cell in _GAUGES:
                if now is None:
                    now = self._gauge.setdefault((source, who, scope), {})
                now[cell] = now.get(cell, 0) + sign
            if not of_present:
                amounts[cell] = amounts.get(cell, 0) + sign

    def undecided(self) -> dict[str, list[str]]:
        """Segments that must be decided before :meth:`into`, by cut."""
        return self._segments.undecided(self._gathered)

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
        level = self._finest()
        now_s = now_us // SECOND_US
        for resolution in self._kept:
            if resolution is not self._kept[0]:
                level = _coarser(level, resolution.width_s)
            for start_s, segments in level.items():
                expires_s = resolution.expires(start_s)
                if expires_s > now_s and segments:
                    delta.buckets[resolution.name, start_s] = segments
                    delta.expires[resolution.name, start_s] = expires_s
        oldest = self._kept[-1]
        return sum(oldest.expires(start_s) <= now_s for starts in self._gathered.values() for start_s in starts)

    def _finest(self) -> Level:
        parts: dict[int, dict[str, list[Amounts]]] = {}
        for (source, who, scope), starts in self._gathered.items():
            names = self._segments.keys(source, who, scope)
            for start_s, amounts in starts.items():
                if 0 in amounts.values():  # what came and went within the bucket, as statuses of a busy ticket do
                    amounts = {field: amount for field, amount in amounts.items() if amount}
                if amounts:
                    _put(parts.setdefault(start_s, {}), names, amounts)
        return {start_s: _summed(segments) for start_s, segments in parts.items()}


def _put(parts: dict[str, list[Amounts]], segments: Iterable[str], amounts: Amounts) -> None:
    for segment in segments:
        there = parts.get(segment)
        if there is None:
            parts[segment] = [amounts]
        else:
            there.append(amounts)


def _coarser(level: Level, width_s: int) -> Level:
    within: dict[int, list[dict[str, Amounts]]] = {}
    for start_s, segments in level.items():
        within.setdefault(start_s - start_s % width_s, []).append(segments)
    coarse: Level = {}
    for start_s, several in within.items():
        if len(several) == 1:
            coarse[start_s] = several[0]
            continue
        parts: dict[str, list[Amounts]] = {}
        for segments in several:
            for segment, amounts in segments.items():
                there = parts.get(segment)
                if there is None:
                    parts[segment] = [amounts]
                else:
                    there.append(amounts)
        coarse[start_s] = _summed(parts)
    return coarse


def _summed(parts: dict[str, list[Amounts]]) -> dict[str, Amounts]:
    """The sums by segment, without those that are nothing. The same parts have the same sum: it is made once."""
    sums: dict[str, Amounts] = {}
    known: dict[tuple[int, ...], Amounts] = {}
    for segment, several in parts.items():
        if len(several) == 1:
            sums[segment] = several[0]
            continue
        mark = tuple(map(id, several))
        total = known.get(mark)
        if total is None:
            total = known[mark] = _sum(several)
        if total:
            sums[segment] = total
    return sums


def _sum(several: list[Amounts]) -> Amounts:
    total = several[0].copy()
    standing = total.get
    for amounts in several[1:]:
        for field, amount in amounts.items():
            total[field] = standing(field, 0) + amount
    if 0 in total.values():
        return {field: amount for field, amount in total.items() if amount}
    return total
