"""Reading KPIs from a real Redis while it changes: what a reader keeps never shows, and the past is as it was."""

from __future__ import annotations

import random
import zlib
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from schemas.instant import SECOND_US, from_datetime, to_datetime
from schemas.state import Fact
from schemas.ticket import TicketEvent
from services import clock
from services.alerts.app import build
from services.alerts.feed import Feed
from services.config.document import parse
from services.fold.fact import fact
from services.fold.rules import compiled
from services.kpi.catalogue import KPIS
from services.kpi.reader import KpiReader
from services.kpi.window import resolutions
from services.metrics.engine import Engine
from services.metrics.position import Position
from services.metrics.store import RedisStore
from services.operate.health import Health
from services.state import client
from services.state.partitions import Partitions
from tests.support.lives import arrivals
from tests.support.oracle import kpis, told

DOCUMENT = parse("segments: [[channel], [team], [priority]]\nwindows: [15m, 1h, 24h, 7d]", {})
KEPT = resolutions(DOCUMENT.windows_s.values())
PARTITIONS = 3
SEGMENTS = ["all", "channel:email", "team:support", "priority:none"]


@pytest.fixture
async def redis(redis_db: str) -> AsyncIterator[Any]:
    found = client.writer(redis_db)
    yield found
    await found.aclose()


class Line:
    """The metrics worker without its loop: events go in, in the order in which they arrive."""

    def __init__(self, redis: Any) -> None:
        self.store = RedisStore(redis)
        self.engine = Engine(compiled(DOCUMENT), KEPT)
        self.held: dict[int, Position] = {}

    async def claim(self) -> None:
        self.held = {number: await self.store.claim(number) for number in range(PARTITIONS)}

    async def absorb(self, events: list[TicketEvent], clock_us: int) -> None:
        parts: dict[int, dict[str, list[Fact]]] = defaultdict(dict)
        for event in events:
            number = zlib.crc32(event.key.encode()) % PARTITIONS
            parts[number].setdefault(event.key, []).append(fact(event))
        for number, incoming in parts.items():
            entries = await self.store.entries(number, list(incoming))
            history = await self.store.facts(number, self.engine.histories(entries, incoming))
            delta, _ = self.engine.batch(entries, incoming, history, clock_us, clock_us)
            after = self.held[number].after(None, clock_us)
            await self.store.apply(number, self.held[number], after, delta)
            self.held[number] = after


def reader(redis: Any) -> KpiReader:
    return KpiReader(redis, Partitions(redis), KEPT)


async def test_what_a_reader_keeps_is_what_it_would_read_anew(redis: Any) -> None:
    """Late events, retractions and a Redis that goes back in time, between any two questions."""
    until_us = clock.now_us()
    events = arrivals(seed=4, until_us=until_us, lasting_s=2400, rate=0.2, out_of_order=0.3)
    dice, line, keeping = random.Random(8), Line(redis), reader(redis)
    await line.claim()
    place, copy, differences = 0, {}, 0
    before: Any = None
    while place < len(events):
        size = dice.randint(1, 25)
        chunk = events[place : place + size]
        place += size
        clock_us = from_datetime(max(event.received_at for event in chunk))
        await line.absorb(chunk, clock_us)
        if dice.random() < 0.1:
            copy = {key: await redis.dump(key) for key in await redis.keys("dp:*")} | {b"place": place}
        elif copy and dice.random() < 0.08:
            place = copy.pop(b"place")
            await redis.flushdb()
            for key, value in copy.items():
                await redis.restore(key, 0, value)
            copy = {}
            await line.claim()
        for window_s in (900, 3600):
            kept = await keeping.windows(SEGMENTS, window_s, clock_us)
            assert kept == await reader(redis).windows(SEGMENTS, window_s, clock_us)
        differences += kept != before
        before = kept
    assert differences > 20, "the numbers moved while they were read"


async def test_the_sums_of_many_segments_are_those_of_each(redis: Any) -> None:
    until_us = clock.now_us()
    line = Line(redis)
    await line.claim()
    await line.absorb(arrivals(seed=5, until_us=until_us, lasting_s=3000, rate=0.3), until_us)
    many = [*SEGMENTS, *(f"team:nobody-{number}" for number in range(2000))]
    summed = await reader(redis).windows(many, 3600, until_us)
    for segment in SEGMENTS:
        assert summed[segment] == await reader(redis).window(segment, 3600, until_us)
    assert summed["team:nobody-7"]["tickets_created"] == {"count": 0}


async def filled(redis: Any, until_us: int) -> list[TicketEvent]:
    """Six hours of events, all of them in the state."""
    events = arrivals(seed=6, until_us=until_us, lasting_s=6 * 3600, rate=0.05, out_of_order=0.2)
    line = Line(redis)
    await line.claim()
    await line.absorb(events, until_us)
    return events


@pytest.mark.parametrize(("window", "ago_s"), [(900, 900), (3600, 3600), (3600, 3 * 3600), (900, 2 * 3600)])
async def test_a_comparison_reads_what_the_window_and_the_backlog_were_then(
    redis: Any, window: int, ago_s: int
) -> None:
    until_us = clock.now_us()
    events = await filled(redis, until_us)
    found = await reader(redis).compared(["all", "channel:email"], window, ago_s, until_us, list(KPIS.values()))
    assert found is not None
    assert found.end_us - found.start_us == window * SECOND_US
    assert abs(until_us - ago_s * SECOND_US - found.end_us) <= 40 * SECOND_US
    start, end = to_datetime(found.start_us), to_datetime(found.end_us)
    for segment, now, then in found.rows:
        chosen = {} if segment == "all" else dict([segment.split(":")])
        assert now == await reader(redis).window(segment, window, until_us)
        wanted = kpis(told(events), start, end, chosen)
        assert then["tickets_created"]["count"] == wanted["tickets_created"], segment
        assert then["tickets_solved"]["count"] == wanted["tickets_solved"]
        stood = kpis(told([event for event in events if event.occurred_at < end]), start, end, chosen)
        assert then["backlog"]["count"] == stood["backlog"]
        assert then["first_response_time"]["count"] == len(wanted["first_response_time"])


@pytest.mark.parametrize(("window_s", "step_s"), [(900, 10), (900, 70), (3600, 60), (86_400, 3600), (86_400, 900)])
async def test_the_steps_of_a_series_add_up_and_end_where_the_next_begins(
    redis: Any, window_s: int, step_s: int
) -> None:
    until_us = clock.now_us()
    events = await filled(redis, until_us)
    facts = told(events)
    points = await reader(redis).series(KPIS["tickets_created"], "all", window_s, step_s, until_us)
    backlog = await reader(redis).series(KPIS["backlog"], "all", window_s, step_s, until_us)
    assert len(points) >= window_s // step_s
    for at, (start_us, found) in enumerate(points):
        assert start_us % (step_s * SECOND_US) == 0
        start, end = to_datetime(start_us), to_datetime(start_us + step_s * SECOND_US)
        assert found["count"] == kpis(facts, start, end, {})["tickets_created"]
        if end < to_datetime(until_us):
            stood = kpis(told([event for event in events if event.occurred_at < end]), start, end, {})
            assert backlog[at][1]["count"] == stood["backlog"]
    assert len({found["count"] for _, found in backlog}) > 1, "it moved"
    assert backlog[-1][1] == (await reader(redis).window("all", 900, until_us))["backlog"]


@pytest.fixture
async def api(redis: Any) -> AsyncIterator[httpx.AsyncClient]:
    app = build(
        DOCUMENT, writer=redis, reader=redis, feed=Feed(redis, redis), health=Health(), registry=CollectorRegistry()
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as found:
        yield found


async def test_the_api_answers_what_was_beside_what_is_and_what_changed(redis: Any, api: httpx.AsyncClient) -> None:
    await filled(redis, clock.now_us())
    answer = (await api.get("/v1/kpis?window=1h&compare=1h")).json()
    now, then = answer["kpis"], answer["compared"]["kpis"]
    created = answer["compared"]["change"]["tickets_created"]["count"]
    difference = now["tickets_created"]["count"] - then["tickets_created"]["count"]
    assert created == {"absolute": difference, "relative": pytest.approx(difference / then["tickets_created"]["count"])}
    assert answer["compared"]["change"]["first_response_time"]["business"]["p50_s"]["absolute"] is not None
    assert answer["compared"]["to"] < answer["as_of"]
    rows = (await api.get("/v1/kpis/tickets_created?window=1h&by=channel&compare=2h")).json()["rows"]
    assert {row["segment"] for row in rows} > {"channel:email"}
    for row in rows:
        assert row["change"]["count"]["absolute"] == row["count"] - row["then"]["count"]


@pytest.mark.parametrize(
    ("path", "kind", "says"),
    [
        ("/v1/kpis?window=15m&compare=1w", "bad-compare", "up to 47h earlier"),
        ("/v1/kpis?window=7d&compare=500w", "bad-compare", "is not kept"),
        ("/v1/kpis?window=1h&compare=soon", "bad-compare", "not a duration"),
        ("/v1/kpis/csat/series?window=7d&step=10m", "bad-step", "steps of 1h"),
        ("/v1/kpis/csat/series?window=24h&step=90s", "bad-step", "steps of 1m"),
        ("/v1/kpis/csat/series?window=1h&step=15s", "bad-step", "steps of 10s"),
        ("/v1/kpis/csat/series?window=24h&step=10s", "bad-step", "at most 1500 points: at least 60s"),
        ("/v1/kpis/csat/series?window=7d&step=8d", "bad-step", "no longer than the window"),
    ],
)
async def test_what_is_not_kept_is_refused_with_what_is_possible(
    api: httpx.AsyncClient, path: str, kind: str, says: str
) -> None:
    answer = await api.get(path)
    assert answer.status_code == 400
    assert answer.json()["type"].endswith(kind)
    assert says in answer.json()["detail"]
