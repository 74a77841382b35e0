"""Intercom notifications to canonical events. Bodies and their events lie in fixtures/webhooks/intercom.

Those named ``…_old`` are of the generation before API version 2.0.
"""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import UNSET

from schemas.failure import Reason
from schemas.ticket import ActorKind, Kind, Message, Visibility
from services.ingest.normalise import options_problem
from tests.support.webhooks import Webhooks

INTERCOM = Webhooks("intercom")
PART = "data.item.conversation_parts.conversation_parts.0"
TICKET_PART = "data.item.ticket_parts.ticket_parts.0"


def changed(name: str, **values: Any) -> Any:
    return INTERCOM.with_changes(name, {way.replace("__", "."): value for way, value in values.items()})


@pytest.mark.parametrize("name", INTERCOM.names())
def test_a_notification_becomes_the_events_beside_it(name: str) -> None:
    INTERCOM.check(name)


def test_no_text_and_no_name_or_address_of_a_person_is_in_any_event() -> None:
    for name in INTERCOM.names():
        written = INTERCOM.written(name).lower()
        assert not any(text in written for text in (b"casey", b"robin", b"example", b"invoice", b"64aa01", b"thanks"))


@pytest.mark.parametrize(("new", "old"), [("created", "created_old"), ("reply_agent", "reply_agent_old")])
def test_both_generations_tell_the_same(new: str, old: str) -> None:
    one, other = INTERCOM.event(INTERCOM.body(new)), INTERCOM.event(INTERCOM.body(old))
    assert (one.event_id, one.kind, one.occurred_at, one.actor, one.message) == (
        other.event_id,
        other.kind,
        other.occurred_at,
        other.actor,
        other.message,
    )
    assert (one.ticket.requester, one.ticket.agent) == (other.ticket.requester, other.ticket.agent)


def test_a_redelivery_is_the_same_event_and_another_workspaces_part_another() -> None:
    again = changed("reply_customer", delivery_attempts=2, created_at=1772442060, id="notif_again")
    first = INTERCOM.event(INTERCOM.body("reply_customer"))
    assert INTERCOM.event(again).event_id == first.event_id
    assert INTERCOM.event(changed("reply_customer", app_id="ws2")).event_id != first.event_id


def test_closed_and_resolved_and_state_updated_tell_of_one_change() -> None:
    closed, resolved = (INTERCOM.event(INTERCOM.body(name)) for name in ("ticket_closed", "ticket_resolved"))
    updated = INTERCOM.event({**INTERCOM.body("ticket_resolved"), "topic": "ticket.state.updated", "id": "notif_3"})
    assert len({closed.event_id, resolved.event_id, updated.event_id}) == 1


def test_an_assignment_under_two_topics_is_one() -> None:
    assigned = INTERCOM.event(INTERCOM.body("assigned_agent"))
    body = changed("opened_for_agent", **{f"{PART.replace('.', '__')}__part_type": "assignment"})
    again = [event for event in INTERCOM.events(body) if event.kind is Kind.ASSIGNMENT_CHANGED]
    assert [event.event_id for event in again] == [assigned.event_id]


def test_what_one_action_tells_is_ordered_as_it_happened() -> None:
    assert [(e.kind, e.sequence) for e in INTERCOM.events(INTERCOM.body("closed_with_words"))] == [
        (Kind.MESSAGE_ADDED, 0),
        (Kind.STATUS_CHANGED, 1),
    ]


@pytest.mark.parametrize("text", [None, "", "  "])
def test_a_close_without_words_is_no_message(text: str | None) -> None:
    body = INTERCOM.with_changes("closed_with_words", {f"{PART}.body": text})
    assert INTERCOM.event(body).kind is Kind.STATUS_CHANGED


@pytest.mark.parametrize(
    ("author", "kind"),
    [
        ("admin", ActorKind.AGENT),
        ("user", ActorKind.CUSTOMER),
        ("lead", ActorKind.CUSTOMER),
        ("contact", ActorKind.CUSTOMER),
        ("bot", ActorKind.BOT),
        ("team", ActorKind.SYSTEM),
    ],
)
def test_the_parts_author_says_who_wrote(author: str, kind: ActorKind) -> None:
    found = INTERCOM.event(INTERCOM.with_changes("reply_agent", {f"{PART}.author.type": author}))
    assert found.message == Message("551", Visibility.PUBLIC, kind)


def test_the_operator_is_a_bot_under_any_author() -> None:
    body = INTERCOM.with_changes("reply_bot", {f"{PART}.author.type": "admin"})
    assert INTERCOM.event(body).message == Message("551", author=ActorKind.BOT)


def test_a_teammate_that_is_configured_as_a_bot_writes_as_one() -> None:
    found = INTERCOM.event(INTERCOM.body("reply_agent"), bots=["7001"])
    assert found.message == Message("551", author=ActorKind.BOT)


def test_nobody_is_written_in_three_ways() -> None:
    for nobody in (None, 0, "0"):
        assert INTERCOM.event(changed("reply_agent", data__item__admin_assignee_id=nobody)).ticket.agent is None


def test_a_number_and_its_text_are_the_same_teammate() -> None:
    assert INTERCOM.event(changed("reply_agent", data__item__admin_assignee_id="7001")).ticket.agent == "7001"


def test_a_state_means_what_the_site_says() -> None:
    found = INTERCOM.event(INTERCOM.body("snoozed"), statuses={"Snoozed": "on_hold"})
    assert found.status is not None
    assert (found.status.to, found.ticket.status) == ("on_hold", "on_hold")


def test_a_tag_gives_the_tier_where_the_source_says_so() -> None:
    assert INTERCOM.event(INTERCOM.body("reply_agent"), tiers={"vip": "gold"}).ticket.tier == "gold"


def test_tags_without_names_state_nothing() -> None:
    body = changed("reply_agent", data__item__tags={"type": "tag.list", "tags": [{"type": "tag", "id": "9"}]})
    assert INTERCOM.event(body).ticket.tags is UNSET


def test_a_tag_that_nothing_added_is_no_event() -> None:
    assert INTERCOM.events(changed("tagged", data__item__tags_added={"tags": []})) == []


def test_the_part_of_a_rating_is_an_old_message_and_does_not_date_it() -> None:
    body = changed("rated", data__item__conversation_rating={"rating": 5})
    found = INTERCOM.event(body)
    assert found.occurred_at.timestamp() == 1772442000


@pytest.mark.parametrize("topic", ["contact.created", "user.deleted", "company.created", "ticket.attribute.updated"])
def test_what_no_number_is_made_of_is_accepted_and_says_nothing(topic: str) -> None:
    assert INTERCOM.events({**INTERCOM.body("ping"), "topic": topic}) == []


@pytest.mark.parametrize(
    ("body", "reason", "named"),
    [
        (changed("created", topic="conversation.exploded"), Reason.UNKNOWN_TYPE, "topic"),
        (changed("created", type="something"), Reason.UNSUPPORTED_FORMAT, "connect-intercom.md"),
        (changed("created", data=...), Reason.MISSING_FIELD, "data"),
        (changed("created", data__item__id=...), Reason.MISSING_FIELD, "data.item.id"),
        (changed("created", id=None), Reason.MISSING_FIELD, "id"),
        (changed("created", created_at="soon"), Reason.BAD_VALUE, "created_at"),
        (changed("created", data__item__state="lost"), Reason.BAD_VALUE, "options.statuses"),
        (changed("reply_agent", data__item__conversation_parts=...), Reason.MISSING_FIELD, "part"),
        (INTERCOM.with_changes("reply_agent", {f"{PART}.author": None}), Reason.MISSING_FIELD, "author"),
        (changed("prioritised", data__item__priority="P1"), Reason.BAD_VALUE, "priority"),
        (changed("rated", data__item__conversation_rating={"rating": 6}), Reason.BAD_VALUE, "rating"),
        (changed("rated", data__item__conversation_rating=None), Reason.BAD_VALUE, "rating"),
        (
            INTERCOM.with_changes("ticket_state", {f"{TICKET_PART}.ticket_state": "lost"}),
            Reason.BAD_VALUE,
            "ticket_state",
        ),
        ([], Reason.NOT_AN_EVENT, "object"),
        (b"{", Reason.NOT_JSON, "JSON"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_the_field_to_look_at(body: Any, reason: Reason, named: str) -> None:
    failure = INTERCOM.refusal(body)
    assert (failure.reason, named in failure.detail) == (reason, True), failure


def test_wrong_options_are_told() -> None:
    assert options_problem("intercom", {"statuses": {"snoozed": "on_hold"}, "bots": ["1"], "tiers": {}}) is None
    assert "statuses" in str(options_problem("intercom", {"statuses": {"snoozed": "asleep"}}))
