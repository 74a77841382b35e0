"""CloudEvents that carry our own event.

Bodies and the events they must become lie in fixtures/webhooks/cloudevents.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from schemas.failure import Reason
from services.ingest.normalise import options_problem
from services.ingest.normalise.batch import PartlyInvalid
from tests.support.webhooks import Webhooks

EVENTS = Webhooks("cloudevents")


@pytest.mark.parametrize("name", EVENTS.names())
def test_a_webhook_becomes_the_events_beside_it(name: str) -> None:
    EVENTS.check(name)


def test_no_text_and_no_name_or_address_of_a_person_is_in_any_event() -> None:
    for name in EVENTS.names():
        written = EVENTS.written(name).lower()
        assert not any(text in written for text in (b"casey", b"robin", b"example.com", b"about an", b"fast", b"+1555"))


def changed(**fields: Any) -> dict[str, Any]:
    return dict(EVENTS.with_changes("structured", {key.replace("__", "."): value for key, value in fields.items()}))


def test_source_and_id_are_the_identity() -> None:
    first = EVENTS.event(changed()).event_id
    assert EVENTS.event(changed()).event_id == first
    assert len({first, EVENTS.event(changed(id="e-9")).event_id, EVENTS.event(changed(source="/crm")).event_id}) == 3


def test_an_event_that_has_its_own_id_keeps_it() -> None:
    own = "5c1a4f0e-2f6d-4c3b-9a55-0a5d6a1f7c11"
    assert EVENTS.event(changed(data__event_id=own)).event_id == own


def test_binary_and_structured_say_the_same() -> None:
    headers = {"content-type": "application/json", "ce-specversion": "1.0"}
    headers |= {f"ce-{name}": changed()[name] for name in ("id", "source", "type", "time")}
    assert EVENTS.event(changed()["data"], headers) == EVENTS.event(changed())


def test_data_may_be_written_in_base64() -> None:
    data = base64.b64encode(json.dumps(changed()["data"]).encode()).decode()
    assert EVENTS.event(changed(data=..., data_base64=data)) == EVENTS.event(changed())


def test_the_datas_own_time_comes_first() -> None:
    found = EVENTS.event(changed(data__occurred_at="2026-03-02T08:00:00Z"))
    assert found.occurred_at.isoformat() == "2026-03-02T08:00:00+00:00"


def test_an_item_that_cannot_be_read_does_not_cost_the_others() -> None:
    with pytest.raises(PartlyInvalid) as caught:
        EVENTS.events([changed(), changed(type="com.example.order.paid")])
    assert len(caught.value.events) == 1
    assert caught.value.reason is Reason.UNKNOWN_TYPE


def test_there_are_no_options() -> None:
    assert options_problem("cloudevents", {}) is None
    assert options_problem("cloudevents", {"bots": []}) is not None


@pytest.mark.parametrize(
    ("body", "reason", "named"),
    [
        ("x", Reason.NOT_AN_EVENT, "object"),
        (changed()["data"], Reason.UNSUPPORTED_FORMAT, "specversion"),
        (changed(specversion="0.3"), Reason.UNSUPPORTED_FORMAT, "1.0"),
        (changed(type=...), Reason.MISSING_FIELD, "type"),
        (changed(type="com.example.order.paid"), Reason.UNKNOWN_TYPE, "deskpulse.helpdesk"),
        (changed(type="deskpulse.helpdesk.status.changed.v2"), Reason.UNSUPPORTED_FORMAT, "v1"),
        (changed(type="deskpulse.helpdesk.ticket.lost.v1"), Reason.UNKNOWN_TYPE, "kind"),
        (changed(id=...), Reason.MISSING_FIELD, "id"),
        (changed(source=...), Reason.MISSING_FIELD, "source"),
        (changed(time=...), Reason.MISSING_FIELD, "occurred_at"),
        (changed(data=...), Reason.MISSING_FIELD, "data"),
        (changed(data="text"), Reason.BAD_VALUE, "data"),
        (changed(data=..., data_base64="***"), Reason.BAD_VALUE, "data_base64"),
        (changed(datacontenttype="text/xml"), Reason.UNSUPPORTED_FORMAT, "datacontenttype"),
        (changed(data__kind="ticket.created"), Reason.BAD_VALUE, "data.kind"),
        (changed(data__status=...), Reason.MISSING_FIELD, "status"),
        ([changed()] * 1001, Reason.BAD_VALUE, "1000"),
        (b"x", Reason.NOT_JSON, "JSON"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_the_field_to_look_at(body: Any, reason: Reason, named: str) -> None:
    failure = EVENTS.refusal(body)
    assert (failure.reason, named in failure.detail) == (reason, True), failure


def test_data_that_can_be_read_and_not_written_again_is_refused() -> None:
    deep: Any = 1
    for _ in range(500):
        deep = [deep]
    assert EVENTS.refusal(changed(data__deep=deep)).reason is Reason.TOO_DEEP
