"""Hours in which nothing was heard at all, though something must have come: not zero, but unknown."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Final

from services.alerts.forecast.slots import Slot

_IMPOSSIBLE: Final = 14.0
"""Tickets usually created meanwhile. That none comes has a chance of one in a million."""


def silent(slots: Sequence[Slot], everything: Sequence[int]) -> list[bool]:
    """Of each hour, whether it lies in such a silence. ``everything`` are the tickets of all segments."""
    cells: dict[tuple[int, int], list[int]] = {}
    for slot, count in zip(slots, everything, strict=True):
        cells.setdefault((slot.kind, slot.hour), []).append(count)
    usual = {cell: median(values) for cell, values in cells.items()}
    found = [False] * len(slots)
    begin, missed = 0, 0.0
    for place, (slot, count) in enumerate(zip(slots, everything, strict=True)):
        if count:
            begin, missed = place + 1, 0.0
            continue
        missed += usual[slot.kind, slot.hour]
        if missed >= _IMPOSSIBLE:
            found[begin : place + 1] = [True] * (place + 1 - begin)
    return found
