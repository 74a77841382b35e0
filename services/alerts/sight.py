"""What rules see: statistics of KPIs over windows, now and in the past, as points."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from schemas.instant import SECOND_US
from services.alerts.judge.verdict import Need, Point
from services.config.rule import Rule
from services.kpi.catalogue import KPIS
from services.kpi.reader import KpiReader

NOTHING: Final = Point(None, 0)
_AT_ONCE: Final = 8
"""Segments of one question: of so few the reader keeps the buckets that are over."""

Window = tuple[int, int]
"""``(length in seconds, end in seconds since the epoch)``."""


class Sight:
    """Reads through a :class:`KpiReader`. Calls may raise ``NotNow``."""

    def __init__(self, reader: KpiReader) -> None:
        self._reader = reader

    async def segments(self, rule: Rule) -> list[str]:
        """Every value of the rule's cut that has counted anything, or its one segment."""
        if not rule.by:
            return [rule.segment]
        return await self._reader.segments(rule.by)

    async def points(
        self, rule: Rule, segments: Sequence[str], needs: Sequence[Need], base_s: int, at_us: int
    ) -> dict[str, list[Point]]:
        """The points of ``needs`` for each segment, as seen from ``base_s``: the present, or an end before it."""
        ends = [(need.window_s, base_s - need.ago_s) for need in needs]
        seen = await self.windows(rule, segments, ends, at_us)
        return {segment: [seen[end][segment] for end in ends] for segment in segments}

    async def windows(
        self, rule: Rule, segments: Sequence[str], windows: Iterable[Window], at_us: int
    ) -> dict[Window, dict[str, Point]]:
        """The points of windows by their length and end. One that is no longer kept has no value."""
        kpi, present_s = KPIS[rule.kpi], at_us // SECOND_US
        wanted = sorted(set(windows))
        past = [window for window in wanted if window[1] < present_s]
        found: dict[Window, dict[str, Point]] = {window: {} for window in wanted}
        for first in range(0, len(segments), _AT_ONCE):
            chunk = segments[first : first + _AT_ONCE]
            for window in wanted:
                if window[1] >= present_s:
                    now = await self._reader.windows(chunk, window[0], at_us, (kpi,))
                    found[window] |= {segment: point(one[kpi.name], rule.statistic) for segment, one in now.items()}
            if not past:
                continue
            for segment, readings in (await self._reader.ended(chunk, past, at_us, kpi)).items():
                for window, reading in zip(past, readings, strict=True):
                    found[window][segment] = NOTHING if reading is None else point(reading, rule.statistic)
        return found


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
