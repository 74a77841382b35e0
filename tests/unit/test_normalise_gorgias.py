"""Gorgias's templates, tickets and messages to canonical events.

Bodies and the events they must become lie in fixtures/webhooks/gorgias.
"""

from __future__ import annotations

from typing import Any

import pytest

from schemas.failure import Reason
from schemas.ticket import ActorKind, Kind
from services.ingest.normalise import options_problem
from tests.support.webhooks import Webhooks

GORGIAS = Webhooks("gorgias")


@pytest.mark.parametrize("name", GORGIAS.names())
def test_a_webhook_becomes_the_events_beside_it(name: str) -> None:
    GORGIAS.check(name)


def test_no_text_and_no_name_or_address_of_a_person_is_in_any_event() -> None:
    for name in GORGIAS.names():
        written = GORGIAS.written(name).lower()
        assert not any(text in written for text in (b"casey", b"robin", b"example.com", b"about an", b"fast", b"+1555"))


def changed(name: str = "updated", /, **fields: Any) -> dict[str, Any]:
    return dict(GORGIAS.with_changes(name, {key.replace("__", "."): value for key, value in fields.items()}))


def test_the_template_and_the_whole_message_name_one_customer() -> None:
    template, whole = GORGIAS.event(changed("message_customer")), GORGIAS.event(changed("whole_message"))
    assert template.actor is not None
    assert template.actor == whole.actor
    assert template.ticket.requester == template.actor.id


def test_a_template_with_an_address_keeps_only_its_pseudonym() -> None:
    body = changed(ticket__customer_id=..., ticket__customer_email="Casey@Example.com")
    other = changed(ticket__customer_id=..., ticket__customer_email="casey@example.com ")
    assert GORGIAS.event(body).ticket.requester == GORGIAS.event(other).ticket.requester
    assert "example" not in str(GORGIAS.event(body))


def test_the_same_state_sent_again_is_the_same_event_and_the_next_another() -> None:
    first = GORGIAS.event(changed()).event_id
    assert GORGIAS.event(changed()).event_id == first
    assert GORGIAS.event(changed(ticket__updated_datetime="2026-03-02T09:00:00+00:00")).event_id != first


def test_a_ticket_that_stays_trashed_is_deleted_once() -> None:
    first = GORGIAS.events(changed("trashed"))[1]
    later = GORGIAS.events(changed("trashed", ticket__updated_datetime="2026-03-02T09:00:00+00:00"))[1]
    assert (first.kind, first.event_id) == (Kind.DELETED, later.event_id)


def test_a_rating_is_one_event_until_it_is_changed() -> None:
    first = GORGIAS.events(changed("whole_ticket"))[1]
    again = GORGIAS.events(changed("whole_ticket", updated_datetime="2026-03-02T09:00:00+00:00"))[1]
    other = GORGIAS.events(changed("whole_ticket", satisfaction_survey__score=1))[1]
    assert first.event_id == again.event_id != other.event_id
    unanswered = changed("whole_ticket", satisfaction_survey__score=None)
    assert [event.kind for event in GORGIAS.events(unanswered)] == [Kind.UPDATED]


def test_own_words_tiers_and_bots_are_configured() -> None:
    body = changed(ticket__status="parked", ticket__priority="asap")
    found = GORGIAS.event(body, statuses={"Parked": "on_hold"}, priorities={"ASAP": "urgent"}, tiers={"vip": "gold"})
    assert (found.ticket.status, found.ticket.priority, found.ticket.tier) == ("on_hold", "urgent", "gold")
    bot = GORGIAS.event(changed("message_agent"), bots=["41"]).message
    assert bot is not None
    assert bot.author is ActorKind.BOT


def test_a_snooze_that_is_over_is_a_closed_ticket() -> None:
    body = changed("snoozed", ticket__snooze_datetime="2026-03-01T08:00:00+00:00")
    assert GORGIAS.event(body).ticket.status == "closed"


def test_wrong_options_are_told_with_their_place() -> None:
    assert options_problem("gorgias", {"tiers": {"vip": "gold"}, "snoozed": "pending"}) is None
    assert "snoozed" in str(options_problem("gorgias", {"snoozed": "asleep"}))


@pytest.mark.parametrize(
    ("body", "reason", "named"),
    [
        ([], Reason.NOT_AN_EVENT, "object"),
        ({"hello": "world", "ticket_id": "1"}, Reason.UNSUPPORTED_FORMAT, "connect-gorgias.md"),
        (changed(event="ticket-exploded"), Reason.UNKNOWN_TYPE, "ticket-created"),
        (changed(event="{{event}}"), Reason.UNRENDERED_TEMPLATE, "event"),
        (changed(ticket__status="{{ticket.status}}"), Reason.UNRENDERED_TEMPLATE, "status"),
        (changed(ticket=...), Reason.MISSING_FIELD, "ticket is missing"),
        (changed(ticket__id=...), Reason.MISSING_FIELD, "ticket.id"),
        (changed(ticket__updated_datetime="None"), Reason.MISSING_FIELD, "ticket.updated_datetime"),
        (changed(ticket__updated_datetime="soon"), Reason.BAD_VALUE, "ticket.updated_datetime"),
        (changed(ticket__status="parked"), Reason.BAD_VALUE, "options.statuses"),
        (changed("status_updated", ticket__status="None"), Reason.MISSING_FIELD, "ticket.status"),
        (changed(ticket__spam="perhaps"), Reason.BAD_VALUE, "ticket.spam"),
        (changed("message_customer", message__from_agent="None"), Reason.MISSING_FIELD, "from_agent"),
        (changed("message_customer", message=...), Reason.MISSING_FIELD, "message"),
        (changed("whole_ticket", satisfaction_survey__score=6), Reason.BAD_VALUE, "satisfaction_survey.score"),
        (b"{", Reason.NOT_JSON, "JSON"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_the_field_to_look_at(body: Any, reason: Reason, named: str) -> None:
    failure = GORGIAS.refusal(body)
    assert (failure.reason, named in failure.detail) == (reason, True), failure
