"""Lists of open SLA timers over all partitions, in the order in which they break their promise."""

from __future__ import annotations

import base64
import binascii
import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis

from schemas.sla import SlaMetric
from schemas.state import Entry, Ticket, Timer, TimerState, ticket_key, timers_key, unpack_entry
from services.state.client import away
from services.state.partitions import Partitions

_CHUNK: Final = 200

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


Place = tuple[int, str]


class TimerList:
    """Reads the lists that the metrics workers keep. Calls may raise ``NotNow``."""

    def __init__(self, redis: Redis, partitions: Partitions) -> None:
        self._redis: Any = redis
        self._partitions = partitions

    async def page(
        self,
        states: Sequence[TimerState],
        *,
        metric: SlaMetric | None = None,
        team: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page:
        """Up to ``limit`` timers in any of ``states``, soonest (for breached ones: longest overdue) first.

        Raises :class:`BadCursor`.
        """
        after = _place(cursor) if cursor else None
        wanted = {listed for state in states for listed in LISTED_AS[state]}
        sources = [
            _Source(self._redis, number, state, after[0] if after else 0)
            for number in await self._partitions.known()
            for state in sorted(wanted)
        ]
        heads: list[tuple[Place, int]] = []
        for index, source in enumerate(sources):
            if (place := await source.next()) is not None:
                heapq.heappush(heads, (place, index))
        found: list[tuple[Place, _Source]] = []
        while heads and len(found) <= limit:
            place, index = heapq.heappop(heads)
            if (after is None or place > after) and _fits(place[1], metric, team):
                found.append((place, sources[index]))
            if (following := await sources[index].next()) is not None:
                heapq.heappush(heads, (following, index))
        more = len(found) > limit
        found = found[:limit]
        return Page(await self._loaded(found), _cursor(found[-1][0]) if more and found else None)

    async def _loaded(self, found: list[tuple[Place, _Source]]) -> tuple[ListedTimer, ...]:
        pipeline = self._redis.pipeline(transaction=False)
        for (_, member), source in found:
            name, ticket_id, _, _ = member.split("\x1f")
            pipeline.get(ticket_key(source.partition, name, ticket_id))
        with away():
            stored = await pipeline.execute() if found else []
        listed = []
        for ((_, member), source), value in zip(found, stored, strict=True):
            entry: Entry | None = unpack_entry(value) if value is not None else None
            metric = SlaMetric(member.split("\x1f")[2])
            open_timers = [t for t in entry.ticket.timers if t.metric is metric] if entry is not None else []
            if entry is not None and open_timers:
                listed.append(ListedTimer(source.state, entry.ticket, open_timers[-1]))
        return tuple(listed)


class _Source:
    """One list of one partition, read in chunks."""

    def __init__(self, redis: Any, partition: int, state: TimerState, from_us: int) -> None:
        self.partition = partition
        self.state = state
        self._redis = redis
        self._from_us = from_us
        self._offset = 0
        self._buffer: list[Place] = []
        self._ended = False

    async def next(self) -> Place | None:
        if not self._buffer and not self._ended:
            with away():
                rows = await self._redis.zrangebyscore(
                    timers_key(self.partition, self.state),
                    self._from_us,
                    "+inf",
                    start=self._offset,
                    num=_CHUNK,
                    withscores=True,
                )
            self._offset += len(rows)
            self._ended = len(rows) < _CHUNK
            self._buffer = [(int(score), member.decode()) for member, score in reversed(rows)]
        return self._buffer.pop() if self._buffer else None


def _fits(member: str, metric: SlaMetric | None, team: str | None) -> bool:
    _, _, name, holder = member.split("\x1f")
    return (metric is None or name == metric.value) and (team is None or holder == team)


def _cursor(place: Place) -> str:
    return base64.urlsafe_b64encode(f"{place[0]}\x1e{place[1]}".encode()).decode().rstrip("=")


def _place(cursor: str) -> Place:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        score, member = text.split("\x1e")
        return int(score), member
    except (ValueError, binascii.Error, UnicodeDecodeError):
        raise BadCursor("the cursor was not made by this list") from None
