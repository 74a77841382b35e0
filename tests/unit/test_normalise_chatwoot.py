"""Chatwoot webhooks to canonical events.

Bodies and the events they must become lie in fixtures/webhooks/chatwoot.
"""

from __future__ import annotations

from typing import Any

import pytest

from schemas.failure import Reason
from schemas.ticket import ActorKind
from services.ingest.normalise import options_problem
from tests.support.webhooks import Webhooks

CHATWOOT = Webhooks("chatwoot")


@pytest.mark.parametrize("name", CHATWOOT.names())
def test_a_webhook_becomes_the_events_beside_it(name: str) -> None:
    CHATWOOT.check(name)


def test_no_text_and_no_name_or_address_of_a_person_is_in_any_event() -> None:
    for name in CHATWOOT.names():
        written = CHATWOOT.written(name).lower()
        assert not any(text in written for text in (b"casey", b"robin", b"example.com", b"about an", b"fast", b"+1555"))


def changed(name: str = "incoming", /, **fields: Any) -> dict[str, Any]:
    return dict(CHATWOOT.with_changes(name, {key.replace("__", "."): value for key, value in fields.items()}))


def test_a_status_told_by_two_webhooks_is_one_event() -> None:
    told = CHATWOOT.event(changed("status_changed"))
    assert CHATWOOT.event(changed("status_changed_by_update")) == told


def test_a_change_to_the_same_value_is_no_event() -> None:
    same = [{"status": {"previous_value": "resolved", "current_value": "resolved"}}]
    assert CHATWOOT.events(changed("status_changed", changed_attributes=same)) == []
    labels = [{"label_list": {"previous_value": ["a"], "current_value": ["a"]}}]
    assert CHATWOOT.events(changed("labelled", changed_attributes=labels)) == []


def test_an_older_server_is_taken_by_the_time_of_receipt() -> None:
    found = CHATWOOT.event(changed("older_server"), headers={})
    assert found.occurred_at == found.received_at


def test_a_conversation_without_times_says_nothing_of_its_creation() -> None:
    found = CHATWOOT.event(changed(conversation__created_at=0))
    assert isinstance(found.ticket.created_at, type(found.ticket.tier))


@pytest.mark.parametrize(
    ("via", "channel"), [("Channel::Email", "email"), ("Channel::TwilioSms", "sms"), ("Channel::Telegram", "telegram")]
)
def test_channels_get_the_names_that_segments_use(via: str, channel: str) -> None:
    assert CHATWOOT.event(changed(conversation__channel=via)).ticket.channel == channel


def test_statuses_tiers_and_bots_are_configured() -> None:
    found = CHATWOOT.event(changed("snoozed"), statuses={"snoozed": "on_hold"}, tiers={"billing": "gold"})
    assert (found.ticket.status, found.ticket.tier) == ("on_hold", "gold")
    bot = CHATWOOT.event(changed("outgoing"), bots=["7"]).message
    assert bot is not None
    assert bot.author is ActorKind.BOT


def test_a_changed_answer_is_another_rating_and_a_repeated_one_is_not() -> None:
    way = "content_attributes__submitted_values__csat_survey_response__rating"
    first = CHATWOOT.event(changed("rated")).event_id
    assert CHATWOOT.event(changed("rated", updated_at="2026-03-02T08:59:30Z")).event_id == first
    assert CHATWOOT.event(changed("rated", **{way: 1})).event_id != first
    assert CHATWOOT.events(changed("rated", content_attributes={})) == []


@pytest.mark.parametrize("event", ["contact_created", "webwidget_triggered", "inbox_updated"])
def test_what_no_number_is_made_of_is_accepted_and_says_nothing(event: str) -> None:
    assert CHATWOOT.events({"event": event, "id": 1}) == []


def test_wrong_options_are_told_with_their_place() -> None:
    assert options_problem("chatwoot", {"statuses": {"pending": "new"}}) is None
    assert "statuses" in str(options_problem("chatwoot", {"statuses": {"pending": "queued"}}))


@pytest.mark.parametrize(
    ("body", "reason", "named"),
    [
        ([], Reason.NOT_AN_EVENT, "object"),
        ({}, Reason.UNSUPPORTED_FORMAT, "event"),
        (changed(event="exploded"), Reason.UNKNOWN_TYPE, "event"),
        (changed(conversation=...), Reason.MISSING_FIELD, "conversation"),
        (changed(conversation__id=...), Reason.MISSING_FIELD, "conversation.id"),
        (changed(id=...), Reason.MISSING_FIELD, "id is missing"),
        (changed(created_at=...), Reason.MISSING_FIELD, "created_at"),
        (changed(created_at="soon"), Reason.BAD_VALUE, "created_at"),
        (changed(message_type="telepathy"), Reason.BAD_VALUE, "message_type"),
        (changed(private="no"), Reason.BAD_VALUE, "private"),
        (changed("status_changed", status="asleep"), Reason.BAD_VALUE, "options.statuses"),
        (changed("status_changed", changed_attributes=["status"]), Reason.BAD_VALUE, "changed_attributes"),
        (changed("status_changed", changed_attributes=[{"status": 1}]), Reason.BAD_VALUE, "changed_attributes.status"),
        (
            changed("rated", content_attributes__submitted_values__csat_survey_response__rating=9),
            Reason.BAD_VALUE,
            "rating",
        ),
        (changed("created", id=...), Reason.MISSING_FIELD, "id is missing"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_the_field_to_look_at(body: Any, reason: Reason, named: str) -> None:
    failure = CHATWOOT.refusal(body)
    assert (failure.reason, named in failure.detail) == (reason, True), failure
