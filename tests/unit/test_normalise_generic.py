"""The generic source: the canonical event itself, with errors that help whoever writes the sender."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest

from schemas.failure import Invalid, Reason
from schemas.instant import parse_rfc3339
from schemas.ticket import ActorKind, Kind, Status, TicketEvent
from services.ingest.delivery import Delivery, SourceSettings
from services.ingest.normalise import normalise

MINIMAL = {"kind": "ticket.created", "ticket_id": "T-1", "occurred_at": "2026-03-02T09:00:00Z"}
SETTINGS = SourceSettings(b"a key for tests")


def delivery(body: Any, headers: dict[str, str] | None = None) -> Delivery:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"webhook-id": "msg_1"} if headers is None else headers
    return Delivery("erp", "generic", headers, raw, parse_rfc3339("2026-03-02T09:00:01Z"))


def events(body: Any, headers: dict[str, str] | None = None) -> list[TicketEvent]:
    return normalise(delivery(body, headers), SETTINGS)


def event(headers: dict[str, str] | None = None, /, **fields: Any) -> TicketEvent:
    [found] = events({**MINIMAL, **fields}, headers)
    return found


def refusal(body: Any) -> Invalid:
    with pytest.raises(Invalid) as caught:
        events(body)
    return caught.value


def test_three_fields_are_enough_and_the_rest_is_ours() -> None:
    found = event()
    assert (found.source, found.vendor, found.kind, found.ticket_id) == ("erp", "generic", Kind.CREATED, "T-1")
    assert found.received_at == parse_rfc3339("2026-03-02T09:00:01Z")


def test_a_sender_cannot_speak_for_another_source_or_set_the_time_of_receipt() -> None:
    found = event(source="zendesk", vendor="zendesk", received_at="1999-01-01T00:00:00Z")
    assert (found.source, found.vendor, found.received_at.year) == ("erp", "generic", 2026)


def test_times_take_any_offset_and_nine_digits_and_ids_may_be_numbers() -> None:
    found = event(occurred_at="2026-03-02T10:00:00.123456789+01:00", ticket_id=17)
    assert (found.occurred_at, found.ticket_id) == (parse_rfc3339("2026-03-02T09:00:00.123456Z"), "17")


def test_a_uuid_is_kept_and_any_other_id_becomes_one_that_stays_the_same() -> None:
    own = "3f0e8a52-9c2a-4d0e-8c57-2f1c1f0d9a11"
    assert event(event_id=own.upper()).event_id == own
    assert (
        event(event_id="order-1").event_id == event(event_id="order-1").event_id != event(event_id="order-2").event_id
    )
    assert UUID(event(event_id="order-1").event_id).version == 5


def test_without_an_event_id_the_webhook_id_identifies_the_event_and_without_both_the_bytes() -> None:
    assert event().event_id == event(ticket_id="another").event_id
    assert event({"webhook-id": "msg_2"}).event_id != event().event_id
    assert event({}).event_id == event({}).event_id != event({}, ticket_id="another").event_id


def test_a_customer_is_replaced_by_a_pseudonym_wherever_it_is_named() -> None:
    found = event(actor={"kind": "customer", "id": "ann@example.com"}, ticket={"requester": "ann@example.com"})
    assert found.actor is not None
    assert found.actor.id == found.ticket.requester
    assert "ann@" not in str(found)


def test_an_agents_id_is_kept_since_numbers_are_told_by_agent() -> None:
    found = event(actor={"kind": "agent", "id": 17}, ticket={"agent": 17, "team": None})
    assert found.actor is not None
    assert (found.actor.id, found.ticket.agent, found.ticket.team) == ("17", "17", None)


def test_a_change_is_derived_from_what_the_event_says_about_the_ticket() -> None:
    status = event(kind="status.changed", ticket={"status": "pending"}).status
    priority = event(kind="priority.changed", ticket={"priority": None}).priority
    assignment = event(kind="assignment.changed", ticket={"team": "billing"}).assignment
    assert status is not None
    assert priority is not None
    assert assignment is not None
    assert (status.to, priority.to, assignment.team) == (Status.PENDING, None, "billing")


def test_what_the_sender_states_itself_is_not_derived() -> None:
    found = event(kind="status.changed", status={"to": "solved", "previous": "open"}, ticket={"status": "pending"})
    assert found.status is not None
    assert (found.status.to, found.status.previous) == (Status.SOLVED, Status.OPEN)


def test_the_author_of_a_message_is_who_acted_unless_said_otherwise() -> None:
    by_actor = event(kind="message.added", actor={"kind": "agent"}).message
    by_message = event(kind="message.added", actor={"kind": "agent"}, message={"author": "bot"}).message
    assert by_actor is not None
    assert by_message is not None
    assert (by_actor.author, by_message.author) == (ActorKind.AGENT, ActorKind.BOT)


def test_an_array_is_read_item_by_item_each_with_an_id_of_its_own() -> None:
    found = events([MINIMAL, {**MINIMAL, "ticket_id": "T-2"}, {**MINIMAL, "event_id": "mine"}])
    assert [one.ticket_id for one in found] == ["T-1", "T-2", "T-1"]
    assert len({one.event_id for one in found}) == 3
    assert events([]) == []


def test_what_is_unknown_is_left_out_and_texts_never_come_through() -> None:
    assert "hello" not in str(event(subject="hello", message_body="hello", ticket={"subject": "hello"}))


@pytest.mark.parametrize(
    ("body", "reason", "detail"),
    [
        ({**MINIMAL, "kind": None}, Reason.MISSING_FIELD, "kind is missing, for example status.changed"),
        ({**MINIMAL, "ticket_id": ""}, Reason.MISSING_FIELD, "ticket_id is missing, for example T-1001"),
        ({"kind": "ticket.created"}, Reason.MISSING_FIELD, "ticket_id is missing, for example T-1001"),
        ({**MINIMAL, "ticket_id": 0}, Reason.MISSING_FIELD, "ticket_id is missing"),
        ({**MINIMAL, "ticket_id": [1]}, Reason.BAD_VALUE, "ticket_id must be an id (text or a whole number)"),
        ({**MINIMAL, "kind": "ticket.exploded"}, Reason.UNKNOWN_TYPE, "kind is none of: ticket.created, "),
        ({**MINIMAL, "kind": ["x"]}, Reason.UNKNOWN_TYPE, "kind is none of: "),
        (
            {**MINIMAL, "occurred_at": "2026-03-02 09:00"},
            Reason.BAD_VALUE,
            "occurred_at must be a time with its offset from UTC, such as 2026-03-02T09:00:00Z",
        ),
        ({**MINIMAL, "occurred_at": 1772442000}, Reason.BAD_VALUE, "occurred_at must be a time"),
        ({**MINIMAL, "ticket": {"created_at": "soon"}}, Reason.BAD_VALUE, "ticket.created_at must be a time"),
        (
            {**MINIMAL, "ticket": {"status": "Waiting for Ann"}},
            Reason.BAD_VALUE,
            "ticket.status is none of: new, open, pending, on_hold, solved, closed",
        ),
        (
            {**MINIMAL, "kind": "priority.changed", "priority": {"to": "P1"}},
            Reason.BAD_VALUE,
            "priority.to is none of: low, normal, high, urgent",
        ),
        (
            {**MINIMAL, "actor": {"kind": "robot"}},
            Reason.BAD_VALUE,
            "actor.kind is none of: customer, agent, bot, system",
        ),
        ({**MINIMAL, "actor": {"id": "1"}}, Reason.MISSING_FIELD, "actor.kind is missing"),
        ({**MINIMAL, "ticket": {"tags": "a,b"}}, Reason.BAD_VALUE, "ticket.tags: expected `array`, got `str`"),
        ({**MINIMAL, "ticket": "T-1"}, Reason.BAD_VALUE, "ticket: expected `object`, got `str`"),
        (
            {**MINIMAL, "kind": "status.changed"},
            Reason.MISSING_FIELD,
            'status is missing, for example {"to": "pending"}',
        ),
        ({**MINIMAL, "kind": "priority.changed"}, Reason.MISSING_FIELD, "priority is missing"),
        ({**MINIMAL, "kind": "assignment.changed"}, Reason.MISSING_FIELD, "assignment is missing"),
        (
            {**MINIMAL, "kind": "message.added"},
            Reason.MISSING_FIELD,
            "message.author is missing: customer, agent, bot or",
        ),
        ({**MINIMAL, "kind": "message.added", "message": "hi"}, Reason.BAD_VALUE, "message: expected `object | null`"),
        ({**MINIMAL, "kind": "csat.received"}, Reason.MISSING_FIELD, "kind csat.received needs the object 'rating'"),
        (
            {**MINIMAL, "kind": "csat.received", "rating": {"score": 1, "best": 1, "worst": 1}},
            Reason.BAD_VALUE,
            "rating.best must be greater than rating.worst",
        ),
        ({**MINIMAL, "event_id": {}}, Reason.BAD_VALUE, "event_id must be an id"),
        ([MINIMAL, {**MINIMAL, "kind": "x"}], Reason.UNKNOWN_TYPE, "item 1: kind is none of"),
        ([MINIMAL, 1], Reason.NOT_AN_EVENT, "item 1: an event is a JSON object"),
        ([MINIMAL] * 1001, Reason.BAD_VALUE, "the array has more than 1000 events"),
        ("text", Reason.NOT_AN_EVENT, "send an event"),
        (b"{", Reason.NOT_JSON, "the body is not JSON"),
        (b'{"a": NaN}', Reason.NOT_JSON, "the body is not JSON"),
    ],
)
def test_a_refusal_names_the_field_and_what_would_be_right(body: Any, reason: Reason, detail: str) -> None:
    failure = refusal(body)
    assert failure.reason is reason
    assert failure.detail.startswith(detail), failure.detail
    assert "Ann" not in failure.detail
