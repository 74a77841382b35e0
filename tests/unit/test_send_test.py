"""What send-test makes of a configuration before anything is sent, and of two answers of the API."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.instant import from_datetime, parse_rfc3339
from services.cli.send_test import prospect as told
from services.cli.send_test.step import State, Step, reached
from services.config.document import Document, parse
from services.fold.rules import compiled
from services.ingest.sample import samples
from services.ingest.source import ready

SATURDAY = parse_rfc3339("2026-03-07T12:00:00Z")
CONFIG = """
sources:
  zendesk: {vendor: zendesk, secrets: ["a-secret-that-nobody-guesses"]}
calendars:
  office: {timezone: UTC, weekly: {mon: [["09:00", "17:00"]], fri: [["09:00", "17:00"]]}}
sla_policies:
  - {name: office, calendar: office, targets: {first_response: {urgent: 4h, low: 1h}, resolution: {"*": 5d}}}
"""


def document(text: str = CONFIG, **more: Any) -> Document:
    return parse(text + "".join(f"{name}: {value}\n" for name, value in more.items()), {})


def maker(found: Document) -> tuple[Any, Any, Any]:
    return ready(found)["zendesk"], samples("zendesk", {})["event"], compiled(found)


def test_the_youngest_ticket_of_which_a_promise_is_broken_is_found_in_working_hours() -> None:
    found = told.broken(*maker(document()), SATURDAY)
    assert found is not None
    assert found.broken(from_datetime(SATURDAY)) == ["first_response of office"]
    age_h = (found.case.sent_us - found.case.opened_us) / 3.6e9
    assert 23 < age_h <= 25, "four hours of Friday, seen from Saturday noon, in steps of a day"


def test_a_ticket_of_a_minute_ago_breaks_nothing_and_what_is_never_promised_is_never_broken() -> None:
    fresh = told.prospect(*maker(document()), SATURDAY)
    assert fresh.broken(from_datetime(SATURDAY)) == []
    assert [timer.policy for timer in fresh.ticket.timers] == ["office", "office"]
    unmatched = CONFIG.replace("{name: office, calendar", "{name: office, match: {tier: [vip]}, calendar")
    assert told.broken(*maker(document(unmatched)), SATURDAY) is None


def test_the_segment_is_the_samples_own_where_tags_are_counted() -> None:
    ticket = told.prospect(*maker(document()), SATURDAY).ticket
    assert told.segment(document(segments='[["channel"]]'), ticket) == ("all", False)
    assert told.segment(document(segments='[["source"]]'), ticket) == ("source:zendesk", False)
    assert told.segment(document(segments='[["source"], ["tag"]]'), ticket) == ("tag:deskpulse-test", True)


@pytest.mark.parametrize(("age_s", "window"), [(60, "15m"), (800, "1h"), (86_000, "7d"), (90 * 86_400, "7d")])
def test_the_window_is_the_shortest_that_holds_the_opening(age_s: int, window: str) -> None:
    assert told.window(document(windows='["7d", "15m", "1h"]'), age_s * 1_000_000) == window


def test_numbers_that_differ_are_named_with_before_and_after() -> None:
    before = {"backlog": {"value": 3}, "tickets_created": {"count": 7}, "csat": {"ratio": None, "count": 0}}
    after = {"backlog": {"value": 4}, "tickets_created": {"count": 7}, "csat": {"ratio": 1.0, "count": 1}}
    assert told.moved(before, after) == {"backlog": (3, 4), "csat": (0, 1)}
    assert told.moved({}, {"backlog": {"value": 1}}) == {"backlog": (0, 1)}


def test_everything_is_reached_only_when_no_step_waits_or_failed() -> None:
    def steps(*states: State) -> list[Step]:
        return [Step("x", state, "") for state in states]

    assert reached(steps(State.OK, State.SKIPPED))
    assert not reached(steps(State.OK, State.WAITING))
    assert not reached(steps(State.PROBLEM))
