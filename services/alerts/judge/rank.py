"""Robust statistics of short series: the Mann–Kendall test, Theil–Sen slopes, medians and their spread."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Final

NORMAL_MAD: Final = 1.4826
"""Median absolute deviation times this is the standard deviation of a normal distribution."""

Series = Sequence[tuple[int, float]]
"""``(place, value)``, ascending by place; places may be left out."""


def mann_kendall(series: Series) -> float:
    """The test's z: above zero where later values tend to be larger; about standard normal without a trend.

    A rank test (Mann 1945, Kendall 1975, with the correction for ties): how far off one value is plays no part, so
    that an outlier counts as one value among many. 0 for fewer than three values.
    """
    values = [value for _, value in series]
    n = len(values)
    if n < 3:
        return 0.0
    score = sum((later > earlier) - (later < earlier) for i, earlier in enumerate(values) for later in values[i + 1 :])
    ties = sum(t * (t - 1) * (2 * t + 5) for t in Counter(values).values())
    variance = (n * (n - 1) * (2 * n + 5) - ties) / 18
    if variance <= 0 or score == 0:
        return 0.0
    return (score - math.copysign(1, score)) / math.sqrt(variance)


def theil_sen(series: Series) -> float:
    """The median of the slopes between all pairs (Sen 1968): the change from one place to the next."""
    slopes = [(b - a) / (j - i) for n, (i, a) in enumerate(series) for j, b in series[n + 1 :]]
    return median(slopes) if slopes else 0.0


def spread(values: Sequence[float]) -> float:
    """The standard deviation as the median absolute deviation tells it: half of the values may be anything."""
    if not values:
        return 0.0
    middle = median(values)
    return NORMAL_MAD * median(abs(value - middle) for value in values)


def wandering(series: Series, lag: int) -> float:
    """How far the series usually moves within ``lag`` places: the root mean square of its differences, each held to
    three times their median, so that one outlier does not widen it."""
    known = dict(series)
    moves = [abs(known[place + lag] - value) for place, value in series if place + lag in known]
    if not moves:
        return 0.0
    bound = 3 * NORMAL_MAD * median(moves)
    return math.sqrt(sum(min(move, bound) ** 2 for move in moves) / len(moves))
