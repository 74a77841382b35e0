"""What of a person stands in canonical events: nothing, unless the source is configured to keep it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, get_args

import pytest
from msgspec import structs

from schemas.codec import decode_ticket, encode
from schemas.failure import Invalid
from schemas.state import with_facts
from schemas.ticket import Kind, Personal, TicketEvent
from services.config.document import PersonalField
from services.fold.fact import fact
from services.ingest.delivery import SourceSettings
from services.ingest.normalise import VENDORS, normalise
from services.ingest.normalise.batch import PartlyInvalid
from services.ingest.normalise.personal import LIMITS, filtered
from services.ingest.normalise.personal_fields import FOUND
from tests.support.planted import planted
from tests.support.webhooks import FIXTURES, KEY, Webhooks

EVERYTHING: Final = frozenset(LIMITS)
HEADERS: Final = {
    "helpscout": {"x-helpscout-event": "convo.created"},
    "freescout": {"x-freescout-event": "convo.created"},
    "cloudevents": {"content-type": "application/cloudevents+json"},
}
VENDORS_WITH_FIXTURES: Final = sorted(path.name for path in FIXTURES.iterdir() if path.is_dir())
FIXTURE_FILES: Final = [
    pytest.param(vendor, name, id=f"{vendor}/{name}")
    for vendor in VENDORS_WITH_FIXTURES
    for name in Webhooks(vendor).names()
]


def settings(vendor: str, keep: frozenset[str]) -> SourceSettings:
    options = {"csat": {"csat_score": {"best": 5}}} if vendor == "hubspot" else {}
    return SourceSettings(KEY, options, keep)


def told(vendor: str, body: Any, name: str, keep: frozenset[str]) -> tuple[list[TicketEvent], str]:
    """The events, and what is said where there are none."""
    hooks = Webhooks(vendor, HEADERS.get(vendor, {}))
    try:
        return normalise(hooks.delivery(body, hooks.headers_of(name)), settings(vendor, keep)), ""
    except PartlyInvalid as partly:
        return list(partly.events), partly.detail
    except Invalid as failure:
        return [], failure.detail


def body_of(vendor: str, name: str) -> Any:
    return Webhooks(vendor).body(name)


class TestNothingIsKeptByDefault:
    @pytest.mark.parametrize(("vendor", "name"), FIXTURE_FILES)
    def test_no_text_name_or_address_of_the_payload_is_in_an_event_or_in_a_reason(self, vendor: str, name: str) -> None:
        mark = "planted.person@customer.example"
        events, detail = told(vendor, planted(body_of(vendor, name), mark), name, frozenset())
        written = b"".join(map(encode, events)).decode().lower() + detail.lower()
        assert mark not in written
        assert all(event.personal is None for event in events)

    def test_planting_reaches_every_vendor_whose_payloads_have_something(self) -> None:
        reached = {
            vendor
            for vendor in VENDORS_WITH_FIXTURES
            for name in Webhooks(vendor).names()
            if "planted" in json.dumps(planted(body_of(vendor, name), "planted"))
        }
        assert reached >= FOUND.keys()
        assert FOUND.keys() | {"hubspot", "generic", "cloudevents"} == VENDORS.keys()

    @pytest.mark.parametrize(("vendor", "name"), FIXTURE_FILES)
    def test_keeping_changes_nothing_else_of_an_event(self, vendor: str, name: str) -> None:
        body = body_of(vendor, name)
        kept, plain = (told(vendor, body, name, keep) for keep in (EVERYTHING, frozenset[str]()))
        assert ([structs.replace(event, personal=None) for event in kept[0]], kept[1]) == plain


INVOICE: Final = "About an invoice"
WHERE: Final = "Where is my invoice?"
CASEY: Final = ("Casey", "casey@example.com")
CUSTOMER: Final = ("Casey Customer", "casey@customer.example")

EXPECTED: Final[dict[tuple[str, str], list[Personal | None]]] = {
    ("chatwoot", "incoming"): [Personal(None, INVOICE, *CASEY)],
    ("chatwoot", "status_changed"): [Personal(None, None, *CASEY)],
    ("freescout", "reply_agent"): [Personal(INVOICE, f"{WHERE} Any news?", *CUSTOMER)],
    ("freshdesk", "simple_created"): [Personal(INVOICE, f"<div>{WHERE}</div>", *CUSTOMER)],
    ("freshdesk", "simple_status"): [Personal(INVOICE, None, *CUSTOMER)],
    ("front", "opened_by_customer"): [Personal(INVOICE, INVOICE, None, "Casey@Example.com")] * 2,
    ("front", "comment"): [Personal(INVOICE, "see the invoice", None, "Casey@Example.com")],
    ("gorgias", "whole_message"): [Personal(None, INVOICE, *CASEY)],
    ("gorgias", "whole_ticket"): [Personal(INVOICE, None, *CASEY)] * 2,
    ("helpscout", "created"): [Personal(INVOICE, f"{WHERE} Any news?")],
    ("helpscout", "reply_without_thread"): [Personal(INVOICE)],
    ("intercom", "closed_with_words"): [
        Personal(INVOICE, "<p>Here it is. Closing.</p>", *CUSTOMER),
        Personal(INVOICE, None, *CUSTOMER),
    ],
    ("intercom", "created_old"): [Personal(None, f"<p>{WHERE}</p>", *CUSTOMER)],
    ("intercom", "ticket_note"): [Personal(INVOICE, "<p>Ask finance</p>")],
    ("jira", "created"): [Personal(WHERE, INVOICE, *CUSTOMER)],
    ("jira", "comment_agent"): [Personal(WHERE, f"{WHERE} Any news?", *CUSTOMER)],
    ("jira", "deleted"): [None],
    ("salesforce", "flow_email_in"): [Personal(INVOICE, None, None, "casey@example.com")],
    ("salesforce", "cdc_created"): [Personal(INVOICE)],
    ("servicenow", "updated"): [Personal(INVOICE)] * 2,
    ("zammad", "created"): [Personal(INVOICE, f"{WHERE} Here it is.", *CUSTOMER)] * 2,
    ("zendesk", "created"): [Personal("Invoice", "The invoice of February is missing.")],
    ("zendesk", "note_private"): [Personal("Invoice", "Ask finance.")],
    ("zendesk", "messaging_bot"): [Personal(None, "Hello")],
    ("zoho_desk", "batch"): [Personal(INVOICE), Personal(None, INVOICE, *CASEY)],
}


class TestWhatIsConfiguredIsKept:
    @pytest.mark.parametrize(("vendor", "name"), EXPECTED, ids="/".join)
    def test_what_the_payload_has_is_in_the_events(self, vendor: str, name: str) -> None:
        events, _ = told(vendor, body_of(vendor, name), name, EVERYTHING)
        assert [event.personal for event in events] == EXPECTED[vendor, name]

    def test_every_vendor_that_has_something_is_shown(self) -> None:
        assert {vendor for vendor, _ in EXPECTED} == FOUND.keys()

    @pytest.mark.parametrize("field", sorted(EVERYTHING))
    def test_only_what_is_named_is_kept(self, field: str) -> None:
        events, _ = told("zammad", body_of("zammad", "created"), "created", frozenset({field}))
        [whole, _] = EXPECTED["zammad", "created"]
        assert whole is not None
        assert [event.personal for event in events] == [Personal(**{field: getattr(whole, field)})] * 2

    def test_the_configuration_and_the_event_name_the_same_fields(self) -> None:
        assert set(get_args(PersonalField)) == EVERYTHING == set(Personal.__struct_fields__)

    def test_texts_are_cut_and_an_event_stays_well_below_a_records_limit(self) -> None:
        long = {"kind": "message.added", "ticket_id": "1", "occurred_at": "2026-03-02T09:00:00Z"}
        long |= {"message": {"author": "agent"}, "personal": dict.fromkeys(EVERYTHING, "\x01" * 200_000)}
        [event], _ = told("generic", long, "", EVERYTHING)
        assert event.personal is not None
        assert {name: len(getattr(event.personal, name)) for name in EVERYTHING} == LIMITS
        assert len(encode(event)) < 1_000_000

    def test_a_batch_that_is_readable_in_part_gives_away_no_more(self) -> None:
        batch = [*body_of("zoho_desk", "batch"), {"eventType": 7}]
        for keep in (frozenset[str](), frozenset({"subject"}), EVERYTHING):
            events, detail = told("zoho_desk", batch, "batch", keep)
            assert "item 3" in detail
            whole = [event.personal for event in told("zoho_desk", batch[:3], "batch", keep)[0]]
            assert [event.personal for event in events] == whole


class TestEventsThatBringItThemselves:
    EVENT: Final = {
        "kind": "message.added",
        "ticket_id": "1",
        "occurred_at": "2026-03-02T09:00:00Z",
        "message": {"author": "customer"},
        "personal": {"subject": "Lost", "requester_name": "Casey"},
    }

    def test_a_generic_source_is_held_to_the_same(self) -> None:
        assert told("generic", self.EVENT, "", frozenset())[0][0].personal is None
        assert told("generic", self.EVENT, "", frozenset({"subject"}))[0][0].personal == Personal("Lost")

    def test_cloudevents_are_too(self) -> None:
        envelope = {"specversion": "1.0", "id": "1", "source": "/crm", "data": self.EVENT}
        envelope |= {"type": "deskpulse.helpdesk.message.added.v1", "datacontenttype": "application/json"}
        assert told("cloudevents", envelope, "", frozenset())[0][0].personal is None
        assert told("cloudevents", envelope, "", EVERYTHING)[0][0].personal == Personal("Lost", None, "Casey")

    def test_what_is_no_text_is_refused_without_being_quoted(self) -> None:
        wrong = {**self.EVENT, "personal": {"subject": {"secret": "Casey"}}}
        events, detail = told("generic", wrong, "", EVERYTHING)
        assert events == []
        assert "personal.subject" in detail
        assert "Casey" not in detail


class TestTheMetricsWorkerReadsPastIt:
    def events(self) -> Iterator[TicketEvent]:
        for vendor, name in EXPECTED:
            yield from told(vendor, body_of(vendor, name), name, EVERYTHING)[0]

    def test_what_is_kept_in_redis_is_the_same_with_and_without(self) -> None:
        kept = [event for event in self.events() if event.personal is not None]
        assert len(kept) > 20
        for event in kept:
            read = decode_ticket(encode(event))  # as the worker has it from Kafka
            assert read.personal == event.personal
            assert with_facts(b"", [fact(read)]) == with_facts(b"", [fact(structs.replace(read, personal=None))])

    def test_a_deletion_brings_nothing_back(self) -> None:
        event = next(event for event in self.events() if event.personal is not None)
        [deleted] = filtered([structs.replace(event, kind=Kind.DELETED)], EVERYTHING)
        assert deleted.personal is None
