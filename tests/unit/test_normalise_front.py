"""Front's application and rule webhooks to canonical events.

Bodies and the events they must become lie in fixtures/webhooks/front.
"""

from __future__ import annotations

from typing import Any

import pytest

from schemas.failure import Reason
from schemas.ticket import ActorKind, Kind
from services.ingest.normalise import options_problem
from tests.support.webhooks import Webhooks

FRONT = Webhooks("front")


@pytest.mark.parametrize("name", FRONT.names())
def test_a_webhook_becomes_the_events_beside_it(name: str) -> None:
    FRONT.check(name)


def test_no_text_and_no_name_or_address_of_a_person_is_in_any_event() -> None:
    for name in FRONT.names():
        written = FRONT.written(name).lower()
        assert not any(text in written for text in (b"casey", b"robin", b"example.com", b"about an", b"fast", b"+1555"))


def changed(name: str = "reply", /, **fields: Any) -> dict[str, Any]:
    return dict(FRONT.with_changes(name, {key.replace("__", "."): value for key, value in fields.items()}))


def test_one_message_told_by_an_application_and_by_a_rule_is_one_event() -> None:
    application = FRONT.body("opened_by_customer")
    rule = application["payload"]
    assert FRONT.events(application) == FRONT.events(rule)


def test_a_comment_that_mentions_somebody_is_told_twice_and_is_one() -> None:
    comment = FRONT.body("comment")["payload"]
    mention = {**comment, "type": "mention", "id": "evt_1002", "emitted_at": 1772442000.9}
    assert FRONT.event(comment).event_id == FRONT.event(mention).event_id


def test_a_conversation_is_opened_once_however_many_messages_come_with_it() -> None:
    first = FRONT.events(changed("opened_by_customer"))
    second = FRONT.events(changed("opened_by_customer", payload__id="evt_7", payload__target__data__id="msg_99"))
    assert first[0].event_id == second[0].event_id
    assert first[1].event_id != second[1].event_id


def test_inboxes_get_the_names_of_teams() -> None:
    assert FRONT.event(changed("reply"), teams={"inb_9": "support"}).ticket.team == "support"
    assert FRONT.event(FRONT.body("moved"), teams={"inb_10": "billing"}).ticket.team == "billing"


def test_what_archived_and_snoozed_mean_is_configured() -> None:
    assert FRONT.event(FRONT.body("archived"), archived="closed").ticket.status == "closed"
    assert FRONT.event(FRONT.body("snoozed"), snoozed="on_hold").ticket.status == "on_hold"


def test_a_teammate_that_is_configured_as_a_bot_writes_as_one() -> None:
    found = FRONT.event(changed("reply"), bots=["tea_2"])
    assert found.message is not None
    assert found.message.author is ActorKind.BOT


def test_a_draft_says_nothing() -> None:
    assert FRONT.events(changed("reply", target__data__is_draft=True)) == []


def test_a_move_to_several_inboxes_says_nothing_of_a_team() -> None:
    inboxes = [{"id": "inb_1"}, {"id": "inb_2"}]
    assert FRONT.events(changed("moved", payload__target__data=inboxes)) == []


@pytest.mark.parametrize("kind", ["link_added", "message_delivery_failed"])
def test_what_no_number_is_made_of_is_accepted_and_says_nothing(kind: str) -> None:
    assert FRONT.events({"type": kind, "authorization": {"id": "cmp_1"}, "payload": {"type": kind}}) == []


def test_an_assignment_without_a_target_is_read_from_the_conversation() -> None:
    found = FRONT.event(changed("assigned", payload__target=...))
    assert found.kind is Kind.ASSIGNMENT_CHANGED
    assert found.ticket.agent == "tea_3"


def test_wrong_options_are_told_with_their_place() -> None:
    assert options_problem("front", {"teams": {"inb_1": "a"}, "archived": "closed", "bots": ["tea_1"]}) is None
    assert "archived" in str(options_problem("front", {"archived": "gone"}))


@pytest.mark.parametrize(
    ("body", "reason", "named"),
    [
        ([], Reason.NOT_AN_EVENT, "object"),
        ({}, Reason.UNSUPPORTED_FORMAT, "type"),
        (changed(type="exploded"), Reason.UNKNOWN_TYPE, "type"),
        (changed(conversation=...), Reason.UNSUPPORTED_FORMAT, "full event"),
        (changed(conversation__id=...), Reason.MISSING_FIELD, "conversation.id"),
        (changed(emitted_at=...), Reason.MISSING_FIELD, "emitted_at"),
        (changed(emitted_at="now"), Reason.BAD_VALUE, "emitted_at"),
        (changed(id=...), Reason.MISSING_FIELD, "id is missing"),
        (changed(target=...), Reason.UNSUPPORTED_FORMAT, "preview"),
        (changed(target__data__id=...), Reason.MISSING_FIELD, "target.data.id"),
        (changed("tagged", target=...), Reason.MISSING_FIELD, "target.data.name"),
        ({"type": "inbound_received", "authorization": {}}, Reason.MISSING_FIELD, "payload"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_the_field_to_look_at(body: Any, reason: Reason, named: str) -> None:
    failure = FRONT.refusal(body)
    assert (failure.reason, named in failure.detail) == (reason, True), failure
