"""What rules see: statistics of KPIs over windows, now and in the past, as points."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from schemas.instant import SECOND_US
from services.alerts.judge.verdict import Need, Point
from services.config.rule import Rule
from services.kpi.catalogue import KPIS
from services.kpi.reader import KpiReader

NOTHING: Final = Point(None, 0)
_FINEST_S: Final = 10
_AT_ONCE: Final = 4

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
        kpi, limit = KPIS[rule.kpi], asyncio.Semaphore(_AT_ONCE)
        present_s = at_us // SECOND_US
        edge_s = present_s + 1 + -(present_s + 1) % _FINEST_S

        async def one(window: Window) -> dict[str, Point]:
            window_s, end_s = window
            async with limit:
                if end_s >= present_s:
                    found = await self._reader.windows(segments, window_s, at_us, (kpi,))
                    return {segment: point(readings[kpi.name], rule.statistic) for segment, readings in found.items()}
                compared = await self._reader.compared(segments, window_s, edge_s - end_s, at_us, [kpi])
                if compared is None:
                    return dict.fromkeys(segments, NOTHING)
                return {segment: point(then[kpi.name], rule.statistic) for segment, _, then in compared.rows}

        wanted = sorted(set(windows))
        if not segments:
            return {window: {} for window in wanted}
        return dict(zip(wanted, await asyncio.gather(*(one(window) for window in wanted)), strict=True))


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
