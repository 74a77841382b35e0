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
"""The window of a past week with the one before and after it: three values a week, since four would tell no spread."""
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
    now, past = points[0], [p for p in begun(points[1:]) if p.value is not None and p.count >= rule.evidence]
    if now.value is None or now.count < rule.evidence:
        few = f"Only {words.cases(now.count)} within {words.span(rule.window_s)}, {rule.evidence} are needed."
        return unknown(Why.TOO_FEW, few, now.value)
    values = [point.value for point in past if point.value is not None]
    if len(values) < 2 * len(_BESIDE):
        few = f"Only {len(values)} values of the same hour in past weeks have enough cases."
        return unknown(Why.NOTHING_TO_COMPARE, few, now.value)
    usual = median(values)
    chance = 0.0
    if rule.unit is Unit.COUNT:
        chance = math.sqrt(max(usual, 1.0))
    elif rule.unit is Unit.SHARE:
        smoothed = min(max(usual, 0.02), 0.98)
        chance = math.sqrt(smoothed * (1 - smoothed) / max(now.count, 1))
    scale = max(spread(values), chance, _LEAST_SHARE * abs(usual)) or 1e-9
    z = (now.value - usual) / scale
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
        f"(robust z {z:+.1f}, {len(values)} values of {words.periods(rule.weeks, _WEEK_S)})."
    )
    title = words.titled(f"{words.kpi(rule)} unusually {'high' if z > 0 else 'low'}", segment)
    if not bad:
        return Verdict(Judgement.GOOD, Why.USUAL, now.value, usual, title, said)
    return Verdict(Judgement.BAD, Why.UNUSUAL, now.value, usual, title, said, toward)
