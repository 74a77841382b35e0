"""What is to be explained: a KPI against an earlier window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from services.alerts.phase import REST
from services.config.rule import (
    ALL,
    Anomaly,
    BurnRate,
    Change,
    PredictedBreach,
    Recognition,
    Rule,
    Stale,
    Threshold,
    Topic,
    Trend,
    usual,
)
from services.kpi.catalogue import KPIS, Kpi

WEEK_S: Final = 604_800
_THIRDS: Final = 3


@dataclass(frozen=True, slots=True)
class Question:
    """``statistic`` of ``kpi`` in ``segment``, over ``window_s`` and the same window ``ago_s`` earlier. ``worse`` is 1
    where rising is bad, -1 where falling is, 0 where either may be meant. Only with ``people`` they are told apart.
    ``topic``: it is about what tickets are about, so that any of them shows it."""

    kpi: Kpi
    statistic: str
    segment: str
    window_s: int
    ago_s: int = WEEK_S
    worse: int = 0
    people: bool = False
    topic: bool = False


def asked(rule: Rule, segment: str, value: float | None = None, baseline: float | None = None) -> Question:
    """The question that an alert of ``rule`` raises: against the rule's own baseline where that is a window, else
    against the same window of last week. Of a trend the last third of its periods, against the first."""
    window_s, ago_s = rule.window_s, WEEK_S
    match rule:
        case Change():
            ago_s = rule.against_s
        case Trend():
            third = rule.periods // _THIRDS
            window_s, ago_s = third * rule.window_s, (rule.periods - third) * rule.window_s
        case Recognition():
            ago_s = rule.window_s
        case _:
            pass
    return Question(
        kpi=KPIS[rule.kpi],
        # Of a prediction: what makes such waits long, and not how many end.
        statistic=usual(rule.kpi) if isinstance(rule, PredictedBreach) else rule.statistic,
        segment=ALL if segment == REST else segment,
        window_s=window_s,
        ago_s=max(ago_s, window_s),
        worse=_worse(rule, value, baseline),
        topic=isinstance(rule, Topic),
    )


def _worse(rule: Rule, value: float | None, baseline: float | None) -> int:
    match rule:
        case Threshold():
            return 1 if rule.high is not None else -1
        case Change() | Trend():
            return rule.sign
        case Stale() | BurnRate():
            return -1
        case PredictedBreach() | Topic():
            return 1
        case Anomaly() if value is not None and baseline is not None:
            return (value > baseline) - (value < baseline)
        case _:
            return 0
