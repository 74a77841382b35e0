"""What ingest does with a spool: which sources get one, when it is used, and what is answered."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from schemas.failure import NotNow
from services.config.document import ConfigInvalid, Document, parse
from services.config.environment import Environment
from services.ingest import app as wiring
from services.ingest.dedupe import MemoryDedupe
from services.ingest.measures import Measures
from services.ingest.source import COME_AGAIN, ready
from services.ingest.spool import Spool, drain
from services.ingest.verify import WAYS
from services.operate.health import Health
from services.stream.record import Outgoing
from tests.support import signing
from tests.support.wait import eventually

KEY = b"k" * 32
SECRET = "whsec_" + base64.b64encode(KEY).decode()


def document(spool: str = "auto") -> Document:
    generic = f"generic: {{vendor: generic, secrets: [{SECRET}], spool: {spool}}}"
    return parse(f"sources: {{{generic}, zendesk: {{vendor: zendesk, secrets: [s1]}}}}", {})


class Kafka:
    """A Kafka that can be away; ``asked`` counts sends."""

    def __init__(self) -> None:
        self.records: list[Outgoing] = []
        self.away = True
        self.asked = 0
        self.deadlines: list[float] = []

    async def send(self, records: Sequence[Outgoing], deadline_s: float) -> None:
        self.asked += 1
        self.deadlines.append(deadline_s)
        if self.away:
            raise NotNow("Kafka did not acknowledge in time")
        self.records += records

    def tickets(self) -> list[str]:
        return [r.key.decode() for r in self.records if r.key is not None and r.topic == "helpdesk.tickets.v1"]


class Line:
    def __init__(self, http: httpx.AsyncClient, kafka: Kafka, spool: Spool, registry: CollectorRegistry) -> None:
        self.http = http
        self.kafka = kafka
        self.spool = spool
        self.registry = registry

    async def generic(self, ticket: str, event: Any = None) -> httpx.Response:
        made = {"event_id": f"e-{ticket}", "ticket_id": ticket, "kind": "ticket.created"}
        body = json.dumps({**made, "occurred_at": "2026-03-02T09:00:00Z"} if event is None else event).encode()
        headers = signing.standard(body, KEY, f"msg_{ticket}")
        return await self.http.post("/webhooks/generic", content=body, headers=headers)

    async def zendesk(self) -> httpx.Response:
        body = signing.status_changed("e-1")
        return await self.http.post("/webhooks/zendesk", content=body, headers=signing.zendesk(body, "s1"))

    def outcome(self, outcome: str, source: str = "generic") -> float:
        labels = {"source": source, "outcome": outcome}
        return self.registry.get_sample_value("deskpulse_webhooks_total", labels) or 0


@asynccontextmanager
async def line(folder: Path, spool: str = "auto", max_bytes: int = 1 << 20, **limits: Any) -> AsyncIterator[Line]:
    registry = CollectorRegistry()
    measures, kafka = Measures(registry), Kafka()
    opened = await Spool.open(folder / "spool", max_bytes, measures)
    health = Health()
    health.check("spool", opened.readiness)
    app = wiring.build(
        document(spool),
        Environment(),
        kafka,
        MemoryDedupe(),
        health=health,
        measures=measures,
        registry=registry,
        spool=opened,
        **limits,
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://ingest") as http:
        yield Line(http, kafka, opened, registry)
    await opened.close()


async def test_a_source_that_spools_is_accepted_while_kafka_is_away_and_the_other_is_not(tmp_path: Path) -> None:
    async with line(tmp_path) as ingest:
        taken = await ingest.generic("A")
        assert (taken.status_code, taken.json()) == (200, {"accepted": 1, "duplicates": 0, "dead_lettered": 0})
        refused = await ingest.zendesk()
        assert (refused.status_code, int(refused.headers["retry-after"]) < 60) == (503, True)
        assert (ingest.outcome("spooled"), ingest.outcome("kafka_away", "zendesk")) == (1, 1)
        assert ingest.spool.records == 1


async def test_what_was_spooled_is_remembered_so_that_a_copy_is_a_duplicate(tmp_path: Path) -> None:
    async with line(tmp_path) as ingest:
        await ingest.generic("A")
        assert (await ingest.generic("A")).json()["duplicates"] == 1
        assert ingest.spool.records == 1


async def test_nobody_overtakes_what_is_in_the_spool(tmp_path: Path) -> None:
    async with line(tmp_path) as ingest:
        await ingest.generic("A")
        ingest.kafka.away = False
        asked = ingest.kafka.asked
        await ingest.generic("B")
        assert ingest.kafka.asked == asked, "straight to the spool's end"
        assert (await ingest.zendesk()).status_code == 200, "another source's order is another order"
        task = asyncio.create_task(drain(ingest.spool, ingest.kafka))
        await eventually(lambda: ingest.spool.empty, "drained")
        await ingest.generic("C")
        assert ingest.outcome("accepted") == 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert ingest.kafka.tickets() == ["zendesk:1001", "generic:A", "generic:B", "generic:C"]


async def test_a_source_that_can_be_spooled_waits_less_for_kafka_than_its_sender_does(tmp_path: Path) -> None:
    async with line(tmp_path) as ingest:
        await ingest.zendesk()
        await ingest.generic("A")
        assert ingest.kafka.deadlines == [5.0, 2.0]


async def test_dead_letters_and_webhooks_with_nothing_to_say_are_spooled_too(tmp_path: Path) -> None:
    async with line(tmp_path) as ingest:
        assert (await ingest.generic("A", {"kind": "no such kind"})).json()["dead_lettered"] == 1
        assert (await ingest.generic("A", [])).status_code == 200
        ingest.kafka.away = False
        entries = await ingest.spool.front(10, 1 << 20)
        topics = [record.topic for entry in entries for record in entry.records()]
        assert topics[0] == "helpdesk.tickets.v1.dlq"
        assert ingest.outcome("dead_lettered") == 1


async def test_a_full_spool_refuses_as_its_vendor_understands_and_the_process_is_not_ready(tmp_path: Path) -> None:
    async with line(tmp_path, max_bytes=3000) as ingest:
        answers = [await ingest.generic(str(number)) for number in range(8)]
        assert {answer.status_code for answer in answers} == {200, 503}
        assert answers[-1].headers["retry-after"] == "30"
        assert ingest.outcome("spool_full") == [answer.status_code for answer in answers].count(503)
        ready = await ingest.http.get("/readyz")
        assert (ready.status_code, "The spool is full" in ready.json()["detail"]) == (503, True)


async def test_a_spool_that_is_filling_up_is_a_note_of_a_process_that_is_ready(tmp_path: Path) -> None:
    async with line(tmp_path, max_bytes=6000) as ingest:
        number = 0
        while ingest.spool.size < 0.8 * 6000:
            assert (await ingest.generic(str(number))).status_code == 200
            number += 1
        ready = await ingest.http.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "ok")
        [note] = ready.json()["notes"]
        assert note.startswith("spool: The spool is 8")


async def test_when_too_many_wait_for_kafka_a_source_that_spools_does_not_wait_as_well(tmp_path: Path) -> None:
    async with line(tmp_path, max_in_flight=0) as ingest:
        assert (await ingest.zendesk()).status_code == 503
        assert (await ingest.generic("A")).status_code == 200
        assert (ingest.kafka.asked, ingest.outcome("busy", "zendesk"), ingest.outcome("spooled")) == (0, 1, 1)


async def test_a_source_may_be_told_not_to_spool(tmp_path: Path) -> None:
    async with line(tmp_path, spool="false") as ingest:
        assert (await ingest.generic("A")).status_code == 503
        assert ingest.spool.empty


OPTIONS = {
    ("hubspot", "signature"): {"public_url": "https://deskpulse.example.com"},
    ("hubspot", "v3"): {"public_url": "https://deskpulse.example.com"},
    ("salesforce", "soap"): {"organization_id": "00D000000000001"},
    ("zoho_desk", "jwt"): {"org_id": "1", "webhook_id": "2"},
}
SPOOLS = [(vendor, way) for vendor, ways in WAYS.items() for way in ways]


@pytest.mark.parametrize(("vendor", "way"), SPOOLS)
def test_a_vendor_is_spooled_unless_it_is_known_to_come_again(vendor: str, way: str) -> None:
    options = {"auth": way, **OPTIONS.get((vendor, way), {})}
    made = {"sources": {"one": {"vendor": vendor, "secrets": [SECRET], "options": options}}}
    comes_again = vendor in ("zendesk", "hubspot", "jira") or (vendor, way) == ("salesforce", "soap")
    assert ready(parse(json.dumps(made), {}))["one"].spools is not comes_again
    for wanted in (True, False):
        made["sources"]["one"]["spool"] = wanted
        assert ready(parse(json.dumps(made), {}))["one"].spools is wanted


def test_who_is_said_to_come_again_is_a_vendor_that_there_is() -> None:
    assert {vendor for vendor, _ in COME_AGAIN} <= set(WAYS)


def test_another_word_for_spool_is_refused() -> None:
    with pytest.raises(ConfigInvalid):
        document(spool="sometimes")


def test_the_spool_lies_in_the_data_folder_unless_it_is_told_otherwise(tmp_path: Path) -> None:
    assert Environment(data_dir=tmp_path).spool() == tmp_path / "spool"
    assert Environment(data_dir=tmp_path, spool_dir=tmp_path / "x").spool() == tmp_path / "x"
