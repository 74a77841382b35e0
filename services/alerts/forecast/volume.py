"""The forecast: which method is good enough, and what it says of every hour, day and the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from services.alerts.forecast import counts as scatter
from services.alerts.forecast.backtest import (
    AHEAD_DAYS,
    HOURS_OF_A_WEEK,
    INTERVAL,
    Backtest,
    Pair,
    backtested,
    last_week,
    naive,
)
from services.alerts.forecast.profile import Count, fitted
from services.alerts.forecast.slots import HOLIDAY, Slot, by_day

_FEW_WEEKS: Final = 7
"""Origins whose weeks tell how far a whole week is off; with fewer, days do."""
_GUESSED: Final = 0.25
"""The overdispersion where nothing tells it yet: half as much again or less is nothing unusual."""


class Method(StrEnum):
    """How a forecast is made. API value."""

    PROFILE = "profile"
    LAST_WEEK = "last_week"
    NONE = "none"


class Reason(StrEnum):
    """Why by this method. API value."""

    BETTER = "better_than_last_week"
    NOT_BETTER = "not_better_than_last_week"
    TOO_SHORT = "too_short_to_test"
    NO_HISTORY = "less_than_a_week_known"


@dataclass(frozen=True, slots=True)
class Span:
    """What is expected, and the bounds of the 80 % interval."""

    expected: float
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Day:
    """A local day. ``holiday``: closed though its weekday is open."""

    day: date
    holiday: bool
    span: Span


@dataclass(frozen=True, slots=True)
class Volume:
    """``hours`` beside the slots that were asked for, ``days`` and ``whole`` of them together. Without history there
    is none. ``known_days`` are the full days that it was learnt from, ``holidays_seen`` how many were closed."""

    method: Method
    reason: Reason
    known_days: int
    holidays_seen: int
    slots: tuple[Slot, ...]
    hours: tuple[Span, ...] = ()
    days: tuple[Day, ...] = ()
    whole: Span | None = None
    backtest: Backtest | None = None


def volume(past: Sequence[Slot], counts: Sequence[Count], ahead: Sequence[Slot], open_days: frozenset[int]) -> Volume:
    """The forecast of ``ahead`` from all that is known of ``past``, which ends where ``ahead`` begins.

    The profile is used where it was better than last week's hours on this very history; otherwise those are the
    forecast."""
    known = last_week(past, counts)
    known_days = len({day for day, _ in known})
    today = ahead[0].day
    if known_days < 7:
        return Volume(Method.NONE, Reason.NO_HISTORY, known_days, 0, tuple(ahead))
    test = backtested(past, counts, open_days)
    profile = fitted(past, counts, open_days)
    if test is not None and test.better:
        method, reason = Method.PROFILE, Reason.BETTER
        expected = [profile.expected(slot) for slot in ahead]
        over = [scatter.widened(test.hour_pairs, HOURS_OF_A_WEEK), scatter.widened(test.day_pairs, 2 * AHEAD_DAYS)]
        weeks = test.week_pairs
    else:
        method, reason = Method.LAST_WEEK, Reason.TOO_SHORT if test is None else Reason.NOT_BETTER
        expected = [float(naive(slot, known, today) or 0) for slot in ahead]
        hours, days = _naive_pairs(past, counts, known)
        over = [
            scatter.widened(pairs, few) if len(pairs) >= AHEAD_DAYS else _GUESSED
            for pairs, few in ((hours, HOURS_OF_A_WEEK), (days, 2 * AHEAD_DAYS))
        ]
        weeks = test.naive_week_pairs if test is not None else ()
    over.append(max(scatter.overdispersion(weeks), 0.003) if len(weeks) >= _FEW_WEEKS else over[1])
    of_day = by_day(ahead)
    return Volume(
        method=method,
        reason=reason,
        known_days=known_days,
        holidays_seen=profile.holidays_seen,
        slots=tuple(ahead),
        hours=tuple(_span(one, over[0]) for one in expected),
        days=tuple(
            Day(day, ahead[places[0]].kind == HOLIDAY, _span(sum(expected[place] for place in places), over[1]))
            for day, places in of_day.items()
        ),
        whole=_span(sum(expected), over[2]),
        backtest=test,
    )


def _span(expected: float, over: float) -> Span:
    low, high = scatter.quantiles(expected, over, INTERVAL)
    return Span(expected, low, high)


def _naive_pairs(
    past: Sequence[Slot], counts: Sequence[Count], known: dict[tuple[date, int], int]
) -> tuple[list[Pair], list[Pair]]:
    hours: list[Pair] = []
    days: dict[date, tuple[int, float]] = {}
    for slot, count in zip(past, counts, strict=True):
        before = naive(slot, known, slot.day)
        if count is None or before is None:
            continue
        hours.append((count, float(before)))
        came, was = days.get(slot.day, (0, 0.0))
        days[slot.day] = came + count, was + before
    return hours, list(days.values())
