"""From summed buckets to what people read: counts, ratios, means and percentiles in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from services.kpi import bucket, sketch
from services.kpi.catalogue import Cell, Kpi, Shape

PERCENTILES: Final = {"p50_s": 0.50, "p90_s": 0.90, "p95_s": 0.95}

Reading = dict[str, Any]


def reading(kpi: Kpi, total: Mapping[str, int], gauge: int) -> Reading:
    """The value of ``kpi`` from the summed fields of a window; ``gauge`` is the backlog now.

    - count and gauge: ``{"count": n}``
    - ratio: ``{"ratio": 0.0–1.0 or None, "count": n, "hits": m}``, of ``count`` cases ``hits`` are what it says
    - duration: ``count``, ``mean_s`` and percentiles by the calendar, and the same under ``business``;
      resolution_time reads as its full resolution and holds both as ``full`` and ``first``.

    Without a single case, means, percentiles and ratios are ``None``: nothing is not zero.
    """
    if kpi.shape is Shape.GAUGE:
        return {"count": gauge}
    if kpi.shape is Shape.COUNT:
        return {"count": _count(total, kpi.cells[0])}
    if kpi.shape is Shape.RATIO:
        hits, cases = (_count(total, cell) for cell in kpi.cells)
        return {"ratio": hits / cases if cases else None, "count": cases, "hits": hits}
    found = [_duration(total, cell) for cell in kpi.cells]
    if len(found) == 1:
        return found[0]
    full, first = found
    return {**full, "full": full, "first": first}


def _duration(total: Mapping[str, int], cell: Cell) -> Reading:
    count = _count(total, cell)
    calendar = _statistics(total, cell, count, bucket.CALENDAR_SUM, bucket.CALENDAR_CELL)
    business = _statistics(total, cell, count, bucket.BUSINESS_SUM, bucket.BUSINESS_CELL)
    return {"count": count, **calendar, "business": business}


def _statistics(total: Mapping[str, int], cell: Cell, count: int, sums: str, kind: str) -> Reading:
    found = bucket.cells(total, cell, kind)
    quantiles = {name: sketch.quantile(found, share) for name, share in PERCENTILES.items()}
    return {
        "mean_s": round(total.get(cell.value + sums, 0) / count / 1000, 3) if count > 0 else None,
        **{name: round(ms / 1000, 3) if ms is not None else None for name, ms in quantiles.items()},
    }


def _count(total: Mapping[str, int], cell: Cell) -> int:
    return max(0, total.get(cell.value, 0))
