"""An error budget is used up faster than it lasts: many windows, many rates, as in Google's SRE workbook, chapter 5."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from services.alerts.judge import words
from services.alerts.judge.verdict import Judgement, Need, Point, Verdict, Why, unknown
from services.config.duration import seconds
from services.config.rule import BurnRate

_MOST: Final = 0.8
"""A rate is never asked to be more than this share of the largest possible one, at which every case fails."""


def needs(rule: BurnRate) -> list[Need]:
    """The long and the short window of every pair."""
    return [Need(seconds(length)) for pair in rule.pairs for length in (pair.long, pair.short)]


def judge(rule: BurnRate, segment: str, points: Sequence[Point], *, firing: bool) -> Verdict:
    """Bad when of any pair both windows burn at its rate. The short one ends it soon after the cause is gone."""
    firsts, known, worst = rule.evidence, False, (0.0, rule.pairs[0], points[0], 1.0)
    for number, pair in enumerate(rule.pairs):
        long, short = points[2 * number], points[2 * number + 1]
        if long.value is None or long.count < firsts:
            continue
        known = True
        rate = min(pair.rate, _MOST / rule.budget)
        # Without a case in the short window nothing says that it has stopped: the long one decides.
        burning = min(_burn(rule, point) for point in (long, short) if point.value is not None)
        if burning / rate > worst[0]:
            worst = (burning / rate, pair, long, rate)
    if not known:
        few = f"Fewer than {firsts} cases in each of the windows."
        return unknown(Why.TOO_FEW, few, points[0].value)
    share, pair, long, rate = worst
    assert share == 0 or long.value is not None
    bad = share >= 1
    value = long.value if long.value is not None else points[0].value
    title = words.titled(f"the error budget of {words.kpi(rule)} burns fast", segment)
    lasts = f" At this pace a budget for 28 days lasts {words.span(round(28 * 86_400 / max(_burn(rule, long), 1e-9)))}."
    said = (
        f"The {words.subject(rule, segment)} {'misses' if bad else 'does not miss'} its objective faster "
        f"than the error budget allows. {words.value(rule, value or 0.0)} over {pair.long}, "
        f"objective {rule.objective}: "
        f"{_burn(rule, long):.1f} times the budget's pace, {rate:g} fires; {words.cases(long.count)}."
        f"{lasts if bad else ''}"
    )
    objective = 1 - rule.budget
    if not bad:
        return Verdict(Judgement.GOOD, Why.WITHIN, value, objective, title, said)
    return Verdict(Judgement.BAD, Why.BURNING, value, objective, title, said, share)


def _burn(rule: BurnRate, point: Point) -> float:
    return (1 - point.value) / rule.budget if point.value is not None else 0.0
