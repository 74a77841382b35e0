"""Rules over KPIs in a real Redis: they fire and end, once, whoever evaluates them and wherever that one dies."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import Result
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner

from schemas.alert import AlertEvent, AlertState, Severity
from schemas.failure import NotNow
from schemas.instant import SECOND_US, to_datetime
from services import clock
from services.alerts import state
from services.alerts.alerting import Alerting
from services.alerts.app import build
from services.alerts.evaluate import Evaluator
from services.alerts.explain.explainer import Explainer
from services.alerts.explain.reasons import Reasons
from services.alerts.feed import Feed
from services.alerts.lead import Lead
from services.alerts.measures import RuleMeasures
from services.alerts.memories import Memories
from services.alerts.phase import Phase
from services.alerts.rehearse import rehearse
from services.alerts.rulebook import RuleBook
from services.alerts.sight import Sight
from services.alerts.store import RedisStore
from services.alerts.waiting import Waiting
from services.cli.app import app as cli
from services.config.document import Document, parse
from services.config.rule import Rule
from services.kpi.catalogue import KPIS
from services.kpi.reader import KpiReader
from services.kpi.window import earlier, resolutions
from services.operate.health import Health
from services.state import client
from services.state.partitions import Partitions
from services.state.timers import TimerList
from tests.support.counting import Counting, created, solved

pytestmark = [pytest.mark.redis, pytest.mark.anyio, pytest.mark.timeout(120)]

MINUTE_US = 60 * SECOND_US
START_US = clock.now_us() // (60 * SECOND_US) * 60 * SECOND_US
"""Near the present: Redis drops buckets by its own clock."""

DOCUMENT = parse(
    """
segments: [[team], [source]]
windows: [15m, 1h, 24h, 7d]
rules:
  - {name: busy, type: threshold, kpi: tickets_created, window: 15m, above: 5, clear: 3, for: 1m, by: [team]}
receivers:
  hook: {webhook: {url: "https://example.com/hook", secrets: [whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=]}}
routes:
  - {receiver: hook}
""",
    {},
)


class Died(Exception):
    """The process ended here."""


class Mortal:
    """A Redis client that dies after so many calls that change something: with the call done, or just before."""

    def __init__(self, redis: Any, calls: int, *, done: bool) -> None:
        self._redis = redis
        self.left = calls
        self._done = done

    def __getattr__(self, name: str) -> Any:
        return getattr(self._redis, name)

    def register_script(self, text: str) -> Callable[..., Any]:
        script = self._redis.register_script(text)

        async def call(*args: Any, **kwargs: Any) -> Any:
            self.left -= 1
            if self.left < 0 or (self.left == 0 and not self._done):
                raise Died
            answer = await script(*args, **kwargs)
            if self.left == 0:
                raise Died
            return answer

        return call


class World:
    """Redis with KPIs, and workers that come and go. The clock is ours."""

    def __init__(self, writer: Any, reader: Any, document: Document = DOCUMENT) -> None:
        self.writer, self.reader, self.document = writer, reader, document
        self.counting = Counting(writer, document)
        self.now_us = START_US
        self.heard: list[AlertEvent] = []
        self.store = RedisStore(writer, reader)
        self.health = Health()

    def waiting(self, kpis: KpiReader) -> Waiting:
        return Waiting(self.document, kpis, TimerList(self.reader, Partitions(self.reader)))

    def worker(self, writer: Any = None) -> tuple[Evaluator, Lead]:
        mine = writer if writer is not None else self.writer
        kpis = KpiReader(self.reader, Partitions(self.reader), resolutions(self.document.windows_s.values()))
        lead, store = Lead(mine), RedisStore(mine, self.reader)
        measures = RuleMeasures(CollectorRegistry())
        alerting = Alerting(store, self.document, lambda: to_datetime(self.now_us), self.heard.append)
        evaluator = Evaluator(
            self.document,
            RuleBook(self.document, mine, self.reader),
            Sight(kpis, self.waiting(kpis)),
            store,
            Memories(mine, self.reader),
            alerting,
            lead,
            measures,
            self.health,
            lambda: self.now_us,
            Reasons(
                Explainer(self.document, kpis, TimerList(self.reader, Partitions(self.reader))), measures.explanations
            ),
        )
        return evaluator, lead

    async def tickets(self, team: str, number: int) -> None:
        events = [created(f"{team}-{self.now_us}-{n}", self.now_us - n, team=team) for n in range(number)]
        await self.counting.count(events, self.now_us)

    async def told(self) -> list[tuple[str, str]]:
        """What the receiver would be sent: transitions with their segment, in the order in which they were stored."""
        found = await self.store.outgoing(1000)
        return [(event.alert.fingerprint, event.transition.value) for _, event in found]

    async def open(self) -> list[str]:
        states = [AlertState.FIRING, AlertState.ACKNOWLEDGED, AlertState.SNOOZED]
        return sorted(alert.fingerprint for alert in await self.store.listed(states, list(Severity), 100))


@pytest.fixture
async def world(redis_db: str) -> AsyncIterator[World]:
    writer, reader = client.writer(redis_db), client.reader(redis_db)
    yield World(writer, reader)
    await writer.aclose()
    await reader.aclose()


def busy(document: Document = DOCUMENT) -> Rule:
    return document.rules[0]


async def test_a_kpi_moves_the_rule_fires_and_ends_with_its_evidence(world: World) -> None:
    evaluator, lead = world.worker()
    fence = await lead.held()
    assert fence is not None
    await world.tickets("billing", 8)
    await world.tickets("sales", 2)
    await evaluator.look(busy(), fence)
    assert await world.told() == []
    world.now_us += MINUTE_US
    await evaluator.look(busy(), fence)
    assert await world.told() == [("rule:busy:team:billing", "fired")]
    alert = await world.store.newest("rule:busy:team:billing")
    assert alert is not None
    assert alert.title == "Tickets created too high: team billing"
    assert alert.detail == "The number of tickets created (team billing) is above its limit. 8 over 15 min, limit 5."
    assert (alert.value, alert.baseline) == (8, 5)
    assert alert.query == "/v1/kpis/tickets_created/series?window=24h&step=15m&segment=team%3Abilling"
    assert await world.store.pending() == 1, "one message for the one route"
    for _ in range(3):
        world.now_us += MINUTE_US
        await evaluator.look(busy(), fence)
    assert len(await world.told()) == 1, "nothing new, nothing told"
    world.now_us += 15 * MINUTE_US
    await evaluator.look(busy(), fence)
    world.now_us += MINUTE_US
    await evaluator.look(busy(), fence)
    assert (await world.told())[1:] == [("rule:busy:team:billing", "cleared")]
    assert await world.open() == []


async def test_only_one_of_two_leads_and_the_other_takes_over(world: World) -> None:
    (_, first), (evaluator, second) = world.worker(), world.worker()
    fence = await first.held()
    assert fence is not None
    assert await second.held() is None
    assert await first.held() == fence, "it keeps the lead"
    await first.leave()

    taken = None
    while taken is None:
        taken = await second.held()
    assert int(taken) > int(fence)
    assert await first.held() is None
    await world.tickets("billing", 8)
    await evaluator.look(busy(), taken)


async def test_a_leader_that_was_paused_stores_nothing_more(world: World) -> None:
    (slow, first), (quick, second) = world.worker(), world.worker()
    old = await first.held()
    assert old is not None
    await world.tickets("billing", 8)
    await slow.look(busy(), old)
    world.now_us += MINUTE_US
    await first.leave()
    new = None
    while new is None:
        new = await second.held()
    await slow.look(busy(), old)
    assert await world.told() == []
    memories = await Memories(world.writer, world.reader).of("busy")
    assert memories["team:billing"].phase is Phase.PENDING
    await quick.look(busy(), new)
    assert await world.told() == [("rule:busy:team:billing", "fired")]


async def _a_day(world: World, look: Callable[[], Any]) -> None:
    """Two teams are busy at different times; a third never is."""
    plan = {1: ("billing", 8), 2: ("sales", 9), 3: ("vip", 2)}
    for minute in range(22):
        world.now_us = START_US + minute * MINUTE_US
        if minute in plan:
            await world.tickets(*plan[minute])
        await look()


@pytest.mark.parametrize("done", [False, True], ids=["before-the-call", "after-the-call"])
async def test_killed_at_any_point_nothing_is_lost_and_nothing_is_told_twice(world: World, done: bool) -> None:
    evaluator, lead = world.worker()
    calls = Mortal(world.writer, 10**9, done=done)
    evaluator, lead = world.worker(calls)
    fence = await lead.held()
    assert fence is not None
    await _a_day(world, lambda: evaluator.look(busy(), fence))
    expected, changing = await world.told(), 10**9 - calls.left
    assert len(expected) == 4
    assert changing > 25

    # Most calls only write down how things stand; those around a step are what a crash could hurt.
    for point in range(2, changing, 3):
        await world.writer.flushdb()
        world.counting = Counting(world.writer, world.document)
        worker: list[Any] = [*world.worker(Mortal(world.writer, point, done=done)), None]

        async def look(worker: list[Any] = worker) -> None:
            for _ in range(4):
                try:
                    worker[2] = worker[2] or await worker[1].held()
                    if worker[2] is not None:
                        await worker[0].look(busy(), worker[2])
                        return
                except Died:
                    await world.writer.delete("deskpulse:{alerts}:leader")  # its lease ends
                    worker[:] = [*world.worker(), None]
            raise AssertionError("nobody looked")

        await _a_day(world, look)
        assert await world.told() == expected, f"killed at call {point}"


async def test_an_operator_and_the_evaluator_at_the_same_time(world: World) -> None:
    evaluator, lead = world.worker()
    fence = await lead.held()
    assert fence is not None
    await world.tickets("billing", 8)
    await evaluator.look(busy(), fence)
    world.now_us += MINUTE_US
    await evaluator.look(busy(), fence)
    alert = await world.store.newest("rule:busy:team:billing")
    assert alert is not None
    alerting = Alerting(world.store, world.document, lambda: to_datetime(world.now_us), world.heard.append)
    await alerting.act(alert.alert_id, lambda found, at: state.resolve(found, "ana", at))
    for _ in range(3):
        world.now_us += MINUTE_US
        await evaluator.look(busy(), fence)
    assert [what for _, what in await world.told()] == ["fired", "resolved_by_hand"]


async def test_a_rule_that_is_gone_ends_its_alerts_and_is_forgotten(world: World) -> None:
    evaluator, lead = world.worker()
    fence = await lead.held()
    assert fence is not None
    await world.tickets("billing", 8)
    await evaluator.look(busy(), fence)
    world.now_us += MINUTE_US
    await evaluator.look(busy(), fence)
    evaluator.follow(parse("segments: [[team], [source]]", {}))
    await evaluator.turn(fence)
    assert [what for _, what in await world.told()] == ["fired", "rule_removed"]
    assert await Memories(world.writer, world.reader).rules() == set()


async def test_a_rule_that_cannot_be_evaluated_is_named_and_the_others_go_on(world: World) -> None:
    evaluator, lead = world.worker()
    fence = await lead.held()
    assert fence is not None
    book = RuleBook(world.document, world.writer, world.reader)
    await book.put("by-source", {"type": "stale", "by": ["source"]})
    await world.writer.hset("deskpulse:{alerts}:rules", "odd", b'{"name": "odd", "type": "threshold", "kpi": "gone"}')
    for _ in range(3):
        await evaluator.turn(fence)
    findings = {finding.name: finding for finding in await world.health.readiness()}
    assert findings["rules"].problem is None, "no reason to send this process no work"
    assert findings["rules"].note == "Rules that cannot be evaluated: odd."
    assert await Memories(world.writer, world.reader).rules() == set()
    await world.tickets("billing", 8)
    evaluator.follow(world.document)
    for _ in range(3):
        await evaluator.turn(fence)
    assert await Memories(world.writer, world.reader).rules() == {"busy", "by-source"}


async def test_while_redis_is_away_the_rule_is_tried_again_and_nothing_is_made_up(world: World) -> None:
    evaluator, lead = world.worker()
    fence = await lead.held()
    assert fence is not None

    async def away(*_: Any, **__: Any) -> Any:
        raise NotNow("Redis does not answer")

    evaluator._sight.segments = away  # type: ignore[method-assign]
    await evaluator.turn(fence)
    findings = {finding.name: finding for finding in await world.health.readiness()}
    assert findings["rules"].note == "Rules that cannot be evaluated: busy."
    assert await world.told() == []


async def test_the_backlog_falls_when_tickets_are_solved_and_the_alert_with_it(world: World) -> None:
    document = parse("rules: [{name: full, type: threshold, kpi: backlog, above: 5, clear: 3}]", {})
    world = World(world.writer, world.reader, document)
    evaluator, lead = world.worker()
    fence = await lead.held()
    assert fence is not None
    await world.counting.count([created(str(n), START_US - n) for n in range(8)], START_US)
    await evaluator.look(busy(document), fence)
    assert await world.open() == ["rule:full:all"]
    world.now_us += MINUTE_US
    await world.counting.count([solved(str(n), world.now_us) for n in range(4)], world.now_us)
    await evaluator.look(busy(document), fence)
    assert await world.open() == ["rule:full:all"], "4 left: back over the level, not over the one that ends it"
    world.now_us += MINUTE_US
    await world.counting.count([solved("5", world.now_us)], world.now_us)
    await evaluator.look(busy(document), fence)
    assert await world.open() == []


async def test_a_rule_is_tried_on_the_past_and_stores_nothing(world: World) -> None:
    """The dry run of an hour with two busy spells of one team tells when it would have fired and ended."""
    world.now_us = START_US - 60 * MINUTE_US
    await world.tickets("billing", 8)
    world.now_us = START_US - 30 * MINUTE_US
    await world.tickets("billing", 9)
    await world.tickets("sales", 2)
    before = await world.writer.dbsize()
    kpis = KpiReader(world.reader, Partitions(world.reader), resolutions(world.document.windows_s.values()))
    sight = Sight(kpis, world.waiting(kpis))
    found = await rehearse(busy(), world.document.segments, sight, 1, START_US)
    assert found.step_s == 300
    assert [(spell.segment, spell.value) for spell in found.spells] == [("team:billing", 8), ("team:billing", 9)]
    first, second = found.spells
    for spell, minutes in ((first, 60), (second, 30)):
        began = (START_US - spell.began_us) / MINUTE_US
        assert minutes - 6 <= began <= minutes
        assert spell.ended_us is not None
        assert 5 <= (spell.ended_us - spell.fired_us) / MINUTE_US <= 25
    assert await world.writer.dbsize() == before
    shown = found.shown()
    assert (shown["segments"], shown["judged_live_every_s"]) == (2, 30)


@pytest.fixture
async def http(world: World) -> AsyncIterator[httpx.AsyncClient]:
    feed = Feed(world.reader, world.reader)
    app = build(
        world.document,
        writer=world.writer,
        reader=world.reader,
        feed=feed,
        health=Health(),
        registry=CollectorRegistry(),
        now=lambda: to_datetime(world.now_us),
    )
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as found:
        yield found


QUIET: dict[str, Any] = {"type": "threshold", "kpi": "csat", "below": "80%", "by": ["team"]}


async def test_rules_come_and_go_over_the_api_and_those_of_the_file_stay(world: World, http: httpx.AsyncClient) -> None:
    put = await http.put("/v1/rules/unhappy", json=QUIET)
    assert put.status_code == 200, put.text
    assert (put.json()["origin"], put.json()["every_s"]) == ("api", 30)
    listed = (await http.get("/v1/rules")).json()["rules"]
    assert [(rule["name"], rule["origin"]) for rule in listed] == [("busy", "file"), ("unhappy", "api")]
    for answer in (await http.put("/v1/rules/busy", json=QUIET), await http.delete("/v1/rules/busy")):
        assert answer.status_code == 409
        assert answer.json()["detail"] == (
            "'busy' is a rule of the configuration file. Change it there, or use another name."
        )
    wrong = await http.put("/v1/rules/unhappy", json={**QUIET, "by": ["tier"]})
    assert wrong.status_code == 422
    assert wrong.json()["problems"] == [
        "by: ['tier'] is no configured segment (there is: team; source); add it to `segments`"
    ]
    assert (await http.get("/v1/rules/unhappy")).json()["rule"]["by"] == ["team"], "a wrong one changes nothing"
    assert (await http.delete("/v1/rules/unhappy")).status_code == 204
    assert (await http.delete("/v1/rules/unhappy")).status_code == 404
    assert (await http.get("/v1/rules/unhappy")).status_code == 404


async def test_the_api_tells_how_every_segment_stands_with_a_rule(world: World, http: httpx.AsyncClient) -> None:
    evaluator, lead = world.worker()
    fence = await lead.held()
    assert fence is not None
    await world.tickets("billing", 8)
    await world.tickets("sales", 2)
    await evaluator.look(busy(), fence)
    standing = (await http.get("/v1/rules/busy")).json()["standing"]
    assert [(row["segment"], row["phase"], row["why"], row["value"]) for row in standing] == [
        ("team:billing", "pending", "beyond", 8.0),
        ("team:sales", "quiet", "within", 2.0),
    ]


async def test_a_rule_can_be_tried_over_the_api(world: World, http: httpx.AsyncClient) -> None:
    world.now_us = START_US - 30 * MINUTE_US
    await world.tickets("billing", 8)
    world.now_us = START_US
    given = {"type": "threshold", "kpi": "tickets_created", "window": "15m", "above": 5}
    for body in ({"name": "busy", "days": 1}, {"rule": given, "days": 1}):
        answer = await http.post("/v1/rules/test", json=body)
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["alerts"]) == 1
    assert (await http.post("/v1/rules/test", json={"days": 1})).status_code == 422
    assert (await http.post("/v1/rules/test", json={"name": "nobody"})).status_code == 404
    wrong = await http.post("/v1/rules/test", json={"rule": {"type": "threshold"}})
    assert wrong.json()["problems"] == ["kpi: it is needed"]


def test_the_command_tries_a_file_or_a_name(redis_db: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("rules: [{name: mine, type: threshold, kpi: backlog, above: 5}]")
    (tmp_path / "wrong.yaml").write_text("rules: [{name: mine, type: threshold, kpi: backlog, above: 4h}]")
    (tmp_path / "all.yaml").write_text("sources: {}\nrules: [{name: full, type: threshold, kpi: backlog, above: 5}]")

    def told(*arguments: str) -> Result:
        given = ["rules", "test", *arguments, "--days", "2"]
        return CliRunner().invoke(
            cli, given, env={"DESKPULSE_REDIS_URL": redis_db, "DESKPULSE_CONFIG": str(tmp_path / "all.yaml")}
        )

    one = told(str(tmp_path / "mine.yaml"))
    assert one.exit_code == 0, one.output
    assert one.output.startswith("mine: 0 alerts in 2 days (1 segment; looked every 5 min, live every 30 s;")
    (named,) = json.loads(told("full", "--json").output)
    assert (named["rule"], named["alerts"]) == ("full", [])
    wrong = told(str(tmp_path / "wrong.yaml"))
    assert wrong.exit_code == 1
    assert "mine: above: '4h' is no number; write it without a unit" in wrong.output
    assert "there is no such file and no such rule; there is: full" in told("nobody").output


def test_a_window_at_the_border_between_two_widths_has_its_edges() -> None:
    kept = resolutions([3600])
    for ago_s in range(2 * 86_400 - 7200, 2 * 86_400 + 7200, 10):
        edges = earlier(3600, ago_s, START_US // SECOND_US + 7, kept)
        assert edges is not None
        assert edges[1] - edges[0] == 3600


@pytest.mark.parametrize("name", ["tickets_created", "backlog", "first_response_time"])
async def test_windows_of_the_past_are_those_of_a_comparison(world: World, name: str) -> None:
    for hours in (5, 4, 3, 1):
        world.now_us = START_US - hours * 60 * MINUTE_US
        await world.tickets("billing", hours)
        await world.tickets("sales", 1)
    reader, kpi = KpiReader(world.reader, Partitions(world.reader), resolutions([3600])), KPIS[name]
    present_s, segments = START_US // SECOND_US, ["all", "team:billing"]
    edge_s = present_s + 10
    windows = [(3600, edge_s - ago_s) for ago_s in (3600, 2 * 3600, 4 * 3600 + 1800)]
    windows += [(900, edge_s - 600), (3600, edge_s - 9000 * 86_400)]
    found = await reader.ended(segments, windows, START_US, kpi)
    for place, (length_s, end_s) in enumerate(windows):
        then = await reader.compared(segments, length_s, edge_s - end_s, START_US, [kpi])
        for number, segment in enumerate(segments):
            assert found[segment][place] == (None if then is None else then.rows[number][2][name])
    assert found["all"][-1] is None, "no longer kept"
