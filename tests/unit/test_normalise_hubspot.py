"""HubSpot batches to canonical events.

Bodies and the events they must become lie in fixtures/webhooks/hubspot.
"""

from __future__ import annotations

from typing import Any

import pytest

from schemas.failure import Reason
from schemas.ticket import Kind, Rating
from services.ingest.normalise import options_problem
from services.ingest.normalise.batch import PartlyInvalid
from tests.support.webhooks import Webhooks

HUBSPOT = Webhooks("hubspot")


@pytest.mark.parametrize("name", HUBSPOT.names())
def test_a_webhook_becomes_the_events_beside_it(name: str) -> None:
    HUBSPOT.check(name)


def test_no_text_and_no_name_or_address_of_a_person_is_in_any_event() -> None:
    for name in HUBSPOT.names():
        written = HUBSPOT.written(name).lower()
        assert not any(text in written for text in (b"casey", b"robin", b"example.com", b"about an", b"fast", b"+1555"))


def one(name: str = "stage", **fields: Any) -> list[dict[str, Any]]:
    return [dict(HUBSPOT.with_changes(name, {f"0.{key}": value for key, value in fields.items()})[0])]


def test_one_change_told_by_two_subscriptions_is_one_event() -> None:
    ticket = HUBSPOT.event(one())
    generic = one(subscriptionType="object.propertyChange", objectTypeId="0-5", subscriptionId=99, eventId=5)
    assert HUBSPOT.event(generic).event_id == ticket.event_id


def test_a_retry_has_the_same_id_and_the_next_change_another() -> None:
    first = HUBSPOT.event(one()).event_id
    assert HUBSPOT.event(one(attemptNumber=3)).event_id == first
    assert HUBSPOT.event(one(occurredAt=1772438400001)).event_id != first
    assert HUBSPOT.event(one(portalId=4401)).event_id != first


def test_an_older_batch_that_says_event_type_is_read_alike() -> None:
    assert HUBSPOT.event(one(subscriptionType=..., eventType="ticket.propertyChange")) == HUBSPOT.event(one())


def test_the_stages_of_own_pipelines_are_configured() -> None:
    body = one(propertyValue="939275049")
    assert HUBSPOT.event(body, stages={"939275049": "on_hold"}).ticket.status == "on_hold"
    failure = HUBSPOT.refusal(body)
    assert failure.reason is Reason.BAD_VALUE
    assert "options.stages" in failure.detail


def test_a_property_with_a_surveys_answer_is_a_rating_where_the_source_says_so() -> None:
    body = one(propertyName="survey_answer", propertyValue="4")
    assert HUBSPOT.events(body) == []
    scale = {"survey_answer": {"best": 5}}
    assert HUBSPOT.event(body, csat=scale).rating == Rating(4.0, best=5.0, worst=1.0)
    assert HUBSPOT.events(one(propertyName="survey_answer", propertyValue=""), csat=scale) == []
    for answer in ("6", "nan", "good"):
        assert HUBSPOT.refusal(one(propertyName="survey_answer", propertyValue=answer), csat=scale).reason is (
            Reason.BAD_VALUE
        )


def test_an_item_that_cannot_be_read_does_not_cost_the_others() -> None:
    body = [*one(), *one(propertyValue="939275049"), *one("creation")]
    with pytest.raises(PartlyInvalid) as caught:
        HUBSPOT.events(body)
    assert [event.kind for event in caught.value.events] == [Kind.STATUS_CHANGED, Kind.CREATED]
    assert caught.value.reason is Reason.BAD_VALUE
    assert caught.value.detail.startswith("item 1: propertyValue")


def test_two_refused_items_are_counted_and_the_first_is_named() -> None:
    failure = HUBSPOT.refusal([*one(propertyValue="8"), *one(propertyValue="9")])
    assert not isinstance(failure, PartlyInvalid)
    assert failure.detail.startswith("item 0: ")
    assert "1 more of 2 items" in failure.detail


def test_a_direction_that_is_not_told_is_not_guessed() -> None:
    body = [HUBSPOT.body("conversation")[1]]
    del body[0]["messageDirection"]
    failure = HUBSPOT.refusal(body)
    assert failure.reason is Reason.UNSUPPORTED_FORMAT
    assert "messageDirection" in failure.detail


def test_wrong_options_are_told_with_their_place() -> None:
    assert options_problem("hubspot", {"stages": {"77": "open"}, "csat": {"answer": {"best": 5}}}) is None
    assert "stages" in str(options_problem("hubspot", {"stages": {"77": "opened"}}))


@pytest.mark.parametrize(
    ("body", "reason", "named"),
    [
        ({}, Reason.UNSUPPORTED_FORMAT, "workflow"),
        (["x"], Reason.NOT_AN_EVENT, "item 0"),
        (one(subscriptionType=...), Reason.MISSING_FIELD, "subscriptionType"),
        (one(subscriptionType="ticket.exploded"), Reason.UNKNOWN_TYPE, "subscriptionType"),
        (one(subscriptionType="planet.creation"), Reason.UNKNOWN_TYPE, "subscriptionType"),
        (one(subscriptionType="object.creation"), Reason.MISSING_FIELD, "objectTypeId"),
        (one(occurredAt=...), Reason.MISSING_FIELD, "occurredAt"),
        (one(occurredAt="soon"), Reason.BAD_VALUE, "occurredAt"),
        (one(occurredAt=1), Reason.BAD_VALUE, "occurred_at"),
        (one(objectId=...), Reason.MISSING_FIELD, "objectId"),
        (one(propertyValue=...), Reason.MISSING_FIELD, "propertyValue"),
        (one(propertyValue=""), Reason.MISSING_FIELD, "propertyValue"),
        (one(propertyName=...), Reason.MISSING_FIELD, "propertyName"),
        (one(propertyName="hs_ticket_priority", propertyValue="P1"), Reason.BAD_VALUE, "options.priorities"),
        (one("merge", mergedObjectIds=[]), Reason.MISSING_FIELD, "mergedObjectIds"),
        (b"nope", Reason.NOT_JSON, "JSON"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_the_field_to_look_at(body: Any, reason: Reason, named: str) -> None:
    failure = HUBSPOT.refusal(body)
    assert (failure.reason, named in failure.detail) == (reason, True), failure
