"""A KPI as a tile: the number, what it was a week ago, and both over time. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from schemas.instant import SECOND_US
from services.alerts.judge.verdict import Point
from services.alerts.sight import NOTHING, point
from services.config.amount import Unit
from services.config.board import chosen
from services.config.rule import statistics
from services.kpi import spoken
from services.kpi.better import better, good
from services.kpi.catalogue import KPIS, Shape
from services.kpi.reader import KpiReader
from services.kpi.window import HOUR_S

STEPS: Final = 24
_PRESENT: Final = (Shape.GAUGE, Shape.BACKLOG, Shape.AGE)
AGO_S: Final = 7 * 24 * HOUR_S


@dataclass(frozen=True, slots=True)
class Ends:
    """The windows that a tile is drawn from, each ``(length, end)`` in seconds: the window as it was a week ago, then
    steps that are over, oldest first, and the same steps a week earlier."""

    step_s: int
    windows: list[tuple[int, int]]

    @classmethod
    def before(cls, window_s: int, at_us: int) -> Ends:
        """Of a window that ends at ``at_us``. Steps are whole minutes or whole hours, since that is what is kept."""
        at_s = at_us // SECOND_US
        width = HOUR_S if window_s >= STEPS * HOUR_S else 60
        step_s = max(width, -(-window_s // STEPS // width) * width)
        last = at_s - at_s % step_s
        ends = [last - n * step_s for n in reversed(range(STEPS))]
        return cls(
            step_s,
            [(window_s, at_s - AGO_S), *((step_s, end) for end in ends), *((step_s, end - AGO_S) for end in ends)],
        )


async def tile(reader: KpiReader, written: str, segment: str, window_s: int, at_us: int) -> dict[str, Any]:
    """The tile of ``written`` (``csat``, ``first_response_time.p50_s``) in a segment. May raise ``NotNow``."""
    name, statistic = chosen(written)
    kpi, asked = KPIS[name], Ends.before(window_s, at_us)
    present = (await reader.windows([segment], window_s, at_us, (kpi,)))[segment][name]
    past = (await reader.ended([segment], asked.windows, at_us, kpi))[segment]
    now, unit = point(present, statistic), statistics(name)[statistic].unit
    then, *steps = [NOTHING if one is None else point(one, statistic) for one in past]
    if unit is Unit.COUNT and not any(one.value for one in (then, *steps[STEPS:])):
        then = NOTHING  # a week without anything is one in which nobody counted
    judged = good(name, now.value, then.value) if now.value is not None and then.value is not None else None
    return {
        "kpi": name,
        "statistic": statistic,
        "label": spoken.titled(name),
        "of": spoken.statistic(statistic),
        "unit": unit.value,
        "present": kpi.shape in _PRESENT,
        "better": better(name).value,
        "value": now.value,
        "cases": now.count,
        "then": then.value,
        "good": judged,
        "step_s": asked.step_s,
        "line": _values(steps[:STEPS]),
        "line_then": _values(steps[STEPS:]),
    }


def _values(points: Sequence[Point]) -> list[float | None]:
    return [None if one.value is None else round(one.value, 4) for one in points]
