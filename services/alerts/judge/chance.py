"""What chance does: the few distributions that predictions and shares need, in plain Python.

No numerical library: four formulas, each checked in the tests against exact sums.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from statistics import NormalDist
from typing import Final, TypeVar

NORMAL: Final = NormalDist()
_Key = TypeVar("_Key", bound=Hashable)


def gamma_below(x: float, mean: float, variance: float) -> float:
    """The probability that an amount of that mean and variance (a gamma distribution, so never negative) is below
    ``x``, by Wilson and Hilferty's cube root (1931): within a percentage point for shapes from 1 up."""
    if x <= 0:
        return 0.0
    if mean <= 0 or variance <= 0:
        return 1.0 if x > mean else 0.0
    shape = mean * mean / variance
    spread = 1 / (9 * shape)
    return NORMAL.cdf(((x / mean) ** (1 / 3) - (1 - spread)) / math.sqrt(spread))


def gamma_quantile(share: float, mean: float, variance: float) -> float:
    """The amount that ``share`` of such amounts are below: the reverse of :func:`gamma_below`."""
    if mean <= 0 or variance <= 0:
        return max(mean, 0.0)
    spread = variance / (9 * mean * mean)
    root = (1 - spread) + NORMAL.inv_cdf(share) * math.sqrt(spread)
    return mean * max(root, 0.0) ** 3


def two_shares(hits: float, cases: float, usual_hits: float, usual_cases: float) -> float:
    """How far ``hits`` of ``cases`` are above the share of ``usual_hits`` in ``usual_cases``, as a z: the signed root
    of the likelihood ratio of two binomials, with half a case taken off for continuity.

    The root follows the normal distribution far better than the difference of shares does where cases are few or
    nothing was usual at all, as for a tag that is new.
    """
    if cases <= 0 or usual_cases <= 0:
        return 0.0
    hits = max(hits - 0.5, 0.0)
    if hits / cases <= usual_hits / usual_cases:
        return 0.0
    pooled = (hits + usual_hits) / (cases + usual_cases)
    ratio = sum(_likely(h, n, h / n) - _likely(h, n, pooled) for h, n in ((hits, cases), (usual_hits, usual_cases)))
    return math.sqrt(max(2 * ratio, 0.0))


def _likely(hits: float, cases: float, share: float) -> float:
    others = cases - hits
    found = hits * math.log(share) if hits else 0.0
    return found + (others * math.log(1 - share) if others else 0.0)


def discoveries(chances: Mapping[_Key, float], false: float) -> set[_Key]:
    """Which of many small probabilities are news when at most the share ``false`` of the news may be chance: Benjamini
    and Hochberg (1995)."""
    ranked = sorted(chances, key=lambda key: chances[key])
    last = max((n for n, key in enumerate(ranked, 1) if chances[key] <= false * n / len(ranked)), default=0)
    return set(ranked[:last])
