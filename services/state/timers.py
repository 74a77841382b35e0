"""Lists of open SLA timers over all partitions, in the order in which they break their promise."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from redis.asyncio import Redis

from schemas.sla import SlaMetric
from schemas.state import (
    HINTED,
    Entry,
    Ticket,
    Timer,
    TimerState,
    hint,
    ticket_key,
    timer_list,
    timers_key,
    unpack_entry,
)
from services.state.client import away
from services.state.partitions import Partitions

LOOKS: Final = 5000
"""How many timers of a partition are looked at in one call, where most of them are not asked for: Redis does nothing
else meanwhile."""

_SPARE: Final = 8

LISTED_AS: Final = {
    TimerState.RUNNING: (TimerState.RUNNING, TimerState.AT_RISK),
    TimerState.AT_RISK: (TimerState.AT_RISK,),
    TimerState.PAUSED: (TimerState.PAUSED,),
    TimerState.BREACHED: (TimerState.BREACHED,),
}
"""Every timer stands in one list; a timer at risk is running too."""


@dataclass(frozen=True, slots=True)
class ListedTimer:
    """A timer with its ticket and the list that it stands in."""

    state: TimerState
    ticket: Ticket
    timer: Timer


@dataclass(frozen=True, slots=True)
class Page:
    """``cursor`` continues the list; ``None`` at its end."""

    timers: tuple[ListedTimer, ...]
    cursor: str | None


class BadCursor(ValueError):
    """The cursor was not made by this list."""


Place = tuple[int, bytes, bytes]
"""Score, member, list: the order of the whole, as Redis sorts."""


class TimerList:
    """Reads the lists that the metrics workers keep. Calls may raise ``NotNow``."""

    def __init__(self, redis: Redis, partitions: Partitions) -> None:
        self._redis: Any = redis
        self._partitions = partitions
        self._next = redis.register_script((files("services.state") / "lua" / "timers.lua").read_text())

    async def page(
        self,
        states: Sequence[TimerState],
        *,
        metric: SlaMetric | None = None,
        team: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page:
        """Up to ``limit`` timers in any of ``states``, soonest (for breached ones: longest overdue) first. With a team,
        and now and then without, a page may have fewer though there are more.

        What it costs does not depend on how many timers there are, but for a team that holds few of very many.

        Raises :class:`BadCursor`.
        """
        after = _place(cursor) if cursor else None
        lists = _lists(states, metric, team)
        waiting = dict.fromkeys(await self._partitions.known(), after)
        found: list[tuple[Place, int]] = []
        most = _SPARE + (limit + 1) // max(1, len(waiting))  # at first as if all had as many of them
        while waiting:
            pipeline = self._redis.pipeline(transaction=False)
            for number, begins in waiting.items():
                keys = [timers_key(number, name) for name, _, _ in lists]
                arguments = [most, LOOKS, *(begins or ("", "", "")), *(part for row in lists for part in row)]
                await self._next(keys=keys, args=arguments, client=pipeline)
            with away():
                answers = await pipeline.execute()
            for number, answer in zip(list(waiting), answers, strict=True):
                reached, *rows = (_row(answer[at : at + 3]) for at in range(0, len(answer), 3))
                found += [(row, number) for row in rows if row is not None]
                if reached is None:
                    del waiting[number]
                else:
                    waiting[number] = reached
            most = limit + 1
            found.sort()
            del found[limit + 1 :]
            if len(found) > limit:  # what is behind all of these is not asked for
                waiting = {n: begins for n, begins in waiting.items() if begins is None or begins < found[-1][0]}
        more = len(found) > limit
        found = found[:limit]
        timers = [one for one in await self._loaded(found) if team is None or one.ticket.who.team == team]
        return Page(tuple(timers), _cursor(found[-1][0]) if more and found else None)

    async def _loaded(self, found: Sequence[tuple[Place, int]]) -> list[ListedTimer]:
        pipeline = self._redis.pipeline(transaction=False)
        rows = [(partition, *_meant(place)) for place, partition in found]
        for partition, _, source, ticket_id, _ in rows:
            pipeline.get(ticket_key(partition, source, ticket_id))
        with away():
            stored = await pipeline.execute() if rows else []
        listed = []
        for (_, state, _, _, metric), value in zip(rows, stored, strict=True):
            entry: Entry | None = unpack_entry(value) if value is not None else None
            open_timers = [t for t in entry.ticket.timers if t.metric is metric] if entry is not None else []
            if entry is not None and open_timers:
                listed.append(ListedTimer(state, entry.ticket, open_timers[-1]))
        return listed


def _lists(states: Sequence[TimerState], metric: SlaMetric | None, team: str | None) -> list[tuple[str, str, str]]:
    """The lists to read, those of form 0 too, each with what a member must have in it and at its end."""
    found = []
    for state in sorted({listed for wanted in states for listed in LISTED_AS[wanted]}):
        metrics = list(SlaMetric) if metric is None else [metric]
        found += [(timer_list(state, one), "", hint(team) if team is not None else "") for one in metrics]
        within = f"\x1f{metric.value}\x1f" if metric is not None else ""
        found.append((state.value, within, f"\x1f{team}" if team is not None else ""))
    return found


def _row(part: Sequence[bytes]) -> Place | None:
    score, member, listed = part
    return (int(score), member, listed) if listed else None


def _meant(place: Place) -> tuple[TimerState, str, str, SlaMetric]:
    """State, source, ticket and metric of a place; in form 0 the member says them."""
    _, member, listed = place
    state, _, metric = listed.decode().partition(":")
    if metric:
        source, _, ticket_id = member.decode()[:-HINTED].partition(":")
    else:
        source, ticket_id, metric, _ = member.decode().split("\x1f")
    return TimerState(state), source, ticket_id, SlaMetric(metric)


def _cursor(place: Place) -> str:
    whole = b"\x1e".join((str(place[0]).encode(), place[1], place[2]))
    return base64.urlsafe_b64encode(whole).decode().rstrip("=")


def _place(cursor: str) -> Place:
    try:
        score, member, listed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).split(b"\x1e")
        return int(score), member, listed
    except (ValueError, binascii.Error):
        raise BadCursor("the cursor was not made by this list") from None
