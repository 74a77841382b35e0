"""The sweep: after a cut came, tickets that were counted before it are counted in it too, from their facts.

Every ticket carries the revision up to which it was counted, and a partition's position the one up to which all are.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from services.fold.rules import ALL
from services.kpi.cuts import Cuts, cut_of, plain
from services.metrics.delta import Delta
from services.metrics.engine import Engine
from services.metrics.meters import Meters
from services.metrics.partition import Partition
from services.metrics.store import Store
from services.metrics.walk import Counted

Applied = Callable[[Partition, Delta, int | None], Awaitable[bool]]

log = structlog.get_logger("metrics")


class Sweep:
    """An errand (``services.metrics.walk``). ``applied`` does a fenced step; with a revision the one that says that the
    partition is done."""

    def __init__(self, store: Store, meters: Meters, counted: Counted, applied: Applied) -> None:
        self._store = store
        self._meters = meters
        self._counted = counted
        self._applied = applied
        self._recounted = 0

    def about(self, engine: Engine) -> object:
        return dict(engine.segments.cuts.added)

    async def wanted(self, engine: Engine, held: Mapping[int, Partition]) -> set[int]:
        revision = engine.segments.cuts.revision
        behind = {number for number, one in held.items() if one.position.swept < revision}
        self._meters.recount_partitions.set(len(behind))
        if behind:
            self._recounted = 0
            log.info("recount_begun", revision=revision, partitions=sorted(behind))
        return behind

    async def do(self, engine: Engine, one: Partition, keys: Sequence[str]) -> None:
        revision = engine.segments.cuts.revision
        entries = await self._store.entries(one.number, keys)
        stale = {key: entry for key, entry in entries.items() if entry.revision < revision}
        if not stale:
            return
        history = await self._store.facts(one.number, list(stale))
        change = engine.recounted(stale, history)
        if await self._applied(one, await self._counted(engine, change), None):
            self._recounted += len(stale)
            self._meters.recounted.inc(len(stale))

    async def done(self, engine: Engine, held: Mapping[int, Partition], numbers: Sequence[int]) -> None:
        cuts = engine.segments.cuts
        for number in numbers:
            names = await self._store.segments(number)
            delta = Delta(dropped=[name for name in names if not _counts(cuts, name)])
            if number in held:
                await self._applied(held[number], delta, cuts.revision)
        log.info("recount_done", revision=cuts.revision, partitions=list(numbers), tickets=self._recounted)
        self._meters.recount_partitions.set(sum(one.position.swept < cuts.revision for one in held.values()))


def _counts(cuts: Cuts, stored: str) -> bool:
    segment = plain(stored)
    cut = cut_of(segment)
    return stored == ALL or (cut in cuts.added and cuts.stored(cut, segment) == stored)
