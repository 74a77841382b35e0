"""A statistic worsens steadily: a rank test, an effect size, and a test of scale.

All three must say so. The rank test (Mann–Kendall) asks whether later values tend to be worse: one outlier is one
value among many. The effect size (Theil–Sen) asks whether it comes to an amount that matters. The test of scale asks
whether the series does not wander as far by itself: it compares the change with how far the series moved in the time
before, over a third of the span, carried to the whole span by how much it wanders (not at all for noise around a
level, with the square root of the time for a random walk).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from services.alerts.judge import words
from services.alerts.judge.rank import Series, mann_kendall, theil_sen, wandering
from services.alerts.judge.verdict import Judgement, Need, Point, Verdict, Why, begun, unknown
from services.config.amount import Unit
from services.config.rule import Trend

CERTAIN: Final = 2.33
"""The rank test's z that fires: one in a hundred by chance, in one direction."""
STILL: Final = 1.28
"""The z that ends it: one in ten."""
SCALE: Final = 3.5
"""The change in multiples of what the series moves by itself. Chosen by simulation (docs/guides/write-a-rule.md)."""
HISTORY: Final = 3
"""How many spans before the window tell how far the series moves by itself."""
_NONE: Final = Point(None, 0)
_KNOWN: Final = 0.6
"""The share of periods that must have a value."""
_STEADY: Final = 0.7
_WALKING: Final = 1.4
"""The variance of a series over that of its steps: about 0.5 for noise, several for a random walk."""


def needs(rule: Trend) -> list[Need]:
    """Every period of the window and of the time before, the latest first. The first has ended just now."""
    return [Need(rule.window_s, n * rule.window_s) for n in range(rule.periods * (1 + HISTORY))]


def judge(rule: Trend, segment: str, points: Sequence[Point], *, firing: bool) -> Verdict:
    """Bad when it has worsened steadily; while ``firing``, until ranks or half of the amount say no more."""
    k = rule.periods
    kept = begun(points)
    series = [
        (n, point.value)
        for n, point in enumerate(reversed([*kept, *[_NONE] * (len(points) - len(kept))]))
        if point.value is not None and point.count >= rule.evidence
    ]
    border = len(points) - k
    window = [(n, value) for n, value in series if n >= border]
    before = [(n, value) for n, value in series if n < border]
    latest = window[-1][1] if window else None
    if len(window) < max(5, _KNOWN * k):
        few = f"Only {len(window)} of {words.periods(k, rule.window_s)} have enough cases."
        return unknown(Why.TOO_FEW, few, latest)
    if len(before) < k * _KNOWN:
        few = f"Only {words.periods(len(before), rule.window_s)} are known before the last {k}."
        return unknown(Why.NOTHING_TO_COMPARE, f"{few} {int(k * _KNOWN) + 1} are needed.", latest)
    z, change = mann_kendall(window) * rule.sign, theil_sen(window) * (k - 1)
    middle = sorted(value for _, value in window)[len(window) // 2]
    start = middle - change / 2
    needed = rule.amount.value * (abs(start) if rule.amount.relative else 1)
    moved = change * rule.sign
    candidate = z >= (STILL if firing else CERTAIN)
    candidate = candidate and moved >= needed * (0.5 if firing else 1)
    scale = by_itself(before, k) if candidate and not firing else None
    bad = candidate and (scale is None or moved >= SCALE * scale)
    verb = "rising" if rule.sign > 0 else "falling"
    by = f"{abs(change) * 100:.1f} points" if rule.unit is Unit.SHARE else words.value(rule, abs(change))
    usual = f", where it moves {words.value(rule, scale)} by itself" if scale is not None else ""
    said = (
        f"The {words.subject(rule, segment)} {'keeps' if bad else 'does not keep'} {verb}. "
        f"Over {words.periods(k, rule.window_s)} from about {words.value(rule, start)} to "
        f"{words.value(rule, start + change)} ({by}{usual}); rank test z {z:.1f}, {len(window)} values."
    )
    title = words.titled(f"{words.kpi(rule)} keeps {verb}", segment)
    if not bad:
        return Verdict(Judgement.GOOD, Why.NO_TREND, start + change, start, title, said)
    excess = moved / needed if needed else 0.0
    return Verdict(Judgement.BAD, Why.ONE_WAY, start + change, start, title, said, excess)


def by_itself(before: Series, k: int) -> float:
    """How far the series moves within ``k`` places without a cause, by the time ``before``."""
    slope = theil_sen(before)
    rest = [value - slope * n for n, value in before]
    middle = sum(rest) / len(rest)
    steps = [b - a for a, b in pairwise(rest)]
    step = sum(move * move for move in steps) / len(steps)
    ratio = sum((value - middle) ** 2 for value in rest) / len(rest) / step if step else 0.0
    walking = 0.5 * min(1.0, max(0.0, (ratio - _STEADY) / (_WALKING - _STEADY)))
    lag = max(1, k // 3)
    return float(wandering(before, lag) * (k / lag) ** walking)
