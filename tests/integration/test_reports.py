"""Leaders' digests and forecasts from events through a real Redis: made, sent once whoever dies, and answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from schemas.instant import SECOND_US, from_datetime, to_datetime
from services import clock
from services.alerts.app import build
from services.alerts.deliver import LEASE_US, Deliverer
from services.alerts.delivery import Delivered, DeliveryState, Outcome
from services.alerts.explain.explainer import Explainer
from services.alerts.feed import Feed
from services.alerts.forecast.forecaster import Forecaster, hours
from services.alerts.lead import Lead
from services.alerts.measures import Measures, RuleMeasures
from services.alerts.message import Bulletin, Message
from services.alerts.report.composer import Composer
from services.alerts.report.plan import Timetable
from services.alerts.report.reporter import Reporter
from services.alerts.report.shelf import ReportShelf
from services.alerts.store import RedisStore
from services.config.document import Document, parse
from services.kpi.reader import KpiReader
from services.kpi.window import resolutions
from services.operate.health import Health
from services.state import client
from services.state.partitions import Partitions
from services.state.timers import TimerList
from tests.support.counting import Counting
from tests.support.weeks import weeks

pytestmark = [pytest.mark.redis, pytest.mark.anyio, pytest.mark.timeout(120)]

HOUR_US = 3600 * SECOND_US
DAY_US = 24 * HOUR_US
_MORNING_US = 9 * HOUR_US + 60 * SECOND_US
NOW_US = (clock.now_us() - _MORNING_US) // DAY_US * DAY_US + _MORNING_US
"""The last time that it was a minute past nine: at the same hour whenever this runs, since what happened in the hours
before decides what a digest finds. Near the present: Redis drops by its own clock."""
WHEN = to_datetime(NOW_US - 60 * SECOND_US).strftime("%H:%M")
HEAD = """
sources:
  zendesk: {vendor: zendesk, secrets: [c2VjcmV0], ticket_url: "https://helpdesk.example/tickets/{ticket_id}"}
segments: [[team], [channel], [agent], [team, channel]]
windows: [1h, 24h, 7d]
calendars:
  round: {timezone: UTC, weekly: {mon: [["00:00", "24:00"]], tue: [["00:00", "24:00"]], wed: [["00:00", "24:00"]],
          thu: [["00:00", "24:00"]], fri: [["00:00", "24:00"]], sat: [["00:00", "24:00"]], sun: [["00:00", "24:00"]]}}
sla_policies:
  - {name: all, calendar: round, targets: {first_response: {"*": 4h}, resolution: {"*": 3d}}}
receivers:
  hook: {webhook: {url: "http://127.0.0.1:9/hook", secrets: ["whsec_c2VjcmV0c2VjcmV0c2VjcmV0"], allow_private: true}}
  other: {webhook: {url: "http://127.0.0.1:9/other", secrets: ["whsec_c2VjcmV0c2VjcmV0c2VjcmV0"], allow_private: true}}
people:
  ana: {receivers: [hook], cover: ben}
  ben: {receivers: [other]}
"""


def document(report: str = "", more: str = "") -> Document:
    told = f"{{name: morning, leader: ana, when: daily {WHEN}, timezone: UTC{report}}}"
    return parse(f"{HEAD}{more}reports: [{told}]\n", {})


@dataclass
class Line:
    """A channel that takes everything, and remembers it."""

    address: str = "here"
    got: list[Message] = field(default_factory=list)

    async def send(self, message: Message, at_us: int) -> Outcome:
        self.got.append(message)
        return Delivered()

    async def close(self) -> None:
        """Nothing to close."""


class Office:
    """Redis with weeks of tickets, and workers that send reports."""

    def __init__(self, url: str) -> None:
        self.writer, self.reader = client.writer(url), client.reader(url)
        self.store, self.shelf = RedisStore(self.writer, self.reader), ReportShelf(self.writer, self.reader)
        self.now_us = NOW_US
        self.measures = RuleMeasures(CollectorRegistry())
        self.broken = False

    async def worked(self, days: int = 16, a_day: float = 60) -> None:
        chosen = document()
        events = weeks(NOW_US, days, hours(chosen)[0], a_day=a_day, alike=True)
        counting = Counting(self.writer, chosen)
        for first in range(0, len(events), 1000):
            part = events[first : first + 1000]
            await counting.count(part, from_datetime(part[-1].occurred_at))
        await counting.count(events[-1:], NOW_US)

    def composer(self, chosen: Document) -> Composer:
        partitions = Partitions(self.reader)
        kpis = KpiReader(self.reader, partitions, resolutions(chosen.windows_s.values()))
        timers = TimerList(self.reader, partitions)
        return Composer(chosen, kpis, Explainer(chosen, kpis, timers), Forecaster(chosen, kpis), timers)

    async def worker(self, chosen: Document, *, leads: bool = True) -> Reporter:
        lead = Lead(self.writer, lease_ms=600_000)  # nobody renews it here
        if leads:
            await lead.held()
        return Reporter(
            chosen,
            self.composer(chosen),
            self.shelf,
            lambda: lead.fence,
            chosen.receivers,
            self.measures.reports,
            Health(),
            lambda: self.now_us,
            lambda: None,
        )

    async def begun(self) -> None:
        """Some worker saw the report when the one before was due."""
        await self.writer.hset("deskpulse:{alerts}:reported", "morning", NOW_US - 25 * HOUR_US)

    def outcomes(self) -> dict[str, float]:
        samples = self.measures.reports.collect()[0].samples
        return {s.labels["outcome"]: s.value for s in samples if s.name.endswith("_total")}

    async def waiting(self) -> dict[str, int]:
        found = await self.store.deliveries([DeliveryState.PENDING], 50)
        return {one.receiver: one.next_us for one in found}

    async def delivered(self, receiver: str, at_us: int) -> list[Bulletin]:
        line = Line()
        deliverer = Deliverer(receiver, line, self.store, Measures(CollectorRegistry()), lambda: at_us)
        while await deliverer.once():
            pass
        assert all(isinstance(one, Bulletin) for one in line.got)
        return [one for one in line.got if isinstance(one, Bulletin)]


@pytest.fixture
async def office(redis_db: str) -> AsyncIterator[Office]:
    found = Office(redis_db)
    yield found
    await found.writer.aclose()
    await found.reader.aclose()


async def test_a_report_arrives_once_with_what_changed_why_and_what_to_ask(office: Office) -> None:
    await office.worked(15, a_day=150)
    await office.begun()
    first = await office.worker(document(", focus: [csat], people: true"))
    await first.look()
    await first.look()
    [got] = await office.delivered("hook", NOW_US)
    assert await office.delivered("hook", NOW_US + 60 * SECOND_US) == []
    assert got.report.due_us == NOW_US - 60 * SECOND_US
    [finding, *_] = [one for one in got.report.changed if one.figure.kpi in ("sla_attainment", "first_response_time")]
    assert finding.why is not None
    assert "channel email" in finding.why
    assert finding.ask.startswith("What changed for channel email")
    better = [win.segment for win in got.report.wins if win.figure is not None]
    assert "all" in better or "team:billing" in better
    assert any(win.person for win in got.report.wins)
    assert got.report.ahead is not None
    assert got.report.ahead.expected == pytest.approx(150 * 7, rel=0.25)
    assert got.report.risks is not None
    assert got.report.risks.breached > 0
    [focus] = got.report.focus
    assert focus.kpi == "csat"
    assert len(focus.line) == len(focus.before) == 7
    assert all(day is None or 0 <= day <= 1 for day in focus.line)
    assert sum(day is not None for day in focus.line) >= 5
    assert office.outcomes() == {"posted": 1}
    kept = await office.shelf.kept("morning", got.report.due_us)
    assert kept == got.report


async def test_who_dies_before_it_is_posted_sent_nothing_and_who_dies_after_lost_nothing(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    await office.begun()
    first = await office.worker(document())
    post = ReportShelf.post

    async def dies(*_: Any) -> bool:
        raise asyncio.CancelledError

    monkeypatch.setattr(ReportShelf, "post", dies)
    with pytest.raises(asyncio.CancelledError):
        await first.look()
    assert await office.waiting() == {}

    async def dies_after(self: ReportShelf, *given: Any) -> bool:
        await post(self, *given)
        raise asyncio.CancelledError

    monkeypatch.setattr(ReportShelf, "post", dies_after)
    with pytest.raises(asyncio.CancelledError):
        await first.look()
    monkeypatch.setattr(ReportShelf, "post", post)
    await office.writer.delete("deskpulse:{alerts}:leader")
    second = await office.worker(document())
    await second.look()
    assert len(await office.waiting()) == 1
    assert len(await office.delivered("hook", NOW_US)) == 1


async def test_a_worker_that_lost_the_lead_while_it_made_the_report_posts_nothing(office: Office) -> None:
    await office.begun()
    slow = await office.worker(document())
    await office.writer.set("deskpulse:{alerts}:leader", "another")
    await slow.look()
    assert await office.waiting() == {}
    assert await office.shelf.marks() == {"morning": NOW_US - 25 * HOUR_US}


async def test_a_delivery_that_died_on_its_way_is_made_again_with_the_same_id(office: Office) -> None:
    await office.begun()
    await (await office.worker(document())).look()
    dead = await office.store.claim("hook", NOW_US, LEASE_US)
    assert dead is not None
    assert await office.delivered("hook", NOW_US + LEASE_US // 2) == []
    await office.writer.delete(f"deskpulse:{{alerts}}:lease:hook:{dead.delivery.alert_id}")
    [again] = await office.delivered("hook", NOW_US + LEASE_US + SECOND_US)
    assert again.message_id == dead.delivery.delivery_id


async def test_a_new_report_waits_for_its_time_and_an_old_one_is_not_sent_too_late(office: Office) -> None:
    worker = await office.worker(document())
    await worker.look()
    assert await office.waiting() == {}
    assert await office.shelf.marks() == {"morning": NOW_US - 60 * SECOND_US}
    office.now_us += 24 * HOUR_US + 7 * HOUR_US
    await worker.look()
    assert await office.waiting() == {}
    office.now_us += 20 * HOUR_US
    await worker.look()
    assert len(await office.waiting()) == 1
    assert office.outcomes() == {"missed": 1, "late": 1}


async def test_it_waits_for_the_end_of_quiet_hours_unless_it_was_asked_for_then(office: Office) -> None:
    end = to_datetime(NOW_US + 2 * HOUR_US).strftime("%H:00")
    begin = to_datetime(NOW_US - 2 * HOUR_US).strftime("%H:00")
    quiet = f'  late: {{webhook: {{url: "http://127.0.0.1:9/x", secrets: ["whsec_c2VjcmV0c2VjcmV0c2VjcmV0"], \
allow_private: true}}, quiet: {{hours: ["{begin}", "{end}"], timezone: UTC}}}}\n'
    head = HEAD.replace("people:", quiet + "people:")
    for more, wait in (("", True), (", in_quiet_hours: true", False)):
        await office.writer.flushdb()
        await office.begun()
        told = f"{{name: morning, receiver: late, when: daily {WHEN}, timezone: UTC{more}}}"
        await (await office.worker(parse(f"{head}reports: [{told}]\n", {}))).look()
        [send_us] = (await office.waiting()).values()
        assert (send_us > NOW_US + HOUR_US) is wait
        assert (await office.delivered("late", NOW_US) == []) is wait
        if wait:
            assert len(await office.delivered("late", send_us)) == 1


async def test_who_is_away_is_stood_in_for(office: Office) -> None:
    await office.begun()
    day = to_datetime(NOW_US).date().isoformat()
    away = document()
    person = away.people["ana"].model_copy(
        update={
            "away": parse(f"{HEAD.replace('cover: ben', f'cover: ben, away: [{{from: {day}, to: {day}}}]')}", {})
            .people["ana"]
            .away
        }
    )
    chosen = away.model_copy(update={"people": {**away.people, "ana": person}})
    await (await office.worker(chosen)).look()
    assert list(await office.waiting()) == ["other"]


async def test_agents_are_named_only_where_the_report_may(office: Office) -> None:
    await office.worked()
    for more, named in (("", False), (", people: true", True)):
        chosen = document(more)
        due = Timetable(chosen.reports[0], chosen).last(NOW_US)
        assert due is not None
        made = await office.composer(chosen).made(chosen.reports[0], due, NOW_US)
        assert any(win.person for win in made.wins) is named
        hidden = await office.composer(chosen).made(chosen.reports[0], due, NOW_US, people=False)
        assert not any(win.person for win in hidden.wins)


async def test_reports_and_forecasts_are_answered_over_the_api(office: Office) -> None:
    await office.worked(23)
    chosen = document()
    await office.begun()
    await (await office.worker(chosen)).look()
    feed = Feed(office.reader, office.reader)
    app = build(
        chosen,
        writer=office.writer,
        reader=office.reader,
        feed=feed,
        health=Health(),
        registry=CollectorRegistry(),
        now=lambda: to_datetime(NOW_US),
    )
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as http:
        [listed] = (await http.get("/v1/reports")).json()["reports"]
        assert listed["dealt_with_until"] == listed["last_due_at"]
        sent = (await http.get("/v1/reports/morning")).json()
        assert sent["sent"] is True
        before = to_datetime(NOW_US - 2 * HOUR_US).isoformat()
        earlier = (await http.get("/v1/reports/morning", params={"at": before})).json()
        assert earlier["sent"] is False
        assert earlier["report"]["until_at"] < sent["report"]["until_at"]
        assert "not told" in earlier["report"]["notes"][0]
        text = await http.get("/v1/reports/morning", headers={"accept": "text/markdown"})
        assert text.headers["content-type"].startswith("text/markdown")
        assert text.text.startswith("# Digest of all tickets")
        assert (await http.get("/v1/reports/evening")).status_code == 404
        old = await http.get("/v1/reports/morning", params={"at": to_datetime(NOW_US - 1000 * HOUR_US).isoformat()})
        assert old.status_code == 404
        assert "too long ago" in old.json()["detail"]
        week = (await http.get("/v1/forecast", params={"segment": "team:billing"})).json()
        assert week["method"] == "profile"
        assert len(week["days"]) == 7
        assert len(week["hours"]) == 168
        assert week["total"]["low"] < week["total"]["expected"] < week["total"]["high"]
        assert week["work"]["basis"] == "pace"
        test = (await http.get("/v1/forecast/backtest")).json()["backtest"]
        assert test["better"]
        assert test["profile"]["mae"] < test["last_week"]["mae"]
        assert (await http.get("/v1/forecast", params={"segment": "brand:x"})).status_code == 400
