"""Reads KPI windows out of Redis, over every partition that has state. Never writes.

Any question is one round trip: a call for each partition, which names the buckets of all windows and steps that the
answer is made of. Of few segments, buckets that are over are kept between questions (``services.kpi.shelf``); of many,
Redis adds up what one KPI needs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from schemas import state as layout
from schemas.instant import SECOND_US
from services import clock
from services.kpi import bucket
from services.kpi.bucket import Fields
from services.kpi.catalogue import KPIS, Kpi
from services.kpi.cuts import Cuts, cut_of, named, plain, read
from services.kpi.reading import Reading, reading, readings
from services.kpi.shelf import NOTHING, Place, Row, Shelf
from services.kpi.window import Resolution, cover, earlier
from services.state.client import away
from services.state.partitions import Partitions

Places = dict[Place, int]
"""Buckets with their widths in seconds."""

_PRESENT: Final[Places] = {(layout.NOW, 0): 1 << 40}
"""The bucket of what stands now: it is never over."""
_FEW: Final = 8
"""Up to so many segments of one question are kept; a question about more goes to Redis in full."""
_CUTS_FOR_S: Final = 1.0
_BUCKETS_OF_A_CALL: Final = 1000
"""A call holds up everybody else in Redis for about 30 µs a bucket where each has some hundred fields."""
_SEGMENTS_OF_A_CALL: Final = 1000
_LUA: Final = files("services.kpi") / "lua"


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

    def __init__(self, redis: Redis, partitions: Partitions, kept: tuple[Resolution, ...]) -> None:
        self._redis: Any = redis  # its stubs return unions of everything that any option could make it return
        self.kept = kept
        self._sum, self._read = (
            redis.register_script("".join((_LUA / name).read_text() for name in ("wanted.lua", script)))
            for script in ("sum.lua", "read.lua")
        )
        self._partitions = partitions
        self._shelf = Shelf()
        self._cuts = Cuts()
        self._looked_s = float("-inf")

    async def window(self, segment: str, window_s: int, at_us: int) -> dict[str, Reading]:
        """Every KPI of one segment over the window that ends at ``at_us``."""
        return (await self.windows([segment], window_s, at_us))[segment]

    async def windows(
        self, segments: Sequence[str], window_s: int, at_us: int, kpis: Collection[Kpi] = tuple(KPIS.values())
    ) -> dict[str, dict[str, Reading]]:
        """``kpis`` of every one of ``segments``, in one round trip."""
        totals = await self._totals(segments, [self._ending(at_us, window_s), _PRESENT], _cells(kpis))
        at_s = at_us // SECOND_US
        return {segment: readings(kpis, total, gauges, at_s) for segment, (total, gauges) in totals.items()}

    async def compared(
        self, segments: Sequence[str], window_s: int, ago_s: int, at_us: int, kpis: Collection[Kpi]
    ) -> Compared | None:
        """``kpis`` over the window that ends at ``at_us`` and over the same one ``ago_s`` earlier, in one round trip.

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
        spans = [self._ending(at_us, window_s), ended, since, _PRESENT]
        totals = await self._totals(segments, spans, _cells(kpis))
        found = {
            segment: Sums(now, gauges, before, bucket.stood(gauges, later))
            for segment, (now, before, later, gauges) in totals.items()
        }
        return (start_s * SECOND_US, end_s * SECOND_US), found

    async def ended(
        self, segments: Sequence[str], windows: Sequence[tuple[int, int]], at_us: int, kpi: Kpi
    ) -> dict[str, list[Reading | None]]:
        """One KPI over many windows of the past, each ``(length, end)`` in seconds, in one round trip.

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
        for segment, totals in (await self._totals(segments, [*spans, _PRESENT], _cells([kpi]))).items():
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
        totals = await self._totals([segment], [*spans, _PRESENT], _cells([kpi]))
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
        beginning = cuts.stored(cut, f"{dimensions[0]}:").encode()
        found: set[bytes] = set()
        pipeline = self._redis.pipeline(transaction=False)
        for partition in await self._partitions.known():
            pipeline.zrange(layout.segments_key(partition), 0, -1)
        with away():
            for names in await pipeline.execute():
                found.update(name for name in names if name.startswith(beginning))
        plain_names = (plain(name.decode()) for name in found)
        return sorted(segment for segment in plain_names if cut_of(segment) == cut)

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
        self, segments: Sequence[str], spans: Sequence[Places], cells: Sequence[str]
    ) -> dict[str, list[Fields]]:
        """The sums of every span for each of ``segments``."""
        cuts = await self._counted()
        names = {cuts.stored(cut_of(segment), segment): segment for segment in segments}
        totals = await (self._summed if len(names) > _FEW else self._kept_or_read)(list(names), spans, cells)
        return {segment: totals[name] for name, segment in names.items()}

    async def _kept_or_read(
        self, segments: Sequence[str], spans: Sequence[Places], cells: Sequence[str]
    ) -> dict[str, list[Fields]]:
        """Of few segments: what is kept, and what Redis has beyond it. What is kept of one KPI is kept apart from what
        is kept of all: a question about one must not fetch and hold the fields of some dozens."""
        places: Places = {}
        for span in spans:
            places |= span
        names, wanted = _names(places), msgspec.msgpack.encode(cells)
        partitions = await self._partitions.known()
        kept_as = {segment: "\x1f".join((segment, *cells)) for segment in segments}
        shelves = {segment: self._shelf.rows(kept_as[segment]) for segment in segments}
        size = max(1, _BUCKETS_OF_A_CALL // max(1, len(places)))
        pipeline = self._redis.pipeline(transaction=False)
        questions: list[list[_Asked]] = []
        for at in range(0, len(segments), size):
            chunk = segments[at : at + size]
            for partition in partitions:
                asked = [_Asked(segment, shelves[segment].setdefault(partition, Row()), places) for segment in chunk]
                questions.append(asked)
                rows = msgspec.msgpack.encode([one.row for one in asked])
                arguments: list[str | bytes] = [layout.bucket_prefix(partition), names, rows, wanted]
                await self._read(keys=[layout.position_key(partition)], args=arguments, client=pipeline)
        with away():
            answers = await pipeline.execute() if questions else []
        found: dict[str, dict[Place, list[Fields]]] = {s: {place: [] for place in places} for s in segments}
        for asked, (life, clock_us, *lacking) in zip(questions, answers, strict=True):
            over_s = int(clock_us) // SECOND_US
            for one, flat in zip(asked, lacking, strict=True):
                one.answered(found[one.segment], life.decode(), over_s, flat)
        totals = {}
        for segment in segments:
            parts, kept = found[segment], kept_as[segment]
            totals[segment] = [self._shelf.total(kept, {place: parts[place] for place in span}) for span in spans]
            self._shelf.settle(kept)
        return totals

    async def _summed(
        self, segments: Sequence[str], spans: Sequence[Places], cells: Sequence[str]
    ) -> dict[str, list[Fields]]:
        """Of many segments: added up in Redis, so many segments in a call that nobody waits long for it."""
        partitions = await self._partitions.known()
        pipeline = self._redis.pipeline(transaction=False)
        wanted = msgspec.msgpack.encode(cells)
        calls = []
        for number, span in enumerate(spans):
            names = _names(span)
            size = min(_SEGMENTS_OF_A_CALL, max(1, _BUCKETS_OF_A_CALL // max(1, len(span))))
            for at in range(0, len(segments), size):
                chunk = segments[at : at + size]
                packed = msgspec.msgpack.encode(chunk)
                for partition in partitions:
                    arguments: list[str | bytes] = [layout.bucket_prefix(partition), names, packed, wanted]
                    await self._sum(keys=[layout.position_key(partition)], args=arguments, client=pipeline)
                    calls.append((number, chunk))
        with away():
            answers = await pipeline.execute() if calls else []
        totals: dict[str, list[Fields]] = {segment: [{} for _ in spans] for segment in segments}
        for (number, chunk), sums in zip(calls, answers, strict=True):
            for segment, flat in zip(chunk, sums, strict=True):
                total = totals[segment][number]
                for at in range(0, len(flat), 2):
                    name = _name(flat[at])
                    total[name] = total.get(name, 0) + int(flat[at + 1])
        return totals


def _cells(kpis: Collection[Kpi]) -> list[str]:
    """What the fields of these KPIs begin with; nothing for all of them."""
    return [] if len(kpis) == len(KPIS) else sorted({str(cell) for kpi in kpis for cell in kpi.cells})


def _names(places: Places) -> bytes:
    """Places as a part of their buckets' keys, packed for the scripts."""
    return msgspec.msgpack.encode([f"{name}:{start_s}:" for name, start_s in places])


class _Asked:
    """What is asked of one segment in one partition, with the buckets that were known when it was asked: others may
    change the shelf before the answer is here."""

    def __init__(self, segment: str, row: Row, places: Places) -> None:
        self.segment = segment
        self._shelved = row
        self._places = places
        self._life = row.life
        buckets, versions = row.buckets, row.versions
        self._known = [buckets.get(place) for place in places]
        marks = "".join(["0" if fields is None else "1" for fields in self._known])
        marked = {str(n): versions[place] for n, place in enumerate(places, 1) if place in versions} if versions else {}
        self.row: Final = (segment, row.life, marks, marked)
        """The row for ``read.lua``."""

    def answered(self, found: dict[Place, list[Fields]], life: str, over_s: int, flat: list[Any]) -> None:
        """Adds the buckets to ``found``: what was lacking, and what was known. Keeps what is over by ``over_s``."""
        known = self._known if life == self._life else [None] * len(self._known)
        row = self._shelved
        if life != row.life:
            row.begin(life)
        lacking = {flat[at]: flat[at + 1] for at in range(0, len(flat), 2)}
        empty = []
        for number, (place, fields) in enumerate(zip(self._places, known, strict=True), 1):
            if number in lacking:
                fields, version = _parsed(lacking[number])
                if place[1] + self._places[place] <= over_s:
                    row.put(place, fields, version)
            elif fields is None:
                if place[1] + self._places[place] <= over_s:
                    empty.append(place)
                continue
            if fields:
                found[place].append(fields)
        row.put_empty(empty)


def _parsed(flat: list[Any]) -> tuple[Fields, str | None]:
    """A bucket as Redis has it: its fields and its version."""
    pairs = dict(zip(flat[::2], flat[1::2], strict=True))
    version = pairs.pop(bucket.VERSION, None)
    fields = {_name(name): int(amount) for name, amount in pairs.items()}
    return fields or NOTHING, version.decode() if version is not None else None


@cache
def _name(name: bytes) -> str:
    """One string for all fields of the same name; there are some thousands of names."""
    return name.decode()
