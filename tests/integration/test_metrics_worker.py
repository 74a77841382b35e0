"""The stream processor as a process, on a real Kafka and a real Redis, through kills and recreated topics."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.instant import SECOND_US, to_datetime
from schemas.state import gauge_key, position_key
from schemas.ticket import Kind, TicketEvent
from schemas.topics import TICKETS, TOPICS
from services import clock
from services.kpi.reader import KpiReader
from services.kpi.window import resolutions
from services.state.partitions import Partitions
from services.stream.producer import Connection, Producer
from services.stream.record import Outgoing
from tests.support.lives import arrivals
from tests.support.oracle import kpis, told
from tests.support.passage import applied, produced
from tests.support.service import Service
from tests.support.topics import renewed
from tests.support.wait import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.anyio, pytest.mark.timeout(300)]

WINDOWS = {"15m": 900, "1h": 3600, "24h": 86_400, "7d": 604_800}
CONFIG = """
sla_policies:
  - {name: everyone, targets: {first_response: {urgent: 15m, "*": 1h}, resolution: {"*": 8h}, next_response: {"*": 1h}}}
segments: [[channel], [team], [priority], [agent], [team, priority]]
windows: [15m, 1h, 24h, 7d]
"""
SEGMENTS = ["all", "channel:email", "team:support", "priority:none", "priority:high", "team:billing,priority:urgent"]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The document that workers follow."""
    found = tmp_path / "deskpulse.yaml"
    found.write_text(CONFIG)
    return found


@pytest.fixture
def worker(connection: Connection, redis_db: str, config: Path, tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Starts the worker; a later call starts its successor under the same name. With a name, one of several, which
    leaves the group when it stops."""
    environment = {
        "DESKPULSE_CONFIG": str(config),
        "DESKPULSE_KAFKA_BOOTSTRAP": connection.bootstrap,
        "DESKPULSE_REDIS_URL": redis_db,
        "DESKPULSE_METRICS_PORT": "0",
        "DESKPULSE_KAFKA_SESSION_TIMEOUT_S": "6",
    }
    started: list[Service] = []

    def start(name: str | None = None) -> Service:
        own = {"DESKPULSE_INSTANCE_ID": "test"} if name is None else {}
        log = tmp_path / ("metrics.log" if name is None else f"metrics-{name}.log")
        started.append(Service("metrics", {**environment, **own}, log))
        return started[-1]

    yield start
    for service in started:
        if service.running:
            service.kill()


async def at_the_ends(redis: Any, connection: Connection) -> bool:
    """Whether every partition's position is the end of the log as it is now."""
    consumer = AIOKafkaConsumer(bootstrap_servers=connection.bootstrap)
    await consumer.start()
    try:
        partitions = [TopicPartition(TICKETS, number) for number in range(TOPICS[TICKETS].partitions)]
        ends = await consumer.end_offsets(partitions)
    finally:
        await consumer.stop()
    return all([int(await redis.hget(position_key(tp.partition), "next") or 0) == end for tp, end in ends.items()])


async def compare(redis: Any, events: list[TicketEvent], at_us: int) -> None:
    """Every KPI, window and segment of the state against the recomputation from the events."""
    reader = KpiReader(redis, Partitions(redis), resolutions(WINDOWS.values()))
    facts = told(events)
    end = to_datetime((at_us // SECOND_US + 1 + 9) // 10 * 10 * SECOND_US)
    for name, window_s in WINDOWS.items():
        edge_s = at_us // SECOND_US - window_s
        width_s = 10 if window_s <= 3600 else 60 if window_s <= 86_400 else 3600
        start = to_datetime((edge_s - edge_s % width_s) * SECOND_US)
        for segment in SEGMENTS:
            chosen = {} if segment == "all" else dict(part.split(":", 1) for part in segment.split(","))
            wanted = kpis(facts, start, end, chosen)
            found = await reader.window(segment, window_s, at_us)
            where = f"{name} {segment}"
            assert found["tickets_created"]["count"] == wanted["tickets_created"], where
            assert found["tickets_solved"]["count"] == wanted["tickets_solved"], where
            assert found["backlog"]["count"] == wanted["backlog"], where
            for ratio in ("csat", "reopen_rate"):
                assert (found[ratio]["hits"], found[ratio]["count"]) == wanted[ratio], f"{where} {ratio}"
            same_duration(found["first_response_time"], wanted["first_response_time"], where)
            same_duration(found["resolution_time"]["first"], wanted["first_resolution"], where)
            same_duration(found["resolution_time"]["full"], wanted["full_resolution"], where)
            same_duration(found["resolution_time"], wanted["full_resolution"], where)


def same_duration(found: dict[str, Any], wanted: list[float], where: str) -> None:
    assert found["count"] == len(wanted), where
    if not wanted:
        assert found["mean_s"] is None
        assert found["p50_s"] is None
        return
    assert found["mean_s"] == pytest.approx(sum(wanted) / len(wanted), abs=0.002), where
    for name, share in (("p50_s", 0.5), ("p90_s", 0.9), ("p95_s", 0.95)):
        exact = wanted[int(share * (len(wanted) - 1))]
        assert found[name] == pytest.approx(exact, rel=0.0101, abs=0.002), f"{where} {name}"


async def test_a_worker_killed_in_mid_stream_ends_in_the_numbers_of_the_log(
    connection: Connection, redis: Any, worker: Callable[[], Service]
) -> None:
    at_us = clock.now_us()
    events = arrivals(seed=7, until_us=at_us, lasting_s=5400, rate=2.0)
    assert len({e.event_id for e in events}) < len(events), "some came twice"
    await produced(connection, events[: len(events) // 2])

    dice = random.Random(11)
    service = worker()
    for round_ in range(5):
        if round_ == 2:
            await produced(connection, events[len(events) // 2 :])
        before = await applied(redis)
        goal = min(len(events) - 1, before + dice.randint(200, 900))
        await eventually(lambda goal=goal: reached(redis, goal), f"{goal} records are applied", timeout_s=60)
        service.kill()
        service = worker()
    await eventually(lambda: reached(redis, len(events)), "everything is applied", timeout_s=60)

    assert await applied(redis) == len(events)
    await compare(redis, events, at_us)
    await eventually(lambda: service.started, "the last of them has started", timeout_s=60)
    assert service.stop() == 0


async def reached(redis: Any, goal: int) -> bool:
    return await applied(redis) >= goal


async def test_a_recreated_topic_is_noticed_and_read_from_its_start(
    connection: Connection, redis: Any, worker: Callable[[], Service]
) -> None:
    at_us = clock.now_us()
    events = arrivals(seed=3, until_us=at_us, lasting_s=1200, rate=1.0, duplicates=0.0)
    half = len(events) // 2
    await produced(connection, events[:half])
    service = worker()
    await eventually(lambda: reached(redis, half), "the first half is applied", timeout_s=60)
    assert service.stop() == 0

    await renewed(connection)
    # The new log begins with a part of the old one, as after a restore: those events are known by their ids.
    await produced(connection, events[half - 200 :])
    service = worker()
    await eventually(lambda: at_the_ends(redis, connection), "the new log is applied", timeout_s=60)
    await compare(redis, events, at_us)
    assert "topic_recreated" in service.said()
    assert service.stop() == 0


async def test_a_zombie_is_refused_and_its_successor_goes_on(
    connection: Connection, redis: Any, worker: Callable[[], Service]
) -> None:
    """Another process claims the partitions behind the worker's back: its next step is refused, and it recovers."""
    at_us = clock.now_us()
    events = arrivals(seed=5, until_us=at_us, lasting_s=900, rate=1.0)
    half = len(events) // 2
    await produced(connection, events[:half])
    service = worker()
    await eventually(lambda: reached(redis, half), "the first half is applied", timeout_s=60)
    for number in range(TOPICS[TICKETS].partitions):
        await redis.hincrby(position_key(number), "epoch", 1)
    await produced(connection, events[half:])
    await eventually(lambda: reached(redis, len(events)), "everything is applied", timeout_s=60)
    await compare(redis, events, at_us)
    assert '"fenced"' in service.said()
    assert service.stop() == 0


async def test_what_is_no_event_is_dead_lettered_with_its_bytes_and_its_place(
    connection: Connection, redis: Any, worker: Callable[[], Service]
) -> None:
    producer = Producer(connection, "test")
    await producer.start()
    await producer.send([Outgoing(TICKETS, b"zendesk:1", b'{"kind": "ticket.exploded"}', [("ce_id", b"x")])])
    await producer.stop()
    worker()
    consumer = AIOKafkaConsumer(f"{TICKETS}.dlq", bootstrap_servers=connection.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        letter = await consumer.getone()
    finally:
        await consumer.stop()
    headers = dict(letter.headers)
    assert letter.value == b'{"kind": "ticket.exploded"}'
    assert headers["dlq-reason"] == b"bad_value"
    assert headers["dlq-topic"] == TICKETS.encode()
    assert headers["dlq-offset"] == b"0"
    assert headers["ce_id"] == b"x"
    await eventually(lambda: reached(redis, 1), "the position has passed the record")


async def test_a_segment_that_is_added_while_events_flow_holds_what_it_would_always_have_held(
    connection: Connection, redis: Any, worker: Callable[..., Service], config: Path
) -> None:
    """The document changes under a running worker, which is killed while it counts old tickets in the new segments."""
    config.write_text(
        CONFIG.replace("[[channel], [team], [priority], [agent], [team, priority]]", "[[channel], [brand]]")
    )
    at_us = clock.now_us()
    events = arrivals(seed=9, until_us=at_us, lasting_s=1200, rate=1.0, out_of_order=0.1)
    half = len(events) // 2
    await produced(connection, events[:half])
    service = worker()
    await eventually(lambda: reached(redis, half), "the first half is applied", timeout_s=60)
    assert await gauged(redis, "brand:acme")

    config.write_text(CONFIG)
    await eventually(lambda: "recount_begun" in service.said(), "old tickets are being counted", timeout_s=30)
    service.kill()
    assert not await swept(redis, 1), "it was killed before it was done"
    service = worker()
    await produced(connection, events[half:])
    await eventually(lambda: swept(redis, 1), "every partition is done", timeout_s=60)
    await eventually(lambda: reached(redis, len(events)), "everything is applied", timeout_s=60)

    reader = KpiReader(redis, Partitions(redis), resolutions(WINDOWS.values()))
    assert not await reader.recounting("team:support")
    await compare(redis, events, at_us)
    assert len(await reader.segments(["agent"])) > 2
    assert not await gauged(redis, "brand:acme"), "what is counted no more has no gauge"
    assert service.stop() == 0


async def gauged(redis: Any, segment: str) -> bool:
    """Whether anything stands in a segment now, or ever stood and is zero."""
    return any([await redis.exists(gauge_key(number, segment)) for number in range(TOPICS[TICKETS].partitions)])


async def swept(redis: Any, revision: int) -> bool:
    """Whether every partition's tickets count in all segments up to this revision."""
    found = [await redis.hget(position_key(number), "swept") for number in range(TOPICS[TICKETS].partitions)]
    return all(int(value or 0) >= revision for value in found)


async def test_workers_that_come_and_go_under_load_count_everything_once(
    connection: Connection, redis: Any, worker: Callable[..., Service]
) -> None:
    """One worker, then three, then two: partitions change hands while events flow."""
    at_us = clock.now_us()
    events = arrivals(seed=13, until_us=at_us, lasting_s=700, rate=1.0, out_of_order=0.1)
    third = len(events) // 3
    first = worker("one")
    await produced(connection, events[:third])
    await eventually(lambda: reached(redis, third // 2), "the first is at work", timeout_s=60)
    others = [worker("two"), worker("three")]
    await produced(connection, events[third : 2 * third])
    for service in others:
        await eventually(lambda service=service: "partition_taken" in service.said(), "it has a part", timeout_s=60)
    await produced(connection, events[2 * third : -third // 2])
    assert first.stop() == 0
    await produced(connection, events[-third // 2 :])
    await eventually(lambda: reached(redis, len(events)), "everything is applied", timeout_s=60)
    assert await applied(redis) == len(events)
    await compare(redis, events, at_us)
    assert [service.stop() for service in others] == [0, 0]


def test_the_oracle_sees_a_difference() -> None:
    """The comparison can fail: one event more, and the numbers are others."""
    at_us = clock.now_us()
    events = arrivals(seed=5, until_us=at_us, lasting_s=600, rate=1.0)
    start, end = to_datetime(at_us) - timedelta(days=1), to_datetime(at_us) + timedelta(days=1)
    rated = [e for e in events if e.kind is Kind.CSAT_RECEIVED]
    assert kpis(told(events), start, end, {}) != kpis(told([e for e in events if e != rated[0]]), start, end, {})
