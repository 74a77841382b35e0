"""Promises made anew by the workers, on a real Kafka and a real Redis: asked over the API, through a kill."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from schemas.instant import SECOND_US, to_datetime
from schemas.sla import SlaMetric
from schemas.state import TimerState, timer_list, timers_key, unpack_entry
from schemas.ticket import Actor, ActorKind, Attributes, Kind, TicketEvent, event_id
from schemas.topics import SLA, TICKETS, TOPICS
from services import clock
from services.alerts.app import build, follow
from services.alerts.feed import Feed
from services.config.document import load
from services.operate.health import Health
from services.state import client
from services.stream.producer import Connection
from tests.support.passage import produced
from tests.support.service import Service
from tests.support.wait import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.anyio, pytest.mark.timeout(300)]

LONG = 'sla_policies: [{name: everyone, targets: {resolution: {"*": 8h}}}]\n'
SHORT = 'sla_policies: [{name: everyone, targets: {resolution: {"*": 30m}}}]\n'
TICKETS_OPEN = 400


def opened(number: int, at_us: int) -> TicketEvent:
    return TicketEvent(
        event_id=event_id("zendesk", str(number)),
        source="zendesk",
        vendor="zendesk",
        ticket_id=str(number),
        kind=Kind.CREATED,
        occurred_at=to_datetime(at_us),
        received_at=to_datetime(at_us),
        actor=Actor(ActorKind.CUSTOMER),
        ticket=Attributes(created_at=to_datetime(at_us)),
    )


async def listed(store: Any, state: TimerState) -> int:
    lists = [timer_list(state, metric) for metric in SlaMetric]
    return sum(
        [await store.zcard(timers_key(number, one)) for number in range(TOPICS[TICKETS].partitions) for one in lists]
    )


@pytest.fixture
async def api(redis_db: str, tmp_path: Path) -> AsyncIterator[tuple[httpx.AsyncClient, Callable[[], None]]]:
    """The query API, and what makes it follow the file."""
    writer, reader, blocking = client.writer(redis_db), client.reader(redis_db), client.blocking(redis_db)
    file = tmp_path / "deskpulse.yaml"
    file.write_text(LONG)
    health = Health()
    app = build(
        load(file, {}),
        writer=writer,
        reader=reader,
        feed=Feed(blocking, reader),
        health=health,
        registry=CollectorRegistry(),
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        yield http, lambda: follow(app, load(file, {}))
    for one in (writer, reader, blocking):
        await one.aclose()


async def test_open_tickets_get_the_promises_of_now_through_a_kill_and_no_breach_is_dated_back(
    connection: Connection,
    redis: Any,
    redis_db: str,
    api: tuple[httpx.AsyncClient, Callable[[], None]],
    tmp_path: Path,
) -> None:
    http, refreshed = api
    environment = {
        "DESKPULSE_CONFIG": str(tmp_path / "deskpulse.yaml"),
        "DESKPULSE_KAFKA_BOOTSTRAP": connection.bootstrap,
        "DESKPULSE_REDIS_URL": redis_db,
        "DESKPULSE_METRICS_PORT": "0",
        "DESKPULSE_KAFKA_SESSION_TIMEOUT_S": "6",
        "DESKPULSE_INSTANCE_ID": "test",
    }
    an_hour_ago_us = clock.now_us() - 3600 * SECOND_US
    await produced(connection, [opened(number, an_hour_ago_us) for number in range(TICKETS_OPEN)])
    worker = Service("metrics", environment, tmp_path / "metrics.log")
    try:

        async def running() -> bool:
            return await listed(redis, TimerState.RUNNING) == TICKETS_OPEN

        await eventually(running, "all timers run", timeout_s=60)
        assert (await http.get("/v1/policies/recompute")).status_code == 404
        (tmp_path / "deskpulse.yaml").write_text(SHORT)
        refreshed()
        dry = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.cli", "recompute", "--dry-run", "--json"),
            env={**os.environ, **environment},
            stdout=asyncio.subprocess.PIPE,
        )
        said = json.loads((await dry.communicate())[0])
        assert (said["tickets"], said["would_change"], said["would_break"]) == (TICKETS_OPEN,) * 3
        assert await listed(redis, TimerState.RUNNING) == TICKETS_OPEN, "nothing was changed"

        asked_us = clock.now_us()
        answer = await http.post("/v1/policies/recompute", json={"policy": "everyone"})
        assert (answer.status_code, answer.json()["finished"]) == (202, False)
        assert (await http.post("/v1/policies/recompute", json={})).status_code == 409
        assert (await http.post("/v1/policies/recompute", json={"policy": "nobody"})).status_code == 422

        async def begun() -> bool:
            return await listed(redis, TimerState.BREACHED) > 0

        await eventually(begun, "the first tickets are done", timeout_s=60)
        worker.kill()
        worker = Service("metrics", environment, tmp_path / "metrics.log")

        async def finished() -> bool:
            return bool((await http.get("/v1/policies/recompute")).json()["finished"])

        await eventually(finished, "the request is done", timeout_s=90)
        assert await listed(redis, TimerState.BREACHED) == TICKETS_OPEN
        assert await listed(redis, TimerState.RUNNING) == 0
        seen = 0
        async for key in redis.scan_iter(match="dp:{p*}:t:*"):
            [timer] = unpack_entry(await redis.get(key)).ticket.timers
            assert timer.target_us == 1800 * SECOND_US
            assert timer.breached_us is not None
            assert timer.breached_us >= asked_us, "found now, so dated now"
            seen += 1
        assert seen == TICKETS_OPEN

        async def relayed() -> bool:
            pending = [await redis.xlen(f"dp:{{p{number}}}:outbox") for number in range(TOPICS[TICKETS].partitions)]
            return not any(pending)

        await eventually(relayed, "the announcements are in Kafka", timeout_s=60)
        assert SLA in TOPICS
    finally:
        if worker.running:
            worker.kill()
