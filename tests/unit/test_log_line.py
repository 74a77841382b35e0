"""What `deskpulse up` shows of the services' logs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

from services.embedded.log_line import LONGEST_VALUE, Calm, as_json, human


def entry(**fields: object) -> str:
    return json.dumps({"time": "2026-03-02T09:30:15.123456Z", "service": "alerts", "level": "info", **fields})


def test_a_line_has_its_time_service_level_event_and_fields() -> None:
    line = entry(event="alert_transition", transition="breached", count=3, share=0.25, teams=["a", "b"])
    assert human(line, "alerts", zone=UTC) == (
        "09:30:15  alerts    info     alert transition  transition=breached count=3 share=0.25 teams=a,b"
    )


def test_the_time_is_of_the_readers_zone() -> None:
    told = human(entry(event="x_y"), "alerts", zone=timezone(timedelta(hours=2)))
    assert told is not None
    assert told.startswith("11:30:15  ")


def test_without_a_zone_the_time_is_of_this_machine() -> None:
    local = datetime.fromisoformat("2026-03-02T09:30:15+00:00").astimezone().strftime("%H:%M:%S")
    told = human(entry(event="x_y"), "alerts")
    assert told is not None
    assert told.startswith(local)


def test_debug_and_what_every_start_brings_are_left_out_but_never_as_a_warning() -> None:
    assert human(entry(event="anything", level="debug"), "alerts") is None
    assert human(entry(event="listening"), "ingest") is None
    assert human(entry(event="library_message", message="[^App]: Starting..."), "metrics") is None
    assert "trouble" in str(human(entry(event="library_message", level="warning", message="trouble"), "metrics"))


def test_an_exception_is_its_last_line() -> None:
    raised = 'Traceback (most recent call last):\n  File "x.py", line 1\nValueError: no such thing\n'
    told = human(entry(event="work_failed", level="error", exception=raised), "alerts", zone=UTC)
    assert told == "09:30:15  alerts    error    work failed  exception=ValueError: no such thing"


def test_a_value_that_would_fill_the_screen_is_cut_and_one_line_stays_one_line() -> None:
    told = human(entry(event="told", detail="a\nb " + "x" * 500), "alerts")
    assert told is not None
    assert "\n" not in told
    assert "detail=a b x" in told
    assert told.endswith("…")
    assert len(told.partition("detail=")[2]) == LONGEST_VALUE


def test_fields_that_say_nothing_are_left_out() -> None:
    told = human(entry(event="told", refused={}, names=[], why=None, text="", number=0), "alerts", zone=UTC)
    assert told == "09:30:15  alerts    info     told  number=0"


def test_what_is_not_a_log_line_is_shown_as_it_is_with_the_name_of_who_printed_it() -> None:
    assert human("Traceback (most recent call last):", "api") == (
        "          api       Traceback (most recent call last):"
    )
    assert human('{"no": "event"}', "api") == '          api       {"no": "event"}'
    assert human("   ", "api") is None


def test_colours_are_only_there_when_asked_for() -> None:
    line = entry(event="told", level="error")
    assert "\x1b" not in str(human(line, "alerts"))
    assert "\x1b[31merror" in str(human(line, "alerts", colour=True))


def test_json_lines_stay_what_they_are_and_others_become_one() -> None:
    line = entry(event="told")
    assert as_json(line, "alerts") is line
    assert json.loads(as_json("Killed", "redis")) == {
        "service": "redis",
        "level": "warning",
        "event": "output",
        "message": "Killed",
    }


class TestCalm:
    def test_the_first_few_of_a_flood_are_shown_and_the_rest_is_counted(self) -> None:
        calm, line = Calm(), entry(event="alert_transition")
        assert [calm.lets(line, "alerts", 0.1 * n)[0] for n in range(10)] == [True] * 3 + [False] * 7
        assert calm.lets(line, "alerts", 6.0) == (True, 7)
        assert calm.lets(line, "alerts", 20.0) == (True, 0)

    def test_another_event_or_service_is_no_part_of_the_flood(self) -> None:
        calm = Calm()
        for _ in range(9):
            calm.lets(entry(event="alert_transition"), "alerts", 0.0)
        assert calm.lets(entry(event="partition_taken"), "alerts", 0.0) == (True, 0)
        assert calm.lets(entry(event="alert_transition"), "metrics", 0.0) == (True, 0)

    def test_warnings_and_what_is_not_a_log_line_always_pass(self) -> None:
        calm, line = Calm(), entry(event="webhook_refused", level="warning")
        assert {calm.lets(line, "ingest", 0.0) for _ in range(50)} == {(True, 0)}
        assert {calm.lets("  File x", "ingest", 0.0) for _ in range(50)} == {(True, 0)}
