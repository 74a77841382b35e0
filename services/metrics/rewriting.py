"""Tickets of other versions are rewritten in the one that is written now: a newer one after an upgrade, an older one
before somebody goes back (ADR 0025). Every ticket says of which form it is, and a partition's position which occur."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from services.metrics.delta import Delta
from services.metrics.engine import Engine
from services.metrics.meters import Meters
from services.metrics.partition import Partition
from services.metrics.store import Store

Applied = Callable[[Partition, Delta, int | None], Awaitable[bool]]

log = structlog.get_logger("metrics")


class Rewriting:
    """An errand (``services.metrics.walk``). ``applied`` does a fenced step; with a version the one that says that
    nothing else occurs in the partition."""

    def __init__(self, store: Store, meters: Meters, applied: Applied) -> None:
        self._store = store
        self._meters = meters
        self._applied = applied
        self._rewritten = 0

    def about(self, engine: Engine) -> object:
        return engine.form

    async def wanted(self, engine: Engine, held: Mapping[int, Partition]) -> set[int]:
        other = {number for number, one in held.items() if _other(one, engine)}
        self._meters.rewriting_partitions.set(len(other))
        if other:
            self._rewritten = 0
            oldest = min(held[number].position.oldest for number in other)
            newest = max(held[number].position.newest for number in other)
            log.info("rewriting_begun", oldest=oldest, newest=newest, to=engine.form, partitions=sorted(other))
        return other

    async def do(self, engine: Engine, one: Partition, keys: Sequence[str]) -> None:
        entries = await self._store.outdated(one.number, keys, engine.form)
        if not entries:
            return
        history = await self._store.facts(one.number, list(entries))
        if await self._applied(one, engine.rewritten(entries, history).delta, None):
            self._rewritten += len(entries)
            self._meters.rewritten.inc(len(entries))

    async def done(self, engine: Engine, held: Mapping[int, Partition], numbers: Sequence[int]) -> None:
        for number in numbers:
            if number in held:
                await self._applied(held[number], Delta(), engine.form)
        log.info("rewriting_done", to=engine.form, partitions=list(numbers), tickets=self._rewritten)
        self._meters.rewriting_partitions.set(sum(_other(one, engine) for one in held.values()))


def _other(one: Partition, engine: Engine) -> bool:
    """Whether the partition may hold another version. One in which nothing is yet holds none."""
    position = one.position
    return position.step > 0 and (position.oldest, position.newest) != (engine.form, engine.form)
