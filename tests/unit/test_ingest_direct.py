"""The short way of webhooks past the web framework: the same answers as the documented route, and its own failures."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.types import Receive, Scope, Send

from services.config.document import parse
from services.config.environment import Environment
from services.ingest.app import build
from services.ingest.dedupe import MemoryDedupe
from services.ingest.measures import Measures
from services.operate.health import Health
from services.stream.record import Outgoing
from tests.support import signing

DOCUMENT = parse("sources: {zendesk: {vendor: zendesk, secrets: [s1], max_concurrent: 1}}", {})
BODY = signing.status_changed("e-1")
AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
SIGNED = signing.zendesk(BODY, "s1", AT)


class Taking:
    """A sender that has everything at once."""

    def __init__(self) -> None:
        self.records: list[Outgoing] = []

    async def send(self, records: list[Outgoing], deadline_s: float) -> None:
        self.records += records


def made(sender: Any) -> FastAPI:
    registry = CollectorRegistry()
    measures = Measures(registry)
    parts: dict[str, Any] = {"health": Health(), "measures": measures, "registry": registry, "now": lambda: AT}
    return build(DOCUMENT, Environment(), sender, MemoryDedupe(), **parts)


def short(sender: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(made(sender)), base_url="http://ingest")


def routed(sender: Any) -> httpx.AsyncClient:
    """A client whose webhooks take the documented route of the same app."""
    app = made(sender)

    async def framework(scope: Scope, receive: Receive, send: Send) -> None:
        await FastAPI.__call__(app, scope, receive, send)

    return httpx.AsyncClient(transport=httpx.ASGITransport(framework), base_url="http://ingest")


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("/webhooks/zendesk", BODY, SIGNED),
        ("/webhooks/zendesk?a=1&a=2", BODY, SIGNED),
        ("/webhooks/zendesk", BODY, {}),
        ("/webhooks/zendesk", BODY + b" ", SIGNED),
        ("/webhooks/zendesk", b"<", signing.zendesk(b"<", "s1", AT)),
        ("/webhooks/zendesk", b"{}", signing.zendesk(b"{}", "s1", AT)),
        ("/webhooks/zendesk", BODY, SIGNED | {"content-length": "99999999999"}),
        ("/webhooks/zendesk/", BODY, SIGNED),
        ("/webhooks/other", BODY, SIGNED),
    ],
)
async def test_both_ways_answer_alike(path: str, body: bytes, headers: dict[str, str]) -> None:
    answers = []
    for way in (short, routed):
        taking = Taking()
        async with way(taking) as client:
            for _ in range(2):
                answer = await client.post(path, content=body, headers=headers)
                answers.append((answer.status_code, dict(answer.headers), answer.content, len(taking.records)))
    assert answers[:2] == answers[2:]


async def test_a_refused_request_leaves_its_place_to_the_next() -> None:
    async with short(Taking()) as client:
        statuses = [
            (await client.post("/webhooks/zendesk", content=BODY, headers=headers)).status_code
            for headers in ({}, {"content-length": "99999999999"}, SIGNED)
        ]
    assert statuses == [401, 413, 200]


async def test_of_several_headers_with_one_name_the_first_counts() -> None:
    wrong = ("x-zendesk-webhook-signature", "bm90IGl0")
    async with short(Taking()) as client:
        behind = await client.post("/webhooks/zendesk", content=BODY, headers=[*SIGNED.items(), wrong])
        before = await client.post("/webhooks/zendesk", content=BODY, headers=[wrong, *SIGNED.items()])
    assert (behind.status_code, before.status_code) == (200, 401)


async def test_the_short_way_is_documented_as_the_route_that_it_is() -> None:
    async with short(Taking()) as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
    assert set(paths["/webhooks/{source}"]["post"]["responses"]) >= {"200", "400", "401", "404", "413", "429", "503"}
