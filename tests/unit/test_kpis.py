"""What a KPI reads after a short story, one definition at a time: what promises, gauges and people add up to."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from schemas.instant import SECOND_US, to_datetime
from schemas.sla import SlaMetric
from schemas.ticket import Actor, ActorKind, Attributes, Kind, Merge, Priority, Rating, Status, TicketEvent, Visibility
from services.fold.fact import fact, subject
from services.fold.rules import Rules
from services.kpi import bucket
from services.kpi.catalogue import AMOUNTS, GAUGES, KPIS, Cell, Shape, broken, kept
from services.kpi.reading import reading, readings
from services.kpi.schema import readings as schema
from services.kpi.window import resolutions
from services.metrics.engine import Engine
from services.metrics.exporter import _families
from services.metrics.store import MemoryStore
from tests.support.story import Story, at, rules

RULES = rules(
    """
calendars:
  office: {timezone: UTC, weekly: {mon: [["09:00","17:00"]], tue: [["09:00","17:00"]]}}
sla_policies:
  - {name: all, targets: {first_response: {"*": 1h}, next_response: {"*": 1h}, resolution: {"*": 8h}}}
segments: [[team]]
"""
)


class Desk:
    """The worker's core over a store in memory."""

    def __init__(self, terms: Rules = RULES) -> None:
        self.store, self.engine = MemoryStore(), Engine(terms, resolutions([86_400]))
        self.position = asyncio.run(self.store.claim(0))

    def hears(self, *events: TicketEvent, minute: float) -> None:
        """Takes in ``events`` when the partition's clock is at ``minute``."""
        asyncio.run(self._hears(events, at(minute)))

    async def _hears(self, events: tuple[TicketEvent, ...], clock_us: int) -> None:
        incoming: dict[str, list[Any]] = {}
        for event in events:
            incoming.setdefault(subject(event), []).append(fact(event))
        entries = await self.store.entries(0, list(incoming))
        history = await self.store.facts(0, self.engine.histories(entries, incoming))
        delta, _ = self.engine.batch(entries, incoming, history, clock_us, clock_us)
        following = self.position.after(None, clock_us)
        await self.store.apply(0, self.position, following, delta)
        self.position = following

    def waits(self, until: float) -> None:
        """Lets the clock alone pass."""
        asyncio.run(self._waits(at(until)))

    async def _waits(self, clock_us: int) -> None:
        due = (await self.store.due({0: clock_us}, 100)).get(0, [])
        change = self.engine.tick(await self.store.entries(0, due), clock_us)
        delta, _ = self.engine.counted(change, clock_us)
        following = self.position.after(None, clock_us)
        await self.store.apply(0, self.position, following, delta)
        self.position = following

    def reads(self, kpi: str, segment: str = "all", since: float = -600, until: float = 100_000) -> dict[str, Any]:
        """A KPI over the ten-second buckets between two minutes; what stands is as of now."""
        total: dict[str, int] = {}
        for (_, resolution, start_s, name), fields in self.store.buckets.items():
            if resolution == "10s" and name == segment and at(since) <= start_s * SECOND_US < at(until):
                for field, amount in fields.items():
                    total[field] = total.get(field, 0) + amount
        gauges = self.store.gauges.get((0, segment), {})
        return reading(KPIS[kpi], total, gauges, self.position.clock_us // SECOND_US)


@pytest.mark.parametrize(
    ("score", "worst", "best", "hits"),
    [(4, 1, 5, 1), (3, 1, 5, 0), (3, 0, 5, 0), (4, 0, 5, 1), (7, 0, 10, 1), (6, 0, 10, 0), (5, 1, 7, 1), (1, 0, 1, 1)],
)
def test_the_upper_40_per_cent_of_any_scale_are_satisfied(score: float, worst: float, best: float, hits: int) -> None:
    desk, story = Desk(), Story()
    answer = story.tell(5, Kind.CSAT_RECEIVED, rating=Rating(score, best, worst))
    desk.hears(story.created(), answer, minute=5)
    assert (desk.reads("csat")["hits"], desk.reads("csat")["count"]) == (hits, 1)


def test_a_promise_counts_as_broken_when_the_clock_passes_it_and_not_before() -> None:
    desk, story = Desk(), Story()
    desk.hears(story.created(team="a"), minute=0)
    desk.waits(60)
    assert desk.reads("sla_attainment")["count"] == 0
    assert desk.reads("open_breached") == {"count": 0}
    desk.waits(61)
    found = desk.reads("sla_breach_rate", since=60, until=61)
    assert (found["ratio"], found["by_metric"]["first_response"]["hits"]) == (1.0, 1), "dated at the breach"
    assert desk.reads("open_breached", "team:a") == {"count": 1}


def test_a_broken_promise_of_a_ticket_whose_status_nobody_told_is_not_open() -> None:
    desk, story = Desk(), Story()
    desk.hears(story.tell(0, Kind.UPDATED, ticket=Attributes(created_at=to_datetime(at(0)), team="a")), minute=0)
    desk.waits(600)
    assert desk.reads("sla_breach_rate")["hits"] == 1
    assert desk.reads("backlog")["count"] == 0
    assert desk.reads("open_breached") == {"count": 0}, "never more than the backlog"


def test_a_broken_promise_belongs_to_who_held_the_ticket_when_it_broke() -> None:
    desk, story = Desk(), Story()
    desk.hears(story.created(team="a"), minute=0)
    desk.hears(story.assigned(90, team="b"), minute=90)
    desk.hears(story.reply(95), minute=95)
    assert desk.reads("sla_breach_rate", "team:a")["hits"] == 1
    assert desk.reads("sla_breach_rate", "team:b")["count"] == 0
    assert desk.reads("open_breached", "team:b") == {"count": 0}, "answered late is answered"


def test_kept_promises_count_once_at_their_fulfilment_however_many_follow() -> None:
    desk, story = Desk(), Story()
    desk.hears(story.created(), story.reply(10), minute=10)
    for minute in range(20, 320, 20):
        desk.hears(story.asks(minute), story.reply(minute + 5), minute=minute + 5)
    desk.hears(story.asks(400), minute=400)
    desk.waits(500)
    found = desk.reads("sla_attainment")["by_metric"]
    assert found["next_response"] == {"ratio": 15 / 16, "count": 16, "hits": 15}
    assert found["first_response"]["hits"] == 1
    assert desk.reads("next_response_time") | {"business": None} == {
        "count": 15,
        "mean_s": 300.0,
        "p50_s": pytest.approx(300, rel=0.01),
        "p90_s": pytest.approx(300, rel=0.01),
        "p95_s": pytest.approx(300, rel=0.01),
        "business": None,
    }


def test_a_reopened_ticket_takes_its_kept_resolution_back() -> None:
    desk, story = Desk(), Story()
    desk.hears(story.created(), story.reply(5), story.status(30, Status.SOLVED), minute=30)
    assert desk.reads("sla_attainment")["by_metric"]["resolution"]["hits"] == 1
    desk.hears(story.status(40, Status.OPEN), minute=40)
    assert desk.reads("sla_attainment")["by_metric"]["resolution"]["count"] == 0


@pytest.mark.parametrize("kind", [Kind.MERGED, Kind.DELETED])
def test_promises_of_tickets_that_are_gone_count_in_neither(kind: Kind) -> None:
    desk, story = Desk(), Story()
    desk.hears(story.created(), story.reply(5), story.asks(6), story.reply(7), story.asks(8), minute=8)
    assert desk.reads("sla_attainment")["count"] == 2
    desk.hears(story.tell(9, kind, merge=Merge(into="2") if kind is Kind.MERGED else None), minute=9)
    assert desk.reads("sla_attainment")["count"] == 0
    assert desk.reads("agent_replies")["count"] == (2 if kind is Kind.MERGED else 0)
    desk.hears(story.tell(10, Kind.RESTORED), minute=10)
    assert desk.reads("sla_attainment")["count"] == 2
    assert desk.reads("agent_replies")["count"] == 2


def test_a_promise_of_imported_history_counts_though_nobody_is_told() -> None:
    desk, story = Desk(), Story()
    desk.hears(story.tell(0, Kind.CREATED, imported=True, ticket=Attributes(team="a")), minute=0)
    desk.waits(90)
    assert desk.reads("sla_breach_rate")["hits"] == 1
    assert desk.store.outbox == []


def test_the_backlog_is_told_by_status_and_age() -> None:
    desk = Desk()
    stories = [Story(ticket_id=str(number)) for number in range(3)]
    for story, minute in zip(stories, (0, 30, 200), strict=True):
        desk.hears(story.created(minute), minute=minute)
    desk.hears(stories[0].status(210, Status.PENDING), minute=210)
    found = desk.reads("backlog")
    assert found["by_status"] == {"new": 2, "open": 0, "pending": 1, "on_hold": 0}
    assert {age: n for age, n in found["by_age"].items() if n} == {"under_1h": 1, "1h_4h": 2}
    assert desk.reads("oldest_ticket_age") == {"age_s": 3 * 3600}
    assert desk.reads("unassigned_backlog") == {"count": 3}


def test_replies_outside_business_hours_are_a_share_of_all() -> None:
    desk, story = Desk(), Story()
    desk.hears(story.created(), minute=0)
    for minute in (5, 8 * 60, 9 * 60):  # 09:05, 17:00 sharp, 18:00
        desk.hears(story.reply(minute), minute=minute)
    assert desk.reads("after_hours_share") == {"ratio": 2 / 3, "count": 3, "hits": 2}


HOURS = rules(
    """
calendars:
  office: {timezone: UTC, weekly: {mon: [["09:00","17:00"]], tue: [["09:00","17:00"]]}}
  late: {timezone: UTC, weekly: {mon: [["10:00","17:00"]]}}
business_calendar: office
sla_policies:
  - {name: desk, match: {team: [billing]}, calendar: late, targets: {group_ownership: {"*": 2h}}}
  - {name: gold, match: {tier: [gold]}, calendar: late, targets: {resolution: {urgent: 1h, "*": null}}}
  - {name: free, match: {tier: [free]}, calendar: late, targets: {}}
  - {name: plain, match: {tier: [plain]}, targets: {resolution: {"*": 1h}}}
"""
)


@pytest.mark.parametrize(
    ("attributes", "minutes"),
    [({"tier": "gold"}, 60), ({"tier": "free"}, 60), ({"tier": "plain"}, 120), ({"team": "billing"}, 120), ({}, 120)],
)
def test_business_hours_are_those_of_the_policy_that_decides_about_the_customer(
    attributes: dict[str, Any], minutes: int
) -> None:
    story, desk = Story(), Desk(HOURS)
    desk.hears(story.created(0, **attributes), story.reply(120), minute=120)
    assert desk.reads("first_response_time")["business"]["mean_s"] == 60 * minutes


def test_business_time_is_summed_over_the_calendars_that_were_in_force() -> None:
    story, desk = Story(), Desk(HOURS)
    desk.hears(
        story.created(0),  # in office hours from 09:00, then in the later ones from 10:00 on: 30 minutes and 30 minutes
        story.tell(30, Kind.UPDATED, ticket=Attributes(tier="gold", status=Status.OPEN)),
        story.tell(40, Kind.ESCALATION_RAISED),
        story.reply(90),
        story.asks(100),
        story.tell(110, Kind.UPDATED, ticket=Attributes(tier="plain")),
        story.reply(120),
        story.status(130, Status.SOLVED),
        minute=130,
    )
    for kpi, clock, business in [
        ("first_response_time", 90, 60),
        ("next_response_time", 20, 20),
        ("resolution_time", 130, 100),
        ("agent_work_time", 130, 100),
        ("decision_velocity", 90, 70),
    ]:
        found = desk.reads(kpi)
        assert (kpi, found["mean_s"], found["business"]["mean_s"]) == (kpi, 60 * clock, 60 * business)


def test_the_time_while_a_ticket_is_deleted_is_in_no_status() -> None:
    story, desk = Story(), Desk()
    desk.hears(
        story.created(0),
        story.tell(10, Kind.DELETED),
        story.tell(30, Kind.RESTORED),
        story.status(40, Status.OPEN),
        story.tell(50, Kind.DELETED),
        story.status(60, Status.PENDING),
        story.tell(70, Kind.RESTORED),
        story.status(75, Status.SOLVED),
        minute=80,
    )
    stays = desk.reads("time_in_status")
    assert {status: stays[status]["mean_s"] for status in ("new", "open", "pending")} == {
        "new": 20 * 60,
        "open": 10 * 60,
        "pending": 5 * 60,
    }
    assert desk.reads("requester_wait_time")["mean_s"] == 30 * 60
    assert desk.reads("resolution_time")["mean_s"] == 75 * 60, "from one instant to another nothing is left out"


def test_a_rise_to_urgent_from_a_known_priority_is_an_escalation_and_a_first_priority_is_not() -> None:
    desk, first, second = Desk(), Story(ticket_id="1"), Story(ticket_id="2")
    desk.hears(first.created(priority=Priority.LOW), first.priority(10, Priority.URGENT), minute=10)
    desk.hears(second.created(), second.priority(10, Priority.URGENT), minute=10)
    assert desk.reads("tickets_escalated", since=10) == {"count": 1}
    assert desk.reads("escalation_rate", since=0, until=1) == {"ratio": 0.5, "count": 2, "hits": 1}


def test_first_contact_is_provisional_at_the_solve_and_final_when_its_days_are_over() -> None:
    desk, story = Desk(), Story()
    desk.hears(story.created(), story.reply(5), story.status(10, Status.SOLVED), minute=10)
    week = 7 * 24 * 60
    assert desk.reads("first_contact_resolution", since=10, until=11) == {
        "provisional": {"ratio": 1.0, "count": 1, "hits": 1},
        "final": {"ratio": None, "count": 0, "hits": 0},
    }
    assert desk.reads("first_contact_resolution", since=week + 10)["final"]["hits"] == 1
    desk.hears(story.status(week + 10, Status.OPEN), minute=week + 10)
    assert desk.reads("first_contact_resolution", since=week + 10)["final"] == {"ratio": 0.0, "count": 1, "hits": 0}


def test_people_are_no_tickets_whatever_their_id() -> None:
    desk, story = Desk(), Story(ticket_id="7")
    here = Attributes(team="a", status=Status.OPEN)
    desk.hears(story.tell(0, Kind.AGENT_JOINED, ticket=here), story.tell(1, Kind.QUESTION_ASKED), minute=1)
    desk.hears(story.tell(31, Kind.QUESTION_ANSWERED), minute=31)
    by = Actor(ActorKind.AGENT, "ben")
    desk.hears(story.tell(32, Kind.KNOWLEDGE_CONTRIBUTED, actor=by), minute=32)
    assert desk.reads("backlog")["count"] == desk.reads("tickets_created")["count"] == 0
    assert desk.store.listed == {}
    assert desk.reads("headcount", "team:a") == {"count": 1}
    assert desk.reads("question_answer_time")["mean_s"] == 1800
    assert desk.reads("knowledge_contribution") == {"ratio": 1.0, "count": 1, "hits": 1}
    ticket = Story(ticket_id="8")
    desk.hears(ticket.created(agent="eve"), ticket.reply(40), minute=40)
    assert desk.reads("knowledge_contribution") == {"ratio": 0.5, "count": 2, "hits": 1}


def test_retention_asks_for_those_who_were_there_at_the_start() -> None:
    desk = Desk()
    ann, ben = Story(ticket_id="ann"), Story(ticket_id="ben")
    desk.hears(ann.tell(0, Kind.AGENT_JOINED), ben.tell(0, Kind.AGENT_JOINED), minute=0)
    desk.hears(ann.tell(20, Kind.AGENT_LEFT), ann.tell(30, Kind.AGENT_JOINED), minute=30)
    desk.hears(ben.tell(40, Kind.AGENT_LEFT), minute=40)
    desk.hears(Story(ticket_id="cleo").tell(50, Kind.AGENT_JOINED), minute=50)
    assert desk.reads("agent_retention", since=10) == {"ratio": 0.5, "count": 2, "hits": 1}
    assert desk.reads("agent_retention")["ratio"] is None, "nobody was there when it began"
    assert desk.reads("headcount") == {"count": 2}


def test_scores_are_scaled_to_what_they_are_read_in() -> None:
    desk, story = Desk(), Story()
    desk.hears(story.created(), minute=0)
    desk.hears(story.tell(1, Kind.CES_RECEIVED, rating=Rating(5, 5, 1)), minute=1)
    desk.hears(story.tell(2, Kind.CES_RECEIVED, rating=Rating(2, 5, 1)), minute=2)
    desk.hears(story.tell(3, Kind.QA_SCORED, rating=Rating(80, 100)), minute=3)
    desk.hears(story.tell(4, Kind.QA_SCORED, rating=Rating(1, 5, 1)), minute=4)
    assert desk.reads("ces") == {"mean": 2.5, "count": 1}
    assert desk.reads("qa_score") == {"mean": 0.5, "count": 2}
    for number, score in enumerate((10, 9, 8, 6), 5):
        desk.hears(Story(ticket_id=str(number)).tell(number, Kind.NPS_RECEIVED, rating=Rating(score, 10)), minute=9)
    assert desk.reads("nps") == {"score": 25.0, "count": 4, "promoters": 2, "detractors": 1}


def test_private_and_bot_messages_are_told_apart_at_the_solve() -> None:
    desk, story = Desk(), Story()
    desk.hears(
        story.created(),
        story.message(1, ActorKind.BOT),
        story.message(2, ActorKind.AGENT, Visibility.PRIVATE),
        story.status(3, Status.SOLVED),
        minute=3,
    )
    assert desk.reads("bot_resolution_rate")["ratio"] == desk.reads("zero_touch_rate")["ratio"] == 1.0
    assert desk.reads("one_touch_rate")["ratio"] == 0.0


def test_no_field_of_one_cell_can_be_taken_for_another() -> None:
    names = [cell.value for cell in Cell] + [f(metric) for metric in SlaMetric for f in (kept, broken)]
    assert len(names) == len(set(names))
    durations = {name for kpi in KPIS.values() if kpi.shape in _DURATIONS for name in kpi.cells}
    written = {field for name in durations for field, _ in bucket.fields(str(name), 5000, 5000)}
    assert not (written - {str(name) for name in durations}) & set(names)
    assert all(len(name) == 1 for name in durations)
    assert not any(name[1:2] in "xy" for name in names if len(name) > 1), "taken for a sketch"
    assert AMOUNTS.isdisjoint(GAUGES)


def test_every_reading_has_the_form_that_the_schema_tells() -> None:
    forms = schema()["properties"]
    for name, found in readings(KPIS.values(), {}, {}, 0).items():
        _fits(found, forms[name], name)


def test_every_kpi_is_exported_with_every_label_of_its_reading() -> None:
    snapshot = {("1h", "all", ""): readings(KPIS.values(), {"z": 2, "zr": 4, "c": 1}, {"b": 1}, 0)}
    for kpi in KPIS.values():
        for family in _families(kpi, snapshot):
            for sample in family.samples:
                assert {"window", "dimension", "value"} <= sample.labels.keys()
    [mean] = list(_families(KPIS["replies_per_resolution"], snapshot))
    assert [(sample.name, sample.value) for sample in mean.samples] == [("helpdesk_replies_per_resolution_mean", 2.0)]


_DURATIONS = (Shape.DURATION, Shape.DURATIONS)


def _fits(found: Any, form: dict[str, Any], where: str) -> None:
    if isinstance(found, dict):
        assert set(found) == set(form["properties"]) == set(form["required"]), where
        for name, value in found.items():
            _fits(value, form["properties"][name], f"{where}.{name}")
    elif found is None:
        assert "null" in form["type"], where
