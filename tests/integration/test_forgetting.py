"""Closed tickets are forgotten on a real Kafka and a real Redis: memory is bounded, and nothing is counted twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry

from schemas import codec
from schemas.instant import SECOND_US, to_datetime
from schemas.sla import SlaMetric
from schemas.state import ticket_key, unpack_entry
from schemas.ticket import ActorKind, Attributes, Kind, Message, Status, StatusChange, TicketEvent, Visibility, event_id
from schemas.topics import SLA, TICKETS, TOPICS
from services import clock
from services.config.document import parse
from services.kpi.reader import KpiReader
from services.metrics.meters import Meters
from services.metrics.outbox import Outbox
from services.metrics.plan import planned
from services.metrics.store import RedisStore
from services.metrics.worker import Worker
from services.operate.health import Health
from services.state import client
from services.state.forms import Forms
from services.state.partitions import Partitions
from services.state.recompute import Recomputes
from services.stream.consumer import BatchConsumer
from services.stream.producer import Connection, Producer
from services.stream.record import Outgoing
from tests.support.command import deskpulse
from tests.support.kafka import Kafka
from tests.support.passage import applied
from tests.support.topics import configured, send
from tests.support.wait import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.anyio, pytest.mark.timeout(180)]

CONFIG = """
sla_policies: [{name: all, targets: {first_response: {"*": 1h}, resolution: {"*": 8h}}}]
segments: [[team]]
windows: [1h]
"""
HORIZON_S = 8
DOCUMENT = parse(CONFIG, {})


def event(ticket_id: str, kind: Kind, at_us: int, **what: Any) -> TicketEvent:
    at = to_datetime(at_us)
    return TicketEvent(
        event_id=event_id("z", ticket_id, kind.value, str(at_us)),
        source="z",
        vendor="zendesk",
        ticket_id=ticket_id,
        kind=kind,
        occurred_at=at,
        received_at=at,
        **what,
    )


def life(ticket_id: str, at_us: int) -> list[TicketEvent]:
    stated = Attributes(status=Status.NEW, team="support", created_at=to_datetime(at_us))
    return [
        event(ticket_id, Kind.CREATED, at_us, ticket=stated),
        event(ticket_id, Kind.STATUS_CHANGED, at_us + 200_000, status=StatusChange(to=Status.SOLVED)),
    ]


class Desk:
    """A worker with a short horizon, and what can be seen of it."""

    def __init__(self, bootstrap: str, redis_url: str, meters: Meters) -> None:
        self.bootstrap = bootstrap
        self.redis: Any = client.reader(redis_url)
        self.meters = meters
        self.sent = 0

    async def send(self, *events: TicketEvent) -> None:
        """Returns when the events are in the state, or refused."""
        await send(self.bootstrap, *(Outgoing(TICKETS, e.key.encode(), codec.encode(e), []) for e in events))
        self.sent += len(events)
        await eventually(self._read, f"{self.sent} events are read", timeout_s=60)

    async def _read(self) -> bool:
        return await applied(self.redis) == self.sent

    async def left(self) -> list[bytes]:
        """Keys of tickets and facts, and what is on the schedule."""
        found = [key for pattern in ("dp:*}:t:*", "dp:*}:f:*") async for key in self.redis.scan_iter(pattern)]
        for number in range(TOPICS[TICKETS].partitions):
            found += await self.redis.zrange(f"dp:{{p{number}}}:due", 0, -1)
        return found

    async def numbers(self) -> dict[str, Any]:
        reader = KpiReader(self.redis, Partitions(self.redis), planned(DOCUMENT).kept)
        found = await reader.window("all", 3600, clock.now_us())
        names = ("tickets_created", "tickets_solved", "backlog", "first_response_time")
        return {name: found[name]["count"] for name in names}

    def outcomes(self, outcome: str) -> float:
        return self.meters.events.labels(outcome)._value.get()


@pytest.fixture
async def desk(kafka: Kafka, redis_db: str, tmp_path: Path) -> AsyncIterator[Desk]:
    await configured(kafka, tmp_path, CONFIG)
    connection = Connection(kafka.bootstrap)
    plan = planned(DOCUMENT)
    plan = replace(plan, rules=replace(plan.rules, horizon_us=HORIZON_S * SECOND_US))
    writer, producer = client.writer(redis_db), Producer(connection, "test-forgetting")
    await producer.start()
    meters = Meters(CollectorRegistry())
    outbox = Outbox(writer, producer, SLA, meters.outbox, structlog.get_logger("test"))
    consumer = BatchConsumer(connection, TICKETS, "forgetting", session_timeout_s=6, instance_id="test")
    forms = Forms(writer, "metrics", Health())
    recomputes = Recomputes(writer, writer)
    worker = Worker(consumer, RedisStore(writer), plan, producer, outbox, meters, Health(), recomputes, forms)
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    found = Desk(kafka.bootstrap, redis_db, meters)
    # Topics that were just made take a while to have leaders, and these horizons are short.
    await send(kafka.bootstrap, *(Outgoing(TICKETS, str(n).encode(), b"not an event", []) for n in range(64)))
    found.sent = 64
    await eventually(found._read, "the worker reads", timeout_s=90)
    begun_us = clock.now_us()

    async def old_enough() -> bool:
        return clock.now_us() > begun_us + HORIZON_S * SECOND_US

    await eventually(old_enough, "the state is a horizon old: before, it refuses nothing", timeout_s=30)
    yield found
    stop.set()
    await running
    await producer.stop()
    await writer.aclose()
    await found.redis.aclose()


async def test_memory_is_that_of_a_horizon_however_many_lives_pass_and_no_number_changes(
    desk: Desk, kafka: Kafka, tmp_path: Path
) -> None:
    first_us = clock.now_us()
    for round_ in range(3):
        now_us = clock.now_us()
        await desk.send(*(told for n in range(100) for told in life(f"{round_}-{n}", now_us + n * 1000)))
        assert len([key for key in await desk.left() if b"}:t:" in key]) == 100
        await eventually(lambda: _nothing(desk), "every ticket is forgotten", timeout_s=60)
    told = {"tickets_created": 300, "tickets_solved": 300, "backlog": 0, "first_response_time": 0}
    assert await desk.numbers() == told
    assert desk.meters.forgotten._value.get() == 300

    await desk.send(*life("0-7", first_us + 7 * 1000), *life("never-seen", first_us))
    assert (desk.outcomes("too_late"), await desk.left(), await desk.numbers()) == (4, [], told)
    environment = {"DESKPULSE_KAFKA_BOOTSTRAP": kafka.bootstrap, "DESKPULSE_CONFIG": str(tmp_path / "deskpulse.yaml")}
    listed = json.loads(deskpulse("dlq", "list", "--json", **environment).stdout)
    assert listed["by_reason"] == {"too_late": 4, "not_json": 64}
    assert {letter["stage"] for letter in listed["letters"]} == {"metrics"}

    again_us = clock.now_us()
    open_again = Attributes(status=Status.OPEN, team="support", created_at=to_datetime(first_us))
    await desk.send(event("0-8", Kind.STATUS_CHANGED, again_us, ticket=open_again, status=StatusChange(to=Status.OPEN)))
    assert await desk.numbers() == told | {"backlog": 1}
    kept = [await desk.redis.get(ticket_key(n, "z", "0-8")) for n in range(TOPICS[TICKETS].partitions)]
    [stored] = [one for one in kept if one is not None]
    assert {timer.metric for timer in unpack_entry(stored).ticket.timers} & {SlaMetric.FIRST_RESPONSE} == set()


async def test_what_comes_late_within_the_horizon_is_counted_where_it_belongs(desk: Desk) -> None:
    now_us = clock.now_us()
    created, solved = life("1", now_us)
    await desk.send(created, solved)
    reply = Message("m1", Visibility.PUBLIC, ActorKind.AGENT)
    await desk.send(event("1", Kind.MESSAGE_ADDED, now_us + 100_000, message=reply))
    assert await desk.numbers() == {
        "tickets_created": 1,
        "tickets_solved": 1,
        "backlog": 0,
        "first_response_time": 1,
    }
    assert desk.outcomes("too_late") == 0


async def _nothing(desk: Desk) -> bool:
    return not await desk.left()
