"""Rules over KPIs in a real Redis: they fire and end, once, whoever evaluates them and wherever that one dies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from schemas.alert import AlertEvent, AlertState, Severity
from schemas.failure import NotNow
from schemas.instant import SECOND_US, to_datetime
from services import clock
from services.alerts import state
from services.alerts.alerting import Alerting
from services.alerts.evaluate import Evaluator
from services.alerts.lead import Lead
from services.alerts.measures import RuleMeasures
from services.alerts.memories import Memories
from services.alerts.phase import Phase
from services.alerts.rulebook import RuleBook
from services.alerts.sight import Sight
from services.alerts.store import RedisStore
from services.config.document import Document, parse
from services.config.rule import Rule
from services.kpi.reader import KpiReader
from services.kpi.window import resolutions
from services.operate.health import Health
from services.state import client
from services.state.partitions import Partitions
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

    def worker(self, writer: Any = None) -> tuple[Evaluator, Lead]:
        mine = writer if writer is not None else self.writer
        kpis = KpiReader(self.reader, Partitions(self.reader), resolutions(self.document.windows_s.values()))
        lead, store = Lead(mine), RedisStore(mine, self.reader)
        alerting = Alerting(store, self.document, lambda: to_datetime(self.now_us), self.heard.append)
        evaluator = Evaluator(
            self.document,
            RuleBook(self.document, mine, self.reader),
            Sight(kpis),
            store,
            Memories(mine, self.reader),
            alerting,
            lead,
            RuleMeasures(CollectorRegistry()),
            self.health,
            lambda: self.now_us,
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
    plan = {2: ("billing", 8), 3: ("sales", 9), 4: ("vip", 2), 12: ("billing", 9)}
    for minute in range(40):
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
    assert changing > 40

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
