"""The sweep: after a cut came, tickets that were counted before it are counted in it too, from their facts.

It goes through all tickets that there are, a little at a time beside the live events, and needs no memory of its own:
every ticket carries the revision up to which it was counted, so after a kill what is done is skipped. A partition that
was held during a whole pass is done, and its position says so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog

from services import clock
from services.fold.rules import ALL
from services.kpi.cuts import Cuts, cut_of, plain
from services.metrics.delta import Delta
from services.metrics.engine import Change, Engine
from services.metrics.meters import Meters
from services.metrics.partition import Partition
from services.metrics.store import Store

Counted = Callable[[Engine, Change], Awaitable[Delta]]
Applied = Callable[[Partition, Delta, int | None], Awaitable[bool]]
SHARE_S: Final = 0.02
"""How long a turn may take; the loop does a turn after each batch, so that live events keep their share."""
_AT_ONCE: Final = 200

log = structlog.get_logger("metrics")


class Sweep:
    """Of the partitions that a worker holds. ``counted`` finishes a computation, ``applied`` does a fenced step."""

    def __init__(self, store: Store, meters: Meters, counted: Counted, applied: Applied) -> None:
        self._store = store
        self._meters = meters
        self._counted = counted
        self._applied = applied
        self._cursor: int | None = None
        self._covered: set[int] = set()
        self._recounted = 0

    def again(self) -> None:
        """The cuts are others now: a pass that has begun proves nothing of them."""
        self._cursor = None

    def forget(self, number: int) -> None:
        """This worker lost the partition: what it saw of it proves nothing any more."""
        self._covered.discard(number)

    async def turn(self, engine: Engine, held: Mapping[int, Partition]) -> None:
        """Goes on for :data:`SHARE_S`, if there is anything left to do. May raise ``NotNow``: then the turn is done
        again."""
        revision = engine.segments.cuts.revision
        behind = {number for number, one in held.items() if one.position.swept < revision}
        self._meters.recount_partitions.set(len(behind))
        if not behind:
            self._cursor = None
            return
        began_s = clock.steady_s()
        if self._cursor is None:
            self._cursor, self._covered, self._recounted = 0, behind, 0
            log.info("recount_begun", revision=revision, partitions=sorted(behind))
        while clock.steady_s() - began_s < SHARE_S:
            following, tickets = await self._store.scan(self._cursor)
            for number in sorted(tickets.keys() & behind):
                for at in range(0, len(tickets[number]), _AT_ONCE):
                    if number in held:
                        await self._recount(engine, held[number], tickets[number][at : at + _AT_ONCE])
            self._cursor = following
            if following == 0:
                await self._finish(engine.segments.cuts, held)
                return

    async def _recount(self, engine: Engine, one: Partition, keys: list[str]) -> None:
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

    async def _finish(self, cuts: Cuts, held: Mapping[int, Partition]) -> None:
        self._cursor = None
        for number in sorted(self._covered & held.keys()):
            names = await self._store.segments(number)
            delta = Delta(dropped=[name for name in names if not _counts(cuts, name)])
            await self._applied(held[number], delta, cuts.revision)
        log.info(
            "recount_done",
            revision=cuts.revision,
            partitions=sorted(self._covered & held.keys()),
            tickets=self._recounted,
        )
        self._meters.recount_partitions.set(sum(one.position.swept < cuts.revision for one in held.values()))


def _counts(cuts: Cuts, stored: str) -> bool:
    segment = plain(stored)
    cut = cut_of(segment)
    return stored == ALL or (cut in cuts.added and cuts.stored(cut, segment) == stored)
