"""Reads KPI windows out of Redis, over every partition that has state. Never writes.

Buckets that are over are kept between questions (``services.kpi.shelf``), so that mostly only the present ones are
asked for, in one round trip. What is not known yet is read in pieces (``services.kpi.fetch``).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from redis.asyncio import Redis

from schemas import state as layout
from schemas.instant import SECOND_US
from services import clock
from services.kpi import bucket
from services.kpi.bucket import Fields
from services.kpi.catalogue import KPIS, Kpi
from services.kpi.cuts import Cuts, cut_of, named, plain, read
from services.kpi.fetch import Fetch
from services.kpi.reading import Reading, reading, readings
from services.kpi.shelf import MOST, Place, Shelf, add
from services.kpi.wanted import Wants, wants
from services.kpi.window import Resolution, cover, earlier
from services.state.client import away
from services.state.partitions import Partitions

Places = dict[Place, int]
"""Buckets with their widths in seconds."""

_PRESENT: Final[Places] = {(layout.NOW, 0): 1 << 40}
"""The bucket of what stands now: it is never over."""
_FEW: Final = 8
"""Up to so many segments of a question are kept for themselves; of more, everything of their cuts together."""
_OFTEN: Final = 16
"""More windows of the past in one question are not asked for again and again."""
_CUTS_FOR_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Compared:
    """A window and the same one ended earlier, at ``end_us``: ``(segment, now, then)``, sorted by segment."""

    start_us: int
    end_us: int
    rows: list[tuple[str, dict[str, Reading], dict[str, Reading]]]


@dataclass(frozen=True, slots=True)
class Sums:
    """What the buckets of one segment hold, ``now`` and ``then``, each with what stood at the end (the gauges)."""

    now: Fields
    now_stood: Fields
    then: Fields
    then_stood: Fields


class KpiReader:
    """Windows of KPIs, as any number of processes may read them. Calls may raise ``NotNow``."""

    def __init__(
        self, redis: Redis, partitions: Partitions, kept: tuple[Resolution, ...], most_fields: int = MOST
    ) -> None:
        self._redis: Any = redis  # its stubs return unions of everything that any option could make it return
        self.kept = kept
        self._fetch = Fetch(redis)
        self._partitions = partitions
        self._most = most_fields
        self._shelf = Shelf(most_fields)
        self._cuts = Cuts()
        self._looked_s = float("-inf")

    async def window(self, segment: str, window_s: int, at_us: int) -> dict[str, Reading]:
        """Every KPI of one segment over the window that ends at ``at_us``."""
        return (await self.windows([segment], window_s, at_us))[segment]

    async def windows(
        self, segments: Sequence[str], window_s: int, at_us: int, kpis: Collection[Kpi] = tuple(KPIS.values())
    ) -> dict[str, dict[str, Reading]]:
        """``kpis`` of every one of ``segments``."""
        needs = wants(kpis)
        spans = [self._ending(at_us, window_s) if needs.windows else {}, _PRESENT if needs.stands else {}]
        totals = await self._totals(segments, spans, needs, ("window", window_s))
        at_s = at_us // SECOND_US
        return {segment: readings(kpis, total, gauges, at_s) for segment, (total, gauges) in totals.items()}

    async def compared(
        self, segments: Sequence[str], window_s: int, ago_s: int, at_us: int, kpis: Collection[Kpi]
    ) -> Compared | None:
        """``kpis`` over the window that ends at ``at_us`` and over the same one ``ago_s`` earlier.

        The earlier window has its edges where buckets that old have theirs (``services.kpi.window.earlier``); ``None``
        when it cannot be told from them. What stands now, such as the backlog, is read as it was at its end: as it is
        now, less what came and went since.
        """
        found = await self.sums(segments, window_s, ago_s, at_us, kpis)
        if found is None:
            return None
        (start_us, end_us), sums = found
        at_s = at_us // SECOND_US
        rows = [
            (segment, readings(kpis, one.now, one.now_stood, at_s), readings(kpis, one.then, one.then_stood, None))
            for segment, one in sums.items()
        ]
        return Compared(start_us, end_us, rows)

    async def sums(
        self, segments: Sequence[str], window_s: int, ago_s: int, at_us: int, kpis: Collection[Kpi]
    ) -> tuple[tuple[int, int], dict[str, Sums]] | None:
        """What :meth:`compared` is read from, by segment, with the edges of the earlier window in µs; only what
        ``kpis`` need."""
        at_s = at_us // SECOND_US
        then = earlier(window_s, ago_s, at_s, self.kept)
        if then is None:
            return None
        start_s, end_s = then
        ended, since = self._places(start_s, end_s, at_s), self._places(end_s, at_s + 1, at_s)
        needs = wants(kpis)
        spans = [self._ending(at_us, window_s), ended, since, _PRESENT]
        if not needs.stands:
            spans[2:] = [{}, {}]
        totals = await self._totals(segments, spans, needs, ("sums", window_s, ago_s))
        found = {
            segment: Sums(now, gauges, before, bucket.stood(gauges, later))
            for segment, (now, before, later, gauges) in totals.items()
        }
        return (start_s * SECOND_US, end_s * SECOND_US), found

    async def ended(
        self, segments: Sequence[str], windows: Sequence[tuple[int, int]], at_us: int, kpi: Kpi
    ) -> dict[str, list[Reading | None]]:
        """One KPI over many windows of the past, each ``(length, end)`` in seconds.

        Edges are moved as by :meth:`compared`; ``None`` stands for a window that can no longer be told. What stands
        now is read as it was at the end of each window.
        """
        at_s = at_us // SECOND_US
        edge_s = at_s + 1 + -(at_s + 1) % self.kept[0].width_s
        found = [earlier(length_s, edge_s - end_s, at_s, self.kept) for length_s, end_s in windows]
        told = [edges for edges in found if edges is not None]
        ends = sorted({end_s for _, end_s in told}, reverse=True)
        spans = [self._places(*edges, at_s) for edges in told]
        spans += [self._places(end_s, later, at_s) for end_s, later in zip(ends, [at_s + 1, *ends], strict=False)]
        readings_of: dict[str, list[Reading | None]] = {}
        often = len(windows) <= _OFTEN
        asked = ("ended", *((length_s, at_s - end_s) for length_s, end_s in windows)) if often else None
        for segment, totals in (await self._totals(segments, [*spans, _PRESENT], wants([kpi]), asked)).items():
            stood, gauges = {}, totals[-1]
            for end_s, since in zip(ends, totals[len(told) : -1], strict=True):
                gauges = stood[end_s] = bucket.stood(gauges, since)
            sums = iter(totals)
            readings_of[segment] = [
                None if edges is None else reading(kpi, next(sums), stood[edges[1]], None) for edges in found
            ]
        return readings_of

    async def by(self, kpi: Kpi, dimensions: Sequence[str], window_s: int, at_us: int) -> list[tuple[str, Reading]]:
        """One KPI for every value of ``dimensions`` that has counted anything: ``(segment, reading)``, sorted."""
        segments = await self.segments(dimensions)
        readings = await self.windows(segments, window_s, at_us, (kpi,))
        return [(segment, readings[segment][kpi.name]) for segment in segments]

    async def series(self, kpi: Kpi, segment: str, window_s: int, step_s: int, at_us: int) -> list[tuple[int, Reading]]:
        """One KPI in steps over the window: ``(start of the step in µs, reading)``, oldest first.

        Steps begin at multiples of ``step_s`` since the epoch, in UTC; the first may begin before the window, the last
        is not over. ``step_s`` is a multiple of :func:`services.kpi.window.finest` of the window. What stands now,
        such as the backlog, is read at the end of each step: what it is now, less what came and went since.
        """
        at_s = at_us // SECOND_US
        starts = range((at_s - window_s) // step_s * step_s, at_s + 1, step_s)
        spans = [self._places(start_s, min(start_s + step_s, at_s + 1), at_s) for start_s in starts]
        totals = await self._totals([segment], [*spans, _PRESENT], wants([kpi]), None)
        *steps, gauges = totals[segment]
        points = []
        present: int | None = at_s
        for start_s, total in zip(reversed(starts), reversed(steps), strict=True):
            points.append((start_s * SECOND_US, reading(kpi, total, gauges, present)))
            gauges, present = bucket.stood(gauges, total), None
        return points[::-1]

    async def segments(self, dimensions: Sequence[str]) -> list[str]:
        """The segments of exactly these dimensions that have counted anything, ``other`` among them where not every
        value is counted by itself."""
        cuts, cut = await self._counted(), named(dimensions)
        found: set[bytes] = set()
        pipeline = self._redis.pipeline(transaction=False)
        for partition in await self._partitions.known():
            pipeline.zrange(layout.segments_key(partition), 0, -1)
        with away():
            for names in await pipeline.execute():
                found.update(names)
        revision = cuts.added.get(cut, 0)
        return sorted(segment for segment, of, since in map(_told, found) if of == cut and since == revision)

    async def recounting(self, segment: str) -> bool:
        """Whether tickets that were there before this segment's cut came are still being counted in it."""
        added = (await self._counted()).added.get(cut_of(segment), 0)
        if not added:
            return False
        pipeline = self._redis.pipeline(transaction=False)
        for partition in await self._partitions.known():
            pipeline.hmget(layout.position_key(partition), "step", "swept")
        with away():
            return any(int(step or 0) and int(swept or 0) < added for step, swept in await pipeline.execute())

    async def _counted(self) -> Cuts:
        """The cuts that are counted, up to a second old."""
        now_s = clock.steady_s()
        if now_s - self._looked_s > _CUTS_FOR_S:
            with away():
                self._cuts = read(await self._redis.hgetall(layout.CUTS_KEY)) or Cuts()
            self._looked_s = now_s
        return self._cuts

    def _ending(self, at_us: int, window_s: int) -> Places:
        at_s = at_us // SECOND_US
        return self._places(at_s - window_s, at_s + 1, at_s)

    def _places(self, start_s: int, end_s: int, at_s: int) -> Places:
        return {(r.name, b): r.width_s for r, b in cover(start_s, end_s, at_s, self.kept)}

    async def _totals(
        self, segments: Sequence[str], spans: Sequence[Places], needs: Wants, asked: tuple[object, ...] | None
    ) -> dict[str, list[Fields]]:
        """The sums of every span for each of ``segments``. ``asked`` tells windows apart that move on with time, whose
        sums are kept; without it, none are."""
        cuts = await self._counted()
        names = {cuts.stored(cut_of(segment), segment): segment for segment in segments}
        few = len(names) <= _FEW
        key = (few, tuple(sorted(names if few else {cut_of(segment) for segment in segments})), needs)
        places: Places = {}
        for span in spans:
            places |= span
        partitions = await self._partitions.known()
        group = self._shelf.group(key)
        async with group.busy:
            group.widen(names)
            loose = await self._fetch.fill(group, partitions, places, needs, self._most)
            totals: dict[str, list[Fields]] = {segment: [] for segment in names.values()}
            for number, span in enumerate(spans):
                kept = group.summed(None if asked is None else (number, *asked), span)
                rest: dict[str, Fields] = {}
                for place in span:
                    if place in loose:
                        add(rest, loose[place])
                for name, segment in names.items():
                    totals[segment].append(_both(kept.get(name), rest.get(name)))
        self._shelf.settle(key)
        return totals


def _both(kept: Fields | None, rest: Fields | None) -> Fields:
    """Fields of its own: what is kept goes on moving."""
    total = kept.copy() if kept else {}
    if rest:
        for name, amount in rest.items():
            total[name] = total.get(name, 0) + amount
    return total


@lru_cache(maxsize=1 << 16)
def _told(stored: bytes) -> tuple[str, str, int]:
    """A segment's name in keys: the segment, its cut, and the revision with which that came."""
    name = stored.decode()
    segment = plain(name)
    return segment, cut_of(segment), int(name.partition("~")[0]) if segment != name else 0
