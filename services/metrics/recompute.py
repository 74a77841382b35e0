"""Promises made anew on request. A ticket that stands on the terms of now is left as it is; the request says which
partitions are done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import structlog

from services import clock
from services.metrics.delta import Delta
from services.metrics.engine import Engine
from services.metrics.meters import Meters
from services.metrics.partition import Partition
from services.metrics.store import Store
from services.metrics.walk import Counted
from services.state.recompute import Recomputes, Request

Clock = Callable[[Partition], int]
Applied = Callable[[Partition, Delta, int], Awaitable[bool]]
_LOOK_S: Final = 1.0

log = structlog.get_logger("metrics")


class Recompute:
    """An errand (``services.metrics.walk``). ``clock_us`` is the present clock of a partition, ``applied`` does a
    fenced step at it."""

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
        self._changed: dict[int, int] = {}

    def about(self, engine: Engine) -> object:
        return (self._request.id if self._request is not None else None, engine.rules.digest)

    async def wanted(self, engine: Engine, held: Mapping[int, Partition]) -> set[int]:
        began_s = clock.steady_s()
        if began_s - self._looked_s < _LOOK_S:
            return set()
        self._looked_s = began_s
        self._request = request = await self._requests.newest()
        if request is None:
            return set()
        if request.digest != engine.rules.digest:
            if self._waiting != request.id and any(number not in request.done for number in held):
                self._waiting = request.id
                log.warning(
                    "recompute_waits", request=request.id, why="it is about another document than this worker's"
                )
            return set()
        # Only once everything that happened before the request is in the state.
        ready = {n for n, one in held.items() if n not in request.done and self._clock_us(one) >= request.asked_us}
        self._meters.recompute_partitions.set(sum(number not in request.done for number in held))
        if ready:
            self._changed = dict.fromkeys(ready, 0)
            log.info("recompute_begun", request=request.id, policy=request.policy, partitions=sorted(ready))
        return ready

    async def do(self, engine: Engine, one: Partition, keys: Sequence[str]) -> None:
        assert self._request is not None, "a walk begins with a request"
        entries = await self._store.entries(one.number, keys)
        clock_us = self._clock_us(one)
        change = engine.recomputed(entries, clock_us, self._request.policy)
        changed = change.tally.events
        if changed and await self._applied(one, await self._counted(engine, change), clock_us):
            self._changed[one.number] += changed
            self._meters.recomputed.inc(changed)

    async def done(self, engine: Engine, held: Mapping[int, Partition], numbers: Sequence[int]) -> None:
        request = self._request
        assert request is not None, "a walk begins with a request"
        for number in numbers:
            await self._requests.finished(request, number, self._changed[number])
        self._looked_s = float("-inf")
        self._meters.recompute_partitions.set(sum(n not in request.done and n not in numbers for n in held))
        log.info(
            "recompute_done",
            request=request.id,
            partitions=list(numbers),
            tickets=sum(self._changed[number] for number in numbers),
        )
