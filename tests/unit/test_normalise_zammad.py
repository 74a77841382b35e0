"""Zammad webhooks to canonical events. Bodies, triggers' names and the events lie in fixtures/webhooks/zammad."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import UNSET

from schemas.failure import Reason
from schemas.ticket import ActorKind, Assignment, Kind
from services.ingest.normalise import options_problem
from tests.support.webhooks import Webhooks

ZAMMAD = Webhooks("zammad")


def changed(name: str, **values: Any) -> Any:
    return ZAMMAD.with_changes(name, {way.replace("__", "."): value for way, value in values.items()})


@pytest.mark.parametrize("name", ZAMMAD.names())
def test_a_webhook_becomes_the_events_beside_it(name: str) -> None:
    ZAMMAD.check(name)


def test_no_text_and_no_name_or_address_of_a_person_is_in_any_event() -> None:
    for name in ZAMMAD.names():
        written = ZAMMAD.written(name).lower()
        assert not any(text in written for text in (b"casey", b"robin", b"example", b"invoice", b"customer ltd"))


def test_several_triggers_on_one_change_tell_each_thing_once() -> None:
    closed = ZAMMAD.event(ZAMMAD.body("closed"), {"x-zammad-trigger": "closed"})
    again = ZAMMAD.event(ZAMMAD.body("closed"), {"x-zammad-trigger": "status_changed"})
    assert closed.event_id == again.event_id
    message, updated = ZAMMAD.events(ZAMMAD.body("reply_agent"))
    other_message, other_updated = ZAMMAD.events(ZAMMAD.body("reply_agent"), {"x-zammad-trigger": "anything"})
    assert (message.event_id, updated.event_id) == (other_message.event_id, other_updated.event_id)


def test_an_article_is_one_message_however_the_ticket_went_on() -> None:
    message, _ = ZAMMAD.events(ZAMMAD.body("reply_agent"))
    later, updated = ZAMMAD.events(
        changed("reply_agent", ticket__state="closed", ticket__updated_at="2026-03-02T09:00:00Z")
    )
    assert later == message
    assert (message.ticket.status, updated.ticket.status) == (UNSET, "closed")


def test_a_ticket_that_is_told_late_was_not_created_as_what_it_has_become() -> None:
    created, message, updated = ZAMMAD.events(ZAMMAD.body("created_sent_late"), {"x-zammad-trigger": "created"})
    assert (created.ticket.status, updated.ticket.status) == (UNSET, "closed")
    assert [one.sequence for one in (created, message, updated)] == [0, 1, 2]
    first, _ = ZAMMAD.events(ZAMMAD.body("created"))
    assert created.event_id == first.event_id


def test_only_the_first_article_opens_a_ticket() -> None:
    opening = [one.message.opening for one in ZAMMAD.events(ZAMMAD.body("created")) if one.message]
    later = [one.message.opening for one in ZAMMAD.events(ZAMMAD.body("reply_customer")) if one.message]
    assert (opening, later) == ([True], [False])


def test_a_change_without_an_article_is_no_creation_though_there_is_one_article() -> None:
    body = changed("other_trigger", ticket__article_count=1, ticket__article_ids=[104])
    assert ZAMMAD.event(body).kind is Kind.UPDATED


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("updated", Kind.UPDATED),
        ("Closed", Kind.STATUS_CHANGED),
        (" reopened ", Kind.STATUS_CHANGED),
        ("priority_changed", Kind.PRIORITY_CHANGED),
        ("assignment_changed", Kind.ASSIGNMENT_CHANGED),
        ("Bei Schließung", Kind.STATUS_CHANGED),
        ("some other name", Kind.UPDATED),
    ],
)
def test_a_trigger_is_known_by_its_name_or_by_what_the_site_says(name: str, kind: Kind) -> None:
    found = ZAMMAD.event(
        ZAMMAD.body("other_trigger"), {"x-zammad-trigger": name}, triggers={"bei schließung": "closed"}
    )
    assert found.kind is kind


@pytest.mark.parametrize(
    ("sender", "kind"), [("Agent", ActorKind.AGENT), ("CUSTOMER", ActorKind.CUSTOMER), ("System", ActorKind.SYSTEM)]
)
def test_the_articles_sender_says_who_wrote(sender: str, kind: ActorKind) -> None:
    message, _ = ZAMMAD.events(changed("reply_agent", article__sender=sender))
    assert message.message is not None
    assert message.message.author is kind


def test_what_an_agent_notes_down_for_a_customer_is_the_customers() -> None:
    message, updated = ZAMMAD.events(changed("reply_customer", article__created_by_id=5, article__type="phone"))
    assert message.actor is not None
    assert (message.actor.kind, message.actor.id) == (ActorKind.CUSTOMER, updated.ticket.requester)


def test_an_agent_that_is_configured_as_a_bot_writes_as_one() -> None:
    message, _ = ZAMMAD.events(ZAMMAD.body("reply_agent"), bots=["5"])
    assert message.message is not None
    assert message.message.author is ActorKind.BOT


def test_user_one_is_nobody() -> None:
    found = ZAMMAD.event(ZAMMAD.body("reassigned"), {"x-zammad-trigger": "assignment_changed"})
    assert found.assignment == Assignment(agent=None, team="Billing")


@pytest.mark.parametrize(
    ("value", "priority"),
    [
        ({"name": "2 normal"}, "normal"),
        ("3 High", "high"),
        ({"name": "4 very high"}, "urgent"),
        ({"name": "low"}, "low"),
    ],
)
def test_the_number_before_a_priority_only_sorts_it(value: object, priority: str) -> None:
    body = changed("other_trigger", ticket__priority=value)
    assert ZAMMAD.event(body, priorities={"4 very high": "urgent"}).ticket.priority == priority


@pytest.mark.parametrize(
    ("state", "status"),
    [("new", "new"), ({"name": "Open"}, "open"), ("pending close", "pending"), ("Beim Hersteller", "on_hold")],
)
def test_states_are_zammads_or_the_sites_own(state: object, status: str) -> None:
    body = changed("other_trigger", ticket__state=state)
    assert ZAMMAD.event(body, statuses={"beim hersteller": "on_hold"}).ticket.status == status


@pytest.mark.parametrize("state", ["merged", "removed"])
def test_a_ticket_that_is_none_any_more_counts_as_deleted(state: str) -> None:
    assert ZAMMAD.event(changed("reply_agent", ticket__state=state)).kind is Kind.DELETED


def test_tiers_come_from_tags_and_from_the_mark_of_a_vip() -> None:
    body = ZAMMAD.body("other_trigger")
    assert ZAMMAD.event(body).ticket.tier is UNSET
    assert ZAMMAD.event(body, tiers={"vip": "gold"}).ticket.tier == "gold"
    assert ZAMMAD.event(body, vip_tier="vip").ticket.tier == "vip"
    assert ZAMMAD.event(changed("other_trigger", ticket__organization=None), vip_tier="vip").ticket.tier is None


@pytest.mark.parametrize(
    ("body", "reason", "named"),
    [
        ({"ticket": "a title", "message": "created"}, Reason.UNSUPPORTED_FORMAT, "Custom Payload"),
        ({"ticket": {"id": 1}, "article": []}, Reason.UNSUPPORTED_FORMAT, "Custom Payload"),
        ({}, Reason.UNSUPPORTED_FORMAT, "connect-zammad.md"),
        (changed("reply_agent", ticket__id=...), Reason.MISSING_FIELD, "ticket.id"),
        (changed("reply_agent", ticket__updated_at=...), Reason.MISSING_FIELD, "ticket.updated_at"),
        (changed("created", ticket__created_at=...), Reason.MISSING_FIELD, "ticket.created_at"),
        (changed("reply_agent", ticket__state="lost"), Reason.BAD_VALUE, "options.statuses"),
        (changed("reply_agent", ticket__priority={"name": "9 maybe"}), Reason.BAD_VALUE, "options.priorities"),
        (changed("reply_agent", article__id=...), Reason.MISSING_FIELD, "article.id"),
        (changed("reply_agent", article__sender="Somebody"), Reason.BAD_VALUE, "article.sender"),
        (changed("reply_agent", article__internal=...), Reason.MISSING_FIELD, "article.internal"),
        (changed("reply_agent", article__created_at="2026-03-02"), Reason.BAD_VALUE, "article.created_at"),
        ([], Reason.NOT_AN_EVENT, "object"),
        (b"{", Reason.NOT_JSON, "JSON"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_the_field_to_look_at(body: Any, reason: Reason, named: str) -> None:
    failure = ZAMMAD.refusal(body)
    assert (failure.reason, named in failure.detail) == (reason, True), failure


def test_wrong_options_are_told() -> None:
    assert options_problem("zammad", {"triggers": {"On close": "closed"}, "vip_tier": "vip"}) is None
    assert "triggers" in str(options_problem("zammad", {"triggers": {"On close": "exploded"}}))
