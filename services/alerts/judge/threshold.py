"""A statistic over a window is beyond a level."""

from __future__ import annotations

from collections.abc import Sequence

from services.alerts.judge import words
from services.alerts.judge.verdict import Judgement, Need, Point, Verdict, Why, unknown
from services.config.rule import Threshold


def needs(rule: Threshold) -> list[Need]:
    """The window as it is now."""
    return [Need(rule.window_s)]


def judge(rule: Threshold, segment: str, points: Sequence[Point], *, firing: bool) -> Verdict:
    """Bad beyond the level; while ``firing``, until it is back over ``clear``."""
    now = points[0]
    if now.value is None or now.count < rule.evidence:
        few = f"Only {words.cases(now.count)} within {words.span(rule.window_s)}, {rule.evidence} are needed."
        return unknown(Why.TOO_FEW, few, now.value)
    high = rule.high is not None
    bound = rule.high if rule.high is not None else rule.low
    assert bound is not None
    held_to = rule.cleared if firing and rule.cleared is not None else bound
    beyond, crossed = _past(now.value, held_to, high), _past(now.value, bound, high)
    side = "above" if high else "below"
    numbers = f"{words.numbered(rule, now.value)} over {words.span(rule.window_s)}, limit {words.value(rule, bound)}"
    state = f"is {side} its limit" if crossed else f"is not {side} its limit"
    if beyond and not crossed:
        state = "is still too near its limit"
        numbers += f", over when {'at most' if high else 'at least'} {words.value(rule, held_to)}"
    said = (
        f"The {words.subject(rule, segment)} {state}. {numbers[0].upper()}{numbers[1:]}{words.proof(rule, now.count)}."
    )
    title = words.titled(f"{words.kpi(rule)} too {'high' if high else 'low'}", segment)
    if not beyond:
        return Verdict(Judgement.GOOD, Why.WITHIN, now.value, bound, title, said)
    excess = abs(now.value - bound) / (abs(bound) or 1.0) if crossed else 0.0
    why = Why.BEYOND if crossed else Why.NOT_CLEARED
    return Verdict(Judgement.BAD, why, now.value, bound, title, said, excess)


def _past(value: float, level: float, high: bool) -> bool:
    return value > level if high else value < level
