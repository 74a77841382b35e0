"""What of a KPI can be told apart by segments, and how it is taken out of the sums of buckets."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from services.alerts.explain.contribution import Amount
from services.kpi import bucket, sketch
from services.kpi.catalogue import Kpi, Shape
from services.kpi.reading import PERCENTILES, reading

Fields = Mapping[str, int]
_WHOLE: Final = frozenset({Shape.AGE, Shape.SHARE, Shape.RETENTION})
"""No sums: the oldest is one, and one agent may be in several segments."""
_MEANS: Final = frozenset({"ratio", "mean", "mean_s", "score"})


class Kind(StrEnum):
    """How a statistic is made of its parts. API value."""

    COUNT = "count"
    MEAN = "mean"
    ABOVE = "above"
    """Of a percentile, which is no sum: the share of cases above what the percentile was before."""
    NONE = "none"
    """It cannot be told apart."""


def kind(kpi: Kpi, statistic: str) -> Kind:
    """How ``statistic`` of ``kpi`` is told apart."""
    leaf = statistic.rpartition(".")[2]
    if kpi.shape in _WHOLE or statistic.startswith("by_age."):
        return Kind.NONE
    if leaf in PERCENTILES:
        return Kind.ABOVE
    return Kind.MEAN if leaf in _MEANS else Kind.COUNT


def amount(kpi: Kpi, statistic: str, total: Fields, gauges: Fields, above_s: float | None = None) -> Amount:
    """What the sums of a window hold of ``statistic``. Of a percentile: the cases longer than ``above_s``. Durations
    are in seconds, exact as far as sketches (one per cent) and readings (a millisecond) are."""
    if kind(kpi, statistic) is Kind.ABOVE:
        cells = bucket.sketches(total).get(_sketch(kpi, statistic), {})
        longer = sum(n for index, n in cells.items() if above_s is not None and sketch.value(index) > above_s * 1000.5)
        return Amount(longer, sum(cells.values()))
    *path, leaf = statistic.split(".")
    part: Any = reading(kpi, total, gauges, None)
    cases = part.get("count", 0)
    for name in path:
        part = part[name]
        cases = part.get("count", cases)
    if leaf == "ratio":
        return Amount(part["hits"], cases)
    if leaf == "score":
        return Amount(100 * (part["promoters"] - part["detractors"]), cases)
    if leaf in _MEANS:
        return Amount((part[leaf] or 0) * cases, cases)
    return Amount(part[leaf] or 0)


def told(kpi: Kpi, statistic: str, total: Fields, gauges: Fields) -> float | None:
    """The statistic itself."""
    part: Any = reading(kpi, total, gauges, None)
    for name in statistic.split("."):
        part = part.get(name) if isinstance(part, Mapping) else None
    return None if part is None else float(part)


def _sketch(kpi: Kpi, statistic: str) -> str:
    first, *_ = path = statistic.split(".")
    cell = kpi.cells[kpi.parts.index(first)] if first in kpi.parts else kpi.cells[0]
    return cell + (bucket.BUSINESS_CELL if "business" in path else bucket.CALENDAR_CELL)
