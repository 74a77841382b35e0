"""What each vendor is answered over HTTP by a real server, and how one source's limits hold; Kafka is a list here."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from schemas import topics
from schemas.codec import decode_ticket
from schemas.failure import NotNow
from schemas.ticket import Personal
from services import clock
from services.config.document import parse
from services.config.environment import Environment
from services.ingest.app import build
from services.ingest.dedupe import MemoryDedupe
from services.ingest.measures import Measures
from services.ingest.verify import WAYS
from services.operate import logs
from services.operate.health import Health
from services.operate.server import Server
from services.stream.record import Outgoing
from tests.support import signing

SECRET = "a-secret-that-nobody-guesses"
ORGANISATION = "00D000000000001EAA"
BODY = b'{"id": 1}'
OPTIONS: dict[str, dict[str, Any]] = {
    "hubspot": {"public_url": "https://deskpulse.example.com/base"},
    "zoho_desk": {"org_id": 4242, "webhook_id": 77},
}


@dataclass
class Kept:
    """A sender that keeps what it is given; raises ``failing``, and waits for ``gate``."""

    records: list[Outgoing] = field(default_factory=list)
    failing: Exception | None = None
    gate: asyncio.Event | None = None
    waiting: int = 0

    async def send(self, records: Sequence[Outgoing], deadline_s: float) -> None:
        self.waiting += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.failing is not None:
            raise self.failing
        self.records += records


@dataclass
class Ingest:
    http: httpx.AsyncClient
    sender: Kept
    registry: CollectorRegistry

    async def post(self, path: str, headers: dict[str, str] | None = None, body: bytes = BODY) -> httpx.Response:
        return await self.http.post(f"/webhooks/{path}", content=body, headers=headers)

    def count(self, source: str, outcome: str) -> float:
        return self.registry.get_sample_value("deskpulse_webhooks_total", {"source": source, "outcome": outcome}) or 0


@asynccontextmanager
async def running(sources: dict[str, dict[str, Any]], **environment: Any) -> AsyncIterator[Ingest]:
    document = parse(json.dumps({"sources": {name: {"secrets": [SECRET], **one} for name, one in sources.items()}}), {})
    registry, sender = CollectorRegistry(), Kept()
    app = build(
        document,
        Environment(**environment),
        sender,
        MemoryDedupe(),
        health=Health(),
        measures=Measures(registry),
        registry=registry,
    )
    server = Server(app, "127.0.0.1", 0)
    await server.start()
    try:
        async with httpx.AsyncClient(base_url=server.url, timeout=30, trust_env=False) as http:
            yield Ingest(http, sender, registry)
    finally:
        await server.stop()


def now_ms() -> int:
    return clock.now_us() // 1000


def proof(vendor: str, body: bytes = BODY, secret: str = SECRET) -> tuple[dict[str, str], str]:
    """The headers and the query with which ``vendor`` proves ``body`` in its first way."""
    signs: dict[str, Callable[[], dict[str, str]]] = {
        "chatwoot": lambda: signing.chatwoot(body, secret, now_ms()),
        "cloudevents": lambda: signing.standard(body, secret.encode(), "m-1"),
        "freescout": lambda: signing.freescout(body, secret),
        "freshdesk": lambda: {"x-webhook-token": secret},
        "front": lambda: signing.front(body, secret, now_ms()),
        "generic": lambda: signing.standard(body, secret.encode(), "m-1"),
        "gorgias": dict,
        "helpscout": lambda: signing.helpscout(body, secret),
        "hubspot": lambda: signing.hubspot(
            body, secret, now_ms(), "https://deskpulse.example.com/base/webhooks/hubspot"
        ),
        "intercom": lambda: signing.intercom(body, secret),
        "jira": lambda: signing.jira(body, secret),
        "salesforce": lambda: signing.bearer(secret),
        "servicenow": lambda: signing.basic("deskpulse", secret),
        "zammad": lambda: signing.zammad(body, secret),
        "zendesk": lambda: signing.zendesk(body, secret),
    }
    return signs[vendor](), f"?secret={secret}" if vendor == "gorgias" else ""


HERE = [vendor for vendor in WAYS if vendor != "zoho_desk"]


@pytest.mark.parametrize("vendor", HERE)
async def test_what_a_vendor_proves_is_taken_with_200_and_kept_and_nothing_else_is(vendor: str) -> None:
    async with running({vendor: {"vendor": vendor, "options": OPTIONS.get(vendor, {})}}) as ingest:
        headers, query = proof(vendor)
        answer = await ingest.post(vendor + query, headers)
        assert answer.status_code == 200, answer.text
        kept = len(ingest.sender.records)

        headers, query = proof(vendor, secret="the secret of another source")
        refused = await ingest.post(vendor + query, headers)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"]
        assert (await ingest.post(vendor)).status_code == 401
        if vendor not in ("freshdesk", "gorgias", "salesforce", "servicenow"):
            headers, query = proof(vendor)
            assert (await ingest.post(vendor + query, headers, b'{"id": 2}')).status_code == 401
        assert len(ingest.sender.records) == kept


UNKNOWN: dict[str, tuple[Any, str]] = {
    # by vendor: a happening that no version of it has told yet, and why it is kept as a dead letter
    "chatwoot": ({"event": "conversation_exploded"}, "unknown_type"),
    "cloudevents": (
        {"specversion": "1.0", "id": "1", "source": "/crm", "type": "deskpulse.helpdesk.exploded.v1", "data": {}},
        "unknown_type",
    ),
    "freescout": ({"id": 1, "mailboxId": 1}, "unknown_type"),
    "freshdesk": ({"schema": "freshdesk.v1", "event": "exploded", "ticket_id": "1"}, "unknown_type"),
    "front": ({"id": "evt_1", "type": "exploded", "conversation": {"id": "cnv_1"}}, "unknown_type"),
    "generic": ({"kind": "ticket.exploded", "ticket_id": "1", "occurred_at": "2026-03-02T09:00:00Z"}, "unknown_type"),
    "gorgias": ({"schema": "gorgias.v1", "event": "ticket-exploded"}, "unknown_type"),
    "helpscout": ({"id": 1, "mailboxId": 1}, "unknown_type"),
    "hubspot": ([{"subscriptionType": "ticket.exploded", "objectId": 1, "occurredAt": 1}], "unknown_type"),
    "intercom": ({"type": "notification_event", "topic": "conversation.exploded"}, "unknown_type"),
    "jira": ({"webhookEvent": "jira:issue_exploded"}, "unknown_type"),
    "salesforce": ({"eventType": "case_exploded", "record": {}}, "unknown_type"),
    "servicenow": ({"event": "exploded", "table": "incident"}, "unknown_type"),
    "zammad": ({"event": "exploded", "ticket": "an own template"}, "unsupported_format"),
    "zendesk": ({"type": "zen:event-type:ticket.exploded"}, "unknown_type"),
}
NAMED: dict[str, dict[str, str]] = {
    "freescout": {"x-freescout-event": "convo.exploded"},
    "helpscout": {"x-helpscout-event": "convo.exploded"},
}
UNRENDERED: dict[str, Any] = {
    "freshdesk": {"schema": "freshdesk.v1", "event": "created", "ticket_id": "{{ticket.id}}"},
    "gorgias": {"schema": "gorgias.v1", "event": "ticket-created", "ticket": {"id": "{{ticket.id}}"}},
    "salesforce": {"eventType": "case_created", "record": {"Id": "{!$Record.Id}"}},
    "servicenow": {"event": "insert", "table": "incident", "sys_id": "${current.sys_id}", "current": {}},
    "zendesk": {"schema": "zendesk.trigger.v1", "event": "created", "ticket_id": "{{ticket.id}}"},
}


async def told(vendor: str, body: bytes) -> tuple[int, Any, list[Outgoing]]:
    async with running({vendor: {"vendor": vendor, "options": OPTIONS.get(vendor, {})}}) as ingest:
        headers, query = proof(vendor, body)
        answer = await ingest.post(vendor + query, headers | NAMED.get(vendor, {}), body)
        return answer.status_code, answer.json(), ingest.sender.records


@pytest.mark.parametrize("vendor", HERE)
async def test_what_no_version_knows_yet_is_kept_as_a_dead_letter_and_the_sender_is_content(vendor: str) -> None:
    said, reason = UNKNOWN[vendor]
    body = json.dumps(said).encode()
    status, answer, records = await told(vendor, body)
    assert (status, answer["accepted"], answer["dead_lettered"], answer["reason"]) == (200, 0, 1, reason)
    assert [(one.topic, one.value) for one in records] == [(topics.TICKETS_DLQ, body)]


@pytest.mark.parametrize("vendor", UNRENDERED)
async def test_a_template_that_nobody_filled_in_is_kept_as_a_dead_letter_and_the_sender_is_content(vendor: str) -> None:
    body = json.dumps(UNRENDERED[vendor]).encode()
    status, answer, records = await told(vendor, body)
    assert (status, answer["dead_lettered"], answer["reason"]) == (200, 1, "unrendered_template")
    assert [(one.topic, one.value) for one in records] == [(topics.TICKETS_DLQ, body)]


@pytest.mark.parametrize("vendor", HERE)
async def test_a_vendor_is_told_to_come_back_in_the_way_that_it_understands(vendor: str) -> None:
    async with running({vendor: {"vendor": vendor, "options": OPTIONS.get(vendor, {})}}) as ingest:
        ingest.sender.failing = NotNow("Kafka is away", 7.0)
        body = json.dumps({"id": 2, "type": "zen:event-type:ticket.exploded"}).encode()
        headers, query = proof(vendor, body)
        answer = await ingest.post(vendor + query, headers, body)
        status, wait = {"hubspot": (429, "7000"), "intercom": (429, "7")}.get(vendor, (503, "7"))
        assert (answer.status_code, answer.headers["retry-after"]) == (status, wait)
        assert answer.json()["type"] == "urn:deskpulse:problem:unavailable"
        assert ingest.count(vendor, "kafka_away") == 1


@pytest.mark.parametrize("vendor", WAYS)
async def test_an_address_can_be_checked_without_a_signature(vendor: str) -> None:
    async with running({vendor: {"vendor": vendor, "options": OPTIONS.get(vendor, {})}}) as ingest:
        head, got = await ingest.http.head(f"/webhooks/{vendor}"), await ingest.http.get(f"/webhooks/{vendor}")
        assert (head.status_code, head.content, got.status_code) == (200, b"", 200)


async def test_an_address_that_is_nearly_right_is_refused_and_never_redirected() -> None:
    async with running({"generic": {"vendor": "generic"}}) as ingest:
        answer = await ingest.post("generic/", {"host": "somewhere.else.example"})
    assert answer.status_code == 404
    assert "location" not in answer.headers
    assert answer.headers["content-type"] == "application/problem+json"


async def test_intercoms_ping_is_answered_and_not_kept_and_a_forged_one_is_refused() -> None:
    ping = b'{"type": "notification_event", "topic": "ping", "data": {"item": {"type": "ping"}}}'
    async with running({"intercom": {"vendor": "intercom"}}) as ingest:
        answer = await ingest.post("intercom", signing.intercom(ping, SECRET), ping)
        assert answer.status_code == 200
        assert ingest.sender.records == []
        assert ingest.count("intercom", "greeted") == 1
        assert (await ingest.post("intercom", signing.intercom(ping, "guessed"), ping)).status_code == 401


async def test_fronts_challenge_comes_back_only_when_its_signature_is_right() -> None:
    body = b'{"type":"sync","authorization":{"id":"cmp_abc"}}'
    challenge = {"x-front-challenge": "abc123"}
    async with running({"front": {"vendor": "front"}}) as ingest:
        answer = await ingest.post("front", signing.front(body, SECRET, now_ms()) | challenge, body)
        assert (answer.status_code, answer.json()) == (200, {"challenge": "abc123"})
        forged = await ingest.post("front", signing.front(body, "guessed", now_ms()) | challenge, body)
        assert forged.status_code == 401
        assert "abc123" not in forged.text
        assert ingest.sender.records == []


SOAP = f"""<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>
<notifications xmlns="http://soap.sforce.com/2005/09/outbound"><OrganizationId>{ORGANISATION}</OrganizationId>
<Notification><Id>04l000000000001AAA</Id></Notification></notifications></soapenv:Body></soapenv:Envelope>"""


async def test_an_outbound_message_is_acknowledged_in_soap() -> None:
    options = {"auth": "soap", "organization_id": ORGANISATION}
    headers = {"content-type": "text/xml; charset=UTF-8", "soapaction": '""'}
    async with running({"sf": {"vendor": "salesforce", "options": options}}) as ingest:
        for _ in range(2):  # again, as Salesforce does when an answer was lost
            answer = await ingest.post(f"sf?token={SECRET}", headers, SOAP.encode())
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/xml")
            ack = ElementTree.fromstring(answer.text).find(".//{http://soap.sforce.com/2005/09/outbound}Ack")
            assert ack is not None
            assert ack.text == "true"
        other = SOAP.replace("001EAA", "002EAA").encode()
        refused = await ingest.post(f"sf?token={SECRET}", headers, other)
        assert (refused.status_code, refused.json()["type"]) == (401, "urn:deskpulse:problem:wrong-account")


@dataclass
class Zoho:
    """A data centre's key server; ``keys`` are what it shows now."""

    url: str
    keys: list[dict[str, Any]]
    asked: int = 0
    status: int = 200


@pytest.fixture
async def zoho() -> AsyncIterator[Zoho]:
    async def jwks(request: Request) -> Response:
        found.asked += 1
        return JSONResponse({"keys": found.keys}, found.status)

    found = Zoho("", [])
    server = Server(Starlette(routes=[Route("/.well-known/jwks.json", jwks)]), "127.0.0.1", 0)
    await server.start()
    found.url = f"{server.url}/.well-known/jwks.json"
    yield found
    await server.stop()


def jwk(key: rsa.RSAPrivateKey, kid: str) -> dict[str, Any]:
    return {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid}


def zoho_headers(key: rsa.RSAPrivateKey, kid: str) -> dict[str, str]:
    at_s = now_ms() // 1000
    claims = {"iss": "orgId:4242", "aud": "webhookId:77", "iat": at_s, "exp": at_s + 60}
    return {"x-zdesk-jwt": jwt.encode(claims, key, "RS256", headers={"kid": kid})}


@asynccontextmanager
async def with_zoho(zoho: Zoho) -> AsyncIterator[Ingest]:
    options = {**OPTIONS["zoho_desk"], "jwks_url": zoho.url}
    async with running({"zoho": {"vendor": "zoho_desk", "options": options}}) as ingest:
        yield ingest


EVENTS = b'[{"eventType": "Ticket_Nothing", "orgId": "4242", "eventTime": "1772442000000", "payload": {"id": "1"}}]'


async def test_zohos_keys_are_fetched_once_and_never_for_somebody_without_the_secret(zoho: Zoho) -> None:
    key = rsa.generate_private_key(65537, 2048)
    zoho.keys = [jwk(key, "k1")]
    async with with_zoho(zoho) as ingest:
        for path in ("zoho", "zoho?token=guessed"):
            assert (await ingest.post(path, zoho_headers(key, "k1"), EVENTS)).status_code == 401
        assert zoho.asked == 0
        for _ in range(3):
            assert (await ingest.post(f"zoho?token={SECRET}", zoho_headers(key, "k1"), EVENTS)).status_code == 200
        assert zoho.asked == 1
        for _ in range(3):
            unknown = await ingest.post(f"zoho?token={SECRET}", zoho_headers(key, "k2"), EVENTS)
            assert unknown.json()["type"] == "urn:deskpulse:problem:unknown-key"
        assert zoho.asked == 1, "at most once a minute, whatever keys are named"


async def test_the_probe_of_zoho_is_answered_with_200_and_nothing_is_kept(zoho: Zoho) -> None:
    async with with_zoho(zoho) as ingest:
        for body in (b"", b"[]"):
            assert (await ingest.post(f"zoho?token={SECRET}", body=body)).status_code == 200
            assert (await ingest.post("zoho", body=body)).status_code == 401
        assert ingest.sender.records == []


async def test_without_zohos_keys_nothing_is_taken_and_the_sender_may_come_back(zoho: Zoho) -> None:
    key = rsa.generate_private_key(65537, 2048)
    zoho.keys, zoho.status = [jwk(key, "k1")], 500
    async with with_zoho(zoho) as ingest:
        answer = await ingest.post(f"zoho?token={SECRET}", zoho_headers(key, "k1"), EVENTS)
        assert answer.status_code == 503
        assert ingest.count("zoho", "keys_away") == 1
        assert ingest.sender.records == []


async def test_hubspots_signature_is_checked_against_the_configured_address_and_not_the_host_header() -> None:
    async with running({"hubspot": {"vendor": "hubspot", "options": OPTIONS["hubspot"]}}) as ingest:
        body = b"[]"
        for host, status in (("deskpulse.example.com", 200), ("evil.example.com", 401)):
            url = f"https://{host}/base/webhooks/hubspot?x=%41&y=1"
            headers = signing.hubspot(body, SECRET, now_ms(), url) | {"host": "evil.example.com"}
            assert (await ingest.post("hubspot?x=%41&y=1", headers, body)).status_code == status
        old = signing.hubspot(body, SECRET, now_ms() - 301_000, "https://deskpulse.example.com/base/webhooks/hubspot")
        assert (await ingest.post("hubspot", old, body)).json()["type"] == "urn:deskpulse:problem:stale"


async def test_one_source_can_use_up_its_rate_and_not_the_rate_of_another() -> None:
    sources = {name: {"vendor": "freshdesk", "max_per_s": 1} for name in ("one", "two")}
    good = {"x-webhook-token": SECRET}
    async with running(sources) as ingest:
        for _ in range(12):
            assert (await ingest.post("one", {"x-webhook-token": "guessed"})).status_code == 401
        statuses = [(await ingest.post("one", good)).status_code for _ in range(12)]
        assert statuses[:10] == [200] * 10, "strangers have not used up anything"
        assert statuses[-1] == 429
        refused = await ingest.post("one", good)
        assert refused.json()["type"] == "urn:deskpulse:problem:too-many-requests"
        assert 1 <= int(refused.headers["retry-after"]) < 60
        assert ingest.count("one", "too_many") >= 1
        assert (await ingest.post("two", good)).status_code == 200


async def test_one_source_can_hold_its_share_of_requests_and_no_more() -> None:
    sources = {name: {"vendor": "zendesk", "max_concurrent": 1} for name in ("one", "two")}
    first, second = signing.status_changed("e-1"), signing.status_changed("e-2")
    async with running(sources) as ingest:
        ingest.sender.gate = asyncio.Event()
        held = asyncio.create_task(ingest.post("one", signing.zendesk(first, SECRET), first))
        async with asyncio.timeout(10):
            while not ingest.sender.waiting:
                await asyncio.sleep(0)
        refused = await ingest.post("one", signing.zendesk(second, SECRET), second)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        other = asyncio.create_task(ingest.post("two", signing.zendesk(second, SECRET), second))
        async with asyncio.timeout(10):
            while ingest.sender.waiting < 2:
                await asyncio.sleep(0)
        ingest.sender.gate.set()
        assert [(await one).status_code for one in (held, other)] == [200, 200]
        assert (await ingest.post("one", signing.zendesk(second, SECRET), second)).status_code == 200


async def test_a_source_takes_webhooks_only_from_where_it_allows_and_believes_only_our_proxies() -> None:
    source = {"vendor": "freshdesk", "allow_from": ["192.0.2.0/24"]}
    good = {"x-webhook-token": SECRET}
    async with running({"desk": source}) as direct:
        lied = await direct.post("desk", good | {"x-forwarded-for": "192.0.2.7"})
        assert (lied.status_code, lied.json()["type"]) == (403, "urn:deskpulse:problem:not-allowed")
        assert (await direct.http.get("/webhooks/desk")).status_code == 403
        assert direct.count("desk", "not_allowed") == 2
    async with running({"desk": source}, trusted_proxies="127.0.0.1, 10.0.0.0/8") as behind:
        for forwarded, status in {
            "192.0.2.7": 200,
            "198.51.100.9, 192.0.2.7": 200,
            "192.0.2.7, 10.1.1.1": 200,
            "192.0.2.7, 198.51.100.9": 403,
            "192.0.2.7, nonsense": 403,
        }.items():
            answer = await behind.post("desk", good | {"x-forwarded-for": forwarded})
            assert answer.status_code == status, forwarded
        assert (await behind.post("desk", good)).status_code == 403


async def test_no_secret_that_was_sent_reaches_a_log_a_record_or_an_answer() -> None:
    sources = {
        "url": {"vendor": "gorgias"},
        "header": {"vendor": "servicenow", "options": {"auth": "header", "header": "X-Our-Own"}},
        "basic": {"vendor": "freshdesk"},
    }
    written = io.StringIO()
    logs.configure("test", "DEBUG", written)
    try:
        async with running(sources) as ingest:
            for secret in (SECRET, "guessed-secret"):
                answers = [
                    await ingest.post(f"url?token={secret}"),
                    await ingest.post("header", {"x-our-own": secret}),
                    await ingest.post("basic", signing.basic("deskpulse", secret)),
                ]
                assert not [answer.text for answer in answers if secret in answer.text]
            assert ingest.sender.records, "the good ones were kept, as dead letters"
            ingest.sender.failing = RuntimeError("a bug")
            broken = await ingest.post(f"url?token={SECRET}", body=b'{"id": 3}')
            assert broken.status_code == 500
    finally:
        logs.configure("test")
    assert "unexpected_error" in written.getvalue()
    sent = signing.basic("deskpulse", SECRET)["authorization"].split()[1]
    everything = written.getvalue() + repr(ingest.sender.records)
    assert not [secret for secret in (SECRET, "guessed-secret", sent) if secret in everything]


async def test_what_a_source_keeps_of_a_person_is_in_its_events_and_in_no_log_metric_or_answer() -> None:
    text = "my card is lost, says Casey"
    event = {"kind": "message.added", "ticket_id": "1", "occurred_at": "2026-03-02T09:00:00Z"}
    event |= {"message": {"author": "customer"}, "personal": {"message_body": text, "requester_name": "Casey"}}
    broken = {**event, "occurred_at": "Casey, yesterday", "ticket_id": "2"}
    written = io.StringIO()
    logs.configure("test", "DEBUG", written)
    try:
        async with running({"generic": {"vendor": "generic", "keep": ["message_body"], "keep_raw": False}}) as ingest:
            answers = []
            for one in (event, broken, {**event, "ticket_id": "3"}):
                body = json.dumps(one).encode()
                headers = signing.standard(body, SECRET.encode(), f"m-{one['ticket_id']}")
                answers.append(await ingest.post("generic", headers, body))
                ingest.sender.failing = RuntimeError("a bug") if one is broken else None
            metrics = (await ingest.http.get("/metrics")).text
    finally:
        logs.configure("test")
    assert [answer.status_code for answer in answers] == [200, 200, 500]
    kept, letter = ingest.sender.records
    assert decode_ticket(kept.value or b"").personal == Personal(message_body=text)
    assert letter.topic == topics.TICKETS_DLQ
    told = written.getvalue() + metrics + "".join(answer.text for answer in answers) + repr(letter.headers)
    assert "unexpected_error" in told
    assert "webhook_dead_lettered" in told
    assert "Casey" not in told
    assert "card" not in told


async def test_a_body_that_is_nested_too_deeply_is_kept_as_bytes_and_nothing_falls_over() -> None:
    async with running({"generic": {"vendor": "generic"}}) as ingest:
        for body in (b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000):
            answer = await ingest.post("generic", proof("generic", body)[0], body)
            assert (answer.status_code, answer.json()["reason"]) == (200, "too_deep")


async def test_a_batch_with_one_item_that_cannot_be_read_loses_neither_it_nor_the_others() -> None:
    now = now_ms()
    good = {
        "eventId": 1,
        "subscriptionId": 9,
        "portalId": 7,
        "occurredAt": now,
        "subscriptionType": "ticket.creation",
        "objectId": 11,
        "changeFlag": "NEW",
    }
    body = json.dumps([good, {**good, "eventId": 2, "subscriptionType": "ticket.exploded"}]).encode()
    headers, query = proof("hubspot", body)
    async with running({"hubspot": {"vendor": "hubspot", "options": OPTIONS["hubspot"]}}) as ingest:
        first = await ingest.post(f"hubspot{query}", headers, body)
        again = await ingest.post(f"hubspot{query}", headers, body)
        topics = [record.topic for record in ingest.sender.records]
    assert (first.status_code, first.json()["accepted"], first.json()["dead_lettered"]) == (200, 1, 1)
    assert (again.status_code, again.json()["accepted"]) == (200, 0)
    assert sorted(topics) == ["helpdesk.tickets.v1", "helpdesk.tickets.v1.dlq", "helpdesk.webhooks.v1"]
