"""What the routes do without a Kafka to ask: the bound on waiting deliveries, slow senders, configuration."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from schemas.failure import NotNow
from services.config.document import ConfigInvalid, parse
from services.config.environment import Environment
from services.ingest import app as wiring
from services.ingest.dedupe import MemoryDedupe
from services.ingest.measures import Measures, Name
from services.ingest.normalise import VENDORS
from services.operate.health import Health
from services.stream.record import Outgoing
from tests.support import signing

DOCUMENT = parse("sources: {zendesk: {vendor: zendesk, secrets: [s1]}}", {})


class Kept:
    """A sender that keeps what it is given, once ``gate`` is open; ``failing`` is raised first."""

    def __init__(self) -> None:
        self.records: list[Outgoing] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = 0
        self.failing: Exception | None = None

    async def send(self, records: Sequence[Outgoing], deadline_s: float) -> None:
        self.waiting += 1
        await self.gate.wait()
        if self.failing is not None:
            raise self.failing
        self.records += records


def http(sender: Kept, **limits: Any) -> httpx.AsyncClient:
    registry = CollectorRegistry()
    app = wiring.build(
        DOCUMENT,
        Environment(),
        sender,
        MemoryDedupe(),
        health=Health(),
        measures=Measures(registry),
        registry=registry,
        **limits,
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://ingest")


async def post(client: httpx.AsyncClient, event_id: str) -> httpx.Response:
    body = signing.status_changed(event_id)
    return await client.post("/webhooks/zendesk", content=body, headers=signing.zendesk(body, "s1"))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


async def test_when_enough_deliveries_wait_the_next_is_sent_away_at_once() -> None:
    sender = Kept()
    sender.gate.clear()
    async with http(sender, max_in_flight=2) as client:
        first, second = asyncio.create_task(post(client, "e-1")), asyncio.create_task(post(client, "e-2"))
        await until(lambda: sender.waiting == 2)
        refused = await post(client, "e-3")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        sender.gate.set()
        assert [(await answer).status_code for answer in (first, second)] == [200, 200]
        assert (await post(client, "e-3")).json()["accepted"] == 1


@pytest.mark.parametrize(("wait_s", "said"), [(0.2, "1"), (7.1, "8"), (600, "59")])
async def test_the_time_to_come_back_is_whole_seconds_below_the_minute_that_zendesk_allows(
    wait_s: float, said: str
) -> None:
    sender = Kept()
    sender.failing = NotNow("Kafka is away", wait_s)
    async with http(sender) as client:
        assert (await post(client, "e-1")).headers["retry-after"] == said
        sender.failing = None
        assert (await post(client, "e-1")).json() == {"accepted": 1, "duplicates": 0, "dead_lettered": 0}


async def test_a_bug_behind_the_door_is_a_500_and_the_webhook_can_come_again() -> None:
    sender = Kept()
    sender.failing = RuntimeError("a bug")
    async with http(sender) as client:
        broken = await post(client, "e-1")
        assert broken.json()["type"] == "urn:deskpulse:problem:unexpected"
        sender.failing = None
        assert (await post(client, "e-1")).json()["accepted"] == 1


async def test_a_body_that_never_ends_is_given_up() -> None:
    async def dripping() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    # The transport of the other tests reads the body before the app is asked, so this speaks to the app itself.
    app: Any = http(Kept(), read_deadline_s=0.01)._transport.app  # type: ignore[attr-defined]
    drops = dripping()
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": await anext(drops), "more_body": True}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/webhooks/zendesk",
        "raw_path": b"/webhooks/zendesk",
        "query_string": b"",
        "root_path": "",
        "headers": [],
        "client": None,
        "server": None,
    }
    await app(scope, receive, send)
    assert sent[0]["status"] == 408
    assert json.loads(sent[1]["body"])["type"] == "urn:deskpulse:problem:too-slow"

    async def gone() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    sent.clear()
    await app(scope, gone, send)
    assert json.loads(sent[1]["body"])["type"] == "urn:deskpulse:problem:cut-off"


def test_sources_that_cannot_work_are_told_one_line_each_before_anything_listens() -> None:
    document = parse(
        """
sources:
  a: {vendor: zendesc, secrets: [s]}
  b: {vendor: generic, secrets: ["whsec_???", " "]}
  c: {vendor: zendesk, secrets: [s], options: {bot: ["1"]}}
""",
        {},
    )
    with pytest.raises(ConfigInvalid) as caught:
        wiring.build(
            document,
            Environment(),
            Kept(),
            MemoryDedupe(),
            health=Health(),
            measures=Measures(CollectorRegistry()),
        )
    assert caught.value.problems == [
        f"sources.a.vendor: 'zendesc' is not supported (there is: {', '.join(VENDORS)})",
        "sources.b.secrets[0]: after whsec_ there must be base64",
        "sources.b.secrets[1]: the secret is empty",
        "sources.c.options: Object contains unknown field `bot`",
    ]


def test_the_catalogue_of_metrics_is_what_is_registered() -> None:
    registry = CollectorRegistry()
    Measures(registry)
    exposed = {
        name
        for family in registry.collect()
        for name in (f"{family.name}_total" if family.type == "counter" else family.name,)
    }
    assert exposed == set(Name.__args__)  # type: ignore[attr-defined]
