"""Which rule is judged how."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, assert_never

from services.alerts.judge import anomaly, burn, change, stale, threshold, trend, win
from services.alerts.judge.verdict import Need, Point, Verdict
from services.config.rule import Anomaly, BurnRate, Change, Recognition, Rule, Stale, Threshold, Trend

_WEEK_S: Final = 604_800
_MONDAY_S: Final = 4 * 86_400
"""The first Monday after the epoch began."""


def needs(rule: Rule) -> list[Need]:
    """What :func:`judge` wants to see, in that order."""
    match rule:
        case Threshold():
            return threshold.needs(rule)
        case Change():
            return change.needs(rule)
        case Trend():
            return trend.needs(rule)
        case Anomaly():
            return anomaly.needs(rule)
        case BurnRate():
            return burn.needs(rule)
        case Stale():
            return stale.needs(rule)
        case Recognition():
            return win.needs(rule)
        case _:
            assert_never(rule)


def judge(rule: Rule, segment: str, points: Sequence[Point], *, firing: bool) -> Verdict:
    """The verdict on ``segment``. ``firing``: whether its alert is open, which may need more to end than to begin."""
    match rule:
        case Threshold():
            return threshold.judge(rule, segment, points, firing=firing)
        case Change():
            return change.judge(rule, segment, points, firing=firing)
        case Trend():
            return trend.judge(rule, segment, points, firing=firing)
        case Anomaly():
            return anomaly.judge(rule, segment, points, firing=firing)
        case BurnRate():
            return burn.judge(rule, segment, points, firing=firing)
        case Stale():
            return stale.judge(rule, segment, points, firing=firing)
        case Recognition():
            return win.judge(rule, segment, points, firing=firing)
        case _:
            assert_never(rule)


def looked_at_s(rule: Rule, at_s: int) -> int:
    """The instant that ``rule`` looks from: trends and wins from the end of the last whole day or week (Monday) in UTC,
    since half a day is not a day; every other rule from the present."""
    if not isinstance(rule, Trend | Recognition):
        return at_s
    offset = _MONDAY_S if rule.window_s == _WEEK_S else 0
    return (at_s - offset) // rule.window_s * rule.window_s + offset
