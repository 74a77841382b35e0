"""Business time at the places where calendars go wrong: definitions, changes of clocks, edges, far dates."""

import re
import timeit
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from schemas.instant import from_datetime, to_rfc3339
from services.fold import public_holidays
from services.fold.calendar import REACH_YEARS, Calendar
from services.fold.public_holidays import PublicHolidays

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
PAGE_EDGE_US = 50 << 45  # 2025-09-30T07:50:04.421632Z; the module says what pages are

OFFICE = {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
ROUND_THE_CLOCK = {day: [["00:00", "24:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}


def calendar(timezone: str = "UTC", weekly: object = OFFICE, **rest: object) -> Calendar:
    return Calendar.from_mapping("support", {"timezone": timezone, "weekly": weekly, **rest})


def at(text: str) -> int:
    return from_datetime(datetime.fromisoformat(text).replace(tzinfo=UTC))


def opens(cal: Calendar, start: str, end: str) -> list[tuple[str, str]]:
    """Open time between two instants, as text without the Z."""
    found, cursor_us, end_us = [], at(start), at(end)
    while (open_us := cal.next_open(cursor_us)) < end_us:
        cursor_us = min(cal.next_close(open_us), end_us)
        found.append((to_rfc3339(open_us)[:16], to_rfc3339(cursor_us)[:16]))
    return found


@pytest.mark.parametrize(
    ("definition", "problem"),
    [
        ({"weekly": OFFICE}, "timezone: missing; write an IANA name, such as Europe/Paris"),
        (
            {"timezone": "Europe/Pariss", "weekly": OFFICE},
            'timezone: "Europe/Pariss" is not a time zone; did you mean Europe/Paris?',
        ),
        ({"timezone": "Europe", "weekly": OFFICE}, 'timezone: "Europe" is not a time zone; '),
        ({"timezone": "../etc/passwd", "weekly": OFFICE}, 'timezone: "../etc/passwd" is not a time zone; '),
        ({"timezone": "", "weekly": OFFICE}, 'timezone: "" is not a time zone; '),
        ({"timezone": 1, "weekly": OFFICE}, "timezone: 1 is not a name; write an IANA name, such as Europe/Paris"),
        ({"timezone": "UTC", "week": OFFICE, "weekly": OFFICE}, "week: unknown; did you mean weekly?"),
        ({"timezone": "UTC", "weekly": OFFICE, "x": 1}, "x: unknown; known are timezone, weekly, country, "),
        ({"timezone": "UTC", "weekly": OFFICE | {"wednes": []}}, "weekly.wednes: unknown; did you mean wed?"),
        ({"timezone": "UTC", "weekly": [["09:00", "17:00"]]}, "weekly: [['09:00', '17:00']] is not a mapping; "),
        ({"timezone": "UTC"}, "weekly: no open time on any day; add hours, as in mon: "),
        ({"timezone": "UTC", "weekly": {"mon": []}}, "weekly: no open time on any day; "),
        (
            {"timezone": "UTC", "weekly": {}, "overrides": {"2026-01-05": [["09:00", "17:00"]]}},
            "weekly: no open time on any day; ",
        ),
        (
            {"timezone": "UTC", "weekly": {"mon": [["09:00", "12:30"], ["12:00", "17:00"]]}},
            "weekly.mon[1]: starts at 12:00 before the previous interval ends at 12:30; ",
        ),
        (
            {"timezone": "UTC", "weekly": {"mon": [["13:00", "17:00"], ["09:00", "12:00"]]}},
            "weekly.mon[1]: starts at 09:00 before the previous interval ends at 17:00; ",
        ),
        (
            {"timezone": "UTC", "weekly": {"fri": [["22:00", "06:00"]]}},
            "weekly.fri[0]: ends at 06:00, not after its start at 22:00; hours past midnight end at 30:00",
        ),
        (
            {"timezone": "UTC", "weekly": {"fri": [["09:00", "09:00"]]}},
            "weekly.fri[0]: ends at 09:00, not after its start at 09:00; ",
        ),
        (
            {"timezone": "UTC", "weekly": {"tue": [["25:00", "30:00"]]}},
            "weekly.tue[0]: starts at 25:00; write it on its own day",
        ),
        (
            {"timezone": "UTC", "weekly": {"tue": [["09:00", "48:01"]]}},
            'weekly.tue[0]: "48:01" is not a time of day; ',
        ),
        (
            {"timezone": "UTC", "weekly": {"tue": [["9am", "17:00"]]}},
            'weekly.tue[0]: "9am" is not a time of day; ',
        ),
        (
            {"timezone": "UTC", "weekly": {"tue": [["09:60", "17:00"]]}},
            'weekly.tue[0]: "09:60" is not a time of day; ',
        ),
        (
            {"timezone": "UTC", "weekly": {"tue": [["09:00", 1020]]}},
            "weekly.tue[0]: 1020 is not a time of day; write 00:00 to 48:00 in quotes",
        ),
        ({"timezone": "UTC", "weekly": {"tue": [["٠٩:00", "17:00"]]}}, "is not a time of day"),
        (
            {"timezone": "UTC", "weekly": {"tue": [["09:00"]]}},
            "weekly.tue[0]: ['09:00'] is not a start and an end; ",
        ),
        (
            {"timezone": "UTC", "weekly": {"tue": ["09:00"]}},
            'weekly.tue[0]: "09:00" is not a start and an end; ',
        ),
        ({"timezone": "UTC", "weekly": {"tue": "09:00-17:00"}}, 'weekly.tue: "09:00-17:00" is not a list; '),
        (
            {"timezone": "UTC", "weekly": OFFICE, "holidays": ["25.12.2026"]},
            'holidays[0]: "25.12.2026" is not a date; ',
        ),
        (
            {"timezone": "UTC", "weekly": OFFICE, "holidays": ["2026-02-30"]},
            "holidays[0]: 2026-02-30 is not a day of that month; ",
        ),
        (
            {"timezone": "UTC", "weekly": OFFICE, "holidays": "2026-12-25"},
            'holidays: "2026-12-25" is not a list; ',
        ),
        (
            {"timezone": "UTC", "weekly": OFFICE, "holidays": [datetime(2026, 1, 1, tzinfo=UTC)]},
            "holidays[0]: datetime",
        ),
        (
            {"timezone": "UTC", "weekly": OFFICE, "annual_holidays": ["02-30"]},
            'annual_holidays[0]: "02-30" is not a day of the year; ',
        ),
        ({"timezone": "UTC", "weekly": OFFICE, "annual_holidays": ["2026-01-01"]}, "annual_holidays[0]: "),
        (
            {
                "timezone": "UTC",
                "weekly": OFFICE,
                "annual_holidays": [f"{date(2000, 1, 1) + timedelta(days=n):%m-%d}" for n in range(366)],
            },
            "annual_holidays: no open time on any day of the year; ",
        ),
        (
            {"timezone": "UTC", "weekly": OFFICE, "overrides": {"24 Dec": []}},
            'overrides.24 Dec: "24 Dec" is not a date; ',
        ),
        (
            {"timezone": "UTC", "weekly": OFFICE, "overrides": {"2026-12-24": [["12:00", "09:00"]]}},
            "overrides.2026-12-24[0]: ends at 09:00, not after its start at 12:00; ",
        ),
        (
            {"timezone": "UTC", "weekly": OFFICE, "overrides": {"2026-12-24": None}},
            "overrides.2026-12-24: no hours; write [] to close the date",
        ),
        ({"timezone": "UTC", "weekly": OFFICE, "breaks": [None]}, "breaks[0]: date and start and end missing; "),
        (
            {
                "timezone": "UTC",
                "weekly": OFFICE,
                "holidays": ["2026-12-24"],
                "overrides": {"2026-12-24": [["09:00", "12:00"]]},
            },
            "overrides.2026-12-24: holidays closes the same date; ",
        ),
        (
            {"timezone": "UTC", "weekly": OFFICE, "breaks": [{"date": "2026-01-05", "start": "10:00"}]},
            "breaks[0]: end missing; ",
        ),
        (
            {
                "timezone": "UTC",
                "weekly": OFFICE,
                "breaks": [{"date": "2026-01-05", "start": "10:00", "end": "11:00", "why": ""}],
            },
            "breaks[0].why: unknown; known are date, start, end",
        ),
        (
            {"timezone": "UTC", "weekly": OFFICE, "breaks": [{"date": "soon", "start": "10:00", "end": "11:00"}]},
            'breaks[0].date: "soon" is not a date; ',
        ),
    ],
)
def test_a_wrong_definition_is_told_its_field_and_its_fix(definition: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError) as caught:
        Calendar.from_mapping("support", definition)
    [line] = str(caught.value).splitlines()
    assert problem in line


def test_a_definition_that_is_not_a_mapping_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^\[\] is not a mapping"):
        Calendar.from_mapping("support", [])  # type: ignore[arg-type]


def test_all_problems_of_a_definition_are_told_at_once() -> None:
    with pytest.raises(ValueError) as caught:
        calendar("Mars/Base", {"mon": [["9", "17:00"]]}, holidays=["never"], breaks=[[]])
    fields = [line.split(":")[0] for line in str(caught.value).splitlines()]
    assert fields == ["timezone", "weekly.mon[0]", "holidays[0]", "breaks[0]"]


def test_dates_may_be_written_without_quotes_in_yaml() -> None:
    written = calendar(holidays=["2026-01-05"], overrides={"2026-01-06": []})
    assert written == calendar(holidays=[date(2026, 1, 5)], overrides={date(2026, 1, 6): []})


def test_calendars_of_the_same_hours_are_equal_and_others_are_not() -> None:
    split = {day: [["09:00", "13:00"], ["13:00", "17:00"]] for day in OFFICE}
    assert calendar() == Calendar.from_mapping("other name", {"timezone": "UTC", "weekly": split})
    assert len({calendar(), calendar(weekly=split), calendar(holidays=["2026-01-05"]), calendar("Asia/Tokyo")}) == 3
    assert calendar(weekly=ROUND_THE_CLOCK) == Calendar.always()


def test_a_holiday_closes_its_date_in_the_zone_of_the_calendar() -> None:
    tokyo = calendar("Asia/Tokyo", ROUND_THE_CLOCK, holidays=["2026-01-06"])
    closed_us, opened_us = at("2026-01-05T15:00"), at("2026-01-06T15:00")
    assert tokyo.next_close(at("2026-01-05")) == tokyo.prev_open(opened_us) == closed_us
    assert tokyo.next_open(closed_us) == opened_us


def test_an_override_comes_before_the_weekly_hours_and_the_annual_holidays() -> None:
    cal = calendar(annual_holidays=["12-24"], overrides={"2026-12-24": [["09:00", "12:00"]], "2026-12-28": []})
    assert opens(cal, "2026-12-24T00:00", "2026-12-29T00:00") == [
        ("2026-12-24T09:00", "2026-12-24T12:00"),
        ("2026-12-25T09:00", "2026-12-25T17:00"),
    ]
    assert opens(cal, "2027-12-24T00:00", "2027-12-25T00:00") == []


def test_an_annual_holiday_on_29_february_closes_leap_years_only() -> None:
    cal = calendar(weekly=ROUND_THE_CLOCK, annual_holidays=["02-29"])
    assert cal.elapsed(at("2027-02-01"), at("2027-04-01")) == 59 * DAY_US
    assert cal.elapsed(at("2028-02-01"), at("2028-04-01")) == 59 * DAY_US


def test_night_hours_belong_to_the_date_they_start_on() -> None:
    nights = {"thu": [["22:00", "30:00"]], "fri": [["22:00", "30:00"]]}
    cal = calendar(weekly=nights, holidays=["2026-01-02"])  # a Friday
    assert opens(cal, "2026-01-01T00:00", "2026-01-08T00:00") == [("2026-01-01T22:00", "2026-01-02T06:00")]


def test_night_hours_run_across_the_end_of_a_year_and_into_the_next_morning() -> None:
    cal = calendar(weekly={"thu": [["20:00", "32:00"]], "fri": [["07:00", "09:00"], ["12:00", "13:00"]]})
    assert opens(cal, "2026-12-31T00:00", "2027-01-02T00:00") == [
        ("2026-12-31T20:00", "2027-01-01T09:00"),
        ("2027-01-01T12:00", "2027-01-01T13:00"),
    ]


def test_hours_may_last_two_days() -> None:
    cal = calendar(weekly={"sat": [["00:00", "48:00"]]})
    assert opens(cal, "2026-01-01", "2026-01-10T06:00") == [
        ("2026-01-03T00:00", "2026-01-05T00:00"),
        ("2026-01-10T00:00", "2026-01-10T06:00"),
    ]


def test_breaks_are_cut_out_of_whatever_is_open_then() -> None:
    breaks = [
        {"date": "2026-01-05", "start": "08:00", "end": "09:30"},
        {"date": "2026-01-05", "start": "12:00", "end": "13:00"},
        {"date": "2026-01-05", "start": "12:30", "end": "13:30"},
        {"date": "2026-01-06", "start": "01:00", "end": "02:00"},  # in the night hours of the 5th
        {"date": "2026-01-06", "start": "00:00", "end": "24:00"},
    ]
    cal = calendar(weekly={"mon": [["09:00", "26:00"]], "tue": [["03:00", "05:00"]]}, breaks=breaks)
    assert opens(cal, "2026-01-05", "2026-01-12T09:00") == [
        ("2026-01-05T09:30", "2026-01-05T12:00"),
        ("2026-01-05T13:30", "2026-01-06T00:00"),
    ]


@pytest.mark.parametrize(
    ("zone", "interval", "day", "hours"),
    [
        ("Europe/Paris", ["00:00", "24:00"], "2026-03-29", 23),
        ("Europe/Paris", ["00:00", "24:00"], "2026-10-25", 25),
        ("Europe/Paris", ["02:00", "03:00"], "2026-03-29", 0),  # the skipped hour itself
        ("Europe/Paris", ["02:30", "03:00"], "2026-03-29", 0),  # its start moves past its end
        ("Europe/Paris", ["02:30", "04:00"], "2026-03-29", 0.5),  # 03:30 to 04:00
        ("Europe/Paris", ["01:00", "02:30"], "2026-03-29", 1.5),  # the end moves to 03:30
        ("Europe/Paris", ["02:00", "03:00"], "2026-10-25", 2),  # from the first 02:00 on
        ("Europe/Paris", ["01:00", "02:30"], "2026-10-25", 1.5),  # to the first 02:30
        ("America/Sao_Paulo", ["00:00", "24:00"], "2015-10-18", 23),  # no midnight on this date
        ("Australia/Lord_Howe", ["00:00", "24:00"], "2026-04-05", 24.5),
        ("Pacific/Apia", ["09:00", "17:00"], "2011-12-30", 0),  # the date never happened
        ("Pacific/Apia", ["09:00", "17:00"], "2011-12-31", 8),
    ],
)
def test_a_date_counts_the_time_that_really_passed(zone: str, interval: list[str], day: str, hours: float) -> None:
    weekday = date.fromisoformat(day).strftime("%a").lower()
    cal = calendar(zone, {weekday: [interval]})
    noon_us = cal.local_to_utc(date.fromisoformat(day), "12:00")
    assert cal.elapsed(noon_us - 36 * HOUR_US, noon_us + 36 * HOUR_US) == hours * HOUR_US


def test_a_target_reached_at_closing_is_due_then_and_broken_only_after_the_next_opening() -> None:
    cal = calendar()
    start_us = at("2026-01-09T15:00")  # a Friday
    assert cal.due_at(start_us, 2 * HOUR_US) == at("2026-01-09T17:00")
    assert cal.breach_after(start_us, 2 * HOUR_US) == at("2026-01-12T09:00")
    assert cal.subtract(at("2026-01-12T10:00"), HOUR_US) == at("2026-01-12T09:00")
    assert cal.subtract_earliest(at("2026-01-12T10:00"), HOUR_US) == at("2026-01-09T17:00")
    assert (
        cal.due_at(start_us, 2 * HOUR_US - 1)
        == cal.breach_after(start_us, 2 * HOUR_US - 1)
        == at("2026-01-09T17:00") - 1
    )


def test_a_negative_amount_is_refused() -> None:
    for cal in (calendar(), Calendar.always()):
        for question in (cal.due_at, cal.breach_after, cal.subtract, cal.subtract_earliest):
            with pytest.raises(ValueError, match="not negative: -1"):
                question(0, -1)


def test_a_calendar_that_is_always_open_is_calendar_time() -> None:
    cal = Calendar.always()
    assert cal.elapsed(-5, 7) == 12
    assert cal.elapsed(7, -5) == 0
    assert cal.due_at(7, 5) == cal.breach_after(7, 5) == 12
    assert cal.subtract(12, 5) == cal.subtract_earliest(12, 5) == 7
    assert cal.is_open(0)
    assert cal.next_open(3) == cal.prev_open(3) == 3
    with pytest.raises(OverflowError, match="always never closes"):
        cal.next_close(0)


def test_answers_do_not_change_where_one_page_ends_and_the_next_begins() -> None:
    cal = calendar(weekly=ROUND_THE_CLOCK, holidays=["2025-01-01", "2026-01-01"])
    closed_us, opened_us = at("2026-01-01"), at("2025-01-02")
    assert opened_us < PAGE_EDGE_US < closed_us
    for near_us in (PAGE_EDGE_US - 1, PAGE_EDGE_US, PAGE_EDGE_US + 1):
        assert cal.is_open(near_us)
        assert cal.next_open(near_us) == cal.prev_open(near_us) == near_us
        assert cal.next_close(near_us) == closed_us
        assert cal.elapsed(opened_us, near_us) == near_us - opened_us
        assert cal.due_at(opened_us, near_us - opened_us) == cal.breach_after(opened_us, near_us - opened_us) == near_us
        assert cal.subtract(closed_us, closed_us - near_us) == near_us
        assert cal.subtract_earliest(closed_us, closed_us - near_us) == near_us
    assert list(cal.periods_after(opened_us, 1)) == [(opened_us, closed_us)]


def test_a_span_that_ends_or_starts_with_its_page_does_so() -> None:
    """A page begins at the epoch, a Thursday; no other edge is a whole second."""
    wednesdays, thursdays = (
        calendar(weekly={"wed": [["00:00", "24:00"]]}),
        calendar(weekly={"thu": [["00:00", "24:00"]]}),
    )
    assert wednesdays.next_close(-1) == wednesdays.due_at(-HOUR_US, HOUR_US) == wednesdays.prev_open(0) == 0
    assert wednesdays.breach_after(-HOUR_US, HOUR_US) == wednesdays.next_open(0) == 6 * DAY_US
    assert not wednesdays.is_open(0)
    assert thursdays.next_open(-1) == thursdays.subtract(HOUR_US, HOUR_US) == 0
    assert thursdays.subtract_earliest(HOUR_US, HOUR_US) == thursdays.prev_open(0) == -6 * DAY_US
    assert thursdays.is_open(0)


def test_hours_that_began_two_dates_before_a_page_count_in_it() -> None:
    cal = calendar("America/New_York", {"tue": [["00:00", "48:00"]]})  # to Thursday 05:00 in UTC
    assert cal.elapsed(0, DAY_US) == 5 * HOUR_US


def test_hours_of_a_date_that_has_begun_only_far_in_the_east_count_at_the_end_of_a_page() -> None:
    cal = calendar("Pacific/Kiritimati", ROUND_THE_CLOCK, holidays=["1990-01-01"])  # 14 h ahead of UTC
    assert all(cal.is_open((page << 45) - 1) for page in range(40, 60))


@pytest.mark.parametrize("year", [1, 1905, 1969, 2200, 9990])
def test_hours_hold_in_any_year(year: int) -> None:
    monday = next(day for day in (date(year, 6, n) for n in range(1, 8)) if day.weekday() == 0)
    cal = calendar("America/New_York", {"mon": [["09:00", "17:00"]]})
    start_us = cal.local_to_utc(monday, "00:00")
    assert cal.elapsed(start_us, start_us + 7 * DAY_US) == 8 * HOUR_US
    assert cal.due_at(start_us, 8 * HOUR_US) == cal.local_to_utc(monday, "17:00")
    assert cal.subtract(start_us + 7 * DAY_US, 8 * HOUR_US) == cal.local_to_utc(monday, "09:00")


def test_a_question_that_reaches_too_far_is_refused_and_not_worked_on() -> None:
    cal, now_us = calendar(weekly={"mon": [["00:00", "24:00"]]}), at("2026-01-05")
    century_us = 36_525 * DAY_US
    assert cal.elapsed(now_us, now_us + century_us) > 0
    for ask in (
        lambda: cal.elapsed(now_us, now_us + 3 * century_us),
        lambda: cal.due_at(now_us, century_us),
        lambda: cal.subtract(now_us, century_us),
        lambda: cal.add_business_days(now_us, 12_000),
        lambda: calendar(
            weekly=ROUND_THE_CLOCK, breaks=[{"date": "1990-01-01", "start": "00:00", "end": "01:00"}]
        ).next_close(now_us),
    ):
        with pytest.raises(OverflowError, match=f"more than {REACH_YEARS} years from 2026-01-05"):
            ask()


def test_an_instant_beyond_the_years_of_a_calendar_is_refused() -> None:
    for at_us in (at("9999-12-31") + 800 * DAY_US, at("0001-01-01") - 800 * DAY_US):
        with pytest.raises(OverflowError, match="outside the years 1 to 9999"):
            calendar().is_open(at_us)


def test_hours_before_the_first_and_after_the_last_year_are_looked_for_and_not_found() -> None:
    with pytest.raises(OverflowError):
        calendar().next_open(at("9999-12-31T18:00"))
    with pytest.raises(OverflowError):
        calendar().prev_open(at("0001-01-01T08:00"))


def test_business_days_keep_the_clock_time_and_skip_what_is_closed() -> None:
    cal = calendar(
        "Europe/Paris", holidays=["2026-03-30"], breaks=[{"date": "2026-03-31", "start": "00:00", "end": "24:00"}]
    )
    friday_us = at("2026-03-27T14:30")  # 15:30 in Paris, before the clocks go forward
    assert cal.add_business_days(friday_us, 1) == at("2026-04-01T13:30")
    assert cal.add_business_days(friday_us, 0) == friday_us
    assert cal.add_business_days(at("2026-04-01T13:30:00.000007"), -1) == at("2026-03-27T14:30:00.000007")


@pytest.mark.parametrize(
    "breaks",
    [
        [
            {"date": "2026-01-04", "start": "20:00", "end": "48:00"},
            {"date": "2026-01-06", "start": "00:00", "end": "02:00"},
        ],
        [{"date": "2026-01-05", "start": "22:00", "end": "26:00"}],
    ],
)
def test_a_date_whose_night_hours_are_all_taken_by_breaks_is_no_business_day(breaks: list[dict[str, str]]) -> None:
    nights = {"mon": [["22:00", "26:00"]], "thu": [["22:00", "26:00"]]}
    saturday_us = at("2026-01-03T12:00")
    assert calendar(weekly=nights).add_business_days(saturday_us, 1) == at("2026-01-05T12:00")
    assert calendar(weekly=nights, breaks=breaks).add_business_days(saturday_us, 1) == at("2026-01-08T12:00")


def test_the_wall_clock_is_read_past_midnight_and_refused_when_it_is_no_time() -> None:
    cal = calendar("Europe/Paris")
    assert cal.local_to_utc(date(2026, 3, 28), "26:30") == at("2026-03-29T01:30")
    assert cal.local_to_utc(date(2026, 10, 25), "02:30:15") == at("2026-10-25T00:30:15")
    with pytest.raises(ValueError, match="not a time of day"):
        cal.local_to_utc(date(2026, 3, 28), "49:00")


def test_public_holidays_close_and_an_override_opens_again() -> None:
    cal = calendar("Europe/Paris", country="FR", overrides={"2026-11-11": [["10:00", "12:00"]]})
    assert not cal.is_open(at("2026-07-14T10:00:00"))
    assert cal.is_open(at("2026-07-15T10:00:00"))
    assert opens(cal, "2026-11-11T00:00:00", "2026-11-12T00:00:00") == [("2026-11-11T09:00", "2026-11-11T11:00")]


def test_a_part_of_a_country_has_holidays_of_its_own() -> None:
    boxing_day = at("2025-12-26T10:00:00")
    assert calendar("Europe/Paris", country="FR").is_open(boxing_day)
    assert not calendar("Europe/Paris", country="FR", subdivision=57).is_open(boxing_day)


def test_a_holiday_is_that_of_the_local_date() -> None:
    cal = calendar("Pacific/Auckland", ROUND_THE_CLOCK, country="NZ")
    assert cal.next_close(at("2026-02-04T12:00:00")) == at("2026-02-05T11:00:00"), "Waitangi Day begins at 11:00 UTC"
    assert cal.next_open(at("2026-02-05T12:00:00")) == at("2026-02-06T11:00:00")


def test_holidays_are_the_same_whatever_was_asked_before() -> None:
    def closed(days: list[date]) -> set[date]:
        public_holidays._year.cache_clear()
        return {day for day in days if PublicHolidays("US", "CA").closes(day)}

    days = [date(2020, 1, 1) + timedelta(days=n) for n in range(4 * 365)]
    found = closed(days)
    assert closed(days[::-1]) == found == closed(days[700:] + days[:700])
    assert date(2021, 12, 31) in found, "New Year's Day of 2022 is a Saturday and is observed the day before"


@pytest.mark.parametrize(
    ("definition", "problem"),
    [
        ({"country": "FRA"}, 'country: "FRA" is not a country whose holidays are known; did you mean FR?'),
        ({"country": False}, 'country: False is not a country; write "NO" in quotes for Norway'),
        ({"country": ["FR"]}, "country: ['FR'] is not a country; write its ISO 3166 code"),
        (
            {"country": "DE", "subdivision": "by"},
            'subdivision: "by" is no part of DE with holidays of its own; did you',
        ),
        (
            {"country": "DE", "subdivision": 3.5},
            "subdivision: 3.5 is no part of DE with holidays of its own; known are BB",
        ),
        ({"subdivision": "BY"}, "subdivision: stands without a country; "),
    ],
)
def test_a_country_that_is_not_known_is_refused_by_name(definition: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        calendar(**definition)


def test_ten_years_with_every_kind_of_exception_cost_microseconds_once_warm() -> None:
    cal = calendar(
        "Europe/Paris",
        country="FR",
        annual_holidays=["12-31"],
        holidays=["2026-06-01"],
        overrides={"2026-12-24": [["09:00", "12:00"]]},
        breaks=[{"date": "2026-06-02", "start": "10:00", "end": "11:00"}],
    )
    start_us, end_us = at("2020-03-02T10:00:00"), at("2030-03-02T10:00:00")
    worked_us = cal.elapsed(start_us, end_us)

    def fastest_us(ask: Callable[[], object]) -> float:
        return min(timeit.repeat(ask, number=200, repeat=20)) / 200 * 1e6

    assert fastest_us(lambda: cal.elapsed(start_us, end_us)) < 50
    assert fastest_us(lambda: cal.due_at(start_us, worked_us)) < 50
