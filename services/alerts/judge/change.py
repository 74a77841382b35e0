"""A statistic moved against the same window so much earlier."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from services.alerts.judge import words
from services.alerts.judge.verdict import Judgement, Need, Point, Verdict, Why, unknown
from services.config.amount import Unit
from services.config.rule import Change

CHANCE: Final = 3.0
"""What a change of counts and shares must be in multiples of what chance alone does to them."""
_HALF: Final = 0.5
"""While firing it must come back this far: half of the change that fires."""


def needs(rule: Change) -> list[Need]:
    """The window now and then."""
    return [Need(rule.window_s), Need(rule.window_s, rule.against_s)]


def judge(rule: Change, segment: str, points: Sequence[Point], *, firing: bool) -> Verdict:
    """Bad when it moved by the amount or more; while ``firing``, until only half of the amount is left."""
    now, then = points
    for point, when in ((now, ""), (then, f", {words.span(rule.against_s)} earlier")):
        if point.value is None or point.count < rule.evidence:
            few = (
                f"Only {words.cases(point.count)} within {words.span(rule.window_s)}{when}, {rule.evidence} are needed."
            )
            return unknown(Why.TOO_FEW if point is now else Why.NOTHING_TO_COMPARE, few, now.value)
    assert now.value is not None
    assert then.value is not None
    amount = rule.amount
    if amount.relative and then.value == 0:
        return unknown(Why.NOTHING_TO_COMPARE, "It was nothing then, and no share of nothing can be told.", now.value)
    needed = amount.value * (abs(then.value) if amount.relative else 1)
    moved = (now.value - then.value) * rule.sign
    large = moved >= needed * (_HALF if firing else 1)
    bad = large and (firing or moved >= CHANCE * _by_chance(rule, now, then))
    verb = "risen" if rule.sign > 0 else "fallen"
    moving = f"has {verb}" if bad else f"has not {verb} much"
    by = words.value(rule, now.value - then.value)
    if rule.unit is Unit.SHARE:
        by = f"{(now.value - then.value) * 100:+.1f} points"
    elif then.value:
        by = f"{(now.value - then.value) / abs(then.value) * 100:+.0f} %"
    said = (
        f"The {words.subject(rule, segment)} {moving} against {words.span(rule.against_s)} earlier. "
        f"{words.numbered(rule, now.value)} over {words.span(rule.window_s)}, then {words.value(rule, then.value)} "
        f"({by}){words.proof(rule, now.count)}."
    )
    title = words.titled(f"{words.kpi(rule)} has {verb}", segment)
    excess = moved / needed if needed else 0.0
    if not bad:
        return Verdict(Judgement.GOOD, Why.CHANCE if large else Why.WITHIN, now.value, then.value, title, said)
    why = Why.BEYOND if moved >= needed else Why.NOT_CLEARED
    return Verdict(Judgement.BAD, why, now.value, then.value, title, said, excess)


def _by_chance(rule: Change, now: Point, then: Point) -> float:
    """The standard deviation of the difference of two counts (Poisson), or of two shares (binomial, pooled). Nothing is
    known of it for durations and means: there ``min_count`` is the evidence."""
    if now.value is None or then.value is None:
        return 0.0
    if rule.unit is Unit.COUNT:
        return math.sqrt(max(now.value + then.value, 0.0))
    if rule.unit is Unit.SHARE:
        cases = now.count + then.count
        share = (now.value * now.count + then.value * then.count) / cases if cases else 0.0
        return math.sqrt(share * (1 - share) * (1 / max(now.count, 1) + 1 / max(then.count, 1)))
    return 0.0
