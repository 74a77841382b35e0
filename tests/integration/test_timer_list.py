"""The lists of timers: any filter, any page size and any cursor tell every timer once, in order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import Any, Final

import pytest

from schemas.sla import SlaMetric
from schemas.state import (
    PARTITIONS_KEY,
    PAUSED_FROM,
    Entry,
    Mode,
    Ticket,
    Timer,
    TimerState,
    Who,
    former_place,
    hint,
    pack,
    ticket_key,
    timer_list,
    timer_member,
    timers_key,
)
from services.state import client, timers
from services.state.partitions import Partitions
from services.state.timers import LISTED_AS, BadCursor, TimerList

PARTITIONS: Final = 3
METRICS: Final = (SlaMetric.FIRST_RESPONSE, SlaMetric.RESOLUTION, SlaMetric.REQUESTER_WAIT)
TEAMS: Final = ("billing", "support", None, "équipe 2")
AT_US: Final = 1_800_000_000_000_000


@dataclass(frozen=True)
class Planted:
    """A timer that is listed, as the answer should have it."""

    score: int
    state: TimerState
    metric: SlaMetric
    ticket_id: str
    team: str | None


@dataclass
class Lists:
    timers: TimerList
    planted: list[Planted]

    async def read(self, states: list[TimerState], limit: int, **filters: Any) -> list[tuple[str, SlaMetric]]:
        """All pages, one after the other."""
        found: list[tuple[str, SlaMetric]] = []
        cursor: str | None = None
        while True:
            page = await self.timers.page(states, limit=limit, cursor=cursor, **filters)
            assert len(page.timers) <= limit
            found += [(one.ticket.ticket_id, one.timer.metric) for one in page.timers]
            cursor = page.cursor
            if cursor is None:
                return found


@pytest.fixture
async def lists(redis_db: str) -> AsyncIterator[Lists]:
    """Two hundred tickets, many of whose timers stand at the same instant; every fourth is still listed as form 0
    listed it."""
    redis: Any = client.writer(redis_db)
    rng, planted = Random(3), []
    pipeline = redis.pipeline(transaction=False)
    pipeline.sadd(PARTITIONS_KEY, *range(PARTITIONS))
    for number in range(200):
        name, team = f"t{number}", rng.choice(TEAMS)
        partition, former = number % PARTITIONS, number % 4 == 0
        standing = []
        for metric in rng.sample(METRICS, rng.randrange(len(METRICS) + 1)):
            state = rng.choice(list(TimerState))
            score = AT_US + rng.randrange(60) + (PAUSED_FROM if state is TimerState.PAUSED else 0)
            standing.append(Timer(metric, 1, "p", 1, None, Mode.RUNNING, 0))
            if former:
                place = former_place(state, "z", name, metric, team)
            else:
                place = timer_list(state, metric), timer_member("z", name, team)
            planted.append(Planted(score, state, metric, name, team))
            pipeline.zadd(timers_key(partition, place[0]), {place[1]: score})
        entry = Entry(Ticket("z", name, who=Who(team=team), timers=tuple(standing)))
        pipeline.set(ticket_key(partition, "z", name), pack(entry))
    await pipeline.execute()
    yield Lists(TimerList(redis, Partitions(redis)), planted)
    await redis.aclose()


OPEN: Final = [TimerState.BREACHED, TimerState.RUNNING, TimerState.PAUSED]


@pytest.mark.parametrize("states", [OPEN, [TimerState.RUNNING], [TimerState.AT_RISK]], ids="-".join)
async def test_every_timer_is_told_once_in_order_on_whatever_pages(
    lists: Lists, states: list[TimerState], monkeypatch: pytest.MonkeyPatch
) -> None:
    listed_in = {listed for state in states for listed in LISTED_AS[state]}
    for metric, team in product([None, SlaMetric.RESOLUTION], [None, "billing", "équipe 2", "nobody"]):
        scores = {
            (one.ticket_id, one.metric): one.score
            for one in lists.planted
            if one.state in listed_in and metric in (None, one.metric) and team in (None, one.team)
        }
        for limit, looks in ((1, 5000), (7, 5000), (500, 5000), (20, 7)):
            monkeypatch.setattr(timers, "LOOKS", looks)
            found = await lists.read(states, limit, metric=metric, team=team)
            assert len(found) == len(scores)
            assert set(found) == scores.keys()
            assert [scores[place] for place in found] == sorted(scores.values())


async def test_a_cursor_that_no_list_made_is_refused(lists: Lists) -> None:
    for cursor in ("x", "e30", "MTIeYQ", "é"):
        with pytest.raises(BadCursor):
            await lists.timers.page([TimerState.RUNNING], cursor=cursor)


async def test_a_team_with_the_letters_of_another_is_not_in_its_list(lists: Lists) -> None:
    twin = next(name for name in map(str, range(100_000)) if hint(name) == hint("billing"))
    assert await lists.read([TimerState.RUNNING], 50, team=twin) == []
