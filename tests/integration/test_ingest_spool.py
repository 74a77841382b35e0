"""Kafka goes away and comes back: what was accepted meanwhile is there, in order, and refusals say so."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from prometheus_client import CollectorRegistry

from schemas.codec import decode_ticket
from services.config.document import parse
from services.config.environment import Environment
from services.ingest.app import serve
from services.ingest.intake import TopicNames
from tests.support import apache_kafka, signing
from tests.support.apache_kafka import ApacheKafka
from tests.support.kafka import Kafka, KafkaKind, unique
from tests.support.wait import eventually

pytestmark = [
    pytest.mark.slow,
    pytest.mark.kafka,
    pytest.mark.redis,
    pytest.mark.skipif(not apache_kafka.obtainable(), reason="needs java, and mvn to fetch Apache Kafka"),
]

KEY = os.urandom(32)
DOCUMENT = parse(
    f"""
sources:
  zendesk: {{vendor: zendesk, secrets: [s1]}}
  generic: {{vendor: generic, secrets: ["whsec_{base64.b64encode(KEY).decode()}"]}}
""",
    {},
)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[ApacheKafka]:
    with ApacheKafka(tmp_path / "kafka") as server:
        yield server


@pytest.fixture
async def names(node: ApacheKafka) -> TopicNames:
    """Topics of one partition, so that their order is the order of arrival."""
    kafka = Kafka(node.bootstrap, KafkaKind.APACHE, node.version)
    made = TopicNames(*(unique(noun) for noun in ("tickets", "webhooks", "dlq")))
    for name in (made.tickets, made.webhooks, made.dead_letters):
        await kafka.create_topic(name, partitions=1)
    return made


class Ingest:
    """The whole service. Redis is none of its business here, but is there as in production."""

    def __init__(self, http: httpx.AsyncClient, registry: CollectorRegistry) -> None:
        self.http = http
        self.registry = registry
        self.answers: list[httpx.Response] = []

    async def generic(self, number: int) -> httpx.Response:
        event = {
            "event_id": f"00000000-0000-0000-0000-{number:012d}",
            "ticket_id": "7",
            "kind": "ticket.created",
            "occurred_at": f"2026-11-22T03:{number // 60:02d}:{number % 60:02d}Z",
        }
        body = json.dumps(event).encode()
        return await self.http.post(
            "/webhooks/generic", content=body, headers=signing.standard(body, KEY, f"msg_{number}")
        )

    async def zendesk(self, event_id: str) -> httpx.Response:
        body = signing.status_changed(event_id)
        return await self.http.post("/webhooks/zendesk", content=body, headers=signing.zendesk(body, "s1"))

    def spool(self, name: str) -> float:
        found = self.registry.get_sample_value(f"deskpulse_spool_{name}")
        assert found is not None, name
        return found


@asynccontextmanager
async def ingest(bootstrap: str, redis_url: str, names: TopicNames, spool: Path) -> AsyncIterator[Ingest]:
    settings = Environment(
        kafka_bootstrap=bootstrap, redis_url=redis_url, ingest_port=0, spool_dir=spool, produce_deadline_s=3
    )
    stop, url = asyncio.Event(), asyncio.get_running_loop().create_future()
    registry = CollectorRegistry()
    task = asyncio.create_task(serve(settings, DOCUMENT, stop, url.set_result, names, registry))
    try:
        await asyncio.wait({task, url}, return_when=asyncio.FIRST_COMPLETED)
        assert url.done(), task.result()
        async with httpx.AsyncClient(base_url=url.result(), timeout=30) as http:
            yield Ingest(http, registry)
    finally:
        stop.set()
        await asyncio.wait_for(task, 30)


async def written(bootstrap: str, topic: str) -> list[Any]:
    """Every record of a topic of one partition, in its order."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        found: list[Any] = []
        while await consumer.position(partition) < end:
            batch = await consumer.getmany(timeout_ms=500)
            found += [record for records in batch.values() for record in records]
        return found
    finally:
        await consumer.stop()


async def arrived(bootstrap: str, names: TopicNames) -> list[str]:
    """The event ids of the tickets topic in the order of their first arrival: copies of the same id are one event
    for everybody who reads it."""
    events = [decode_ticket(record.value) for record in await written(bootstrap, names.tickets)]
    return list(dict.fromkeys(event.event_id for event in events))


async def test_webhooks_that_were_accepted_while_kafka_was_away_arrive_in_order_and_once_per_id(
    node: ApacheKafka, names: TopicNames, redis_db: str, tmp_path: Path
) -> None:
    async with ingest(node.bootstrap, redis_db, names, tmp_path / "spool") as running:
        for number in range(5):
            answer = await running.generic(number)
            assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
        assert running.spool("appended_total") == 0

        node.kill()
        for number in range(5, 65):
            answer = await running.generic(number)
            assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
        assert (await running.generic(30)).json() == {"accepted": 0, "duplicates": 1, "dead_lettered": 0}
        refused = await running.zendesk("e-1")
        assert refused.status_code == 503
        assert 0 < int(refused.headers["retry-after"]) < 60
        assert running.spool("records") == running.spool("appended_total") == 60
        assert running.spool("bytes") > 0
        assert running.spool("oldest_seconds") > 0
        assert (await running.http.get("/readyz")).status_code == 200

        node.start()  # from the main thread only, so ingest stands still meanwhile
        await eventually(lambda: running.spool("records") == 0, "drained", timeout_s=90)
        assert (running.spool("drained_total"), running.spool("bytes")) == (60, 0)
        for number in range(65, 70):
            assert (await running.generic(number)).status_code == 200
        assert running.spool("appended_total") == 60, "with Kafka back nothing is spooled"
    ids = await arrived(node.bootstrap, names)
    generic = [f"00000000-0000-0000-0000-{number:012d}" for number in range(70)]
    assert len(ids) - len(generic) in (0, 1), "the refused one may be in Kafka all the same"
    times = {
        decode_ticket(record.value).event_id: decode_ticket(record.value).occurred_at
        for record in await written(node.bootstrap, names.tickets)
        if decode_ticket(record.value).source == "generic"
    }
    in_order = [times[one] for one in ids if one in times]
    assert len(in_order) == 70
    assert in_order == sorted(in_order)
    raw = {record.key for record in await written(node.bootstrap, names.webhooks)}
    assert {f"generic:msg_{number}".encode() for number in range(70)} <= raw


async def test_an_ingest_that_starts_while_kafka_is_away_accepts_and_the_next_one_sends(
    node: ApacheKafka, names: TopicNames, redis_db: str, tmp_path: Path
) -> None:
    node.stop()
    spool = tmp_path / "spool"
    async with ingest(node.bootstrap, redis_db, names, spool) as running:
        [note] = (await running.http.get("/readyz")).json()["notes"]
        assert note.startswith("kafka: ")
        assert note.endswith(". Webhooks of sources that spool are taken.")
        answers = await asyncio.gather(*(running.generic(number) for number in range(20)))
        assert [answer.status_code for answer in answers] == [200] * 20
    assert list(spool.glob("*.spool"))
    node.start()  # from the main thread only, so ingest stands still meanwhile
    async with ingest(node.bootstrap, redis_db, names, spool) as running:
        assert running.spool("recovered_total") == 20
        await eventually(lambda: running.spool("records") == 0, "drained", timeout_s=60)
    assert len(await arrived(node.bootstrap, names)) == 20
    assert not list(spool.glob("*.spool"))
