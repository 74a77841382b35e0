"""Predictions and topics through a real Redis: live, tried on the past, over the API and the command."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner

from schemas.alert import Alert, Transition
from schemas.instant import SECOND_US, to_datetime
from services import clock
from services.alerts.alerting import Alerting
from services.alerts.app import build
from services.alerts.evaluate import Evaluator
from services.alerts.explain.explainer import Explainer
from services.alerts.explain.reasons import Reasons
from services.alerts.feed import Feed
from services.alerts.lead import Lead
from services.alerts.measures import RuleMeasures
from services.alerts.memories import Memories
from services.alerts.rehearse import rehearse
from services.alerts.rulebook import RuleBook
from services.alerts.sight import Sight
from services.alerts.store import RedisStore
from services.alerts.waiting import Waiting
from services.cli.app import app as cli
from services.config.document import parse
from services.kpi.reader import KpiReader
from services.kpi.window import resolutions
from services.operate.health import Health
from services.state import client
from services.state.partitions import Partitions
from services.state.timers import TimerList
from tests.support.counting import Counting, created, solved

pytestmark = [pytest.mark.redis, pytest.mark.anyio, pytest.mark.timeout(120)]

MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
WEEK_US = 7 * 24 * HOUR_US
START_US = clock.now_us() // MINUTE_US * MINUTE_US
"""Near the present: Redis drops buckets by its own clock."""
TEXT = """
sources: {zendesk: {vendor: zendesk, secrets: [s], ticket_url: "https://desk.example/{ticket_id}"}}
segments: [[team], [tag]]
sla_policies:
  - {name: standard, warn_at: ["90%"], targets: {resolution: {"*": 2h}}}
rules:
  - {name: late, type: predicted_breach, kpi: resolution_time, above: 5, within: 2h, pace: 1h, by: [team]}
  - {name: usually-late, type: predicted_breach, kpi: resolution_time, above: 5, estimate: history, pace: 1h}
  - {name: gaps, type: topic, window: 24h}
"""
DOCUMENT = parse(TEXT, {})


class Desk:
    """Redis with tickets, and one alerts worker. The clock is ours."""

    def __init__(self, writer: Any, reader: Any) -> None:
        self.writer, self.reader = writer, reader
        self.counting = Counting(writer, DOCUMENT)
        self.now_us = START_US
        self.store = RedisStore(writer, reader)
        self.kpis = KpiReader(reader, Partitions(reader), resolutions(DOCUMENT.windows_s.values()))
        self.timers = TimerList(reader, Partitions(reader))
        self.sight = Sight(self.kpis, Waiting(DOCUMENT, self.kpis, self.timers))
        self.measures = RuleMeasures(CollectorRegistry())
        self.lead = Lead(writer)

    async def looked(self, name: str, segment: str) -> Alert | None:
        """The newest alert of a rule after a look at it."""
        evaluator = Evaluator(
            DOCUMENT,
            RuleBook(DOCUMENT, self.writer, self.reader),
            self.sight,
            self.store,
            Memories(self.writer, self.reader),
            Alerting(self.store, DOCUMENT, lambda: to_datetime(self.now_us), lambda event: None),
            self.lead,
            self.measures,
            Health(),
            lambda: self.now_us,
            Reasons(Explainer(DOCUMENT, self.kpis, self.timers), self.measures.explanations),
        )
        fence = await self.lead.held()
        assert fence is not None
        (rule,) = (rule for rule in DOCUMENT.rules if rule.name == name)
        await evaluator.look(rule, fence)
        return await self.store.newest(f"rule:{name}:{segment}")

    async def work(self) -> None:
        """Three hours: each hour 18 tickets of billing come and 12 of them, the oldest first, are solved; in the
        third 30 more come within a quarter of an hour. Sales solves what comes."""
        waiting: list[str] = []
        for minute in range(-180, 0):
            at_us, events = START_US + minute * MINUTE_US, []
            if minute % 10 in (0, 3, 6):
                waiting.append(f"b{minute}")
                events.append(created(waiting[-1], at_us, team="billing"))
            if minute % 5 == 4:
                events.append(solved(waiting.pop(0), at_us))
            if -60 <= minute < -45:
                waiting += [f"b{minute}-{n}" for n in range(2)]
                events += [created(name, at_us, team="billing") for name in waiting[-2:]]
            if minute % 4 == 0:
                events.append(created(f"s{minute}", at_us, team="sales"))
            if minute % 4 == 3:
                events.append(solved(f"s{minute - 3}", at_us))
            await self.counting.count(events, at_us)
        self.open = waiting

    async def tags(self) -> None:
        """Five days, a week apart: 40 tickets each, one in ten about printers; today every other one is about logins,
        of which half are solved and reopened."""
        for week in range(4, -1, -1):
            for number in range(40):
                at_us = START_US - week * WEEK_US - (number + 1) * 30 * MINUTE_US
                tag = "login" if week == 0 and number % 2 else "printer" if number % 10 == 0 else "billing"
                await self.counting.count([created(f"{week}-{number}", at_us, tags=(tag,))], START_US)


@pytest.fixture
async def desk(redis_db: str) -> AsyncIterator[Desk]:
    writer, reader = client.writer(redis_db), client.reader(redis_db)
    yield Desk(writer, reader)
    await writer.aclose()
    await reader.aclose()


async def test_promises_that_cannot_be_kept_are_told_before_they_break_and_no_longer_when_they_can(desk: Desk) -> None:
    await desk.work()
    assert await desk.looked("late", "team:sales") is None
    alert = await desk.looked("late", "team:billing")
    assert alert is not None
    assert alert.reason is Transition.FIRED
    assert alert.title == "Solutions will be late: team billing"
    assert alert.detail.startswith("At the pace of the last 1 h, ")
    assert " solutions of team billing due before " in alert.detail
    assert "more an hour than the 12 of now." in alert.detail
    assert alert.value is not None
    assert 5 < alert.value <= len(desk.open)
    assert alert.labels["type"] == "predicted_breach"
    named = {ticket.ticket_id for ticket in alert.evidence}
    assert len(named) == 5
    assert named < set(desk.open)
    assert alert.evidence[0].url == f"https://desk.example/{alert.evidence[0].ticket_id}"
    assert alert.why is not None
    assert not (await desk.timers.page([])).timers
    # Everybody helps: what was waited for is done, and the alert ends with the numbers.
    desk.now_us += 5 * MINUTE_US
    await desk.counting.count([solved(name, desk.now_us - MINUTE_US) for name in desk.open[:-3]], desk.now_us)
    after = await desk.looked("late", "team:billing")
    assert after is not None
    assert after.reason is Transition.CLEARED
    assert " of 3 solutions of team billing " in after.detail


async def test_how_such_waits_usually_end_predicts_too(desk: Desk) -> None:
    await desk.work()
    alert = await desk.looked("usually-late", "all")
    standing = await Memories(desk.writer, desk.reader).of("usually-late")
    assert alert is not None, standing
    assert alert.title == "Solutions will be late: all tickets"
    assert "in the order due" not in alert.detail


async def test_a_prediction_is_tried_on_queues_made_anew_from_what_was_done_since(desk: Desk) -> None:
    await desk.work()
    (rule,) = (rule for rule in DOCUMENT.rules if rule.name == "late")
    before = set(await desk.writer.keys("*"))
    found = await rehearse(rule, DOCUMENT.segments, desk.sight, 1, START_US)
    assert found.step_s == 900
    assert [spell.segment for spell in found.spells] == ["team:billing"]
    (spell,) = found.spells
    assert 0 <= START_US - spell.fired_us <= 90 * MINUTE_US
    assert spell.title == "Solutions will be late: team billing"
    assert spell.ended_us is None
    assert set(await desk.writer.keys("*")) <= before, "nothing is stored; buckets may have run out"


async def test_a_topic_beyond_its_usual_share_is_told_and_tried(desk: Desk) -> None:
    await desk.tags()
    alert = await desk.looked("gaps", "tag:login")
    assert alert is not None
    assert alert.title == "Topic tag login grows"
    assert alert.detail.startswith("Tag login was in 50 % of new tickets within 1 d (never in 4 weeks before): 20 of ")
    assert {ticket.ticket_id for ticket in alert.evidence} <= {f"0-{n}" for n in range(1, 40, 2)}
    assert len(alert.evidence) == 5
    assert await desk.store.newest("rule:gaps:tag:printer") is None
    (rule,) = (rule for rule in DOCUMENT.rules if rule.name == "gaps")
    found = await rehearse(rule, DOCUMENT.segments, desk.sight, 3, START_US)
    assert found.step_s == 86_400
    assert {spell.segment for spell in found.spells} <= {"tag:login"}


async def test_both_can_be_tried_over_the_api_and_with_the_command(desk: Desk, redis_db: str, tmp_path: Path) -> None:
    await desk.work()
    app = build(
        DOCUMENT,
        writer=desk.writer,
        reader=desk.reader,
        feed=Feed(desk.reader, desk.reader),
        health=Health(),
        registry=CollectorRegistry(),
        now=lambda: to_datetime(START_US),
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://api") as http:
        tried = await http.post("/v1/rules/test", json={"name": "late", "days": 1})
        assert tried.status_code == 200, tried.text
        assert [alert["segment"] for alert in tried.json()["alerts"]] == ["team:billing"]
        wrong = await http.post("/v1/rules/test", json={"rule": {"type": "predicted_breach", "above": "2h"}})
        assert wrong.json()["problems"] == ["above: '2h' is no number; write it without a unit"]
    (tmp_path / "all.yaml").write_text(TEXT)
    environment = {"DESKPULSE_REDIS_URL": redis_db, "DESKPULSE_CONFIG": str(tmp_path / "all.yaml")}
    for name in ("late", "gaps"):
        arguments = ["rules", "test", name, "--days", "1", "--json"]
        result = await asyncio.to_thread(CliRunner().invoke, cli, arguments, env=environment)
        assert result.exit_code == 0, result.output
        assert json.loads(result.output)[0]["rule"] == name
