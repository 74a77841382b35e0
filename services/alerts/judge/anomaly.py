"""A statistic is far from what it was at the same hour of past weeks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import Final

from services.alerts.judge import words
from services.alerts.judge.rank import spread
from services.alerts.judge.verdict import Judgement, Need, Point, Verdict, Why, begun, unknown
from services.config.amount import Unit
from services.config.rule import Anomaly

_WEEK_S: Final = 604_800
_BESIDE: Final = (-1, 0, 1)
"""The window of a past week, and the ones before and after it: four weeks of one hour would tell no spread."""
_LEAST_WEEKS: Final = 3
_SMALL: Final = 1.3
"""Each of these hours is compared with its own median of a few weeks, which makes the spread look smaller."""
_LEAST_SHARE: Final = 0.05
"""The spread is never taken for less than this share of the median: a few equal weeks are no promise."""
_CLEAR: Final = 0.6
"""While firing it must come back to this share of the z that fires."""


def needs(rule: Anomaly) -> list[Need]:
    """The window now, and those of past weeks."""
    past = [
        Need(rule.window_s, week * _WEEK_S + beside * rule.window_s)
        for week in range(1, rule.weeks + 1)
        for beside in _BESIDE
    ]
    return [Need(rule.window_s), *past]


def judge(rule: Anomaly, segment: str, points: Sequence[Point], *, firing: bool) -> Verdict:
    """Bad beyond ``z`` spreads of the past values' median; counts also by what chance alone does to counts."""
    now, past = points[0], begun(points[1:])
    if now.value is None or now.count < rule.evidence:
        few = f"Only {words.cases(now.count)} within {words.span(rule.window_s)}, {rule.evidence} are needed."
        return unknown(Why.TOO_FEW, few, now.value)
    hours = [
        [p.value for p in past[place :: len(_BESIDE)] if p.value is not None and p.count >= rule.evidence]
        for place in range(len(_BESIDE))
    ]
    same, rest = hours[_BESIDE.index(0)], [value - median(values) for values in hours for value in values]
    if len(same) < _LEAST_WEEKS or len(rest) < len(_BESIDE) * _LEAST_WEEKS:
        few = f"Only {len(same)} past weeks have enough cases at this hour."
        return unknown(Why.NOTHING_TO_COMPARE, few, now.value)
    usual = median(same)
    scale = max(_SMALL * spread(rest), _LEAST_SHARE * abs(usual)) or 1e-9
    z = (now.value - usual) / scale
    chance = _by_chance(rule, now, usual)
    if chance is not None:
        z = math.copysign(min(abs(z), abs(chance)), z)
    toward = {"high": z, "low": -z, "both": abs(z)}[rule.direction]
    least = rule.least
    enough = least is None or abs(now.value - usual) >= least.value * (abs(usual) if least.relative else 1)
    bad = toward >= rule.z * _CLEAR if firing else toward >= rule.z and enough
    side = "higher" if z > 0 else "lower"
    said = (
        f"The {words.subject(rule, segment)} is "
        f"{f'much {side} than' if bad else 'about what it is'} {'' if bad else 'usually '}at this hour"
        f"{' of other weeks' if bad else ''}. {words.numbered(rule, now.value)} over {words.span(rule.window_s)}, "
        f"usually {words.value(rule, usual)} give or take {words.value(rule, scale)} "
        f"(robust z {z:+.1f}, {words.periods(len(same), _WEEK_S)})."
    )
    title = words.titled(f"{words.kpi(rule)} unusually {'high' if z > 0 else 'low'}", segment)
    if not bad:
        return Verdict(Judgement.GOOD, Why.USUAL, now.value, usual, title, said)
    return Verdict(Judgement.BAD, Why.UNUSUAL, now.value, usual, title, said, toward)


def _by_chance(rule: Anomaly, now: Point, usual: float) -> float | None:
    """How far off it is in multiples of what chance alone does to counts (Poisson, with Anscombe's root, since small
    counts are skewed) and to shares (binomial); ``None`` where nothing is known of that."""
    assert now.value is not None
    if rule.unit is Unit.COUNT:
        return 2 * (math.sqrt(max(now.value, 0.0) + 0.375) - math.sqrt(max(usual, 0.0) + 0.375))
    if rule.unit is Unit.SHARE:
        share = min(max(usual, 0.02), 0.98)
        return (now.value - usual) / math.sqrt(share * (1 - share) / max(now.count, 1))
    return None
