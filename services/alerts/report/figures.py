"""Numbers of two windows side by side, and whether they moved. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from services.alerts.explain.sentence import where
from services.alerts.report import moved
from services.alerts.report.report import Figure, Verdict
from services.config.amount import Unit, told
from services.config.rule import ALL, statistics, usual
from services.config.segment import values
from services.kpi import bucket, spoken
from services.kpi.better import good
from services.kpi.catalogue import Kpi, Shape
from services.kpi.reading import reading

Reading = Mapping[str, Any]
SURVEYS: Final = frozenset({"csat", "ces", "nps", "qa_score"})
_MEDIANS: Final = ("business.p50_s", "p50_s")


def statistic(kpi: str, *, business: bool) -> str:
    """The number that a report shows of a KPI: of durations the median, where there are ``business`` hours in those."""
    there = statistics(kpi)
    wanted = _MEDIANS if business else _MEDIANS[1:]
    return next((name for name in wanted if name in there), usual(kpi))


def of_sums(
    kpi: Kpi, chosen: str, segment: str, sums: tuple[Mapping[str, int], Mapping[str, int]], earlier: str
) -> Figure:
    """Of what the buckets of both windows hold; the earlier is unknown where nothing at all was counted."""
    now, then = (reading(kpi, total, {}, None) for total in sums)
    cell = kpi.cells[0] + (bucket.BUSINESS_CELL if chosen.startswith("business.") else bucket.CALENDAR_CELL)
    cells = [bucket.sketches(total).get(cell, {}) for total in sums]
    return figure(kpi, chosen, segment, now, then if sums[1] else None, earlier, (cells[0], cells[1]))


def figure(
    kpi: Kpi,
    chosen: str,
    segment: str,
    now: Reading | None,
    then: Reading | None,
    earlier: str,
    cells: tuple[Mapping[int, int], Mapping[int, int]] | None = None,
) -> Figure:
    """A statistic of two readings, with the verdict. ``earlier`` says when the other one was."""
    unit = statistics(kpi.name)[chosen].unit
    present, count = _number(now, chosen)
    before, count_then = _number(then, chosen)
    verdict = _verdict(kpi, unit, present, before, count, count_then, cells)
    return Figure(
        kpi=kpi.name,
        statistic=chosen,
        unit=unit.value,
        now=present,
        then=before,
        count=count,
        count_then=count_then,
        verdict=verdict,
        segment=segment,
        said=_said(chosen, unit, present, before, count, count_then, earlier),
    )


def named(kpi: str, segment: str, scope: str) -> str:
    """``First response time``; of a part of the report's scope: ``First response time (team billing)``."""
    return spoken.titled(kpi) + (f" ({part_of(segment, scope)})" if segment not in (scope, ALL) else "")


def part_of(segment: str, scope: str) -> str:
    """What tells ``segment`` apart within ``scope``: ``channel chat``."""
    fixed = {} if scope == ALL else values(scope)
    own = [f"{name}:{value}" for name, value in values(segment).items() if name not in fixed]
    return where(",".join(own) or segment)


def amount(value: float | None, unit: Unit) -> str:
    """With its unit; ``none`` where there is no case."""
    return "none" if value is None else told(value, unit)


def value(found: Reading | None, chosen: str) -> float | None:
    """One number of a reading."""
    return _number(found, chosen)[0]


def _number(found: Reading | None, chosen: str) -> tuple[float | None, int | None]:
    if found is None:
        return None, None
    part: Any = found
    count: Any = found.get("count")
    for name in chosen.split("."):
        if not isinstance(part, Mapping):
            return None, None
        count = part.get("count", count)
        part = part.get(name)
    return (None if part is None else float(part)), (None if count is None else int(count))


def _verdict(
    kpi: Kpi,
    unit: Unit,
    now: float | None,
    then: float | None,
    count: int | None,
    count_then: int | None,
    cells: tuple[Mapping[int, int], Mapping[int, int]] | None,
) -> Verdict:
    if now is None or then is None:
        return Verdict.FEW
    least = moved.LEAST_ANSWERS if kpi.name in SURVEYS else moved.LEAST
    if unit is not Unit.COUNT and min(count or 0, count_then or 0) < least:
        return Verdict.FEW
    match unit:
        case Unit.COUNT:
            clear = moved.of_counts(now, then) if kpi.shape is not Shape.NET else False
        case Unit.SHARE:
            clear = moved.of_shares(now, count or 0, then, count_then or 0)
        case Unit.SECONDS if cells is not None:
            clear = moved.of_durations(cells[0], cells[1], now, then)
        case _:
            clear = False  # nothing is known of how it scatters
    if not clear:
        return Verdict.STEADY
    direction = good(kpi.name, now, then)
    return Verdict.MOVED if direction is None else Verdict.BETTER if direction else Verdict.WORSE


def _said(
    chosen: str,
    unit: Unit,
    now: float | None,
    then: float | None,
    count: int | None,
    count_then: int | None,
    earlier: str,
) -> str:
    name = spoken.statistic(chosen)
    if now is None:
        return f"no case; {earlier} {amount(then, unit)}" if then is not None else "no case"
    text = f"{name} {amount(now, unit)}" if name else amount(now, unit)
    cases = ""
    if unit is not Unit.COUNT and count is not None:
        cases = f" ({count} and {count_then or 0} cases)"
    return f"{text}, {earlier} {amount(then, unit)}{cases}"
