"""Every number that the API tells, against SQL over the log: any order, any copies, a worker killed again and again.

By default a small log. The promise is for a large one:

    DESKPULSE_ORACLE_EVENTS=200000 pytest -s tests/integration/test_ledger.py

reads 20,000 ticket lives, kills the worker 24 times and asks for every segment. It takes a quarter of an hour and more,
and prints how much was compared.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from aiokafka import AIOKafkaConsumer, TopicPartition
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from schemas.instant import SECOND_US, from_datetime, parse_rfc3339
from schemas.ticket import TicketEvent
from schemas.topics import TICKETS, TOPICS
from services import clock
from services.config.duration import seconds
from services.embedded.port import free_port
from services.kpi.catalogue import KPIS
from services.stream.producer import Connection
from tests.support.desk import arrivals, disorder
from tests.support.ledger import PERCENTILES, Ledger, Rows
from tests.support.passage import applied, produced
from tests.support.service import Service
from tests.support.wait import eventually, until

EVENTS = int(os.environ.get("DESKPULSE_ORACLE_EVENTS") or 6000)
TICKETS_TOLD = EVENTS // 10
LARGE = EVENTS >= 100_000
KILLS = min(24, EVENTS // 2000)
DICE = random.Random(EVENTS)
MONTH_S = 30 * 86_400
pytestmark = [pytest.mark.kafka, pytest.mark.anyio, pytest.mark.timeout(300 + EVENTS // 50)]

CONFIG = """
calendars:
  office: {timezone: Europe/Paris, weekly: {mon: [["09:00","12:30"],["13:30","18:00"]], tue: [["09:00","18:00"]],
    wed: [["00:00","24:00"]], thu: [["00:00","09:00"],["22:00","24:00"]], fri: [["09:00","17:00"]],
    sat: [["08:00","23:30"]], sun: [["00:00","20:15"]]},
    holidays: ["2026-11-11"], annual_holidays: ["12-25"],
    overrides: {"2026-11-19": [["06:00","10:00"]], "2026-11-03": []}}
  abroad: {timezone: America/New_York, weekly: {mon: [["08:00","20:00"]], tue: [["08:00","20:00"]],
    thu: [["00:00","24:00"]], sat: [["00:00","24:00"]], sun: [["00:00","24:00"]]}}
business_calendar: office
# Promises come and go with tags, teams and tiers, and so do the hours that business time is measured in.
sla_policies:
  - {name: south, match: {source: [south]}, calendar: abroad, targets: {first_response: {urgent: 15m, "*": 1h},
     next_response: {"*": 1h}, resolution: {"*": 8h}, periodic_update: {"*": 4h}, pausable_update: {"*": 2h},
     group_ownership: {"*": 8h}}}
  - {name: bugs, match: {tag: [bug], team: [technical, support]}, calendar: office,
     targets: {first_response: {"*": 2h}, next_response: {low: 8h, "*": 30m}, resolution: {urgent: 8h, "*": 2d},
     agent_work: {"*": 6h}, group_ownership: {urgent: 1h, "*": 5h}}, pause_on: {resolution: [on_hold]}}
  - {name: vip, match: {tag: [vip]}, calendar: abroad, targets: {resolution: {urgent: 4h, high: null, "*": 1d}}}
  - {name: desk, match: {team: [billing]}, calendar: abroad, targets: {group_ownership: {"*": 3h}}}
  - {name: everyone, targets: {first_response: {urgent: 15m, high: 1h, "*": 4h}, next_response: {"*": 1h},
     resolution: {urgent: 8h, "*": 3d}, agent_work: {"*": 12h}, requester_wait: {high: 8h, "*": 2d},
     group_ownership: {"*": 10h}}}
kpis: {escalation: {priorities: [urgent], teams: [technical]}}
segments: [[source], [channel], [team], [priority], [agent], [brand], [tier], [tag], [team, priority], [tag, brand]]
windows: [15m, 1h, 24h, 7d, 28d, 90d]
"""
DOCUMENT = yaml.safe_load(CONFIG)
ALL = "all"


@pytest.fixture
def service(connection: Connection, redis_db: str, tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Starts a service; a later call with its name starts its successor."""
    config = tmp_path / "deskpulse.yaml"
    config.write_text(CONFIG)
    environment = {
        "DESKPULSE_CONFIG": str(config),
        "DESKPULSE_KAFKA_BOOTSTRAP": connection.bootstrap,
        "DESKPULSE_REDIS_URL": redis_db,
        "DESKPULSE_METRICS_PORT": "0",
        "DESKPULSE_INSTANCE_ID": "test",
    }
    started: list[Service] = []

    def start(name: str, **more: str) -> Service:
        started.append(Service(name, {**environment, **more}, tmp_path / f"{name}.log"))
        return started[-1]

    yield start
    for one in started:
        if one.running:
            one.kill()


async def read_back(connection: Connection, records: int, log: Path) -> None:
    """The topic as it lies there, a line for each record."""
    consumer = AIOKafkaConsumer(bootstrap_servers=connection.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(TICKETS, number) for number in range(TOPICS[TICKETS].partitions)])
        lines = 0
        with log.open("wb") as sink:
            while lines < records:
                for batch in (await consumer.getmany(timeout_ms=10_000)).values():
                    sink.writelines(record.value + b"\n" for record in batch)
                    lines += len(batch)
    finally:
        await consumer.stop()
    assert lines == records


async def survived(
    connection: Connection, redis: Any, service: Callable[..., Service], parts: list[list[TicketEvent]]
) -> Service:
    """The worker that is left when everything is applied and its predecessors were killed on the way. The later part
    of the log comes while they work."""
    total = sum(map(len, parts))
    goals = sorted(DICE.randrange(total // 50, total - total // 50) for _ in range(KILLS))
    await produced(connection, parts[0])
    worker = service("metrics")
    for goal in goals:
        if goal > len(parts[0]) - 2000 and len(parts) > 1:
            await produced(connection, parts.pop())
        await progressed(redis, goal, worker)
        worker.kill()
        worker = service("metrics")
    if len(parts) > 1:
        await produced(connection, parts.pop())
    await progressed(redis, total, worker)
    assert await applied(redis) == total
    return worker


async def progressed(redis: Any, goal: int, worker: Service) -> None:
    async def there() -> bool:
        assert worker.running, worker.said()[-2000:]
        try:
            return await applied(redis) >= goal
        except ResponseError as busy:  # a batch that takes Redis more than five seconds, on a machine that is slow
            if "BUSY" not in str(busy):
                raise
            return False

    await eventually(there, f"{goal} records are applied", timeout_s=120)


class Comparison:
    """What the API says beside what the ledger says. ``numbers`` counts what was compared, ``wrong`` what differs."""

    def __init__(self, api: httpx.Client, ledger: Ledger) -> None:
        self._api, self._ledger = api, ledger
        self.numbers = 0
        self.again = 0
        self.cases = 0
        self.wrong: list[str] = []

    def everything(self, window: str, dimensions: Sequence[str] = (), segment: str = ALL) -> None:
        """All KPIs of one window and one segment."""
        self._agree(lambda fresh: self._everything(window, dimensions, segment, fresh))

    def rows(self, kpi: str, window: str, dimensions: Sequence[str]) -> None:
        """One KPI by every value of a segment, of the API and of the ledger."""
        self._agree(lambda fresh: self._rows(kpi, window, dimensions, fresh))

    def _agree(self, compare: Callable[[bool], None]) -> None:
        """A promise may break between the worker's clock, which may be behind, and the answer: what differs is asked
        for again until it does not, for a while."""
        before = len(self.wrong)
        compare(False)
        if len(self.wrong) == before:
            return
        self.again += 1

        def agrees() -> bool:
            del self.wrong[before:]
            compare(True)
            return len(self.wrong) == before

        with suppress(AssertionError):  # what still differs is told with the rest
            until(agrees, "the API and the ledger agree", timeout_s=15)

    def _everything(self, window: str, dimensions: Sequence[str], segment: str, fresh: bool) -> None:
        answer = self._get("/v1/kpis", window=window, segment=segment)
        known = self._known(answer, dimensions, fresh)
        for kpi in {*answer["kpis"], *known}:
            right = known.get(kpi, {}).get(segment, {})
            self._same(f"{kpi} {window} {segment}", answer["kpis"].get(kpi, {}), right)

    def _rows(self, kpi: str, window: str, dimensions: Sequence[str], fresh: bool) -> None:
        answer = self._get(f"/v1/kpis/{kpi}", window=window, by=",".join(dimensions))
        known = self._known(answer, dimensions, fresh).get(kpi, {})
        told = {row.pop("segment"): row for row in answer["rows"] if row.pop("values")}
        for segment in {*known, *told}:
            self._same(f"{kpi} {window} {segment}", told.get(segment, {}), known.get(segment, {}))

    def _get(self, path: str, **query: str) -> Any:
        answer = self._api.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def _known(self, answer: dict[str, Any], dimensions: Sequence[str], fresh: bool) -> Rows:
        as_of_us = from_datetime(parse_rfc3339(answer["as_of"]))
        return self._ledger.read(dimensions, *edges(answer["window"], as_of_us), as_of_us, fresh=fresh)

    def _same(self, where: str, found: dict[str, Any], wanted: dict[str, Any]) -> None:
        """Every leaf of both; what is not there is zero where it counts and null where it measures."""
        for name in {*found, *wanted}:
            said, right = found.get(name), wanted.get(name)
            if isinstance(said, dict) or isinstance(right, dict):
                self._same(f"{where} {name}", said or {}, right or {})
                continue
            self.numbers += 1
            if isinstance(said, int) or isinstance(right, int):
                said, right = said or 0, right or 0
            if name == "count":
                self.cases += abs(right)
            alike = said == right if said is None or right is None else abs(said - right) <= within(name, right)
            if not alike:
                self.wrong.append(f"{where} {name}: the API says {said}, the ledger {right}")


def within(name: str, right: float) -> float:
    """How far a number may be off: durations are kept in whole milliseconds and percentiles in a sketch; means of
    scores are rounded to six places and the net promoter score to three."""
    if name in PERCENTILES:
        return 0.0016 + 0.0101 * right
    return {"mean_s": 0.0016, "mean": 2e-6, "ratio": 1e-9, "score": 6e-4}.get(name, 0.0)


def edges(window: str, at_us: int) -> tuple[int, int]:
    """The buckets of a window that ends at ``at_us``, as docs/kpis.md tells: its end is exact to ten seconds and its
    start to the width of buckets that are still kept at its age."""
    length_s = seconds(window)
    width_us = (10 if length_s <= 7200 else 60 if length_s <= 2 * 86_400 else 3600) * SECOND_US
    start_us = at_us - length_s * SECOND_US
    return start_us - start_us % width_us, at_us - at_us % (10 * SECOND_US) + 10 * SECOND_US


async def test_the_api_tells_what_sql_finds_in_the_log(
    connection: Connection, redis_db: str, service: Callable[..., Service], tmp_path: Path
) -> None:
    began_us = clock.now_us()
    early = arrivals(seed=20, tickets=TICKETS_TOLD * 9 // 10, until_us=began_us, lasting_s=MONTH_S)
    late = arrivals(seed=21, tickets=TICKETS_TOLD // 10, until_us=began_us, lasting_s=7200, name="late")
    copies, out_of_order = disorder([*early, *late])
    assert copies >= 0.05
    assert out_of_order >= 0.05

    redis = Redis.from_url(redis_db, socket_timeout=30)  # patient: Redis has other things to do
    try:
        worker = await survived(connection, redis, service, [early, late])
    finally:
        await redis.aclose()
    applied_us = clock.now_us()
    await read_back(connection, len(early) + len(late), tmp_path / "log.jsonl")
    ledger = Ledger(tmp_path / "log.jsonl", DOCUMENT)

    port = free_port()
    service("api", DESKPULSE_API_PORT=str(port))
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as api:
        until(lambda: answers(api), "the API is ready", timeout_s=60)
        comparison = Comparison(api, ledger)
        asked_us = clock.now_us()
        for window in DOCUMENT["windows"]:
            comparison.everything(window)
            for dimensions in DOCUMENT["segments"] if LARGE else DICE.sample(DOCUMENT["segments"], 4):
                there = ledger.segments(dimensions)
                for segment in there if LARGE else DICE.sample(there, 1):
                    comparison.everything(window, dimensions, segment)
                for kpi in DICE.sample(sorted(KPIS), 4 if LARGE else 2):
                    comparison.rows(kpi, window, dimensions)
    compared_us = clock.now_us()
    size = ", ".join(f"{number:,} {what}" for what, number in ledger.size().items())
    print(
        f"\n{size}; {copies:.1%} copies, {out_of_order:.1%} out of order; {KILLS} kills; "
        f"{comparison.numbers:,} numbers of {comparison.cases:,} cases compared, {len(comparison.wrong)} wrong, "
        f"{comparison.again} asked for again; "
        f"applied in {(applied_us - began_us) / 1e6:.0f} s, compared in {(compared_us - asked_us) / 1e6:.0f} s"
    )
    assert comparison.wrong[:20] == []
    assert ledger.kpis() == set(KPIS), "every KPI of the catalogue has cases in the ledger, and no other"
    assert worker.running


def answers(api: httpx.Client) -> bool:
    try:
        return api.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False
