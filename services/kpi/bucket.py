"""The fields of a bucket: counters, sums of durations and sketch cells, all plain integers that add and subtract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from services.kpi import sketch
from services.kpi.catalogue import Cell

CALENDAR_SUM: Final = "t"
BUSINESS_SUM: Final = "u"
CALENDAR_CELL: Final = "x"
BUSINESS_CELL: Final = "y"
VERSION: Final = b"@"
"""The field of a bucket that was changed after its end: another value with every such change, no counter."""

Fields = dict[str, int]


def fields(cell: Cell, calendar_ms: int | None, business_ms: int | None) -> list[tuple[str, int]]:
    """What one contribution adds to every bucket that it lies in: ``(field, amount)``."""
    name = cell.value
    found = [(name, 1)]
    if calendar_ms is not None:
        found.append((name + CALENDAR_SUM, calendar_ms))
        found.append((f"{name}{CALENDAR_CELL}{sketch.cell(calendar_ms)}", 1))
    if business_ms is not None:
        found.append((name + BUSINESS_SUM, business_ms))
        found.append((f"{name}{BUSINESS_CELL}{sketch.cell(business_ms)}", 1))
    return found


def cells(total: Mapping[str, int], cell: Cell, kind: str) -> dict[int, int]:
    """The sketch of one cell (``kind``: :data:`CALENDAR_CELL` or :data:`BUSINESS_CELL`) out of summed fields."""
    prefix = cell.value + kind
    return {int(field[len(prefix) :]): n for field, n in total.items() if field.startswith(prefix) and n > 0}
