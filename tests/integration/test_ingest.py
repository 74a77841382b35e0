"""Ingest with a real Kafka and a real Redis behind a real server: what is answered, and what is then in the topics."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from prometheus_client import CollectorRegistry

from schemas.codec import decode_ticket
from schemas.ticket import Kind, Status
from services.config.document import parse
from services.config.environment import Environment
from services.embedded.port import free_port
from services.ingest.app import build, serve
from services.ingest.dedupe import PREFIX, RedisDedupe
from services.ingest.intake import TopicNames
from services.ingest.measures import Measures
from services.ingest.raw import delivery_of
from services.operate.health import Health
from services.operate.server import PortTaken, Server
from services.state.client import hasty
from services.stream.producer import Producer
from tests.support import signing
from tests.support.kafka import Kafka
from tests.support.wait import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.redis]

KEY = os.urandom(32)
DOCUMENT = parse(
    f"""
sources:
  zendesk: {{vendor: zendesk, secrets: [new secret, old secret]}}
  discreet: {{vendor: zendesk, secrets: [discreet secret], keep_raw: false}}
  generic: {{vendor: generic, secrets: ["whsec_{base64.b64encode(KEY).decode()}"]}}
""",
    {},
)
LIMIT = 4096


@dataclass(frozen=True, slots=True)
class Ingest:
    """A running ingest, and what it wrote."""

    http: httpx.AsyncClient
    port: int
    registry: CollectorRegistry
    bootstrap: str
    names: TopicNames

    async def post(self, source: str, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
        return await self.http.post(f"/webhooks/{source}", content=body, headers=headers)

    async def zendesk(self, body: bytes, secret: str = "new secret", source: str = "zendesk") -> httpx.Response:
        return await self.post(source, body, signing.zendesk(body, secret))

    async def generic(self, events: Any) -> httpx.Response:
        body = json.dumps(events).encode()
        return await self.post("generic", body, signing.standard(body, KEY, f"msg_{uuid4().hex}"))

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0

    async def written(self, topic: str) -> list[Any]:
        """Every record of ``topic``, in no order between partitions."""
        async with _reader(self.bootstrap, topic) as (consumer, ends):
            found: list[Any] = []
            while any([await consumer.position(partition) < end for partition, end in ends.items()]):
                batch = await consumer.getmany(timeout_ms=500)
                found += [record for records in batch.values() for record in records]
            return found

    async def ends(self) -> dict[str, int]:
        """How many records each topic has taken."""
        counts = {}
        for topic in (self.names.tickets, self.names.webhooks, self.names.dead_letters):
            async with _reader(self.bootstrap, topic) as (_, ends):
                counts[topic] = sum(ends.values())
        return counts


@asynccontextmanager
async def _reader(bootstrap: str, topic: str) -> AsyncIterator[tuple[Any, dict[TopicPartition, int]]]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        numbers: set[int] = set()
        while not numbers:  # a topic that was just made is known to the broker before it is known to a client
            await consumer._client.force_metadata_update()
            numbers = consumer.partitions_for_topic(topic) or set()
            consumer._client.add_topic(topic)
        partitions = [TopicPartition(topic, number) for number in sorted(numbers)]
        consumer.assign(partitions)
        yield consumer, await consumer.end_offsets(partitions)
    finally:
        await consumer.stop()


NewTopic = Callable[..., Awaitable[str]]


@asynccontextmanager
async def running(bootstrap: str, redis_url: str, names: TopicNames, **environment: Any) -> AsyncIterator[Ingest]:
    settings = Environment(kafka_bootstrap=bootstrap, max_body_bytes=LIMIT, **environment)
    producer = Producer(settings.kafka(), "test-ingest")
    redis = hasty(redis_url)
    registry = CollectorRegistry()
    measures = Measures(registry)
    app = build(
        DOCUMENT,
        settings,
        producer,
        RedisDedupe(redis, measures.degraded.inc, deadline_s=5),
        health=Health(),
        measures=measures,
        names=names,
        registry=registry,
    )
    server = Server(app, "127.0.0.1", 0)
    await server.start()
    try:
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
            yield Ingest(http, server.port, registry, bootstrap, names)
    finally:
        await server.stop()
        await producer.stop()
        await redis.aclose()


@pytest.fixture
async def names(new_topic: NewTopic) -> TopicNames:
    return TopicNames(await new_topic("tickets"), await new_topic("webhooks"), await new_topic("dlq"))


@pytest.fixture
async def ingest(kafka: Kafka, redis_db: str, names: TopicNames) -> AsyncIterator[Ingest]:
    async with running(kafka.bootstrap, redis_db, names, produce_deadline_s=30) as one:
        yield one


def header(record: Any, name: str) -> str | None:
    return next((value.decode() for key, value in record.headers if key == name), None)


async def test_a_signed_webhook_is_a_canonical_event_and_a_raw_copy_in_kafka_when_it_is_answered(
    ingest: Ingest,
) -> None:
    body = signing.status_changed("e-1")
    answer = await ingest.zendesk(body)
    assert (answer.status_code, answer.json()) == (200, {"accepted": 1, "duplicates": 0, "dead_lettered": 0})

    [record] = await ingest.written(ingest.names.tickets)
    event = decode_ticket(record.value)
    assert (event.kind, event.source, event.ticket_id) == (Kind.STATUS_CHANGED, "zendesk", "1001")
    assert event.status is not None
    assert event.status.to is Status.SOLVED
    assert record.key == b"zendesk:1001"
    assert header(record, "ce_id") == event.event_id
    assert header(record, "ce_type") == "deskpulse.helpdesk.status.changed.v1"

    [raw] = await ingest.written(ingest.names.webhooks)
    assert raw.value == body
    assert header(raw, "source") == "zendesk"
    assert header(raw, "delivery-id") == header(raw, "http-x-zendesk-webhook-invocation-id") == "8350205582"
    assert not [name for name, _ in raw.headers if "signature" in name or "authorization" in name]
    again = delivery_of(raw.headers, raw.value)
    assert (again.vendor, again.body, again.received_at) == ("zendesk", body, event.received_at)


async def test_an_array_of_generic_events_is_produced_under_their_own_tickets(ingest: Ingest) -> None:
    one = {"kind": "ticket.created", "ticket_id": "A", "occurred_at": "2026-03-02T09:00:00Z"}
    answer = await ingest.generic([one, {**one, "ticket_id": "B"}])
    assert answer.json()["accepted"] == 2
    assert sorted(record.key for record in await ingest.written(ingest.names.tickets)) == [b"generic:A", b"generic:B"]


async def test_duplicates_are_answered_well_and_produced_once(ingest: Ingest) -> None:
    body = signing.status_changed("e-1")
    answers = [(await ingest.zendesk(body)).json() for _ in range(3)]
    assert [answer["accepted"] for answer in answers] == [1, 0, 0]
    assert [answer["duplicates"] for answer in answers] == [0, 1, 1]
    assert list((await ingest.ends()).values()) == [1, 1, 0]


async def test_copies_that_arrive_together_are_produced_once(ingest: Ingest) -> None:
    body = signing.status_changed("e-1")
    answers = await asyncio.gather(*(ingest.zendesk(body) for _ in range(10)))
    assert sorted(answer.json()["accepted"] for answer in answers) == [0] * 9 + [1]
    assert list((await ingest.ends()).values()) == [1, 1, 0]


async def test_only_the_new_events_of_an_array_are_produced(ingest: Ingest) -> None:
    one = {"kind": "ticket.created", "ticket_id": "A", "occurred_at": "2026-03-02T09:00:00Z", "event_id": "a"}
    await ingest.generic(one)
    answer = await ingest.generic([one, {**one, "ticket_id": "B", "event_id": "b"}, one])
    assert (answer.json()["accepted"], answer.json()["duplicates"]) == (1, 1)
    assert len(await ingest.written(ingest.names.tickets)) == 2


async def test_what_cannot_be_mapped_is_answered_well_and_kept_once_with_its_reason(ingest: Ingest) -> None:
    body = b'{"type": "zen:event-type:ticket.exploded", "detail": {}}'
    answers = [await ingest.zendesk(body) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json()["reason"] == "unknown_type"
    [letter] = await ingest.written(ingest.names.dead_letters)
    assert letter.value == body
    assert (header(letter, "dlq-reason"), header(letter, "dlq-stage")) == ("unknown_type", "ingest")
    assert header(letter, "source") == "zendesk"
    assert list((await ingest.ends()).values()) == [0, 0, 1]
    assert ingest.metric("deskpulse_ingest_dead_letters_total", source="zendesk", reason="unknown_type") == 1


async def test_what_says_nothing_is_kept_raw_only(ingest: Ingest) -> None:
    answer = await ingest.zendesk(b'{"type": "zen:event-type:ticket.followers_changed"}')
    assert answer.status_code == 200
    assert "note" in answer.json()
    assert list((await ingest.ends()).values()) == [0, 1, 0]


async def test_a_source_that_keeps_no_raw_copies_has_none(ingest: Ingest) -> None:
    answer = await ingest.zendesk(signing.status_changed("e-1"), "discreet secret", "discreet")
    assert answer.json()["accepted"] == 1
    assert list((await ingest.ends()).values()) == [1, 0, 0]


Refused = tuple[int, str, Callable[[Ingest], Awaitable[httpx.Response]]]
GOOD = signing.status_changed("e-refused")


def _with(body: bytes, **changes: str | None) -> Callable[[Ingest], Awaitable[httpx.Response]]:
    """Signs GOOD now, changes headers, and posts ``body``."""

    async def send(ingest: Ingest) -> httpx.Response:
        headers = {**signing.zendesk(GOOD, "new secret"), **{k.replace("_", "-"): v for k, v in changes.items()}}
        sent = {name: value.encode("latin-1") for name, value in headers.items() if value is not None}
        return await ingest.http.post("/webhooks/zendesk", content=body, headers=sent)

    return send


def _signed(body: bytes, at: datetime | str | None = None, secret: str = "new secret") -> Callable[[Ingest], Any]:
    async def send(ingest: Ingest) -> httpx.Response:
        return await ingest.post("zendesk", body, signing.zendesk(body, secret, at))

    return send


async def _endless(ingest: Ingest) -> httpx.Response:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(LIMIT // 1024 + 1):
            yield b"x" * 1024

    return await ingest.http.post("/webhooks/zendesk", content=chunks())


async def _unknown(ingest: Ingest) -> httpx.Response:
    return await ingest.post("nobody", GOOD, signing.zendesk(GOOD, "new secret"))


async def _other_source(ingest: Ingest) -> httpx.Response:
    return await ingest.post("discreet", GOOD, signing.zendesk(GOOD, "new secret"))


async def _other_method(ingest: Ingest) -> httpx.Response:
    return await ingest.http.put("/webhooks/zendesk", content=GOOD, headers=signing.zendesk(GOOD, "new secret"))


async def _standard_garbage(ingest: Ingest) -> httpx.Response:
    headers = {**signing.standard(GOOD, KEY, "m"), "webhook-signature": "no comma at all"}
    return await ingest.post("generic", GOOD, headers)


REFUSED: dict[str, Refused] = {
    "forged": (401, "bad-signature", _signed(GOOD, secret="guessed")),
    "body swapped": (401, "bad-signature", _with(signing.status_changed("another"))),
    "signature garbage": (401, "bad-signature", _with(GOOD, x_zendesk_webhook_signature="\xff not base64")),
    "standard garbage": (401, "bad-signature", _standard_garbage),
    "unsigned": (401, "missing-signature", _with(GOOD, x_zendesk_webhook_signature=None)),
    "untimed": (401, "missing-timestamp", _with(GOOD, x_zendesk_webhook_signature_timestamp=None)),
    "expired": (401, "stale", _signed(GOOD, datetime.now(UTC) - timedelta(days=1))),
    "from the future": (401, "stale", _signed(GOOD, datetime.now(UTC) + timedelta(days=1))),
    "time malformed": (400, "malformed-timestamp", _signed(GOOD, "1234")),
    "not JSON": (400, "not-json", _signed(b"ticket=1")),
    "empty": (400, "not-json", _signed(b"")),
    "oversized": (413, "too-large", _signed(b" " * (LIMIT + 1))),
    "oversized without end": (413, "too-large", _endless),
    "unknown source": (404, "unknown-source", _unknown),
    "signed for another source": (401, "bad-signature", _other_source),
    "other method": (405, "method-not-allowed", _other_method),
}


async def test_whatever_is_refused_says_why_as_a_problem_and_changes_nothing(ingest: Ingest) -> None:
    before = await ingest.ends()
    for name, (status, kind, send) in REFUSED.items():
        answer = await send(ingest)
        assert (answer.status_code, answer.json()["type"]) == (status, f"urn:deskpulse:problem:{kind}"), name
        assert answer.headers["content-type"] == "application/problem+json", name
        assert answer.json()["status"] == status, name
        assert "secret" not in answer.json()["detail"].replace("source's secrets", ""), name
    assert await ingest.ends() == before
    assert ingest.metric("deskpulse_webhooks_total", source="unknown", outcome="unknown_source") == 1
    assert ingest.metric("deskpulse_webhooks_total", source="zendesk", outcome="stale") == 2
    answer = await ingest.zendesk(GOOD)
    assert answer.json()["accepted"] == 1, "the service goes on, and the refused copies were not remembered"


async def test_the_old_secret_works_while_it_is_listed_and_its_use_is_counted(ingest: Ingest) -> None:
    assert (await ingest.zendesk(signing.status_changed("e-1"), "old secret")).status_code == 200
    assert (await ingest.zendesk(signing.status_changed("e-2"), "new secret")).status_code == 200
    assert ingest.metric("deskpulse_signature_secret_total", source="zendesk", secret="1") == 1
    assert ingest.metric("deskpulse_signature_secret_total", source="zendesk", secret="0") == 1


async def test_an_endpoint_check_is_answered_for_configured_sources_only(ingest: Ingest) -> None:
    answer = await ingest.http.get("/webhooks/generic")
    assert (answer.status_code, answer.json()) == (200, {"source": "generic", "vendor": "generic", "accepts": "POST"})
    head = await ingest.http.head("/webhooks/generic")
    assert (head.status_code, head.content) == (200, b"")
    assert (await ingest.http.get("/webhooks/nobody")).status_code == 404


async def test_the_metrics_of_a_webhook_are_exposed(ingest: Ingest) -> None:
    await ingest.zendesk(signing.status_changed("e-1"))
    text = (await ingest.http.get("/metrics")).text
    assert 'deskpulse_webhooks_total{outcome="accepted",source="zendesk"} 1.0' in text
    assert 'deskpulse_ingest_events_total{kind="status.changed",source="zendesk"} 1.0' in text
    assert 'deskpulse_webhook_seconds_count{source="zendesk"} 1.0' in text


async def test_while_kafka_is_away_a_webhook_is_told_to_come_back_and_is_taken_then(
    kafka: Kafka, redis_db: str, names: TopicNames
) -> None:
    body = signing.status_changed("e-1")
    async with running(f"127.0.0.1:{free_port()}", redis_db, names, produce_deadline_s=0.5) as away:
        answer = await away.zendesk(body)
        assert answer.status_code == 503
        assert answer.json()["type"] == "urn:deskpulse:problem:unavailable"
        assert 1 <= int(answer.headers["retry-after"]) < 60
        assert away.metric("deskpulse_webhooks_total", source="zendesk", outcome="kafka_away") == 1
    async with running(kafka.bootstrap, redis_db, names, produce_deadline_s=30) as back:
        assert (await back.zendesk(body)).json()["accepted"] == 1


async def test_without_redis_webhooks_are_taken_all_the_same_and_copies_carry_the_same_id(
    kafka: Kafka, names: TopicNames
) -> None:
    nowhere = f"redis://127.0.0.1:{free_port()}"
    async with running(kafka.bootstrap, nowhere, names, produce_deadline_s=30) as ingest:
        body = signing.status_changed("e-1")
        assert [(await ingest.zendesk(body)).json()["accepted"] for _ in range(2)] == [1, 1]
        first, second = await ingest.written(names.tickets)
        assert decode_ticket(first.value).event_id == decode_ticket(second.value).event_id
        assert ingest.metric("deskpulse_dedupe_degraded_total") >= 2


@asynccontextmanager
async def process(bootstrap: str, redis_url: str, names: TopicNames) -> AsyncIterator[tuple[str, asyncio.Event, Any]]:
    """The whole service on a free port: its URL, the event that stops it, and its task."""
    settings = Environment(
        kafka_bootstrap=bootstrap,
        redis_url=redis_url,
        ingest_port=0,
        produce_deadline_s=30,
        spool_max_bytes=0,
        dedupe_horizon="2h",
    )
    stop, url = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(
        serve(settings, DOCUMENT, stop, url.set_result, names, CollectorRegistry()), name="ingest"
    )
    try:
        await asyncio.wait({task, url}, return_when=asyncio.FIRST_COMPLETED)
        yield url.result(), stop, task
    finally:
        stop.set()
        await asyncio.wait_for(task, 30)


async def test_the_service_listens_while_kafka_is_away_and_says_that_it_is_not_ready(
    redis_db: str, names: TopicNames
) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    async with process(nowhere, redis_db, names) as (url, _, _), httpx.AsyncClient(base_url=url) as http:
        assert (await http.get("/livez")).status_code == 200
        ready = await http.get("/readyz?verbose")
        assert ready.status_code == 503
        assert not next(one["ok"] for one in ready.json()["checks"] if one["name"] == "kafka")

        async def told() -> bool:
            return f"kafka: Kafka does not answer: nobody listens on {nowhere}." in (await http.get("/readyz")).text

        await eventually(told, "it says why")


async def test_a_stop_lets_the_request_in_flight_finish_and_its_event_is_in_kafka(
    kafka: Kafka, redis_db: str, names: TopicNames
) -> None:
    body = signing.status_changed("e-1")
    async with process(kafka.bootstrap, redis_db, names) as (url, stop, task):
        async with httpx.AsyncClient(base_url=url) as http:
            async with asyncio.timeout(60):
                while (await http.get("/readyz")).status_code != 200:
                    await asyncio.sleep(0.05)
        port = int(url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        lines = "".join(f"{k}: {v}\r\n" for k, v in signing.zendesk(body, "new secret").items())
        head = f"POST /webhooks/zendesk HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n{lines}\r\n"
        writer.write(head.encode() + body[:10])
        await writer.drain()
        stop.set()
        async with asyncio.timeout(30):
            while await _accepts(port):
                await asyncio.sleep(0.05)
        writer.write(body[10:])
        answer = await asyncio.wait_for(reader.read(), 30)
        writer.close()
        await asyncio.wait_for(task, 30)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b'"accepted":1' in answer
    memory = hasty(redis_db)
    remembered = [await memory.ttl(key) async for key in memory.scan_iter(match=f"{PREFIX}*")]
    await memory.aclose()
    assert len(remembered) == 1
    assert 7000 < remembered[0] <= 7200, "as long as DESKPULSE_DEDUPE_HORIZON says"
    seen = Ingest(httpx.AsyncClient(), port, CollectorRegistry(), kafka.bootstrap, names)
    assert len(await seen.written(names.tickets)) == 1


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def test_a_port_that_is_taken_is_said_in_one_line(ingest: Ingest) -> None:
    server = Server(lambda *_: None, "127.0.0.1", ingest.port)  # type: ignore[arg-type]
    with pytest.raises(PortTaken) as caught:
        await server.start()
    assert str(ingest.port) in str(caught.value)
    assert "\n" not in str(caught.value)
