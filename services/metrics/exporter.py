"""The support KPIs for Prometheus: ``helpdesk_*``, from one snapshot, so that a scrape is never torn.

Every worker exports the KPIs of all partitions; dashboards take the maximum over instances. Segments are named by
``dimension`` and ``value``; agents and tags are left out, since they have no bound.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from schemas.failure import NotNow
from services import clock
from services.fold.rules import ALL
from services.kpi.catalogue import KPIS, Kpi, Shape
from services.kpi.reader import KpiReader
from services.kpi.reading import PERCENTILES, Reading
from services.kpi.reference import prometheus

REFRESH_S: Final = 10.0
VALUES_KEPT: Final = 50
"""Values of one dimension that are exported; what is above goes uncounted here and stays in the API."""
_UNBOUNDED: Final = frozenset({"agent", "tag"})

log = structlog.get_logger("metrics")


class Exporter(Collector):
    """A collector over the newest snapshot; ``run`` refreshes it."""

    def __init__(
        self,
        reader: KpiReader,
        windows_s: Mapping[str, int],
        segments: tuple[tuple[str, ...], ...],
        registry: CollectorRegistry,
        refusal: Callable[[], str | None] = lambda: None,
    ) -> None:
        """While there is a ``refusal`` the state must not be read, and nothing is exported."""
        self._reader = reader
        self._refusal = refusal
        self._windows_s: Mapping[str, int] = {}
        self._dimensions: list[str] = []
        self.follow(windows_s, segments)
        self._snapshot: dict[tuple[str, str, str], dict[str, Reading]] = {}
        registry.register(self)

    def follow(self, windows_s: Mapping[str, int], segments: tuple[tuple[str, ...], ...]) -> None:
        """Exports these windows and segments from the next snapshot on."""
        self._windows_s = windows_s
        self._dimensions = [names[0] for names in segments if len(names) == 1 and names[0] not in _UNBOUNDED]

    async def run(self, stop: asyncio.Event) -> None:
        """Takes snapshots until ``stop``."""
        stopping = asyncio.ensure_future(stop.wait())
        while not stopping.done():
            taking = asyncio.ensure_future(self._taken())
            await asyncio.wait({taking, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not taking.done():
                taking.cancel()
                break
            try:
                self._snapshot = taking.result()
            except NotNow as wait:
                log.info("snapshot_kept", why=wait.what)
            await asyncio.wait({stopping}, timeout=REFRESH_S)

    def collect(self) -> Iterator[Metric]:
        """Prometheus families of the snapshot."""
        for kpi in KPIS.values():
            yield from _families(kpi, self._snapshot)

    async def _taken(self) -> dict[tuple[str, str, str], dict[str, Reading]]:
        if self._refusal() is not None:
            return {}
        at_us = clock.now_us()
        wanted = {ALL: (ALL, "")}
        for dimension in self._dimensions:
            segments = await self._reader.segments([dimension])
            wanted |= {segment: (dimension, segment.split(":", 1)[1]) for segment in segments[:VALUES_KEPT]}
        return {
            (window, *wanted[segment]): readings
            for window, window_s in self._windows_s.items()
            for segment, readings in (await self._reader.windows(list(wanted), window_s, at_us)).items()
        }


def _families(kpi: Kpi, snapshot: Mapping[tuple[str, str, str], dict[str, Reading]]) -> Iterator[Metric]:
    """The families of one KPI; the first is the one that it is known by (:func:`services.kpi.reference.prometheus`)."""
    labels = ["window", "dimension", "value"]
    own = [kpi.label] if kpi.label else []
    family = GaugeMetricFamily(prometheus(kpi), kpi.summary, labels=[*labels, *own])
    if kpi.shape in (Shape.DURATION, Shape.DURATIONS):
        yield from _durations(kpi, snapshot, labels, own)
        return
    for key, readings in snapshot.items():
        for extra, value in _values(kpi, readings[kpi.name]):
            if value is not None:
                family.add_metric([*key, *extra], value)
    yield family
    if kpi.shape is Shape.BACKLOG:
        for label in ("status", "age"):
            part = f"by_{label}"
            split = GaugeMetricFamily(f"{prometheus(kpi)}_{part}", kpi.summary, labels=[*labels, label])
            for key, readings in snapshot.items():
                for name, count in readings[kpi.name][part].items():
                    split.add_metric([*key, name], count)
            yield split


def _values(kpi: Kpi, found: Reading) -> Iterator[tuple[list[str], float | None]]:
    """The numbers of a reading, each with the values of the KPI's own labels."""
    match kpi.shape:
        case Shape.RATIOS:
            for part in kpi.parts:
                yield [part], found[part]["ratio"]
        case Shape.PROMISES:
            yield ["all"], found["ratio"]
            for part in kpi.parts:
                yield [part], found["by_metric"][part]["ratio"]
        case _:
            yield [], found[_FIELD.get(kpi.shape, "count")]


_FIELD: Final = {
    Shape.RATIO: "ratio",
    Shape.SHARE: "ratio",
    Shape.RETENTION: "ratio",
    Shape.MEAN: "mean",
    Shape.SCORE: "score",
    Shape.AGE: "age_s",
}


def _durations(
    kpi: Kpi, snapshot: Mapping[tuple[str, str, str], dict[str, Reading]], labels: list[str], own: list[str]
) -> Iterator[Metric]:
    family = GaugeMetricFamily(prometheus(kpi), kpi.summary, labels=[*labels, *own, "clock", "statistic"])
    count = GaugeMetricFamily(f"helpdesk_{kpi.name}_cases", f"Cases in it. {kpi.summary}", labels=[*labels, *own])
    for key, readings in snapshot.items():
        found = readings[kpi.name]
        for extra, part in [([name], found[name]) for name in kpi.parts] if own else [([], found)]:
            count.add_metric([*key, *extra], part["count"])
            for clock_name, statistics in (("calendar", part), ("business", part["business"])):
                for statistic in ("mean_s", *PERCENTILES):
                    if statistics.get(statistic) is not None:
                        name = statistic.removesuffix("_s")
                        family.add_metric([*key, *extra, clock_name, name], statistics[statistic])
    yield family
    yield count
