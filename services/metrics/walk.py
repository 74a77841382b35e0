"""A walk through all tickets that there are, a little at a time beside the live events, for one errand.

It keeps no place that outlives it: whatever an errand did to a ticket can be seen on the ticket, so after a kill the
walk starts over and what is done is passed by. A partition that was held during a whole walk is done, and the errand
writes that down.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol

from services import clock
from services.metrics.delta import Delta
from services.metrics.engine import Change, Engine
from services.metrics.partition import Partition
from services.metrics.store import Store

Counted = Callable[[Engine, Change], Awaitable[Delta]]
"""Finishes a computation: decides which values are counted by themselves."""
SHARE_S: Final = 0.02
"""How long a turn may take; the loop does a turn after each batch, so that live events keep their share."""
_AT_ONCE: Final = 200


class Errand(Protocol):
    """What is to be done with every ticket. Each call may raise ``NotNow``, and is then made again."""

    async def wanted(self, engine: Engine, held: Mapping[int, Partition]) -> set[int]:
        """The partitions in which there is something to do now: a walk begins where there are any."""

    def about(self, engine: Engine) -> object:
        """What it is about: when that becomes something else during a walk, the walk proves nothing, and begins
        again."""

    async def do(self, engine: Engine, one: Partition, keys: Sequence[str]) -> None:
        """Some of the tickets of a partition. Those that are done already are left as they are."""

    async def done(self, engine: Engine, held: Mapping[int, Partition], numbers: Sequence[int]) -> None:
        """All tickets of these partitions are done."""


class Walk:
    """Of the partitions that a worker holds."""

    def __init__(self, store: Store, errand: Errand) -> None:
        self._store = store
        self._errand = errand
        self._cursor: int | None = None
        self._covered: set[int] = set()
        self._about: object = None

    def forget(self, number: int) -> None:
        """This worker lost the partition: what it saw of it proves nothing any more."""
        self._covered.discard(number)

    async def turn(self, engine: Engine, held: Mapping[int, Partition]) -> None:
        """Goes on for :data:`SHARE_S`, if there is anything left to do. May raise ``NotNow``: then the turn is done
        again."""
        began_s = clock.steady_s()
        if self._cursor is not None and self._errand.about(engine) != self._about:
            self._cursor = None
        if self._cursor is None:
            self._covered = await self._errand.wanted(engine, held)
            if not self._covered:
                return
            self._cursor, self._about = 0, self._errand.about(engine)
        while clock.steady_s() - began_s < SHARE_S:
            following, tickets = await self._store.scan(self._cursor)
            for number in sorted(tickets.keys() & self._covered):
                for at in range(0, len(tickets[number]), _AT_ONCE):
                    if number in held and number in self._covered:
                        await self._errand.do(engine, held[number], tickets[number][at : at + _AT_ONCE])
            self._cursor = following
            if following == 0:
                await self._errand.done(engine, held, sorted(self._covered & held.keys()))
                self._cursor = None
                return
