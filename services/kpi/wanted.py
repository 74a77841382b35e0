"""Which fields of a bucket KPIs are read from: plain counters are asked for by name, only sketches need all that there
is of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from services.kpi import bucket
from services.kpi.catalogue import KPIS, Cell, Kpi, Shape


@dataclass(frozen=True, slots=True)
class Wanted:
    """Fields by their names, and by what they begin with; without either, all of them."""

    fields: tuple[str, ...] = ()
    beginnings: tuple[str, ...] = ()

    @property
    def one_by_one(self) -> bool:
        """Whether nothing else has to be looked at."""
        return bool(self.fields) and not self.beginnings


@dataclass(frozen=True, slots=True)
class Wants:
    """What is asked of the buckets of windows, and of what stands now."""

    counted: Wanted
    standing: Wanted
    windows: bool
    """Whether the KPIs have anything to do with windows; what stands now alone has not."""
    stands: bool
    """Whether they have anything to do with what stands now."""


STANDING: Final = frozenset({Shape.GAUGE, Shape.BACKLOG, Shape.AGE})
"""Shapes that are read from what stands, and from what came and went since for the past."""
_PRESENT_ONLY: Final = frozenset({Cell.CREATED_IN.value})
_ENDLESS: Final = tuple(cell.value for cell in (Cell.ACTIVE, Cell.CONTRIBUTING, Cell.STAFF_OF, Cell.CREATED_IN))
"""What fields begin with of which there is one for each agent or hour."""


def wants(kpis: Iterable[Kpi]) -> Wants:
    """What these KPIs are read from."""
    found = list(kpis)
    windows = any(kpi.shape not in STANDING for kpi in found)
    stands = any(kpi.shape in STANDING or kpi.shape is Shape.RETENTION for kpi in found)
    if len({kpi.name for kpi in found}) == len(KPIS):
        return Wants(Wanted(), Wanted(), windows, stands)
    fields: dict[str, None] = {}
    beginnings: dict[str, None] = {}
    for kpi in found:
        for cell in map(str, kpi.cells):
            if cell in _ENDLESS:
                beginnings[cell] = None
                continue
            fields[cell] = None
            if kpi.shape in (Shape.DURATION, Shape.DURATIONS):
                fields |= {cell + bucket.CALENDAR_SUM: None, cell + bucket.BUSINESS_SUM: None}
            if kpi.shape is Shape.DURATION:
                beginnings |= {cell + bucket.CALENDAR_CELL: None, cell + bucket.BUSINESS_CELL: None}
    some = tuple(sorted(beginnings))
    counted = tuple(beginning for beginning in some if beginning not in _PRESENT_ONLY)
    named = tuple(sorted(fields)) or ((Cell.BACKLOG.value,) if not counted else ())
    return Wants(Wanted(named, counted), Wanted(tuple(sorted(fields)), some), windows, stands)


def bounded(field: str) -> bool:
    """Whether the catalogue bounds how many fields there are of this kind."""
    return not field.startswith(_ENDLESS)
