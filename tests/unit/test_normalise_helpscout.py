"""Help Scout and FreeScout webhooks to canonical events: two products, one form of conversation.

Bodies, the header with the event's name, and the events they must become lie in fixtures/webhooks.
"""

from __future__ import annotations

from typing import Any

import pytest

from schemas.failure import Reason
from schemas.ticket import ActorKind, Assignment, Kind, Rating
from services.ingest.normalise import options_problem
from tests.support.webhooks import Webhooks

HELPSCOUT, FREESCOUT = Webhooks("helpscout"), Webhooks("freescout")
BOTH = [
    pytest.param(hooks, name, id=f"{hooks.vendor}-{name}") for hooks in (HELPSCOUT, FREESCOUT) for name in hooks.names()
]


def named(event: str) -> dict[str, str]:
    return {"x-helpscout-event": event}


def changed(name: str, **values: Any) -> Any:
    return HELPSCOUT.with_changes(name, {way.replace("__", "."): value for way, value in values.items()})


@pytest.mark.parametrize(("hooks", "name"), BOTH)
def test_a_webhook_becomes_the_events_beside_it(hooks: Webhooks, name: str) -> None:
    hooks.check(name)


@pytest.mark.parametrize(("hooks", "name"), BOTH)
def test_no_text_and_no_name_or_address_of_a_person_is_in_any_event(hooks: Webhooks, name: str) -> None:
    written = hooks.written(name).lower()
    assert not any(text in written for text in (b"casey", b"robin", b"example", b"invoice", b"any news", b"900"))


@pytest.mark.parametrize("name", ["assigned", "reply_agent", "reply_customer", "note", "status_closed", "deleted"])
def test_both_products_tell_the_same(name: str) -> None:
    one = HELPSCOUT.event(HELPSCOUT.body(name), HELPSCOUT.headers_of(name))
    other = FREESCOUT.event(FREESCOUT.body(name), FREESCOUT.headers_of(name))
    assert (one.kind, one.occurred_at, one.actor, one.message, one.status, one.assignment, one.ticket.requester) == (
        other.kind,
        other.occurred_at,
        other.actor,
        other.message,
        other.status,
        other.assignment,
        other.ticket.requester,
    )


def test_a_redelivery_is_the_same_event_and_the_next_change_another() -> None:
    first = HELPSCOUT.event(HELPSCOUT.body("status_closed"), named("convo.status"))
    assert HELPSCOUT.event(changed("status_closed", threads=9), named("convo.status")).event_id == first.event_id
    again = changed("status_closed", userUpdatedAt="2026-03-02T08:59:55Z")
    assert HELPSCOUT.event(again, named("convo.status")).event_id != first.event_id
    assert HELPSCOUT.event(HELPSCOUT.body("status_pending"), named("convo.status")).event_id != first.event_id


def test_a_reply_is_identified_by_its_thread() -> None:
    first = HELPSCOUT.event(HELPSCOUT.body("reply_agent"), named("convo.agent.reply.created"))
    later = changed("reply_agent", userUpdatedAt="2026-03-02T09:00:00Z", status="closed")
    assert HELPSCOUT.event(later, named("convo.agent.reply.created")).event_id == first.event_id


def test_a_reply_that_reopens_comes_after_the_closing_though_no_user_updated_anything() -> None:
    closed = HELPSCOUT.event(HELPSCOUT.body("status_closed"), named("convo.status"))
    reopened = HELPSCOUT.event(HELPSCOUT.body("reopened"), named("convo.status"))
    assert closed.occurred_at < reopened.occurred_at


def test_the_newest_fitting_thread_is_the_reply() -> None:
    found = HELPSCOUT.event(HELPSCOUT.body("reply_agent"), named("convo.note.created")).message
    assert found is not None
    assert found.id is None  # there is a reply and a customer's message, and no note


@pytest.mark.parametrize("event", ["convo.created", "convo.ai-answers.created", "CONVO.CREATED"])
def test_a_conversation_is_created_once(event: str) -> None:
    first = HELPSCOUT.event(HELPSCOUT.body("created"), named("convo.created"))
    assert HELPSCOUT.event(HELPSCOUT.body("created"), named(event)).event_id == first.event_id


def test_spam_is_no_ticket() -> None:
    assert HELPSCOUT.event(HELPSCOUT.body("spam"), named("convo.status")).kind is Kind.DELETED


@pytest.mark.parametrize(
    ("answer", "rating"),
    [
        ("Great", Rating(3.0, best=3.0, worst=1.0, positive=True)),
        ("okay", Rating(2.0, best=3.0, worst=1.0, positive=False)),
        ("Bad", Rating(1.0, best=3.0, worst=1.0, positive=False)),
        ("Not Good", Rating(1.0, best=3.0, worst=1.0, positive=False)),
    ],
)
def test_satisfaction_is_great_okay_or_bad(answer: str, rating: Rating) -> None:
    found = HELPSCOUT.event(changed("rated", rating=answer), named("satisfaction.ratings"))
    assert (found.ticket_id, found.rating) == ("4001", rating)
    assert found.actor is not None
    assert found.actor.kind is ActorKind.CUSTOMER


def test_a_changed_rating_is_another_answer() -> None:
    first = HELPSCOUT.event(HELPSCOUT.body("rated"), named("satisfaction.ratings"))
    second = changed("rated", rating="Bad", modifiedAt="2026-03-02T09:00:00Z")
    assert HELPSCOUT.event(second, named("satisfaction.ratings")).event_id != first.event_id


def test_an_inbox_is_a_team_by_the_name_that_the_site_gives_it() -> None:
    found = HELPSCOUT.event(HELPSCOUT.body("moved"), named("convo.moved"), teams={"86": "billing"})
    assert (found.assignment, found.ticket.team) == (Assignment(team="billing"), "billing")


def test_own_meanings_tiers_and_bots_are_configured() -> None:
    headers = named("convo.agent.reply.created")
    found = HELPSCOUT.event(
        HELPSCOUT.body("reply_agent"), headers, statuses={"active": "new"}, tiers={"vip": "gold"}, bots=["256"]
    )
    assert (found.ticket.status, found.ticket.tier) == ("new", "gold")
    assert found.message is not None
    assert found.message.author is ActorKind.BOT


@pytest.mark.parametrize("event", ["customer.updated", "tag.created", "beacon.chat.created", "helpscout.test"])
def test_what_no_number_is_made_of_is_accepted_and_says_nothing(event: str) -> None:
    assert HELPSCOUT.events({"id": 1}, named(event)) == []


@pytest.mark.parametrize(
    ("body", "event", "reason", "where"),
    [
        (changed("created"), "", Reason.MISSING_FIELD, "x-helpscout-event"),
        (changed("created"), "convo.exploded", Reason.UNKNOWN_TYPE, "x-helpscout-event"),
        (changed("created"), "exploded", Reason.UNKNOWN_TYPE, "x-helpscout-event"),
        (changed("created"), "convo.merged", Reason.UNSUPPORTED_FORMAT, "convo.deleted"),
        ({"id": 1, "owner": None, "mailbox": {"id": 1}}, "convo.status", Reason.UNSUPPORTED_FORMAT, "V2"),
        (changed("created", id=...), "convo.created", Reason.MISSING_FIELD, "id"),
        ({}, "convo.deleted", Reason.MISSING_FIELD, "id"),
        (changed("created", status="lost"), "convo.created", Reason.BAD_VALUE, "options.statuses"),
        (changed("created", status=...), "convo.status", Reason.MISSING_FIELD, "status"),
        (changed("created", createdAt="today"), "convo.created", Reason.BAD_VALUE, "createdAt"),
        (changed("created", tags=[{"id": 1}]), "convo.tags", Reason.BAD_VALUE, "tags"),
        (changed("created", tags=1.5), "convo.tags", Reason.BAD_VALUE, "tags"),
        (changed("created", tags="vip"), "convo.tags", Reason.BAD_VALUE, "tags"),
        (changed("created", mailboxId=None), "convo.moved", Reason.MISSING_FIELD, "mailboxId"),
        (changed("rated", rating="5"), "satisfaction.ratings", Reason.BAD_VALUE, "rating"),
        (changed("rated", ticketId=...), "satisfaction.ratings", Reason.MISSING_FIELD, "ticketId"),
        ([], "convo.created", Reason.NOT_AN_EVENT, "object"),
        (b"{", "convo.created", Reason.NOT_JSON, "JSON"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_the_field_to_look_at(
    body: Any, event: str, reason: Reason, where: str
) -> None:
    failure = HELPSCOUT.refusal(body, named(event))
    assert (failure.reason, where in failure.detail) == (reason, True), failure


@pytest.mark.parametrize("vendor", ["helpscout", "freescout"])
def test_wrong_options_are_told(vendor: str) -> None:
    assert options_problem(vendor, {"teams": {"85": "billing"}, "tiers": {}}) is None
    assert "statuses" in str(options_problem(vendor, {"statuses": {"active": "awake"}}))
