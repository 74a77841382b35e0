"""How much will come: the profile, its intervals, and the test against last week's hours."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random
from statistics import mean

import pytest

from services.alerts.forecast import counts, labour, words
from services.alerts.forecast.backtest import backtested
from services.alerts.forecast.labour import Basis
from services.alerts.forecast.profile import fitted
from services.alerts.forecast.silence import silent
from services.alerts.forecast.slots import HOLIDAY, slots
from services.alerts.forecast.volume import Method, Reason, volume
from services.fold.calendar import Calendar
from tests.support import weeks

OFFICE = {
    "timezone": "Europe/Paris",
    "weekly": {day: [["09:00", "18:00"]] for day in ("mon", "tue", "wed", "thu", "fri")},
    "holidays": ["2026-10-15", "2026-11-11"],
}
HOURS = Calendar.from_mapping("office", OFFICE).hours
OPEN = frozenset(range(5))
FIRST = date(2026, 9, 28)


def test_the_profile_finds_what_made_the_counts() -> None:
    past = slots(FIRST, 56, HOURS)
    came = weeks.counted(FIRST, 56, HOURS, a_day=80, seed=3)
    profile = fitted(past, came, OPEN)
    for slot in slots(FIRST + timedelta(days=56), 7, HOURS):
        true = weeks.expected(slot.kind, slot.hour, 80)
        assert profile.expected(slot) == pytest.approx(true, rel=0.4, abs=0.7)
    total = sum(profile.expected(slot) for slot in slots(FIRST + timedelta(days=56), 7, HOURS))
    assert total == pytest.approx(80 * (1.25 + 1.1 + 1 + 1 + 0.85 + 0.15 + 0.1), rel=0.08)


@pytest.mark.parametrize(("a_day", "growth"), [(12, 0.0), (60, 0.0), (60, 0.06), (400, 0.0)])
def test_it_is_better_than_last_week_and_its_interval_holds(a_day: float, growth: float) -> None:
    past = slots(FIRST, 35, HOURS)
    tests = [
        backtested(past, weeks.counted(FIRST, 35, HOURS, a_day=a_day, seed=seed, growth=growth), OPEN)
        for seed in range(4)
    ]
    assert all(test is not None and test.better for test in tests)
    found = [test for test in tests if test is not None]
    assert mean(test.model.mae / test.naive.mae for test in found) < 0.85
    assert mean(test.model.pinball / test.naive.pinball for test in found) < 0.85
    assert 0.76 < mean(test.model.coverage for test in found) < 0.95
    assert 0.70 < mean(test.model.day_coverage for test in found) < 0.98


def test_where_every_week_is_the_same_last_week_is_the_forecast_and_it_says_so() -> None:
    past, ahead = slots(FIRST, 35, HOURS), slots(FIRST + timedelta(days=35), 7, HOURS)
    rng = Random(1)
    week = [rng.randrange(20) for _ in range(7 * 24)]
    came = [week[slot.day.weekday() * 24 + slot.hour] for slot in past]
    found = volume(past, came, ahead, frozenset(range(7)))
    assert (found.method, found.reason) == (Method.LAST_WEEK, Reason.NOT_BETTER)
    assert [span.expected for span in found.hours] == [week[s.day.weekday() * 24 + s.hour] for s in ahead]
    assert "last week's hours" in words.said(found)


def test_of_too_little_nothing_is_said_and_of_little_last_week_is() -> None:
    for days, method, reason in ((5, Method.NONE, Reason.NO_HISTORY), (16, Method.LAST_WEEK, Reason.TOO_SHORT)):
        past, ahead = slots(FIRST, days, HOURS), slots(FIRST + timedelta(days=days), 7, HOURS)
        came = weeks.counted(FIRST, days, HOURS, a_day=60, seed=1)
        found = volume(past, came, ahead, OPEN)
        assert (found.method, found.reason) == (method, reason)
        assert bool(found.hours) is (method is not Method.NONE)


def test_a_closed_day_is_forecast_as_a_day_off() -> None:
    first = date(2026, 10, 5)
    past, ahead = slots(first, 35, HOURS), slots(first + timedelta(days=35), 7, HOURS)
    found = volume(past, weeks.counted(first, 35, HOURS, a_day=80, seed=5), ahead, OPEN)
    days = {day.day: day for day in found.days}
    holiday, wednesday = days[date(2026, 11, 11)], days[date(2026, 11, 12)]
    assert holiday.holiday
    assert holiday.span.expected < wednesday.span.expected / 3
    assert "Closed: Wed 2026-11-11 (learnt from 1 closed day" in words.said(found)


def test_a_closed_day_of_last_week_does_not_make_the_next_one_low() -> None:
    days = (date(2026, 11, 11) - FIRST).days + 1
    past, ahead = slots(FIRST, days, HOURS), slots(FIRST + timedelta(days=days), 7, HOURS)
    found = volume(past, weeks.counted(FIRST, days, HOURS, a_day=80, seed=5), ahead, OPEN)
    next_wednesday = next(day for day in found.days if day.day == date(2026, 11, 18))
    assert found.method is Method.PROFILE
    assert next_wednesday.span.expected == pytest.approx(80, rel=0.2)


def test_an_outage_is_no_habit() -> None:
    past = slots(FIRST, 35, HOURS)
    came = weeks.counted(FIRST, 35, HOURS, a_day=60, seed=2)
    flooded = [
        count + (300 if slot.day == date(2026, 10, 29) and slot.hour in (10, 11) else 0)
        for slot, count in zip(past, came, strict=True)
    ]
    ahead = slots(FIRST + timedelta(days=35), 7, HOURS)
    usual, after = (fitted(past, some, OPEN) for some in (came, flooded))
    for slot in ahead:
        assert after.expected(slot) == pytest.approx(usual.expected(slot), rel=0.4, abs=0.5)


def test_hours_in_which_nothing_was_heard_are_unknown_and_quiet_nights_are_not() -> None:
    past = slots(FIRST, 28, HOURS)
    came = [round(weeks.expected(slot.kind, slot.hour, 200)) for slot in past]
    lost = {place for place, slot in enumerate(past) if slot.day == date(2026, 10, 20) and 8 <= slot.hour < 14}
    heard = [0 if place in lost else count for place, count in enumerate(came)]
    found = silent(past, heard)
    assert {place for place, one in enumerate(found) if one} >= lost
    assert not any(one for place, one in enumerate(found) if past[place].day != date(2026, 10, 20))


def test_days_of_a_change_of_clocks_have_their_hours() -> None:
    autumn = slots(date(2026, 10, 24), 3, HOURS)
    assert [sum(slot.day == day for slot in autumn) for day in (date(2026, 10, 24), date(2026, 10, 25))] == [24, 25]
    assert [slot.hour for slot in autumn if slot.day == date(2026, 10, 25)][:5] == [0, 1, 2, 2, 3]
    assert slots(date(2026, 11, 11), 1, HOURS)[0].kind == HOLIDAY


@pytest.mark.parametrize("over", [0.0, 0.05, 0.5])
@pytest.mark.parametrize("average", [0.3, 4.0, 60.0, 700.0])
def test_quantiles_hold_as_much_as_they_say(average: float, over: float) -> None:
    low, middle, high = counts.quantiles(average, over, (0.1, 0.5, 0.9))
    assert 0 <= low <= middle <= high
    if average < 200:
        reached = [sum(_chance(k, average, over) for k in range(upto + 1)) for upto in (low, middle, high)]
        assert all(found >= share - 1e-9 for found, share in zip(reached, (0.1, 0.5, 0.9), strict=True))
        before = sum(_chance(k, average, over) for k in range(high))
        assert before < 0.9


def _chance(count: int, average: float, over: float) -> float:
    from math import exp

    return exp(counts.log_likelihood(count, average, over))


@pytest.mark.parametrize("over", [0.0, 0.05, 0.25])
def test_the_overdispersion_is_found_again(over: float) -> None:
    rng = Random(4)
    pairs = []
    for _ in range(500):
        average = rng.uniform(2, 30)
        mood = rng.gammavariate(1 / over, over) if over else 1.0
        pairs.append((weeks.poisson(rng, average * mood), average))
    assert counts.overdispersion(pairs) == pytest.approx(over, abs=0.03 + over * 0.4)


def test_work_is_what_was_configured_or_the_pace_that_was_seen() -> None:
    past = slots(FIRST, 28, HOURS)
    office = [1 if slot.kind < 5 and 9 <= slot.hour < 18 else 0 for slot in past]
    active = [2 * there for there in office]
    solved = [4 * there for there in office]
    pace = labour.work(None, 0.85, past, active, solved)
    assert (pace.basis, pace.per_ticket_s) == (Basis.PACE, 1800)
    configured = labour.work(600, 0.8, past, active, solved)
    assert (configured.basis, configured.per_ticket_s) == (Basis.CONFIGURED, 750)
    assert labour.work(None, 0.85, past, active, [0] * len(past)).basis is Basis.UNKNOWN
    there = labour.presence(past, active)
    monday = slots(FIRST + timedelta(days=28), 1, HOURS)
    assert [there.at(slot) for slot in monday if slot.hour in (3, 10)] == [0, 2]
