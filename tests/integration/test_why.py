"""Why a KPI changed, from events through a real Redis: over the API and in the alert of a rule."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from schemas.alert import Alert, Cause, Transition
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
from services.alerts.rulebook import RuleBook
from services.alerts.sight import Sight
from services.alerts.store import RedisStore
from services.alerts.waiting import Waiting
from services.config.document import parse
from services.kpi.reader import KpiReader
from services.kpi.window import resolutions
from services.operate.health import Health
from services.state import client
from services.state.partitions import Partitions
from services.state.timers import TimerList
from tests.support.counting import Counting, created

pytestmark = [pytest.mark.redis, pytest.mark.anyio, pytest.mark.timeout(60)]

HOUR_US = 3600 * SECOND_US
NOW_US = clock.now_us() // HOUR_US * HOUR_US + HOUR_US - 2 * SECOND_US
"""The end of an hour near the present: Redis drops buckets by its own clock."""
AGO_US = 24 * HOUR_US
DOCUMENT = parse(
    """
sources:
  zendesk: {vendor: zendesk, secrets: [c2VjcmV0], ticket_url: "https://helpdesk.example/tickets/{ticket_id}"}
segments: [[team], [channel], [agent], [team, channel]]
windows: [1h, 24h]
sla_policies:
  - {name: all, targets: {first_response: {"*": 5m}}}
rules:
  - {name: many, type: change, kpi: tickets_created, window: 1h, against: 1d, rises: 50%}
  - {name: full, type: threshold, kpi: backlog, above: 60}
""",
    {},
)


class Desk:
    """A helpdesk with an hour of yesterday and one of today."""

    def __init__(self, writer: Any, reader: Any) -> None:
        self.writer, self.reader = writer, reader
        self.counting = Counting(writer, DOCUMENT)
        self.store = RedisStore(writer, reader)
        self.kpis = KpiReader(reader, Partitions(reader), resolutions(DOCUMENT.windows_s.values()))
        self.measures = RuleMeasures(CollectorRegistry())

    async def hour(self, end_us: int, name: str, **tickets: int) -> None:
        """So many tickets of each channel, over two teams and two agents."""
        events = [
            created(
                f"{name}-{channel}-{n}",
                end_us - (n + 1) * 30 * SECOND_US % HOUR_US,
                channel=channel,
                team=("billing", "sales")[n % 2],
                agent=("ana", "ben")[n % 2],
            )
            for channel, number in tickets.items()
            for n in range(number)
        ]
        await self.counting.count(events, end_us)

    def explainer(self) -> Explainer:
        return Explainer(DOCUMENT, self.kpis, TimerList(self.reader, Partitions(self.reader)))

    async def looked(self, number: int, explainer: Any, budget_s: float = 30.0) -> Alert:
        """The alert of a rule after one look at it."""
        lead, rule = Lead(self.writer), DOCUMENT.rules[number]
        evaluator = Evaluator(
            DOCUMENT,
            RuleBook(DOCUMENT, self.writer, self.reader),
            Sight(self.kpis, Waiting(DOCUMENT, self.kpis, TimerList(self.reader, Partitions(self.reader)))),
            self.store,
            Memories(self.writer, self.reader),
            Alerting(self.store, DOCUMENT, lambda: to_datetime(NOW_US), lambda event: None),
            lead,
            self.measures,
            Health(),
            lambda: NOW_US,
            Reasons(explainer, self.measures.explanations, budget_s),
        )
        fence = await lead.held()
        assert fence is not None
        await evaluator.look(rule, fence)
        alert = await self.store.newest(f"rule:{rule.name}:all")
        assert alert is not None
        assert alert.reason is Transition.FIRED
        return alert


@pytest.fixture
async def desk(redis_db: str) -> AsyncIterator[Desk]:
    writer, reader = client.writer(redis_db), client.reader(redis_db)
    yield Desk(writer, reader)
    await writer.aclose()
    await reader.aclose()


@pytest.fixture
async def http(desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    app = build(
        DOCUMENT,
        writer=desk.writer,
        reader=desk.reader,
        feed=Feed(desk.reader, desk.reader),
        health=Health(),
        registry=CollectorRegistry(),
        now=lambda: to_datetime(NOW_US),
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://api") as found:
        yield found


async def test_an_alert_says_that_one_channel_grew_and_the_api_shows_it_with_every_part(
    desk: Desk, http: httpx.AsyncClient
) -> None:
    await desk.hour(NOW_US - AGO_US, "then", email=20, chat=20)
    await desk.hour(NOW_US, "now", email=21, chat=80)
    alert = await desk.looked(0, desk.explainer())
    shown = (await http.get(f"/v1/alerts/{alert.alert_id}")).json()
    assert shown["why"]["cause"] == "load_on_one"
    assert shown["why"]["said"].startswith("More work came in one place: channel chat got more than the others, and")
    assert shown["why"]["parts"][0] == {
        "segment": "channel:chat", "volume": 60.0, "rate": 0.0, "now": 80.0, "then": 20.0,
    }  # fmt: skip
    assert (shown["why"]["created"], shown["why"]["created_then"]) == (101, 40)

    asked = {"window": "1h", "compare": "1d", "segment": "all"}
    answer = (await http.get("/v1/kpis/tickets_created/why", params=asked)).json()
    assert (answer["cause"], answer["by"], answer["part"]) == ("load_on_one", "channel", "channel:chat")
    assert [cut["by"] for cut in answer["cuts"]] == ["team", "channel"], "no agents unless they are asked for"
    for cut in answer["cuts"]:
        assert sum(part["volume"] + part["rate"] for part in cut["parts"]) == answer["now"] - answer["then"] == 61
    people = (await http.get("/v1/kpis/tickets_created/why", params={**asked, "agents": True})).json()
    assert [cut["by"] for cut in people["cuts"]] == ["team", "channel", "agent"]
    assert people["part"] == "channel:chat", "the system before the person"
    one = (await http.get("/v1/kpis/tickets_created/why", params={**asked, "segment": "team:sales"})).json()
    assert [cut["by"] for cut in one["cuts"]] == ["channel"]


async def test_all_grown_alike_is_the_load_on_everybody_and_the_tickets_with_broken_promises_are_named(
    desk: Desk, http: httpx.AsyncClient
) -> None:
    await desk.hour(NOW_US - AGO_US, "then", email=20, chat=20)
    await desk.hour(NOW_US, "now", email=60, chat=60)
    alert = await desk.looked(1, desk.explainer())
    assert alert.why is not None
    answer = (await http.get("/v1/kpis/backlog/why?window=1h&compare=1d")).json()
    assert answer["cause"] == "load_on_everybody"
    assert answer["evidence"], "promises are broken"
    assert all(one["url"] == f"https://helpdesk.example/tickets/{one['ticket_id']}" for one in answer["evidence"])


async def test_what_cannot_be_asked_is_refused_with_what_can(desk: Desk, http: httpx.AsyncClient) -> None:
    await desk.hour(NOW_US, "now", email=8)
    wrong = await http.get("/v1/kpis/backlog/why?statistic=p90_s")
    assert wrong.status_code == 400
    assert "count" in wrong.json()["known"]
    assert (await http.get("/v1/kpis/backlog/why?compare=soon")).status_code == 400
    assert (await http.get("/v1/kpis/gone/why")).status_code == 404
    new = (await http.get("/v1/kpis/tickets_created/why?compare=520w")).json()
    assert (new["cause"], new["load"]) == ("nothing_to_compare", None)


class Broken:
    """An explainer that fails, or never answers."""

    def __init__(self, *, stalls: bool) -> None:
        self._stalls = stalls

    async def explained(self, *_: Any) -> Any:
        if self._stalls:
            await asyncio.Event().wait()
        raise ZeroDivisionError


@pytest.mark.parametrize(("stalls", "outcome"), [(False, "failed"), (True, "too_late")])
async def test_an_alert_goes_out_without_its_why_when_that_fails_or_takes_too_long(
    desk: Desk, stalls: bool, outcome: str
) -> None:
    await desk.hour(NOW_US, "now", email=80)
    alert = await desk.looked(1, Broken(stalls=stalls), budget_s=0.05)
    assert alert.why is None
    assert desk.measures.explanations.labels(outcome)._value.get() == 1


async def test_without_a_past_the_alert_says_that_there_is_nothing_to_compare_with(desk: Desk) -> None:
    await desk.hour(NOW_US, "now", email=80)
    alert = await desk.looked(1, desk.explainer())
    assert alert.why is not None
    assert alert.why.cause is Cause.NOTHING_TO_COMPARE
