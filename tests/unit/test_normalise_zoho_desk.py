"""Zoho Desk's arrays to canonical events.

Bodies and the events they must become lie in fixtures/webhooks/zoho_desk.
"""

from __future__ import annotations

from typing import Any

import pytest

from schemas.failure import Reason
from schemas.ticket import ActorKind, Kind
from services.ingest.normalise import options_problem
from services.ingest.normalise.batch import PartlyInvalid
from tests.support.webhooks import Webhooks

ZOHO = Webhooks("zoho_desk")


@pytest.mark.parametrize("name", ZOHO.names())
def test_a_webhook_becomes_the_events_beside_it(name: str) -> None:
    ZOHO.check(name)


def test_no_text_and_no_name_or_address_of_a_person_is_in_any_event() -> None:
    for name in ZOHO.names():
        written = ZOHO.written(name).lower()
        assert not any(text in written for text in (b"casey", b"robin", b"example.com", b"about an", b"fast", b"+1555"))


def changed(name: str = "updated", /, **fields: Any) -> list[dict[str, Any]]:
    return list(ZOHO.with_changes(name, {f"0.{key.replace('__', '.')}": value for key, value in fields.items()}))


def test_one_event_sent_twice_has_the_same_ids_and_the_next_has_others() -> None:
    first = {event.event_id for event in ZOHO.events(changed())}
    assert len(first) == 3
    assert {event.event_id for event in ZOHO.events(changed())} == first
    assert not {event.event_id for event in ZOHO.events(changed(eventTime="1772442000781"))} & first
    assert not {event.event_id for event in ZOHO.events(changed(orgId="700901"))} & first


def test_a_time_may_be_a_number_too() -> None:
    assert ZOHO.events(changed(eventTime=1772442000780)) == ZOHO.events(changed())


def test_an_own_status_counts_by_its_type_unless_the_site_gives_it_a_meaning() -> None:
    body = changed("updated_without_prev_state")
    assert ZOHO.event(body).ticket.status == "on_hold"
    assert ZOHO.event(body, statuses={"Waiting on Warehouse": "pending"}).ticket.status == "pending"


def test_an_agent_that_is_configured_as_a_bot_writes_as_one() -> None:
    found = ZOHO.event(changed("thread_out"), bots=["41000000000125009"]).message
    assert found is not None
    assert found.author is ActorKind.BOT


@pytest.mark.parametrize("kind", ["Contact_Add", "Ticket_Approval_Add", "Ticket_Attachment_Add", "Task_Update"])
def test_what_no_number_is_made_of_is_accepted_and_says_nothing(kind: str) -> None:
    assert ZOHO.events(changed(eventType=kind)) == []


def test_an_item_that_cannot_be_read_does_not_cost_the_others() -> None:
    with pytest.raises(PartlyInvalid) as caught:
        ZOHO.events([*changed("added"), *changed("thread_in", payload__direction=...)])
    assert [event.kind for event in caught.value.events] == [Kind.CREATED]
    assert caught.value.detail.startswith("item 1: payload.direction")


def test_wrong_options_are_told_with_their_place() -> None:
    assert options_problem("zoho_desk", {"statuses": {"Parked": "on_hold"}, "bots": ["1"]}) is None
    assert "statuses" in str(options_problem("zoho_desk", {"statuses": {"Parked": "parked"}}))


@pytest.mark.parametrize(
    ("body", "reason", "named"),
    [
        ({}, Reason.UNSUPPORTED_FORMAT, "workflow rules"),
        (["x"], Reason.NOT_AN_EVENT, "item 0"),
        (changed(eventType=...), Reason.MISSING_FIELD, "eventType"),
        (changed(eventType="Ticket_Explode"), Reason.UNKNOWN_TYPE, "eventType"),
        (changed(eventTime=...), Reason.MISSING_FIELD, "eventTime"),
        (changed(eventTime="soon"), Reason.BAD_VALUE, "eventTime"),
        (changed(payload=...), Reason.MISSING_FIELD, "payload"),
        (changed(payload__id=...), Reason.MISSING_FIELD, "payload.id"),
        (changed(payload__status="Parked", payload__statusType=...), Reason.BAD_VALUE, "options.statuses"),
        (changed(payload__priority="P1"), Reason.BAD_VALUE, "options.priorities"),
        (changed("thread_in", payload__ticketId=...), Reason.MISSING_FIELD, "payload.ticketId"),
        (changed("comment_private", payload__isPublic=...), Reason.MISSING_FIELD, "payload.isPublic"),
        (b"", Reason.NOT_JSON, "JSON"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_the_field_to_look_at(body: Any, reason: Reason, named: str) -> None:
    failure = ZOHO.refusal(body)
    assert (failure.reason, named in failure.detail) == (reason, True), failure
