"""Freshdesk webhooks to canonical events. Bodies and the events they must become lie in fixtures/webhooks/freshdesk."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from schemas.failure import Reason
from schemas.instant import parse_rfc3339
from schemas.ticket import Attributes, Kind
from services.ingest.delivery import SourceSettings
from services.ingest.normalise import normalise, options_problem
from tests.support.webhooks import KEY, RECEIVED_AT, Webhooks

FRESHDESK = Webhooks("freshdesk")


def ours(name: str = "reply_agent", **fields: Any) -> dict[str, Any]:
    return dict(FRESHDESK.with_changes(name, fields))


@pytest.mark.parametrize("name", FRESHDESK.names())
def test_a_body_becomes_the_events_beside_it(name: str) -> None:
    FRESHDESK.check(name)


def test_no_text_and_no_name_or_address_of_a_person_is_in_any_event() -> None:
    for name in FRESHDESK.names():
        written = FRESHDESK.written(name).lower()
        assert not any(text in written for text in (b"casey", b"robin", b"example.com", b"about an", b"where is"))


def test_a_customer_is_the_same_in_both_kinds_of_body_and_however_the_address_is_spelt() -> None:
    mine, simple = FRESHDESK.event(ours()), FRESHDESK.event(FRESHDESK.body("simple_public_note"))
    assert mine.ticket.requester == simple.ticket.requester


def test_an_agent_gets_the_name_that_the_site_gives_or_its_own_id() -> None:
    assert FRESHDESK.event(ours(), agents={"Robin.Keller@Example.com": "rk"}).ticket.agent == "rk"
    assert FRESHDESK.event(ours(ticket_agent_id="5001")).ticket.agent == "5001"


def test_one_webhook_sent_twice_is_one_event_and_the_next_equal_reply_another() -> None:
    def received(after_s: int) -> str:
        delivery = FRESHDESK.delivery(ours(), received_at=RECEIVED_AT + timedelta(seconds=after_s))
        return normalise(delivery, SourceSettings(KEY))[0].event_id

    assert received(0) == received(30)
    assert received(0) != received(300)


@pytest.mark.parametrize(
    ("triggered", "kind"),
    [
        ("{ticket_action:created}", Kind.CREATED),
        ("{note_type:private}", Kind.MESSAGE_ADDED),
        ("{reply_sent:sent}", Kind.MESSAGE_ADDED),
        ("{{status:{from:2,to:4}}}", None),
        ("{STATUS:{from:2, to:4}}", Kind.STATUS_CHANGED),
        ("{responder_id:{from:nil,to:5001}}", Kind.ASSIGNMENT_CHANGED),
        ("{product_id:{from:1,to:2}}", Kind.UPDATED),
    ],
)
def test_without_a_constant_the_triggered_event_decides(triggered: str, kind: Kind | None) -> None:
    body = ours(event=..., triggered_event=triggered)
    if kind is None:
        assert FRESHDESK.refusal(body).reason is Reason.UNRENDERED_TEMPLATE
    else:
        assert FRESHDESK.event(body).kind is kind


def test_a_constant_outranks_a_triggered_event_that_speaks_of_something_else() -> None:
    body = ours(event="reply_customer", triggered_event="{status:{from:4,to:2}}")
    assert FRESHDESK.event(body).kind is Kind.MESSAGE_ADDED
    assert FRESHDESK.event(ours(event="reply_customer", triggered_event="{new_thing:x}")).message is not None


def test_an_own_status_is_configured_by_its_name_or_code() -> None:
    body = ours(event="status_changed", triggered_event="{status:{from:8,to:9}}", ticket_status="In the lab")
    assert "options.statuses" in FRESHDESK.refusal(body).detail
    found = FRESHDESK.event(body, statuses={"In the Lab": "on_hold", "8": "pending"})
    assert found.status is not None
    assert (found.status.to, found.status.previous) == ("on_hold", "pending")


def test_a_change_between_two_names_for_the_same_is_no_event() -> None:
    body = ours(event="status_changed", triggered_event="{status:{from:3,to:6}}", ticket_status="Waiting on Customer")
    assert FRESHDESK.events(body) == []
    assert FRESHDESK.event(body, statuses={"6": "on_hold"}).kind is Kind.STATUS_CHANGED


@pytest.mark.parametrize(
    ("answer", "score", "positive"), [("103", 3, True), ("neutral", 0, False), (-103, -3, False), ("Super", 3, True)]
)
def test_satisfaction_has_seven_points(answer: object, score: int, positive: bool) -> None:
    found = FRESHDESK.event(ours("csat_unhappy", csat_rating=answer), ratings={"super": 3}).rating
    assert found is not None
    assert (found.score, found.best, found.worst, found.positive) == (score, 3, -3, positive)


def test_a_rendered_date_is_read_in_the_accounts_zone_and_refused_without_one() -> None:
    body = ours(ticket_created_at="Mar 02, 2026 at 08:30 AM")
    paris = FRESHDESK.event(body, timezone="Europe/Paris").ticket.created_at
    assert paris == parse_rfc3339("2026-03-02T07:30:00Z")
    assert "options.timezone" in FRESHDESK.refusal(body).detail


def test_a_field_that_is_left_out_says_nothing_and_an_empty_one_says_none() -> None:
    bare = {"schema": "freshdesk.v1", "event": "updated", "ticket_id": 7, "ticket_group_name": "", "ticket_tags": ""}
    assert FRESHDESK.event(bare).ticket == Attributes(team=None, tags=())


@pytest.mark.parametrize(
    ("source", "channel"), [("Portal", "web"), ("3", "voice"), ("Feedback Widget", "web"), ("WhatsApp", "whatsapp")]
)
def test_channels_get_the_names_that_segments_use(source: str, channel: str) -> None:
    assert FRESHDESK.event(ours(ticket_source=source)).ticket.channel == channel


def test_a_tag_gives_the_tier_where_the_source_says_so() -> None:
    assert FRESHDESK.event(ours(), tiers={"vip": "gold"}).ticket.tier == "gold"


@pytest.mark.parametrize(
    ("body", "reason", "named"),
    [
        (ours(ticket_id="{{ticket.id}}"), Reason.UNRENDERED_TEMPLATE, "ticket_id"),
        (ours(event="exploded"), Reason.UNKNOWN_TYPE, "reply_agent"),
        (ours(event="", triggered_event="{survey:{1:2}}"), Reason.UNKNOWN_TYPE, "triggered_event"),
        (ours(event="", triggered_event=""), Reason.MISSING_FIELD, "event"),
        (ours(ticket_id=""), Reason.MISSING_FIELD, "ticket_id"),
        (ours(ticket_status="Offen"), Reason.BAD_VALUE, "options.statuses"),
        (ours(ticket_priority="Hoch"), Reason.BAD_VALUE, "options.priorities"),
        (ours(ticket_tags=["a"]), Reason.BAD_VALUE, "ticket_tags"),
        (ours(ticket_created_at="yesterday"), Reason.BAD_VALUE, "ticket_created_at"),
        (ours(event="csat"), Reason.BAD_VALUE, "options.ratings"),
        (ours(event="status_changed", ticket_status=""), Reason.MISSING_FIELD, "ticket_status"),
        (ours(event="priority_changed", ticket_priority=...), Reason.MISSING_FIELD, "ticket_priority"),
        (
            ours(event="assignment_changed", ticket_group_name=..., ticket_agent_email=...),
            Reason.MISSING_FIELD,
            "ticket_agent_email",
        ),
        ({"freshdesk_webhook": []}, Reason.BAD_VALUE, "freshdesk_webhook"),
        ({"event": "onTicketUpdate", "data": {}}, Reason.UNSUPPORTED_FORMAT, "connect-freshdesk.md"),
        ([{"freshdesk_webhook": {}}], Reason.NOT_AN_EVENT, "object"),
        (b'{"ticket_subject": "a "quote""}', Reason.NOT_JSON, "JSON"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_the_field_to_look_at(body: Any, reason: Reason, named: str) -> None:
    failure = FRESHDESK.refusal(body)
    assert (failure.reason, named in failure.detail) == (reason, True), failure


def test_wrong_options_are_told() -> None:
    assert options_problem("freshdesk", {"timezone": "Europe/Paris", "ratings": {"ok": 0}}) is None
    assert "timezone" in str(options_problem("freshdesk", {"timezone": "Paris"}))
    assert "ratings" in str(options_problem("freshdesk", {"ratings": {"super": 5}}))
