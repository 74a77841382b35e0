"""What rules see: statistics of KPIs over windows, now and in the past, as points, and queues of open promises."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from schemas.instant import SECOND_US
from services.alerts.judge import judging
from services.alerts.judge.verdict import Need, Point
from services.alerts.waiting import Waiting
from services.config.document import Document
from services.config.rule import PredictedBreach, Rule
from services.kpi.catalogue import KPIS
from services.kpi.reader import KpiReader

NOTHING: Final = Point(None, 0)
_AT_ONCE: Final = 1000
"""Segments of one question; of a whole cut the reader keeps the buckets that are over."""


class Window(NamedTuple):
    """A statistic over ``length_s`` seconds that ended at ``end_s`` since the epoch; of the rule's own KPI and
    statistic where none is named."""

    length_s: int
    end_s: int
    kpi: str = ""
    statistic: str = ""


class Sight:
    """Reads through a :class:`KpiReader`. Calls may raise ``NotNow``."""

    def __init__(self, reader: KpiReader, waiting: Waiting) -> None:
        self._reader = reader
        self._waiting = waiting

    def follow(self, document: Document) -> None:
        """Promises and links are those of ``document`` from now on."""
        self._waiting.follow(document)

    async def segments(self, rule: Rule) -> list[str]:
        """Every value of the rule's cut that has counted anything, or its one segment."""
        if not rule.by:
            return [rule.segment]
        return await self._reader.segments(rule.by)

    async def seen(self, rule: Rule, segments: Sequence[str], at_us: int) -> Mapping[str, Any]:
        """What :func:`judging.judged` is to judge ``segments`` by, as of the present."""
        if isinstance(rule, PredictedBreach):
            return await self._waiting.present(rule, segments, at_us)
        needs, base_s = judging.needs(rule), judging.looked_at_s(rule, at_us // SECOND_US)
        return await self.points(rule, judging.looked_at(rule, segments), needs, base_s, at_us)

    async def past(
        self, rule: Rule, segments: Sequence[str], instants: Sequence[int], at_us: int
    ) -> Mapping[int, Mapping[str, Any]]:
        """The same as of each of ``instants``, in seconds since the epoch."""
        if isinstance(rule, PredictedBreach):
            return await self._waiting.past(rule, segments, instants, at_us)
        needs, wanted = judging.needs(rule), judging.looked_at(rule, segments)
        ends = {at_s: _windows(needs, judging.looked_at_s(rule, at_s)) for at_s in instants}
        found = await self.windows(rule, wanted, {end for these in ends.values() for end in these}, at_us)
        return {at_s: {one: [found[end][one] for end in these] for one in wanted} for at_s, these in ends.items()}

    async def points(
        self, rule: Rule, segments: Sequence[str], needs: Sequence[Need], base_s: int, at_us: int
    ) -> dict[str, list[Point]]:
        """The points of ``needs`` for each segment, as seen from ``base_s``: the present, or an end before it."""
        ends = _windows(needs, base_s)
        seen = await self.windows(rule, segments, ends, at_us)
        return {segment: [seen[end][segment] for end in ends] for segment in segments}

    async def windows(
        self, rule: Rule, segments: Sequence[str], windows: Iterable[Window], at_us: int
    ) -> dict[Window, dict[str, Point]]:
        """The points of windows. One that is no longer kept has no value."""
        wanted = sorted(set(windows))
        found: dict[Window, dict[str, Point]] = {window: {} for window in wanted}
        for name in sorted({window.kpi for window in wanted}):
            mine = [window for window in wanted if window.kpi == name]
            for first in range(0, len(segments), _AT_ONCE):
                await self._read(rule, name or rule.kpi, segments[first : first + _AT_ONCE], mine, found, at_us)
        return found

    async def _read(
        self,
        rule: Rule,
        name: str,
        segments: Sequence[str],
        windows: Sequence[Window],
        found: dict[Window, dict[str, Point]],
        at_us: int,
    ) -> None:
        kpi, present_s = KPIS[name], at_us // SECOND_US
        past = [window for window in windows if window.end_s < present_s]
        for window in windows:
            if window.end_s >= present_s:
                now = await self._reader.windows(segments, window.length_s, at_us, (kpi,))
                statistic = window.statistic or rule.statistic
                found[window] |= {segment: point(one[name], statistic) for segment, one in now.items()}
        if not past:
            return
        lengths = [(window.length_s, window.end_s) for window in past]
        for segment, readings in (await self._reader.ended(segments, lengths, at_us, kpi)).items():
            for window, reading in zip(past, readings, strict=True):
                told = NOTHING if reading is None else point(reading, window.statistic or rule.statistic)
                found[window][segment] = told


def _windows(needs: Sequence[Need], base_s: int) -> list[Window]:
    return [Window(need.window_s, base_s - need.ago_s, need.kpi, need.statistic) for need in needs]


def point(reading: Mapping[str, Any], statistic: str) -> Point:
    """One number of a reading, with the number of cases that is nearest to it; 1 where the reading tells none."""
    part: Any = reading
    count = reading.get("count")
    for name in statistic.split("."):
        if not isinstance(part, Mapping):
            return NOTHING
        count = part.get("count", count)
        part = part.get(name)
    if part is None:
        return Point(None, int(count or 0))
    return Point(float(part), 1 if count is None else int(count))
