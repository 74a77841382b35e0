"""A changed document while ingest runs: it takes effect between webhooks, and no request notices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from services.config.document import load
from services.config.environment import Environment
from services.ingest.app import serve
from services.ingest.intake import TopicNames
from tests.support import signing
from tests.support.kafka import Kafka
from tests.support.wait import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.redis]

BEFORE = """
sources:
  zendesk: {vendor: zendesk, secrets: [old secret]}
  second: {vendor: zendesk, secrets: [second secret]}
"""
AFTER = """
sources:
  zendesk: {vendor: zendesk, secrets: [new secret, old secret], keep_raw: false}
  third: {vendor: zendesk, secrets: [third secret]}
"""


@dataclass(frozen=True, slots=True)
class Running:
    """An ingest that follows ``file``."""

    http: httpx.AsyncClient
    port: int
    file: Path
    registry: CollectorRegistry

    async def post(self, source: str, secret: str, number: int) -> int:
        body = signing.status_changed(f"e-{number}")
        answer = await self.http.post(f"/webhooks/{source}", content=body, headers=signing.zendesk(body, secret))
        return answer.status_code

    def replace(self, text: str) -> None:
        """As an editor or a ConfigMap does it: the new file takes the old one's place."""
        beside = self.file.with_suffix(".new")
        beside.write_text(text)
        beside.replace(self.file)

    def reloads(self, outcome: str) -> float:
        return self.registry.get_sample_value("deskpulse_config_reloads_total", {"outcome": outcome}) or 0.0

    async def reloaded(self, outcome: str) -> None:
        async def known() -> bool:
            return self.reloads(outcome) == 1

        await eventually(known, f"the document is {outcome}")


@pytest.fixture
async def names(new_topic: Callable[..., Awaitable[str]]) -> TopicNames:
    return TopicNames(await new_topic("tickets"), await new_topic("webhooks"), await new_topic("dlq"))


@asynccontextmanager
async def running(kafka: Kafka, redis_url: str, names: TopicNames, folder: Path) -> AsyncIterator[Running]:
    file = folder / "deskpulse.yaml"
    file.write_text(BEFORE)
    settings = Environment(
        config=file,
        kafka_bootstrap=kafka.bootstrap,
        redis_url=redis_url,
        ingest_port=0,
        produce_deadline_s=30,
        spool_max_bytes=0,
    )
    stop, url = asyncio.Event(), asyncio.get_running_loop().create_future()
    registry = CollectorRegistry()
    task = asyncio.create_task(serve(settings, load(file, {}), stop, url.set_result, names, registry))
    try:
        await asyncio.wait({task, url}, return_when=asyncio.FIRST_COMPLETED)
        async with httpx.AsyncClient(base_url=url.result(), timeout=30) as http:

            async def ready() -> bool:
                return (await http.get("/readyz")).status_code == 200

            await eventually(ready, "ingest is ready")
            yield Running(http, int(url.result().rpartition(":")[2]), file, registry)
    finally:
        stop.set()
        await asyncio.wait_for(task, 30)


async def _half_sent(port: int, source: str, secret: str) -> Callable[[], Awaitable[bytes]]:
    """A request whose head and first bytes are there; the answer once the rest was sent."""
    body = signing.status_changed("e-half")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = "".join(f"{name}: {value}\r\n" for name, value in signing.zendesk(body, secret).items())
    head = f"POST /webhooks/{source} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {len(body)}\r\n"
    writer.write(f"{head}{lines}\r\n".encode() + body[:10])
    await writer.drain()

    async def finished() -> bytes:
        writer.write(body[10:])
        answer: bytes = await asyncio.wait_for(reader.read(), 30)
        writer.close()
        return answer

    return finished


async def test_a_changed_document_takes_effect_between_webhooks_and_drops_none(
    kafka: Kafka, redis_db: str, names: TopicNames, tmp_path: Path
) -> None:
    async with running(kafka, redis_db, names, tmp_path) as ingest:
        finish = await _half_sent(ingest.port, "second", "second secret")

        async def entered() -> bool:  # its head has been read once another one of the same source was answered
            return await ingest.post("second", "second secret", 0) == 200

        await eventually(entered, "the first source answers")
        answers: list[int] = []

        async def posting(first: int) -> None:
            number = first
            while ingest.reloads("taken") == 0 or number < first + 20:
                answers.append(await ingest.post("zendesk", "old secret", number))
                number += 1

        assert await ingest.post("zendesk", "new secret", 1) == 401
        assert await ingest.post("third", "third secret", 2) == 404
        senders = [asyncio.create_task(posting(1000 * sender)) for sender in range(1, 5)]
        ingest.replace(AFTER)
        await asyncio.gather(*senders)
        assert set(answers) == {200}, "requests in flight notice nothing"
        assert b"200 OK" in (await finish()).split(b"\r\n")[0], "what had begun is taken by the source as it was"
        assert await ingest.post("zendesk", "new secret", 3) == 200
        assert await ingest.post("third", "third secret", 4) == 200
        assert await ingest.post("second", "second secret", 5) == 404
        assert (await ingest.http.get("/webhooks/second")).status_code == 404
        assert (await ingest.http.get("/webhooks/third")).status_code == 200


@pytest.mark.parametrize(
    "text",
    [
        "sources: {zendesk: {vendor: zendesk, secrets: []}}",
        "sources: {zendesk: {vendor: nobody, secrets: [x]}}",
        "sources: {zendesk: {vendor: zendesk, secrets: ['${NOT_SET}']}}",
        "sources: [",
    ],
)
async def test_an_invalid_document_is_refused_and_told_and_the_one_before_stays(
    kafka: Kafka, redis_db: str, names: TopicNames, tmp_path: Path, text: str
) -> None:
    async with running(kafka, redis_db, names, tmp_path) as ingest:
        ingest.replace(text)
        await ingest.reloaded("refused")
        ready: dict[str, Any] = (await ingest.http.get("/readyz?verbose")).json()
        assert "is refused" in str(ready)
        assert await ingest.post("zendesk", "old secret", 1) == 200
        assert await ingest.post("second", "second secret", 2) == 200
