"""Business time agrees with the values that other helpdesks' and calendar libraries' suites assert."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from schemas.instant import SECOND_US, from_datetime, parse_rfc3339
from services.fold.calendar import Calendar
from tests.conformance.cases import documents

DOCUMENTS = documents("cases")

Pauses = list[tuple[int, int]]

ERRORS = {
    "no_working_time": "no open time",
    "invalid_target": "not negative",
    "invalid_time": "not a time of day|before 24:00|not after its start",
}


CALENDAR = {"timezone", "weekly", "holidays", "annual_holidays", "overrides", "breaks"}
ABOUT = {"id", "source", "calendar", "op", "expected", "tags", "canonical", "agrees", "expected_origin", "note"}
"""What may be said of a case without being asked in it, or is compared by name below."""
ABOUT |= {"biz_gem", "published", "published_minutes", "agrees_as_breach_after", "expected_tolerance_seconds"}
OPERATIONS = {
    "between": {"from", "to", "pauses"},
    "add": {"from", "seconds", "pauses", "canonical_breach_after"},
    "sub": {"from", "seconds", "canonical_breach_after"},
    "is_open": {"from"},
    "next_open_instant": {"from"},
    "next_close": {"from"},
    "prev_open_instant": {"from"},
    "add_business_days": {"from", "days"},
    "local_to_utc": {"timezone", "local_date", "local_time"},
    "periods_after": {"from", "take"},
    "validate_calendar": {"weekly", "timezone"},
}


def understood(case: dict[str, Any], definition: dict[str, Any]) -> None:
    """Fails on anything that this runner would not use, so that no case passes by being half read."""
    assert case["op"] in OPERATIONS, f"an operation that the schema does not have: {case['op']}"
    unknown = case.keys() - ABOUT - OPERATIONS[case["op"]]
    assert not unknown, f"{case['op']} says what the runner does not know: {sorted(unknown)}"
    unknown = definition.keys() - CALENDAR
    assert not unknown, f"the calendar says what the runner does not know: {sorted(unknown)}"


def cases() -> Iterator[Any]:
    for document in DOCUMENTS:
        for case in document["cases"]:
            definition = document["calendars"][case["calendar"]] if case["calendar"] else only_a_part(case)
            yield pytest.param(case, definition, id=case["id"])


def only_a_part(case: dict[str, Any]) -> dict[str, Any]:
    """Cases without a calendar state a time zone or some hours; the rest is filled in."""
    all_week = {day: [["00:00", "24:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
    return {"timezone": case.get("timezone", "UTC"), "weekly": case.get("weekly", all_week)}


def instant(text: str) -> int:
    return from_datetime(parse_rfc3339(text))


def amount(seconds: float) -> int:
    return round(seconds * SECOND_US)


def elapsed(calendar: Calendar, start_us: int, end_us: int, pauses: Pauses) -> int:
    paused = ((max(start_us, p_start), min(end_us, p_end)) for p_start, p_end in pauses)
    return calendar.elapsed(start_us, end_us) - sum(calendar.elapsed(*pause) for pause in paused)


def resumed(calendar: Calendar, start_us: int, worked_us: int, pauses: Pauses) -> tuple[int, int]:
    """The start and the amount that are left after the pauses which begin before the amount is used up."""
    for pause_start_us, pause_end_us in sorted(pauses):
        before_us = calendar.elapsed(start_us, pause_start_us)
        if before_us >= worked_us:
            break
        start_us, worked_us = pause_end_us, worked_us - before_us
    return start_us, worked_us


def answers(case: dict[str, Any], definition: dict[str, Any]) -> tuple[Any, Any]:
    """The answer, and the one to compare with `canonical_breach_after`, in µs."""
    calendar = Calendar.from_mapping("case", definition)
    at_us = instant(case["from"]) if "from" in case else 0
    pauses = [(instant(start), instant(end)) for start, end in case.get("pauses", [])]
    match case["op"]:
        case "between":
            return elapsed(calendar, at_us, instant(case["to"]), pauses), None
        case "add":
            rest = resumed(calendar, at_us, amount(case["seconds"]), pauses)
            return calendar.due_at(*rest), calendar.breach_after(*rest)
        case "sub":
            worked_us = amount(case["seconds"])
            return calendar.subtract(at_us, worked_us), calendar.subtract_earliest(at_us, worked_us)
        case "is_open":
            return calendar.is_open(at_us), None
        case "next_open_instant":
            return calendar.next_open(at_us), None
        case "next_close":
            return calendar.next_close(at_us), None
        case "prev_open_instant":
            return calendar.prev_open(at_us), None
        case "add_business_days":
            return calendar.add_business_days(at_us, case["days"]), None
        case "local_to_utc":
            return calendar.local_to_utc(date.fromisoformat(case["local_date"]), case["local_time"]), None
        case "periods_after":
            return list(calendar.periods_after(at_us, case["take"])), None
        case "validate_calendar":
            return "accepted", None
    raise AssertionError(f"an operation that the schema does not have: {case['op']}")


def comparable(value: Any) -> Any:
    """A value of the cases in the units of the calendar."""
    match value:
        case bool():
            return value
        case int() | float():
            return amount(value)
        case str():
            return instant(value)
        case _:
            return [(instant(start), instant(end)) for start, end in value]


@pytest.mark.skipif(not DOCUMENTS, reason="DESKPULSE_CASES names no questions about business time")
@pytest.mark.parametrize(("case", "definition"), list(cases()))
def test_business_time_is_what_the_case_states(case: dict[str, Any], definition: dict[str, Any]) -> None:
    understood(case, definition)
    wanted = case["canonical"]
    if isinstance(wanted, dict):
        assert wanted["error"] in ERRORS, f"an error that the runner does not know: {wanted['error']}"
        with pytest.raises(ValueError, match=ERRORS[wanted["error"]]):
            answers(case, definition)
        return
    answer, last = answers(case, definition)
    assert answer == comparable(wanted)
    if case["op"] in ("add", "sub"):
        # The cases leave the second instant out where it is the first one.
        assert last == comparable(case.get("canonical_breach_after", wanted))
    if case["agrees"] and case["op"] == "between":
        tolerance_s = case.get("expected_tolerance_seconds", 1 if "subsecond" in case["tags"] else 0)
        assert abs(answer - amount(case["expected"])) <= amount(tolerance_s)


@pytest.mark.parametrize(
    ("change", "definition", "complaint"),
    [
        ({"op": "guess"}, {}, "guess"),
        ({"op": "is_open", "until": "noon"}, {}, "until"),
        ({"op": "is_open"}, {"timezone": "UTC", "siestas": []}, "siestas"),
    ],
)
def test_a_case_that_says_what_the_runner_does_not_know_fails_by_name(
    change: dict[str, Any], definition: dict[str, Any], complaint: str
) -> None:
    understood({"op": "is_open", "from": "2026-03-02T09:00:00Z"}, {"timezone": "UTC"})
    with pytest.raises(AssertionError, match=complaint):
        understood(change, definition)
