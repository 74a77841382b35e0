"""iCalendar files as other systems write them, and the corners of recurrence."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from schemas.instant import from_datetime, to_datetime
from services.config.rota import Rota, RotaInvalid

PAGERDUTY = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//PagerDuty//On-Call Schedule//EN
CALSCALE:GREGORIAN
X-WR-CALNAME:On Call Schedule for Support
BEGIN:VEVENT
UID:Q0@pagerduty.com
DTSTAMP:20261101T000000Z
SUMMARY:On Call - Jean-Luc Picard - Support
  Team
ATTENDEE:mailto:jl@example.com
DTSTART:20261102T080000Z
DTEND:20261109T080000Z
END:VEVENT
BEGIN:VEVENT
UID:Q1@pagerduty.com
DTSTAMP:20261101T000000Z
SUMMARY:On Call - Ben Sisko - Support Team
DTSTART:20261109T080000Z
DTEND:20261116T080000Z
END:VEVENT
END:VCALENDAR
"""

OPSGENIE = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//OpsGenie//iCal4j 1.0//EN
CALSCALE:GREGORIAN
METHOD:PUBLISH
X-WR-TIMEZONE:Europe/Istanbul
BEGIN:VEVENT
DTSTAMP:20261101T000000Z
DTSTART;VALUE=DATE-TIME:20261102T060000Z
DTEND;VALUE=DATE-TIME:20261102T180000Z
SUMMARY:ana.lopez@example.com (Support_schedule)
UID:1a@opsgenie.com
END:VEVENT
BEGIN:VEVENT
DTSTAMP:20261101T000000Z
DTSTART;VALUE=DATE-TIME:20261102T180000Z
DTEND;VALUE=DATE-TIME:20261103T060000Z
SUMMARY:ben@example.com (Support_schedule)
UID:1b@opsgenie.com
END:VEVENT
END:VCALENDAR
"""

GOOGLE = """BEGIN:VCALENDAR
PRODID:-//Google Inc//Google Calendar 70.9054//EN
VERSION:2.0
CALSCALE:GREGORIAN
METHOD:PUBLISH
X-WR-CALNAME:Support on call
X-WR-TIMEZONE:Europe/Paris
BEGIN:VTIMEZONE
TZID:Europe/Paris
X-LIC-LOCATION:Europe/Paris
BEGIN:DAYLIGHT
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
TZNAME:CEST
DTSTART:19700329T020000
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU
END:DAYLIGHT
BEGIN:STANDARD
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
TZNAME:CET
DTSTART:19701025T030000
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU
END:STANDARD
END:VTIMEZONE
BEGIN:VEVENT
DTSTART;TZID=Europe/Paris:20261019T180000
DTEND;TZID=Europe/Paris:20261020T090000
RRULE:FREQ=WEEKLY;WKST=MO;UNTIL=20261130T225959Z;BYDAY=MO,SU
EXDATE;TZID=Europe/Paris:20261101T180000
DTSTAMP:20261001T120000Z
UID:4lg@google.com
SEQUENCE:1
STATUS:CONFIRMED
SUMMARY:Ana
TRANSP:OPAQUE
END:VEVENT
BEGIN:VEVENT
DTSTART;TZID=Europe/Paris:20261103T180000
DTEND;TZID=Europe/Paris:20261104T090000
DTSTAMP:20261001T120000Z
UID:4lg@google.com
RECURRENCE-ID;TZID=Europe/Paris:20261102T180000
SEQUENCE:2
STATUS:CONFIRMED
SUMMARY:Ben
TRANSP:OPAQUE
END:VEVENT
BEGIN:VEVENT
DTSTART;VALUE=DATE:20261105
DTEND;VALUE=DATE:20261106
DTSTAMP:20261001T120000Z
UID:holiday@google.com
SUMMARY:Bank holiday
TRANSP:TRANSPARENT
END:VEVENT
END:VCALENDAR
"""

OUTLOOK = """BEGIN:VCALENDAR
PRODID:-//Microsoft Corporation//Outlook 16.0 MIMEDIR//EN
VERSION:2.0
METHOD:PUBLISH
BEGIN:VTIMEZONE
TZID:W. Europe Standard Time
BEGIN:STANDARD
DTSTART:16011028T030000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:16010325T020000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
END:DAYLIGHT
END:VTIMEZONE
BEGIN:VEVENT
DTSTAMP:20261001T120000Z
DTSTART;TZID="W. Europe Standard Time":20261023T220000
DTEND;TZID="W. Europe Standard Time":20261024T060000
RRULE:FREQ=DAILY;COUNT=4
SUMMARY;LANGUAGE=de:On-Call: Ana
UID:040000008200E00074C5B7101A82E008
X-MICROSOFT-CDO-BUSYSTATUS:BUSY
END:VEVENT
END:VCALENDAR
"""


def shifts(text: str, since: str, until: str, zone: str = "Europe/Paris") -> list[tuple[str, str, str]]:
    """As ``11-02 08:00``, in UTC."""
    rota = Rota(text.replace("\n", "\r\n").encode())
    span = [from_datetime(datetime.fromisoformat(at).replace(tzinfo=UTC)) for at in (since, until)]
    return [(_said(begin), _said(end), who) for begin, end, who in rota.shifts(span[0], span[1], zone)]


def _said(at_us: int) -> str:
    return to_datetime(at_us).strftime("%m-%d %H:%M")


def event(*lines: str, name: str = "Ana") -> str:
    return "\n".join(["BEGIN:VEVENT", "UID:1", "DTSTAMP:20260101T000000Z", f"SUMMARY:{name}", *lines, "END:VEVENT"])


def calendar(*events: str) -> str:
    return "\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:x", *events, "END:VCALENDAR", ""])


def begins(
    text: str, since: str = "2026-01-01", until: str = "2027-01-01", zone: str = "Europe/Paris"
) -> Sequence[str]:
    return [begin for begin, _, _ in shifts(text, since, until, zone)]


def test_an_export_of_pagerduty() -> None:
    assert shifts(PAGERDUTY, "2026-11-01", "2026-12-01") == [
        ("11-02 08:00", "11-09 08:00", "jean-luc-picard"),
        ("11-09 08:00", "11-16 08:00", "ben-sisko"),
    ]


def test_an_export_of_opsgenie() -> None:
    assert shifts(OPSGENIE, "2026-11-01", "2026-12-01") == [
        ("11-02 06:00", "11-02 18:00", "ana-lopez"),
        ("11-02 18:00", "11-03 06:00", "ben"),
    ]


def test_an_export_of_google_calendar_over_a_change_of_clocks() -> None:
    assert shifts(GOOGLE, "2026-10-01", "2026-12-31") == [
        ("10-19 16:00", "10-20 07:00", "ana"),
        ("10-25 17:00", "10-26 08:00", "ana"),  # clocks went back that morning: 18:00 is an hour later in UTC
        ("10-26 17:00", "10-27 08:00", "ana"),
        ("11-03 17:00", "11-04 08:00", "ben"),  # that of 2 November, moved and given to Ben; 1 November is left out
        ("11-08 17:00", "11-09 08:00", "ana"),
        ("11-09 17:00", "11-10 08:00", "ana"),
        ("11-15 17:00", "11-16 08:00", "ana"),
        ("11-16 17:00", "11-17 08:00", "ana"),
        ("11-22 17:00", "11-23 08:00", "ana"),
        ("11-23 17:00", "11-24 08:00", "ana"),
        ("11-29 17:00", "11-30 08:00", "ana"),
        ("11-30 17:00", "12-01 08:00", "ana"),  # UNTIL is in UTC
    ]


def test_an_export_of_outlook_with_a_zone_of_its_own_and_a_night_in_which_clocks_change() -> None:
    assert shifts(OUTLOOK, "2026-10-01", "2026-12-01") == [
        ("10-23 20:00", "10-24 04:00", "ana"),
        ("10-24 20:00", "10-25 05:00", "ana"),  # nine hours, from 22:00 to 06:00 by the wall clock: no gap
        ("10-25 21:00", "10-26 05:00", "ana"),
        ("10-26 21:00", "10-27 05:00", "ana"),
    ]


def test_times_without_a_zone_and_days_are_those_of_the_schedule() -> None:
    floating = calendar(event("DTSTART:20260701T090000", "DTEND:20260701T170000"))
    assert shifts(floating, "2026-01-01", "2027-01-01", "America/New_York") == [("07-01 13:00", "07-01 21:00", "ana")]
    days = calendar(event("DTSTART;VALUE=DATE:20260328", "RRULE:FREQ=DAILY;COUNT=3"))
    assert shifts(days, "2026-01-01", "2027-01-01") == [
        ("03-27 23:00", "03-28 23:00", "ana"),
        ("03-28 23:00", "03-29 22:00", "ana"),  # 23 hours
        ("03-29 22:00", "03-30 22:00", "ana"),
    ]


def test_a_begin_that_summer_time_leaves_out_comes_as_much_later() -> None:
    night = calendar(
        event("DTSTART;TZID=Europe/Paris:20260328T023000", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=3"),
    )
    assert begins(night) == ["03-28 01:30", "03-29 01:30", "03-30 00:30"]


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ("FREQ=WEEKLY;COUNT=3", ["11-02 08:00", "11-09 08:00", "11-16 08:00"]),
        ("FREQ=WEEKLY;INTERVAL=2;COUNT=2", ["11-02 08:00", "11-16 08:00"]),
        ("FREQ=WEEKLY;UNTIL=20261109T080000Z", ["11-02 08:00", "11-09 08:00"]),
        ("FREQ=WEEKLY;UNTIL=20261109T075959Z", ["11-02 08:00"]),
        ("FREQ=WEEKLY;UNTIL=20261109", ["11-02 08:00", "11-09 08:00"]),
        ("FREQ=MONTHLY;BYDAY=-1FR;UNTIL=20261231", ["11-02 08:00", "11-27 08:00", "12-25 08:00"]),
        ("FREQ=MONTHLY;BYDAY=-1FR;COUNT=2", ["11-02 08:00", "11-27 08:00"]),
        ("FREQ=WEEKLY;BYDAY=MO,TH;COUNT=3", ["11-02 08:00", "11-05 08:00", "11-09 08:00"]),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;COUNT=2", ["11-02 08:00", "11-30 08:00"]),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", ["11-02 08:00"]),
    ],
)
def test_rules_of_recurrence(rule: str, found: list[str]) -> None:
    text = calendar(event("DTSTART;TZID=Europe/Paris:20261102T090000", "DURATION:PT8H", f"RRULE:{rule}"))
    assert begins(text) == found


def test_extra_dates_exceptions_and_cancelled_ones() -> None:
    text = calendar(
        event(
            "DTSTART;TZID=Europe/Paris:20261102T090000",
            "DURATION:PT8H",
            "RRULE:FREQ=DAILY;COUNT=6",
            "RDATE;TZID=Europe/Paris:20261120T090000",
            "EXDATE:20261103T080000Z",
            "EXDATE;VALUE=DATE:20261104",
        ),
        event(
            "RECURRENCE-ID:20261105T080000Z",
            "DTSTART:20261105T080000Z",
            "DTEND:20261105T100000Z",
            "STATUS:CANCELLED",
        ),
    )
    assert begins(text) == ["11-02 08:00", "11-06 08:00", "11-07 08:00", "11-20 08:00"]


def test_from_one_occurrence_on_everything_may_be_another() -> None:
    text = calendar(
        event("DTSTART;TZID=Europe/Paris:20261102T090000", "DURATION:PT8H", "RRULE:FREQ=WEEKLY;COUNT=4"),
        event(
            "RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Paris:20261116T090000",
            "DTSTART;TZID=Europe/Paris:20261117T100000",
            "DURATION:PT2H",
            name="Ben",
        ),
    )
    assert shifts(text, "2026-11-01", "2026-12-31") == [
        ("11-02 08:00", "11-02 16:00", "ana"),
        ("11-09 08:00", "11-09 16:00", "ana"),
        ("11-17 09:00", "11-17 11:00", "ben"),
        ("11-24 09:00", "11-24 11:00", "ben"),
    ]


def test_of_two_versions_of_an_exception_the_later_counts_and_one_without_its_series_stands_alone() -> None:
    first = event(
        "RECURRENCE-ID:20261109T080000Z", "DTSTART:20261110T080000Z", "DTEND:20261110T090000Z", "SEQUENCE:5", name="Ben"
    )
    older = event(
        "RECURRENCE-ID:20261109T080000Z", "DTSTART:20261112T080000Z", "DTEND:20261112T090000Z", "SEQUENCE:4", name="Zoe"
    )
    assert shifts(calendar(first, older), "2026-11-01", "2026-12-01") == [("11-10 08:00", "11-10 09:00", "ben")]


def test_a_long_shift_is_found_from_any_part_of_it() -> None:
    text = calendar(event("DTSTART:20260105T080000Z", "DURATION:P7D", "RRULE:FREQ=WEEKLY"))
    assert shifts(text, "2026-11-04T10:00", "2026-11-04T11:00") == [("11-02 08:00", "11-09 08:00", "ana")]
    assert len(shifts(text, "2026-11-02T07:00", "2026-11-02T09:00")) == 2


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        calendar(event("DTSTART:20261102T090000Z", "RRULE:FREQ=SECONDLY")),
        calendar(event("DTSTART:20261102T090000Z", "RRULE:FREQ=NEVER")),
        calendar(event("DTSTART:20261302T090000Z")),
    ],
)
def test_what_is_no_calendar_is_refused(text: str) -> None:
    with pytest.raises(RotaInvalid):
        Rota(text.replace("\n", "\r\n").encode())


def test_a_summary_in_an_encoding_of_yesterday_is_refused_and_not_a_bug() -> None:
    with pytest.raises(RotaInvalid):
        Rota(b"\xff\xfe\x00BEGIN:VCALENDAR")
