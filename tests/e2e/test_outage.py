"""The night: Kafka dies, Redis dies, Redis comes back as it was an hour ago. Nothing is lost, nothing counts twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from services.embedded import Unavailable
from services.embedded.redis import EmbeddedRedis
from tests.support import signing
from tests.support.apache_kafka import ApacheKafka
from tests.support.choice import real_required
from tests.support.line import Line
from tests.support.wait import until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

SECRET = "outage-secret"
CONFIG = """
sources:
  zendesk: {vendor: zendesk, secrets: ["${ZENDESK_SECRET}"]}
sla_policies:
  - {name: slow, targets: {resolution: {"*": 1h}}}
segments: [[team]]
windows: [15m, 1h, 24h]
"""


class World:
    """A broker, a Redis and the line, all of this test's own, so that they can be broken."""

    def __init__(self, folder: Path) -> None:
        self.kafka = ApacheKafka(folder / "kafka")
        self.redis = EmbeddedRedis(folder / "redis")
        self.tickets = 0
        self.kafka.start()
        self.redis.start()
        (folder / "line").mkdir()
        self.line = Line(folder / "line", CONFIG, self.kafka.bootstrap, self.redis.url, {"ZENDESK_SECRET": SECRET})

    def post(self) -> Any:
        """A new ticket. Returns the answer."""
        self.tickets += 1
        body = created(f"{self.tickets}")
        return self.line.post("zendesk", body, signing.zendesk(body, SECRET))

    def counted(self) -> int | None:
        """How many tickets the API knows of; ``None`` while it cannot say."""
        answer = self.line.client.get(f"{self.line.url('api')}/v1/kpis", params={"window": "1h"})
        return answer.json()["kpis"]["tickets_created"]["count"] if answer.status_code == 200 else None

    def stop(self) -> None:
        self.line.stop()
        self.redis.stop()
        self.kafka.stop()


def created(ticket_id: str) -> bytes:
    now = datetime.now(UTC)
    return json.dumps(
        {
            "account_id": 1,
            "id": str(uuid4()),
            "type": "zen:event-type:ticket.created",
            "subject": f"zen:ticket:{ticket_id}",
            "time": now.strftime("%Y-%m-%dT%H:%M:%S.%f000Z"),
            "zendesk_event_version": "2022-11-06",
            "detail": {
                "id": ticket_id,
                "status": "NEW",
                "created_at": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "requester_id": "7",
                "actor_id": "7",
                "via": {"channel": "mail"},
            },
            "event": {},
        }
    ).encode()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    try:
        found = World(tmp_path_factory.mktemp("outage"))
    except Unavailable as reason:
        if real_required():
            raise
        pytest.skip(str(reason))
    yield found
    found.stop()


def test_without_kafka_webhooks_are_refused_for_a_while_and_then_taken(world: World) -> None:
    assert world.post().status_code == 200
    until(lambda: world.counted() == 1, "the first ticket is counted")
    world.kafka.kill()
    refused = world.post()
    assert refused.status_code == 503
    assert refused.headers["content-type"] == "application/problem+json"
    assert 0 < int(refused.headers["retry-after"]) < 60
    world.tickets -= 1
    world.kafka.start()

    def taken() -> bool:
        if world.post().status_code == 200:
            return True
        world.tickets -= 1
        return False

    until(taken, "a webhook is taken again", timeout_s=90)
    # A refused webhook may have reached Kafka all the same; then it counts, once, as the helpdesk's retry would.
    until(lambda: world.counted() in (world.tickets, world.tickets + 1), "what was taken is counted", timeout_s=90)
    until(lambda: all(world.line.ready(name) for name in world.line.ports), "all are ready again", timeout_s=60)
    assert all(service.running for service in world.line.services.values())


def test_without_redis_webhooks_are_taken_and_counted_later(world: World) -> None:
    before = world.counted()
    assert before is not None
    world.redis.stop()
    for _ in range(5):
        assert world.post().status_code == 200
    answer = world.line.client.get(f"{world.line.url('api')}/v1/kpis", params={"window": "1h"})
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    world.redis.start()
    until(lambda: world.counted() == before + 5, "what was taken is counted", timeout_s=60)
    assert all(service.running for service in world.line.services.values())


def test_a_redis_that_went_back_in_time_is_caught_up_from_the_log(world: World, tmp_path: Path) -> None:
    before = world.counted()
    assert before is not None
    world.redis.stop()
    shutil.copytree(world.redis.folder, tmp_path / "old")
    world.redis.start()
    for _ in range(7):
        assert world.post().status_code == 200
    until(lambda: world.counted() == before + 7, "all are counted", timeout_s=60)

    world.redis.stop()
    shutil.rmtree(world.redis.folder)
    shutil.copytree(tmp_path / "old", world.redis.folder)
    world.redis.start()
    until(lambda: world.counted() == before + 7, "the log was replayed once, though nothing new came", timeout_s=60)
    assert world.post().status_code == 200
    until(lambda: world.counted() == before + 8, "and the line goes on", timeout_s=60)
    assert '"state_went_back"' in world.line.services["metrics"].said()
