"""Which rule is judged how: one row for each type."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from services.alerts.judge import anomaly, burn, change, predicted, stale, threshold, topic, trend, win
from services.alerts.judge.verdict import Need, Point, Verdict
from services.config.rule import ALL, Rule

_WEEK_S: Final = 604_800
_DAY_S: Final = 86_400
_MONDAY_S: Final = 4 * _DAY_S
"""The first Monday after the epoch began."""


class One(Protocol):
    """Judges one segment from what was seen of it. ``firing``: whether its alert is open, which may need more to end
    than to begin."""

    def __call__(self, rule: Any, segment: str, seen: Any, /, *, firing: bool) -> Verdict: ...


Together = Callable[[Any, Mapping[str, Sequence[Point]], Collection[str]], dict[str, Verdict]]
"""Judges all segments at once, from the points of each and of :data:`ALL`; the last argument are those that fire."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How one type of rules is judged, each segment by itself (``one``) or all of them (``together``).

    ``needs`` are the windows that it is judged by; a type without windows is judged by the queue of open promises.
    ``periods``: it looks from the end of the last whole day or week, since half a day is not a day. ``tried_every_s``
    is the least time between two looks of a dry run.
    """

    needs: Callable[[Any], list[Need]] | None = None
    one: One | None = None
    together: Together | None = None
    periods: bool = False
    tried_every_s: int = 0


KINDS: Final[Mapping[str, Kind]] = {
    "threshold": Kind(threshold.needs, threshold.judge),
    "change": Kind(change.needs, change.judge),
    "trend": Kind(trend.needs, trend.judge, periods=True, tried_every_s=_DAY_S),
    "anomaly": Kind(anomaly.needs, anomaly.judge),
    "burn_rate": Kind(burn.needs, burn.judge),
    "stale": Kind(stale.needs, stale.judge),
    "recognition": Kind(win.needs, win.judge, periods=True, tried_every_s=_DAY_S),
    "predicted_breach": Kind(None, predicted.judge, tried_every_s=900),
    "topic": Kind(topic.needs, together=topic.judge, tried_every_s=_DAY_S),
}
"""Every type of rule."""


def kind(rule: Rule) -> Kind:
    """The row of ``rule``."""
    return KINDS[rule.type]


def needs(rule: Rule) -> list[Need]:
    """The windows that it is judged by, in that order."""
    found = kind(rule).needs
    return [] if found is None else found(rule)


def judge(rule: Rule, segment: str, seen: Any, *, firing: bool) -> Verdict:
    """The verdict on one ``segment``, of a rule that judges each by itself."""
    one = kind(rule).one
    if one is None:
        raise ValueError(f"rules of type {rule.type} judge all segments together")
    return one(rule, segment, seen, firing=firing)


def judged(
    rule: Rule, segments: Collection[str], seen: Mapping[str, Any], firing: Collection[str]
) -> dict[str, Verdict]:
    """The verdicts on ``segments`` from what was ``seen`` of each (:func:`looked_at`); ``firing`` are those whose alert
    is open."""
    together = kind(rule).together
    if together is not None:
        found = together(rule, seen, firing)
        return {segment: found[segment] for segment in segments}
    return {segment: judge(rule, segment, seen[segment], firing=segment in firing) for segment in segments}


def looked_at(rule: Rule, segments: Collection[str]) -> list[str]:
    """What must be seen to judge ``segments``: with them the whole, where they are compared with it."""
    return list(segments) if kind(rule).together is None or ALL in segments else [*segments, ALL]


def looked_at_s(rule: Rule, at_s: int) -> int:
    """The instant that ``rule`` looks from: the present, or the end of the last whole day or week (Monday) in UTC."""
    if not kind(rule).periods:
        return at_s
    offset = _MONDAY_S if rule.window_s == _WEEK_S else 0
    return (at_s - offset) // rule.window_s * rule.window_s + offset
