"""What the forecast would have been worth: made anew for each past day from what was known then, against last week.

From every origin (a midnight with at least two weeks before it) seven days are forecast and compared with what came.
Intervals are those that could be given then: their width comes from errors that were known before the origin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from services.alerts.forecast import counts as scatter
from services.alerts.forecast.profile import Count, fitted
from services.alerts.forecast.slots import Slot, by_day

LEAST_DAYS: Final = 14
"""Before an origin."""
AHEAD_DAYS: Final = 7
HOURS_OF_A_WEEK: Final = 168
INTERVAL: Final = (0.1, 0.9)
"""An interval of 80 %: one hour in five lies outside, as often above as below."""
_SHARES: Final = (0.1, 0.5, 0.9)
_SOMETHING: Final = 0.1
"""Tickets expected of an hour that counts as one in which something might have come."""

Pair = tuple[int, float]
"""What came, and what was expected."""


@dataclass(frozen=True, slots=True)
class Score:
    """Of one method, over hours in which anything came or might have: mean absolute error (tickets), MASE (that error
    over the one that last week's hours made before the origins), mean pinball loss at 10, 50 and 90 %, and the share of
    hours in the 80 % interval, with its mean width. ``day_mae`` is the mean absolute error of days' totals."""

    mae: float
    mase: float | None
    pinball: float
    coverage: float
    width: float
    day_mae: float
    day_coverage: float


@dataclass(frozen=True, slots=True)
class Backtest:
    """Both methods over the same ``hours``, from ``origins``; and the errors that intervals are made of."""

    origins: int
    hours: int
    first: date
    last: date
    model: Score
    naive: Score
    hour_pairs: tuple[Pair, ...]
    day_pairs: tuple[Pair, ...]
    week_pairs: tuple[Pair, ...]
    naive_hour_pairs: tuple[Pair, ...]
    naive_day_pairs: tuple[Pair, ...]
    naive_week_pairs: tuple[Pair, ...]

    @property
    def better(self) -> bool:
        """Whether the model is better than last week's hours, both in its middle and as a distribution."""
        return self.model.mae < self.naive.mae and self.model.pinball < self.naive.pinball


def last_week(slots: Sequence[Slot], counts: Sequence[Count]) -> dict[tuple[date, int], int]:
    """What is known by day and hour on the wall. Of an hour that comes twice, the later."""
    return {(slot.day, slot.hour): count for slot, count in zip(slots, counts, strict=True) if count is not None}


def naive(slot: Slot, known: dict[tuple[date, int], int], before: date) -> int | None:
    """The same hour of the latest week before ``before``."""
    for weeks in (1, 2, 3):
        day = slot.day - timedelta(weeks=weeks)
        if day < before and (day, slot.hour) in known:
            return known[day, slot.hour]
    return None


def backtested(slots: Sequence[Slot], counts: Sequence[Count], open_days: frozenset[int]) -> Backtest | None:
    """``None`` where there is less than three weeks of full days to test on."""
    days = list(by_day(slots))
    known = last_week(slots, counts)
    begins = {day: places[0] for day, places in by_day(slots).items()}
    runs = [_Run(), _Run()]
    origins = days[LEAST_DAYS : len(days) - AHEAD_DAYS + 1]
    first_day = next((slot.day for slot, count in zip(slots, counts, strict=True) if count is not None), None)
    origins = [day for day in origins if first_day is not None and (day - first_day).days >= LEAST_DAYS]
    hours = 0
    for origin in origins:
        place = begins[origin]
        end = begins.get(origin + timedelta(days=AHEAD_DAYS), len(slots))
        profile = fitted(slots[:place], counts[:place], open_days)
        told = []
        for slot, count in zip(slots[place:end], counts[place:end], strict=True):
            past, expected = naive(slot, known, origin), profile.expected(slot)
            # Closed hours are easily foretold, and would make every score look better.
            if count is not None and past is not None and (count or past or expected >= _SOMETHING):
                told.append((slot, count, (expected, float(past))))
        hours += len(told)
        for number, run in enumerate(runs):
            run.take(origin, [(slot, count, both[number]) for slot, count, both in told])
    if not hours:
        return None
    scale = _scale(slots, counts, known, origins[0])
    return Backtest(
        len(origins),
        hours,
        origins[0],
        origins[-1] + timedelta(days=AHEAD_DAYS - 1),
        runs[0].score(scale),
        runs[1].score(scale),
        *(run.pairs(level) for run in runs for level in ("hour", "day", "week")),
    )


class _Run:
    """One method from origin to origin."""

    def __init__(self) -> None:
        self._hours: list[tuple[date, date, Pair]] = []
        self._days: list[tuple[date, date, Pair]] = []
        self._weeks: list[tuple[date, date, Pair]] = []
        self._errors: list[tuple[float, float, bool, int]] = []
        self._day_errors: list[tuple[float, bool]] = []

    def take(self, origin: date, told: Sequence[tuple[Slot, int, float]]) -> None:
        """The forecast of one origin against what came."""
        over = scatter.widened(self._before(self._hours, origin), HOURS_OF_A_WEEK)
        over_days = scatter.widened(self._before(self._days, origin), 2 * AHEAD_DAYS)
        known = bool(self._before(self._hours, origin))
        days: dict[date, tuple[int, float]] = {}
        for slot, count, expected in told:
            came, was = days.get(slot.day, (0, 0.0))
            days[slot.day] = came + count, was + expected
            if known:
                low, middle, high = scatter.quantiles(expected, over, _SHARES)
                loss = sum(_pinball(count, q, s) for q, s in zip((low, middle, high), _SHARES, strict=True)) / 3
                self._errors.append((abs(count - expected), loss, low <= count <= high, high - low))
        for came, was in days.values():
            if known:
                low, high = scatter.quantiles(was, over_days, INTERVAL)
                self._day_errors.append((abs(came - was), low <= came <= high))
        self._hours += [(origin, slot.day, (count, expected)) for slot, count, expected in told]
        self._days += [(origin, day, pair) for day, pair in days.items()]
        if len(days) == AHEAD_DAYS:
            whole = (sum(came for came, _ in days.values()), sum(was for _, was in days.values()))
            self._weeks.append((origin, max(days), whole))

    @staticmethod
    def _before(pairs: Sequence[tuple[date, date, Pair]], origin: date) -> list[Pair]:
        return [pair for _, day, pair in pairs if day < origin]

    def pairs(self, level: str) -> tuple[Pair, ...]:
        chosen = {"hour": self._hours, "day": self._days, "week": self._weeks}[level]
        return tuple(pair for _, _, pair in chosen)

    def score(self, scale: float | None) -> Score:
        """Over every hour for which an interval could be told."""
        errors, days = self._errors, self._day_errors
        count, day_count = max(1, len(errors)), max(1, len(days))
        mae = sum(error for error, *_ in errors) / count
        return Score(
            mae=mae,
            mase=mae / scale if scale else None,
            pinball=sum(loss for _, loss, *_ in errors) / count,
            coverage=sum(inside for *_, inside, _ in errors) / count,
            width=sum(width for *_, width in errors) / count,
            day_mae=sum(error for error, _ in days) / day_count,
            day_coverage=sum(inside for _, inside in days) / day_count,
        )


def _pinball(count: int, quantile: float, share: float) -> float:
    return max(share * (count - quantile), (share - 1) * (count - quantile))


def _scale(
    slots: Sequence[Slot], counts: Sequence[Count], known: dict[tuple[date, int], int], origin: date
) -> float | None:
    errors = [
        abs(count - past)
        for slot, count in zip(slots, counts, strict=True)
        if count is not None and slot.day < origin
        if (past := known.get((slot.day - timedelta(weeks=1), slot.hour))) is not None and (count or past)
    ]
    return sum(errors) / len(errors) if errors and sum(errors) else None
