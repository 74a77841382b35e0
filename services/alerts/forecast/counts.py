"""Counts as they scatter: negative binomial with mean m and variance m + a·m², Poisson where a is 0."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final

GRID: Final = (0.0, 0.003, 0.006, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.18, 0.25, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5)
"""Overdispersions that are tried."""
_LEAST: Final = 0.01
"""A mean of nothing would call one ticket impossible."""
_FLOOR: Final = math.log(1e-5)
"""One surprise says no more than this: an outage must not widen every interval for weeks."""
_NORMAL_FROM: Final = 200.0
"""From here on the normal distribution is as good, and does not have to count."""
MOST_PAIRS: Final = 504


def log_likelihood(count: int, mean: float, over: float) -> float:
    """Of ``count``; ``over`` is the overdispersion a."""
    mean = max(mean, _LEAST)
    if over <= 0:
        return count * math.log(mean) - mean - math.lgamma(count + 1)
    shape = 1 / over
    return (
        math.lgamma(count + shape)
        - math.lgamma(shape)
        - math.lgamma(count + 1)
        + shape * math.log(shape / (shape + mean))
        + count * math.log(mean / (shape + mean))
    )


def overdispersion(pairs: Sequence[tuple[int, float]]) -> float:
    """The most likely one of ``(count, what was expected)``, by the latest :data:`MOST_PAIRS`; 0 without pairs."""
    chosen = [pair for pair in pairs if pair[0] or pair[1] > _LEAST][-MOST_PAIRS:]
    if not chosen:
        return 0.0

    @cache
    def likely(place: int) -> float:
        over = GRID[place]
        return sum(max(log_likelihood(count, mean, over), _FLOOR) for count, mean in chosen)

    low, high = 0, len(GRID) - 1
    while low < high:  # the likelihood has one summit
        middle = (low + high) // 2
        if likely(middle) < likely(middle + 1):
            low = middle + 1
        else:
            high = middle
    return GRID[low]


def widened(pairs: Sequence[tuple[int, float]], few: int) -> float:
    """As :func:`overdispersion`, wider where there are not many times ``few`` pairs: errors of one week resemble each
    other, and what is yet to come was not among them."""
    return overdispersion(pairs) * (1 + few / len(pairs)) if pairs else 0.0


def quantiles(mean: float, over: float, shares: Iterable[float]) -> list[int]:
    """The least counts up to which at least ``shares`` of the probability lie; ``shares`` rise."""
    wanted = list(shares)
    mean = max(mean, _LEAST)
    if mean > _NORMAL_FROM:
        scale = math.sqrt(mean + over * mean * mean)
        return [max(0, round(mean + scale * _normal(share))) for share in wanted]
    found: list[int] = []
    shape = 1 / over if over > 0 else math.inf
    odds = mean / (shape + mean) if over > 0 else 0.0
    count, mass = 0, math.exp(log_likelihood(0, mean, over))
    reached = mass
    for share in wanted:
        while reached < share and mass > 0:
            mass *= (count + shape) / (count + 1) * odds if over > 0 else mean / (count + 1)
            count += 1
            reached += mass
        found.append(count)
    return found


def _normal(share: float) -> float:
    """The quantile of the normal distribution, by bisection."""
    low, high = -8.0, 8.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if 0.5 * (1 + math.erf(middle / math.sqrt(2))) < share else (low, middle)
    return (low + high) / 2
