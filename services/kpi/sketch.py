"""A mergeable sketch of durations: counts in logarithmic cells, one per cent relative error.

The cells of DDSketch (Masson, Rim, Lee 2019): cell ``i`` holds values in ``(γ^(i-1), γ^i]`` with γ = (1+α)/(1-α).
Sketches are added cell by cell, so the percentile of any union of buckets and partitions is as good as that of
one; and since cells are plain counters, a value that was added can be taken out again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

ALPHA: Final = 0.01
GAMMA: Final = (1 + ALPHA) / (1 - ALPHA)
_LOG_GAMMA: Final = math.log(GAMMA)
ZERO: Final = -1
"""The cell of durations below one millisecond."""


def cell(value_ms: int) -> int:
    """The cell of a duration in whole milliseconds."""
    if value_ms < 1:
        return ZERO
    return math.ceil(math.log(value_ms) / _LOG_GAMMA - 1e-9)


def value(cell_index: int) -> float:
    """The duration in milliseconds that stands for a cell: within one per cent of everything in it."""
    if cell_index == ZERO:
        return 0.0
    return float(2 * GAMMA**cell_index / (GAMMA + 1))


def quantile(cells: Mapping[int, int], share: float) -> float | None:
    """The duration in milliseconds below which ``share`` (0 to 1) of the values lie; ``None`` without values.

    The value of rank ``share × (n - 1)``, without interpolation between ranks, as DDSketch defines it.
    """
    count = sum(cells.values())
    if count <= 0:
        return None
    rank = share * (count - 1)
    passed = 0
    for index in sorted(cells):
        passed += cells[index]
        if passed > rank:
            return value(index)
    return value(max(cells))
