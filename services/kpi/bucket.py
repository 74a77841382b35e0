"""The fields of a bucket: counters, sums of durations and sketch cells, all plain integers that add and subtract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from services.kpi import sketch
from services.kpi.catalogue import AMOUNTS, GAUGES, STAYS

CALENDAR_SUM: Final = "t"
BUSINESS_SUM: Final = "u"
CALENDAR_CELL: Final = "x"
BUSINESS_CELL: Final = "y"
_WITHOUT_SKETCH: Final = frozenset(cell.value for cell in STAYS.values())
_AMOUNTS: Final = frozenset(cell.value for cell in AMOUNTS)
_KINDS: Final = CALENDAR_CELL + BUSINESS_CELL

Fields = dict[str, int]


def fields(cell: str, first: int | None, second: int | None) -> list[tuple[str, int]]:
    """What one contribution adds to every bucket that it lies in: ``(field, amount)``.

    ``first`` and ``second`` are a duration in ms on the clock and in business hours; of a cell of ``AMOUNTS``,
    ``first`` is the amount; other cells count cases. Times in a status have no sketch: there are many, at every solve.
    """
    if first is None:
        return [(cell, 1)]
    if cell in _AMOUNTS:
        return [(cell, first)]
    if cell in _WITHOUT_SKETCH:
        return [(cell, 1), (cell + CALENDAR_SUM, first), (cell + BUSINESS_SUM, second or 0)]
    found = [(cell, 1), (cell + CALENDAR_SUM, first), (f"{cell}{CALENDAR_CELL}{sketch.cell(first)}", 1)]
    if second is not None:
        found.append((cell + BUSINESS_SUM, second))
        found.append((f"{cell}{BUSINESS_CELL}{sketch.cell(second)}", 1))
    return found


def stood(gauges: Mapping[str, int], since: Mapping[str, int]) -> Fields:
    """What stood before ``since``: what stands now, less what came and went since."""
    return {cell: gauges.get(cell, 0) - since.get(cell, 0) for cell in GAUGES}


def sketches(total: Mapping[str, int]) -> dict[str, dict[int, int]]:
    """The sketches in summed fields, by the cell and its kind (:data:`CALENDAR_CELL` or :data:`BUSINESS_CELL`)."""
    found: dict[str, dict[int, int]] = {}
    for field, amount in total.items():
        if amount > 0 and len(field) > 2 and field[1] in _KINDS:
            found.setdefault(field[:2], {})[int(field[2:])] = amount
    return found
