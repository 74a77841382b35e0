"""The samples of every vendor, and their signatures: what is sent as a test is taken as the vendor's own is."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.instant import SECOND_US, from_datetime, parse_rfc3339, to_datetime
from schemas.ticket import ActorKind, Kind, TicketEvent
from services.ingest.delivery import Delivery, SourceSettings
from services.ingest.normalise import VENDORS, normalise
from services.ingest.sample import SAMPLES, TAG, Case, Post, samples
from services.ingest.verify import WAYS, Outcome, chosen, verify
from services.ingest.verify.presented import Presented
from services.ingest.verify.sign import OnlyTheVendor, signed
from tests.support import signing

SENT_US = from_datetime(parse_rfc3339("2026-03-02T09:00:00.250000Z"))
CASE = Case(opened_us=SENT_US - 3600 * SECOND_US, sent_us=SENT_US)
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
OPTIONS: dict[str, Any] = {
    "public_url": "https://deskpulse.example.com",
    "organization_id": "00D000000000001EAA",
    "org_id": "4242",
    "webhook_id": "77",
}
EVERY = [(vendor, name) for vendor in VENDORS for name in SAMPLES[vendor]]
WAYS_OF_ALL = [(vendor, way) for vendor in WAYS for way in WAYS[vendor]]
NO_DELETION = {"chatwoot", "freshdesk"}


def events(vendor: str, post: Post, **options: Any) -> list[TicketEvent]:
    delivery = Delivery("desk", vendor, post.headers, post.body, to_datetime(SENT_US))
    return normalise(delivery, SourceSettings(b"key", options))


def test_every_vendor_has_a_sample() -> None:
    assert SAMPLES.keys() == VENDORS.keys()


@pytest.mark.parametrize(("vendor", "name"), EVERY)
def test_a_sample_opens_a_ticket_at_its_time_that_nobody_takes_for_a_real_one(vendor: str, name: str) -> None:
    found = events(vendor, samples(vendor, {})[name](CASE).opened)
    created = next(event for event in found if event.kind is Kind.CREATED)
    assert {event.ticket_id for event in found} == {created.ticket_id}
    assert str(CASE.number)[-12:] in created.ticket_id
    begun = created.ticket.created_at if vendor != "hubspot" else created.occurred_at
    assert abs(from_datetime(begun) - CASE.opened_us) < SECOND_US  # type: ignore[arg-type]
    assert created.actor is None or created.actor.kind is ActorKind.CUSTOMER, "whoever asks is promised an answer"
    if isinstance(created.ticket.tags, tuple):
        assert created.ticket.tags == (TAG,)


@pytest.mark.parametrize(("vendor", "name"), EVERY)
def test_a_sample_is_taken_out_by_the_vendors_own_deletion_where_it_has_one(vendor: str, name: str) -> None:
    sample = samples(vendor, {})[name](CASE)
    if vendor in NO_DELETION:
        assert sample.removed is None
        return
    assert sample.removed is not None
    opened, removed = events(vendor, sample.opened), events(vendor, sample.removed)
    assert removed[-1].kind is Kind.DELETED
    assert removed[-1].ticket_id == opened[0].ticket_id
    assert removed[-1].occurred_at > opened[-1].occurred_at or vendor == "freshdesk"
    assert not {event.event_id for event in opened} & {event.event_id for event in removed}


def test_a_sample_says_what_the_source_is_configured_to_read() -> None:
    kyiv = samples("servicenow", {"timezone": "Europe/Kyiv"})["created"](CASE)
    assert events("servicenow", kyiv.opened, timezone="Europe/Kyiv")[0].occurred_at == to_datetime(
        CASE.opened_us // SECOND_US * SECOND_US
    )
    [soap] = samples("salesforce", {"auth": "soap", "organization_id": "00D000000000001EAA"}).values()
    assert [event.kind for event in events("salesforce", soap(CASE).opened)] == [Kind.CREATED]


@pytest.mark.parametrize(("vendor", "way"), WAYS_OF_ALL)
def test_what_is_signed_for_a_vendor_is_accepted_and_with_another_secret_it_is_not(vendor: str, way: str) -> None:
    needed = {name: OPTIONS[name] for name in WAYS[vendor][way].needs}
    scheme = chosen(vendor, {"auth": way, **needed}).scheme
    [make] = list(samples(vendor, {"auth": way, **needed}).values())[:1]
    post, target = make(CASE).opened, "POSThttps://deskpulse.example.com/webhooks/desk"
    if (vendor, way) == ("zoho_desk", "jwt"):
        with pytest.raises(OnlyTheVendor):
            signed(scheme, Presented(post.headers, post.body, target), SECRET, SENT_US, "m-1")
        return
    proof = signed(scheme, Presented(post.headers, post.body, target), SECRET, SENT_US, "m-1")
    headers = {**post.headers, **proof.headers}

    def outcome(secret: str, at_us: int = SENT_US) -> Outcome:
        return verify(scheme, headers, post.body, [secret], at_us, 300, target, proof.query).outcome

    assert outcome(SECRET) is Outcome.ACCEPTED
    assert outcome("whsec_YW5vdGhlciBzZWNyZXQgb2Ygc29tZWJvZHk=") in (Outcome.BAD_SIGNATURE, Outcome.BAD_TOKEN)
    if scheme.timestamp_header is not None:
        assert outcome(SECRET, SENT_US + 301 * SECOND_US) is Outcome.STALE


def test_signatures_are_those_that_the_vendors_documents_describe() -> None:
    """Against the implementations that tests have of them, which share nothing with the code."""
    body, at_ms = b'{"id": 1}', SENT_US // 1000
    theirs = {
        "chatwoot": signing.chatwoot(body, SECRET, at_ms),
        "freescout": signing.freescout(body, SECRET),
        "front": signing.front(body, SECRET, at_ms),
        "helpscout": signing.helpscout(body, SECRET),
        "intercom": signing.intercom(body, SECRET),
        "jira": signing.jira(body, SECRET),
        "zammad": signing.zammad(body, SECRET),
        "hubspot": signing.hubspot(body, SECRET, at_ms, "https://deskpulse.example.com/webhooks/desk"),
        "zendesk": {
            name: value
            for name, value in signing.zendesk(body, SECRET, to_datetime(SENT_US)).items()
            if name.startswith("x-zendesk-webhook-signature")
        },
    }
    target = "POSThttps://deskpulse.example.com/webhooks/desk"
    for vendor, expected in theirs.items():
        needed = {name: OPTIONS[name] for name in next(iter(WAYS[vendor].values())).needs}
        scheme = chosen(vendor, needed).scheme
        assert signed(scheme, Presented({}, body, target), SECRET, SENT_US, "m-1").headers == expected, vendor
