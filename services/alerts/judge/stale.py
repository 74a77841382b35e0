"""Nothing comes although at this hour of past weeks something always came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from services.alerts.judge import words
from services.alerts.judge.verdict import Judgement, Need, Point, Verdict, Why, unknown
from services.config.rule import Stale

_WEEK_S: Final = 604_800


def needs(rule: Stale) -> list[Need]:
    """The window now and in past weeks."""
    return [Need(rule.window_s, week * _WEEK_S) for week in range(rule.weeks + 1)]


def judge(rule: Stale, segment: str, points: Sequence[Point], *, firing: bool) -> Verdict:
    """Bad when nothing came although even the quietest of the past weeks had ``at_least``: chance alone would leave
    such a window empty once in e^at_least times. Where weeks differ so much that one had less, silence is no news."""
    now = points[0].value or 0.0
    past = [point.value for point in points[1:] if point.value is not None]
    quietest = min(past, default=0.0)
    title = words.titled("gone silent", segment)
    numbers = (
        f"{words.value(rule, now)} {words.kpi(rule)} within {words.span(rule.window_s)}; "
        f"{words.value(rule, quietest)} or more in the same hours of {words.periods(rule.weeks, _WEEK_S)}."
    )
    if now > 0:
        said = f"{words.where(segment)} is heard of. {numbers}"
        return Verdict(Judgement.GOOD, Why.HEARD, now, quietest, title, said[0].upper() + said[1:])
    if quietest < rule.at_least:
        quiet = f"These hours of past weeks were quiet too: silence tells nothing. {numbers}"
        return unknown(Why.NOTHING_TO_COMPARE, quiet, now)
    said = f"Nothing comes of {words.where(segment)}, although it always did at this hour. {numbers}"
    return Verdict(Judgement.BAD, Why.SILENT, now, quietest, title, said, quietest)
