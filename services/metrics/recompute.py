"""Promises made anew on request: goes through all tickets beside the live events, a little at a time.

A ticket that stands on the terms of now is left as it is, so after a kill what was done is not done again. A partition
that was held during a whole pass is done, and the request says so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog

from services import clock
from services.metrics.delta import Delta
from services.metrics.engine import Engine
from services.metrics.meters import Meters
from services.metrics.partition import Partition
from services.metrics.store import Store
from services.metrics.sweep import SHARE_S, Counted
from services.state.recompute import Recomputes, Request

Clock = Callable[[Partition], int]
Applied = Callable[[Partition, Delta, int], Awaitable[bool]]
_LOOK_S: Final = 1.0
_AT_ONCE: Final = 200

log = structlog.get_logger("metrics")


class Recompute:
    """Of the partitions that a worker holds. ``counted`` finishes a computation, ``clock_us`` is the present clock of a
    partition, ``applied`` does a fenced step at it."""

    def __init__(
        self, store: Store, requests: Recomputes, meters: Meters, counted: Counted, clock_us: Clock, applied: Applied
    ) -> None:
        self._store = store
        self._requests = requests
        self._meters = meters
        self._counted = counted
        self._clock_us = clock_us
        self._applied = applied
        self._looked_s = float("-inf")
        self._request: Request | None = None
        self._waiting: str | None = None
        self._cursor: int | None = None
        self._covered: dict[int, int] = {}

    def forget(self, number: int) -> None:
        """This worker lost the partition: what it saw of it proves nothing any more."""
        self._covered.pop(number, None)

    async def turn(self, engine: Engine, held: Mapping[int, Partition]) -> None:
        """Goes on for a short time, if there is anything left to do. May raise ``NotNow``: then the turn is done
        again."""
        began_s = clock.steady_s()
        if self._cursor is None:
            if began_s - self._looked_s < _LOOK_S:
                return
            self._looked_s = began_s
            self._request = await self._requests.newest()
        request = self._request
        if request is None:
            return
        if request.digest != engine.rules.digest:
            self._cursor = None
            if self._waiting != request.id and any(number not in request.done for number in held):
                self._waiting = request.id
                log.warning(
                    "recompute_waits", request=request.id, why="it is about another document than this worker's"
                )
            return
        if self._cursor is None:
            # Only once everything that happened before the request is in the state.
            ready = {n for n, one in held.items() if n not in request.done and self._clock_us(one) >= request.asked_us}
            self._meters.recompute_partitions.set(sum(number not in request.done for number in held))
            if not ready:
                return
            self._cursor, self._covered = 0, dict.fromkeys(ready, 0)
            log.info("recompute_begun", request=request.id, policy=request.policy, partitions=sorted(ready))
        while clock.steady_s() - began_s < SHARE_S:
            following, tickets = await self._store.scan(self._cursor)
            for number in sorted(tickets.keys() & self._covered.keys()):
                for at in range(0, len(tickets[number]), _AT_ONCE):
                    if number in held and number in self._covered:
                        await self._renew(engine, held[number], tickets[number][at : at + _AT_ONCE], request.policy)
            self._cursor = following
            if following == 0:
                await self._finish(request, held)
                return

    async def _renew(self, engine: Engine, one: Partition, keys: list[str], policy: str | None) -> None:
        entries = await self._store.entries(one.number, keys)
        clock_us = self._clock_us(one)
        change = engine.recomputed(entries, clock_us, policy)
        changed = change.tally.events
        if changed and await self._applied(one, await self._counted(engine, change), clock_us):
            self._covered[one.number] += changed
            self._meters.recomputed.inc(changed)

    async def _finish(self, request: Request, held: Mapping[int, Partition]) -> None:
        done = {number: changed for number, changed in self._covered.items() if number in held}
        for number, changed in done.items():
            await self._requests.finished(request, number, changed)
        self._cursor, self._looked_s = None, float("-inf")
        self._meters.recompute_partitions.set(sum(n not in request.done and n not in done for n in held))
        log.info("recompute_done", request=request.id, partitions=sorted(done), tickets=sum(done.values()))
