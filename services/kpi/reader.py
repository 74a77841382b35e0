"""Reads KPI windows out of Redis, over every partition that has state. Never writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis

from schemas import state as layout
from schemas.instant import SECOND_US
from services.kpi import bucket
from services.kpi.bucket import Fields
from services.kpi.catalogue import KPIS, Cell, Kpi
from services.kpi.reading import Reading, reading
from services.kpi.window import Resolution, cover
from services.state.client import away
from services.state.partitions import Partitions


class KpiReader:
    """Windows of KPIs, as any number of processes may read them. Calls may raise ``NotNow``."""

    def __init__(self, redis: Redis, partitions: Partitions, kept: tuple[Resolution, ...]) -> None:
        self._redis: Any = redis  # its stubs return unions of everything that any option could make it return
        self._kept = kept
        self._sum = redis.register_script((files("services.kpi") / "lua" / "sum.lua").read_text())
        self._partitions = partitions

    async def window(self, segment: str, window_s: int, at_us: int) -> dict[str, Reading]:
        """Every KPI of one segment over the window that ends at ``at_us``."""
        return (await self.windows([segment], window_s, at_us))[segment]

    async def windows(self, segments: Sequence[str], window_s: int, at_us: int) -> dict[str, dict[str, Reading]]:
        """Every KPI of every one of ``segments``, in one round trip."""
        totals = await self._totals(segments, window_s, at_us)
        return {
            segment: {name: reading(kpi, total, gauge) for name, kpi in KPIS.items()}
            for segment, (total, gauge) in totals.items()
        }

    async def by(self, kpi: Kpi, dimensions: Sequence[str], window_s: int, at_us: int) -> list[tuple[str, Reading]]:
        """One KPI for every value of ``dimensions`` that has counted anything: ``(segment, reading)``, sorted."""
        segments = await self.segments(dimensions)
        totals = await self._totals(segments, window_s, at_us)
        return [(segment, reading(kpi, *totals[segment])) for segment in segments]

    async def series(self, kpi: Kpi, segment: str, window_s: int, step_s: int, at_us: int) -> list[tuple[int, Reading]]:
        """One KPI in steps over the window: ``(start of the step in µs, reading)``, oldest first, aligned to steps.

        The backlog is read at the end of each step: what it is now, less what came and went since.
        """
        at_s = at_us // SECOND_US
        starts = range((at_s - window_s) // step_s * step_s, at_s + 1, step_s)
        covers = [[(r.name, b) for r, b in cover(s, min(s + step_s, at_s + 1), at_s, self._kept)] for s in starts]
        totals = [(await self._summed([segment], wanted))[segment] for wanted in covers]
        gauge = (await self._gauges([segment]))[segment]
        points = []
        for start_s, total in zip(reversed(starts), reversed(totals), strict=True):
            points.append((start_s * SECOND_US, reading(kpi, total, gauge)))
            gauge -= total.get(Cell.BACKLOG.value, 0)
        return points[::-1]

    async def segments(self, dimensions: Sequence[str]) -> list[str]:
        """The segments of exactly these dimensions that have counted anything."""
        found: set[str] = set()
        pipeline = self._redis.pipeline(transaction=False)
        for partition in await self._partitions.known():
            pipeline.zrange(layout.segments_key(partition), 0, -1)
        with away():
            for names in await pipeline.execute():
                found.update(name.decode() for name in names)
        wanted = list(dimensions)
        return sorted(s for s in found if [part.split(":", 1)[0] for part in s.split(",")] == wanted)

    async def _totals(self, segments: Sequence[str], window_s: int, at_us: int) -> dict[str, tuple[Fields, int]]:
        at_s = at_us // SECOND_US
        wanted = [(r.name, start_s) for r, start_s in cover(at_s - window_s, at_s + 1, at_s, self._kept)]
        summed = await self._summed(segments, wanted)
        gauges = await self._gauges(segments)
        return {segment: (summed[segment], gauges[segment]) for segment in segments}

    async def _summed(self, segments: Sequence[str], wanted: Sequence[tuple[str, int]]) -> Mapping[str, Fields]:
        partitions = await self._partitions.known()
        asked = [(segment, partition) for segment in segments for partition in partitions]
        pipeline = self._redis.pipeline(transaction=False)
        for segment, partition in asked:
            keys = [layout.bucket_key(partition, name, start_s, segment) for name, start_s in wanted]
            await self._sum(keys=keys, client=pipeline)
        with away():
            found = await pipeline.execute() if asked else []
        parts: dict[str, list[Fields]] = {segment: [] for segment in segments}
        for (segment, _), flat in zip(asked, found, strict=True):
            parts[segment].append({flat[i].decode(): int(flat[i + 1]) for i in range(0, len(flat), 2)})
        return {segment: bucket.added(fields) for segment, fields in parts.items()}

    async def _gauges(self, segments: Sequence[str]) -> dict[str, int]:
        partitions = await self._partitions.known()
        pipeline = self._redis.pipeline(transaction=False)
        for partition in partitions:
            pipeline.hmget(layout.gauge_key(partition), list(segments))
        with away():
            found = await pipeline.execute() if partitions and segments else []
        totals = dict.fromkeys(segments, 0)
        for row in found:
            for segment, amount in zip(segments, row, strict=True):
                totals[segment] += int(amount or 0)
        return totals
