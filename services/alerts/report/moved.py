"""Whether a number moved by more than chance makes: with few cases nothing is said, and small moves are none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

LEAST: Final = 20
"""Cases in each of the two windows; answers of surveys come sparsely and need :data:`LEAST_ANSWERS`."""
LEAST_ANSWERS: Final = 10
CLEAR: Final = 3.0
"""Standard deviations. A dozen numbers are looked at every day: at two of them there would be news every other day."""
SLIGHT: Final = 0.1
"""A smaller part is no news, however certain."""
SLIGHT_POINTS: Final = 0.02
"""The same of shares, in points."""
SLIGHT_COUNT: Final = 0.2


def of_counts(now: float, then: float) -> bool:
    """Two counts, by Poisson, with Anscombe's root since small counts are skewed."""
    z = math.sqrt(2) * (math.sqrt(max(now, 0) + 0.375) - math.sqrt(max(then, 0) + 0.375))
    return abs(z) >= CLEAR and abs(now - then) >= SLIGHT_COUNT * max(then, 1.0)


def of_shares(now: float, count: int, then: float, count_then: int) -> bool:
    """Two shares (or means of what lies between 0 and 1, which scatter no more), by their pooled scatter."""
    together = count + count_then
    share = (now * count + then * count_then) / together
    scale = math.sqrt(share * (1 - share) * (1 / count + 1 / count_then))
    return abs(now - then) >= max(CLEAR * scale, SLIGHT_POINTS) and now != then


def of_durations(now: Mapping[int, int], then: Mapping[int, int], middle: float, middle_then: float) -> bool:
    """Two sketches, by the rank test of Mann and Whitney with ties: nothing is assumed of how durations scatter, and
    one ticket that took weeks is one ticket. The median must have moved the same way, and by a tenth."""
    z = ranked(now, then)
    same_way = z * (middle - middle_then) > 0
    return same_way and abs(z) >= CLEAR and abs(middle - middle_then) >= SLIGHT * max(middle_then, 60.0)


def ranked(now: Mapping[int, int], then: Mapping[int, int]) -> float:
    """The z of the rank test: above 0 where ``now`` is longer."""
    first, second = sum(now.values()), sum(then.values())
    together = first + second
    if not first or not second:
        return 0.0
    below, ranks, ties = 0, 0.0, 0.0
    for cell in sorted(now.keys() | then.keys()):
        own, other = now.get(cell, 0), then.get(cell, 0)
        tied = own + other
        ranks += own * (below + (tied + 1) / 2)
        ties += tied**3 - tied
        below += tied
    expected = first * (together + 1) / 2
    scatter = first * second / 12 * (together + 1 - ties / (together * (together - 1)))
    return (ranks - expected) / math.sqrt(scatter) if scatter > 0 else 0.0
