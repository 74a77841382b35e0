"""ServiceNow business rules to canonical events.

Bodies and the events they must become lie in fixtures/webhooks/servicenow.
"""

from __future__ import annotations

from typing import Any

import pytest

from schemas.failure import Reason
from schemas.ticket import ActorKind
from services.ingest.normalise import options_problem
from tests.support.webhooks import Webhooks

SERVICENOW = Webhooks("servicenow")


@pytest.mark.parametrize("name", SERVICENOW.names())
def test_a_webhook_becomes_the_events_beside_it(name: str) -> None:
    SERVICENOW.check(name)


def test_no_text_and_no_name_or_address_of_a_person_is_in_any_event() -> None:
    for name in SERVICENOW.names():
        written = SERVICENOW.written(name).lower()
        assert not any(text in written for text in (b"casey", b"robin", b"example.com", b"about an", b"fast", b"+1555"))


def changed(name: str = "updated", /, **fields: Any) -> dict[str, Any]:
    return dict(SERVICENOW.with_changes(name, {key.replace("__", "."): value for key, value in fields.items()}))


def test_one_update_sent_twice_is_the_same_events_and_the_next_are_others() -> None:
    first = [event.event_id for event in SERVICENOW.events(changed())]
    assert len(set(first)) == 2
    assert [event.event_id for event in SERVICENOW.events(changed())] == first
    later = changed(event_id="a1b2c3d4e5f60718293a4b5c6d7e8f90:13", sys_mod_count="13")
    assert not {event.event_id for event in SERVICENOW.events(later)} & set(first)


def test_a_body_without_event_id_is_identified_by_the_count_of_changes() -> None:
    assert SERVICENOW.events(changed(event_id=...)) == SERVICENOW.events(changed())


@pytest.mark.parametrize(
    ("user", "is_agent", "kind"),
    [
        ("c1", "true", ActorKind.CUSTOMER),
        ("u9", "true", ActorKind.AGENT),
        ("u9", True, ActorKind.AGENT),
        ("u9", "false", ActorKind.CUSTOMER),
        ("bot", "true", ActorKind.BOT),
    ],
)
def test_who_acted_is_told_by_ids_and_roles(user: str, is_agent: object, kind: ActorKind) -> None:
    found = SERVICENOW.events(changed(user_id=user, user_is_agent=is_agent), bots=["bot"])[0]
    assert found.actor is not None
    assert found.actor.kind is kind


def test_who_acted_is_not_guessed_from_a_name() -> None:
    assert SERVICENOW.events(changed(user_id=...))[0].actor is None
    system = SERVICENOW.events(changed(user_id=..., sys_updated_by="system"))[0].actor
    assert system is not None
    assert system.kind is ActorKind.SYSTEM


def test_times_are_utc_unless_the_site_says_otherwise() -> None:
    utc, paris = (SERVICENOW.events(changed(), **options)[0] for options in ({}, {"timezone": "Europe/Paris"}))
    assert (utc.occurred_at - paris.occurred_at).total_seconds() == 3600


def test_own_tables_and_codes_are_configured() -> None:
    body = changed(table="u_request", current__state="-5", previous__state="1")
    found = SERVICENOW.events(body, states={"u_request": {"-5": "pending", "1": "new"}})[0]
    assert found.ticket.status == "pending"
    assert "options.states" in SERVICENOW.refusal(body).detail
    assert SERVICENOW.events(changed(current__priority="6"), priorities={"6": "low"})[1].ticket.priority == "low"


def test_a_comment_right_at_the_start_is_the_opening_one() -> None:
    found = SERVICENOW.event(changed("comment_caller", sys_created_on="2026-03-02 08:00:01")).message
    assert found is not None
    assert found.opening


def test_wrong_options_are_told_with_their_place() -> None:
    assert options_problem("servicenow", {"timezone": "Asia/Tokyo", "states": {"t": {"1": "new"}}}) is None
    assert "timezone" in str(options_problem("servicenow", {"timezone": "Mars/Olympus"}))


@pytest.mark.parametrize(
    ("body", "reason", "named"),
    [
        ([], Reason.NOT_AN_EVENT, "object"),
        ({"sysId": "1", "state": "1"}, Reason.UNSUPPORTED_FORMAT, "connect-servicenow.md"),
        (changed(event="exploded"), Reason.UNKNOWN_TYPE, "insert"),
        (changed(current=...), Reason.MISSING_FIELD, "current"),
        (changed(sys_id=...), Reason.MISSING_FIELD, "sys_id"),
        (changed(sys_updated_on=...), Reason.MISSING_FIELD, "sys_updated_on"),
        (changed(sys_updated_on="02/03/2026"), Reason.BAD_VALUE, "sys_updated_on"),
        (changed(event_id=..., sys_mod_count=...), Reason.MISSING_FIELD, "event_id"),
        (changed(current__state="77"), Reason.BAD_VALUE, "options.states"),
        (changed(current__priority="9"), Reason.BAD_VALUE, "options.priorities"),
        (changed(sys_id="${sys_id}"), Reason.UNRENDERED_TEMPLATE, "sys_id"),
        (changed("comment_agent", element="close_notes"), Reason.BAD_VALUE, "element"),
        (changed("comment_agent", user_id=...), Reason.MISSING_FIELD, "user_id"),
        (changed("comment_agent", event_id=...), Reason.MISSING_FIELD, "event_id"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_the_field_to_look_at(body: Any, reason: Reason, named: str) -> None:
    failure = SERVICENOW.refusal(body)
    assert (failure.reason, named in failure.detail) == (reason, True), failure
