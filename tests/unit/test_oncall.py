"""Who is on call: turns, hand-overs, hours, overrides, cover, iCalendar files, and what a schedule leaves open."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from services.alerts.oncall import Duty, Source, gap_problems
from services.alerts.roster import shown
from services.config.document import Document
from tests.support.oncall import HOOK, at_us, document, roster

BOTH: dict[str, Any] = {"ana": {}, "ben": {}}
WEEKLY = {"people": ["ana", "ben"], "start": "2026-11-02"}


def rota(tmp_path: Path, *events: str) -> str:
    lines = "".join(f"BEGIN:VEVENT\r\n{event}\r\nEND:VEVENT\r\n" for event in events)
    path = tmp_path / "rota.ics"
    path.write_text(f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//y//\r\n{lines}END:VCALENDAR\r\n")
    return str(path)


@pytest.mark.parametrize(
    ("at", "person"),
    [
        ("2026-11-02T07:59:59Z", None),
        ("2026-11-02T08:00:00Z", "ana"),
        ("2026-11-09T07:59:59Z", "ana"),
        ("2026-11-09T08:00:00Z", "ben"),
        ("2026-11-16T08:00:00Z", "ana"),
        ("2027-04-12T06:59:59Z", "ana"),
        ("2027-04-12T07:00:00Z", "ben"),
    ],
)
def test_turns_are_handed_over_when_the_wall_clock_says_so_in_winter_and_in_summer(at: str, person: str | None) -> None:
    assert roster(BOTH, rotations=[WEEKLY]).duty("support", at_us(at)).person == person


def test_a_night_shift_belongs_to_the_day_on_which_it_began_and_lasts_by_the_wall_clock() -> None:
    night = {"people": ["ana"], "start": "2026-01-01", "days": ["sat"], "hours": ["22:00", "06:00"]}
    found = roster({"ana": {}}, rotations=[night])
    # The clock goes forward in this night: the shift has seven hours.
    spans = found.stretches("support", at_us("2026-03-27T12:00Z"), at_us("2026-03-30T12:00Z"))
    on = [(s.since_us, s.until_us) for s in spans if s.duty.person == "ana"]
    assert on == [(at_us("2026-03-28T21:00Z"), at_us("2026-03-29T04:00Z"))]


def test_an_override_comes_before_the_rotation_and_the_last_one_before_the_others() -> None:
    found = roster(
        {"ana": {}, "ben": {}, "cleo": {}},
        rotations=[WEEKLY],
        overrides=[
            {"from": "2026-11-03", "to": "2026-11-04", "person": "ben"},
            {"from": "2026-11-04 12:00", "to": "2026-11-04 18:00", "person": "cleo"},
        ],
    )
    assert found.duty("support", at_us("2026-11-02T22:59Z")) == Duty("ana", Source.ROTATION)
    assert found.duty("support", at_us("2026-11-02T23:00Z")) == Duty("ben", Source.OVERRIDE)
    assert found.duty("support", at_us("2026-11-04T12:00Z")) == Duty("cleo", Source.OVERRIDE)
    assert found.duty("support", at_us("2026-11-04T17:00Z")) == Duty("ben", Source.OVERRIDE)
    assert found.duty("support", at_us("2026-11-04T23:00Z")) == Duty("ana", Source.ROTATION)


def test_whoever_is_away_is_replaced_by_their_cover_and_theirs_and_then_by_the_next_rotation() -> None:
    away = [{"from": "2026-11-03", "to": "2026-11-04"}]
    people: dict[str, Any] = {
        "ana": {"cover": "ben", "away": away, "timezone": "Europe/Paris"},
        "ben": {"cover": "ana", "away": [{"from": "2026-11-04", "to": "2026-11-04"}], "timezone": "Europe/Paris"},
        "cleo": {},
    }
    found = roster(people, rotations=[{"people": ["ana"], "start": "2026-11-02"}])
    assert found.duty("support", at_us("2026-11-03T10:00Z")) == Duty("ben", Source.ROTATION, "ana")
    assert found.duty("support", at_us("2026-11-04T10:00Z")).person is None
    second = {"people": ["cleo"], "start": "2026-11-02"}
    found = roster(people, rotations=[{"people": ["ana"], "start": "2026-11-02"}, second])
    assert found.duty("support", at_us("2026-11-04T10:00Z")) == Duty("cleo", Source.ROTATION)


def test_an_alert_reaches_somebody_even_when_nobody_is_on_call() -> None:
    late = [{"people": ["ana", "ben"], "start": "2027-01-01"}]
    at = at_us("2026-11-22T10:00Z")
    assert roster(BOTH, rotations=late).reached_by("support", at) == ("ana", "ben")
    assert roster(BOTH, rotations=late, otherwise="fallback").reached_by("support", at) == ("fallback",)
    alone_late = {"people": ["ana"], "start": "2027-01-01"}
    alone = roster({"ana": {"away": [{"from": "2026-11-01", "to": "2026-12-01"}]}}, rotations=[alone_late])
    assert alone.reached_by("ana", at) == ("ana",)
    assert alone.reached_by("nobody", at) == ()


def test_an_icalendar_file_gives_shifts_with_recurrences_moved_and_cancelled_ones(tmp_path: Path) -> None:
    path = rota(
        tmp_path,
        "UID:1\r\nSUMMARY:On-call: Ana (support)\r\nDTSTART;TZID=Europe/Paris:20261102T090000\r\n"
        "DTEND;TZID=Europe/Paris:20261103T090000\r\nRRULE:FREQ=WEEKLY;COUNT=4\r\n"
        "EXDATE;TZID=Europe/Paris:20261109T090000",
        "UID:1\r\nRECURRENCE-ID;TZID=Europe/Paris:20261116T090000\r\nSUMMARY:Ben\r\n"
        "DTSTART;TZID=Europe/Paris:20261117T090000\r\nDTEND;TZID=Europe/Paris:20261118T090000",
        "UID:2\r\nSUMMARY:Ben\r\nDTSTART;VALUE=DATE:20261120\r\nDTEND;VALUE=DATE:20261121",
        "UID:3\r\nSUMMARY:Zoe\r\nSTATUS:CANCELLED\r\nDTSTART:20261120T000000Z\r\nDTEND:20261130T000000Z",
    )
    found = roster(BOTH, calendar=path)
    stretches = found.stretches("support", at_us("2026-11-01T00:00Z"), at_us("2026-12-01T00:00Z"))
    assert [(s.duty.person, s.since_us, s.until_us) for s in stretches if s.duty.person] == [
        ("ana", at_us("2026-11-02T08:00Z"), at_us("2026-11-03T08:00Z")),
        ("ben", at_us("2026-11-17T08:00Z"), at_us("2026-11-18T08:00Z")),
        ("ben", at_us("2026-11-19T23:00Z"), at_us("2026-11-20T23:00Z")),
        ("ana", at_us("2026-11-23T08:00Z"), at_us("2026-11-24T08:00Z")),
    ]


def test_a_calendar_that_is_none_or_names_a_stranger_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.ics").write_text("hello")
    with pytest.raises(ValidationError, match="not an iCalendar file"):
        document(BOTH, calendar=str(tmp_path / "no.ics"))
    with pytest.raises(ValidationError, match="cannot be read"):
        document(BOTH, calendar=str(tmp_path / "absent.ics"))
    path = rota(tmp_path, "UID:1\r\nSUMMARY:Zoe\r\nDTSTART:20261120T000000Z\r\nDTEND:20261130T000000Z")
    with pytest.raises(ValidationError, match=r"schedules.support.calendar: no person 'zoe' \(there is: ana, ben\)"):
        document(BOTH, calendar=path)


@pytest.mark.parametrize(
    ("people", "schedule", "problem"),
    [
        ({"ana": {"cover": "zoe"}}, {"rotations": [WEEKLY | {"people": ["ana"]}]}, "people.ana.cover: no person 'zoe'"),
        ({"ana": {"receivers": ["x"]}}, {"rotations": [WEEKLY | {"people": ["ana"]}]}, "no receiver 'x'"),
        (BOTH, {"rotations": [WEEKLY | {"people": ["zoe"]}]}, "rotations\\[0\\].people\\[0\\]: no person 'zoe'"),
        (BOTH, {}, "give rotations, or a calendar"),
        (BOTH, {"rotations": [WEEKLY | {"hours": ["25:00", "09:00"]}]}, "should match pattern"),
        (BOTH, {"rotations": [WEEKLY | {"hours": [["08:00", "12:00"], ["11:00", "13:00"]]}]}, "overlap"),
        (BOTH, {"rotations": [WEEKLY | {"length": "5m"}]}, "a turn is from 1h to 366d"),
        (BOTH, {"rotations": [WEEKLY], "timezone": "Europe/Atlantis"}, "no time zone"),
        (
            BOTH,
            {"rotations": [WEEKLY], "overrides": [{"from": "2026-11-04", "to": "2026-11-03", "person": "ana"}]},
            "must be later than from",
        ),
    ],
)
def test_a_mistake_in_a_schedule_is_named(people: dict[str, Any], schedule: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        document(people, **schedule)


def test_a_route_names_a_receiver_or_a_schedule_that_exists() -> None:
    with pytest.raises(ValidationError, match=r"routes\[0\].schedule: no schedule 'nights' \(there is: none\)"):
        Document.model_validate({"receivers": {"a": HOOK}, "routes": [{"schedule": "nights"}]})
    with pytest.raises(ValidationError, match="give either receiver, or schedule"):
        Document.model_validate({"receivers": {"a": HOOK}, "routes": [{"match": {}}]})


def test_gaps_are_told_with_the_first_of_them_unless_somebody_takes_alerts_then() -> None:
    days = [WEEKLY | {"days": ["mon", "tue", "wed", "thu", "fri"], "hours": ["09:00", "18:00"]}]
    since, until = at_us("2026-11-23T10:00Z"), at_us("2026-11-25T10:00Z")
    (line,) = gap_problems(roster(BOTH, rotations=days), since, until)
    assert "nobody is on call from Mon 2026-11-23 18:00 to Tue 2026-11-24 09:00 (Europe/Paris) and 1 more times" in line
    assert gap_problems(roster(BOTH, rotations=days, otherwise="fallback"), since, until) == []
    assert gap_problems(roster(BOTH, rotations=[WEEKLY]), since, until) == []


def test_the_answer_says_who_until_when_and_who_is_next() -> None:
    found = shown(roster(BOTH, rotations=[WEEKLY]), "support", at_us("2026-11-04T10:00Z"))
    assert found["person"] == "ana"
    assert found["receivers"] == ["ana"]
    assert found["until"] == "2026-11-09T08:00:00Z"
    assert found["until_local"] == "2026-11-09T09:00:00+01:00"
    assert found["next"] == {"person": "ben", "source": "rotation", "instead_of": None}
    alone = shown(roster({"ana": {}}, rotations=[WEEKLY | {"people": ["ana"]}]), "support", at_us("2026-11-04T10:00Z"))
    assert (alone["person"], alone["until"], alone["next"]) == ("ana", None, None)
