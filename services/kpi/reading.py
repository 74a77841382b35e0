"""From summed buckets to what people read: counts, shares, means and percentiles in seconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from services.kpi import bucket
from services.kpi.catalogue import AGES, MILLION, STANDING, Cell, Kpi, Shape
from services.kpi.sketch import quantile

PERCENTILES: Final = {"p50_s": 0.50, "p90_s": 0.90, "p95_s": 0.95}

Reading = dict[str, Any]
Fields = Mapping[str, int]
_HOUR_S: Final = 3600


def readings(kpis: Iterable[Kpi], total: Fields, gauges: Fields, at_s: int | None) -> dict[str, Reading]:
    """The values of ``kpis`` by name.

    ``total`` are the summed fields of a window and ``gauges`` what stands at its end. ``at_s`` is its end when that is
    the present, and ``None`` otherwise: the ages in a backlog are known of the present only. Shapes:

    - count, net and gauge: ``{"count": n}``
    - backlog: ``count``, ``by_status`` and ``by_age``; age: ``{"age_s": seconds}``
    - ratio, share, retention: ``{"ratio": 0.0–1.0, "count": n, "hits": m}``, of ``count`` cases ``hits`` are what it
      says; ratios: one of them for each part; promises: one for all metrics, with one for each under ``by_metric``
    - mean: ``{"mean": x, "count": n}``; score: ``{"score": -100–100, "count", "promoters", "detractors"}``
    - duration: ``count``, ``mean_s`` and percentiles by the calendar, and the same under ``business``;
      resolution_time reads as its full resolution and holds both as ``full`` and ``first``
    - durations: ``count`` and ``mean_s``, and the latter under ``business``, for each part

    Without a single case, means, percentiles and ratios are ``None``: nothing is not zero.
    """
    cells = bucket.sketches(total)
    return {kpi.name: _reading(kpi, total, cells, gauges, at_s) for kpi in kpis}


def reading(kpi: Kpi, total: Fields, gauges: Fields, at_s: int | None) -> Reading:
    """As :func:`readings`, of one KPI."""
    return readings((kpi,), total, gauges, at_s)[kpi.name]


def _reading(kpi: Kpi, total: Fields, cells: _Sketches, gauges: Fields, at_s: int | None) -> Reading:
    names = kpi.cells
    match kpi.shape:
        case Shape.COUNT:
            return {"count": _count(total, names[0])}
        case Shape.NET:
            came, went = (_count(total, name) for name in names)
            return {"count": came - went}
        case Shape.GAUGE:
            return {"count": _count(gauges, names[0])}
        case Shape.BACKLOG:
            by_status = {status.value: _count(gauges, cell) for status, cell in STANDING.items()}
            return {"count": _count(gauges, names[0]), "by_status": by_status, "by_age": _by_age(gauges, at_s)}
        case Shape.AGE:
            hours = _hours(gauges, at_s)
            return {"age_s": max(hours) * _HOUR_S if hours else None}
        case Shape.RATIO:
            return _ratio(*(_count(total, name) for name in names))
        case Shape.RATIOS:
            pairs = zip(names[::2], names[1::2], strict=True)
            found = (_ratio(_count(total, hits), _count(total, cases)) for hits, cases in pairs)
            return dict(zip(kpi.parts, found, strict=True))
        case Shape.PROMISES:
            return _promises(kpi, total)
        case Shape.SHARE:
            some, every = (_distinct(total, name) for name in names)
            return _ratio(some, every)
        case Shape.RETENTION:
            return _retention(total, gauges, *names)
        case Shape.MEAN:
            return _mean(total, *names)
        case Shape.SCORE:
            up, down, count = (_count(total, name) for name in names)
            score = round(100 * (up - down) / count, 3) if count else None
            return {"score": score, "count": count, "promoters": up, "detractors": down}
        case Shape.DURATIONS:
            return {part: _stay(total, name) for part, name in zip(kpi.parts, names, strict=True)}
        case Shape.DURATION:
            durations = [_duration(total, cells, name) for name in names]
            return {**durations[0], **dict(zip(kpi.parts, durations, strict=True))} if kpi.parts else durations[0]


_Sketches = Mapping[str, Mapping[int, int]]


def _ratio(hits: int, cases: int) -> Reading:
    return {"ratio": hits / cases if cases else None, "count": cases, "hits": hits}


def _promises(kpi: Kpi, total: Fields) -> Reading:
    half = len(kpi.cells) // 2
    hits = [_count(total, name) for name in kpi.cells[:half]]
    others = [_count(total, name) for name in kpi.cells[half:]]
    by_metric = {part: _ratio(hit, hit + other) for part, hit, other in zip(kpi.parts, hits, others, strict=True)}
    return {**_ratio(sum(hits), sum(hits) + sum(others)), "by_metric": by_metric}


def _retention(total: Fields, gauges: Fields, of_agent: str, staff: str) -> Reading:
    """Of an agent, the field of the window is what came less what went: -1 for one who was there and is not."""
    at_start = max(0, gauges.get(staff, 0) - total.get(staff, 0))
    lost = sum(-amount for field, amount in total.items() if amount < 0 and field.startswith(of_agent))
    return _ratio(max(0, at_start - lost), at_start)


def _mean(total: Fields, amount: str, cases: str) -> Reading:
    count = _count(total, cases)
    scale = MILLION if amount in _SCALED else 1
    return {"mean": round(total.get(amount, 0) / count / scale, 6) if count else None, "count": count}


_SCALED: Final = frozenset({Cell.EFFORT_SUM, Cell.REVIEWED_SUM})


def _duration(total: Fields, cells: _Sketches, name: str) -> Reading:
    count = _count(total, name)
    calendar = _statistics(total, cells, name, count, bucket.CALENDAR_SUM, bucket.CALENDAR_CELL)
    business = _statistics(total, cells, name, count, bucket.BUSINESS_SUM, bucket.BUSINESS_CELL)
    return {"count": count, **calendar, "business": business}


def _stay(total: Fields, name: str) -> Reading:
    count = _count(total, name)
    clock, business = (
        round(total.get(name + sums, 0) / count / 1000, 3) if count else None
        for sums in (bucket.CALENDAR_SUM, bucket.BUSINESS_SUM)
    )
    return {"count": count, "mean_s": clock, "business": {"mean_s": business}}


def _statistics(total: Fields, cells: _Sketches, name: str, count: int, sums: str, kind: str) -> Reading:
    found = cells.get(name + kind, {})
    quantiles = {statistic: quantile(found, share) for statistic, share in PERCENTILES.items()}
    return {
        "mean_s": round(total.get(name + sums, 0) / count / 1000, 3) if count > 0 else None,
        **{statistic: round(ms / 1000, 3) if ms is not None else None for statistic, ms in quantiles.items()},
    }


def _hours(gauges: Fields, at_s: int | None) -> dict[int, int]:
    """How many tickets of the backlog have which age, in hours."""
    if at_s is None:
        return {}
    mark, present = Cell.CREATED_IN.value, at_s // _HOUR_S
    hours: dict[int, int] = {}
    for field, amount in gauges.items():
        if amount > 0 and field.startswith(mark):
            age = max(0, present - int(field[len(mark) :]))
            hours[age] = hours.get(age, 0) + amount
    return hours


def _by_age(gauges: Fields, at_s: int | None) -> dict[str, int] | None:
    if at_s is None:
        return None
    found = dict.fromkeys(AGES, 0)
    for age, amount in _hours(gauges, at_s).items():
        found[next(name for name, end in AGES.items() if end is None or age < end)] += amount
    return found


def _distinct(total: Fields, prefix: str) -> int:
    return sum(amount > 0 for field, amount in total.items() if field.startswith(prefix))


def _count(total: Fields, name: str) -> int:
    return max(0, total.get(name, 0))
