"""Amounts in rules as people write them: ``2h`` of a duration, ``90%`` of a ratio, ``50%`` more than before."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from services.config.duration import seconds, written


class Unit(StrEnum):
    """What the numbers of a statistic are."""

    SECONDS = "seconds"
    SHARE = "share"
    NUMBER = "number"
    """A mean or a score."""
    COUNT = "count"
    """How many; without a case it is zero, not unknown."""


@dataclass(frozen=True, slots=True)
class Amount:
    """A difference: ``value`` in the statistic's unit, or where ``relative`` a share of what it was before."""

    value: float
    relative: bool


def level(written_as: str | float, unit: Unit) -> float:
    """The number that ``written_as`` means in ``unit``. Raises ``ValueError`` with what can be written."""
    if not isinstance(written_as, str):
        if unit is Unit.SHARE and not 0 <= written_as <= 1:
            raise ValueError(f"{written_as:g} is no share; write 0.9 or 90%")
        return float(written_as)
    if unit is Unit.SECONDS:
        return float(seconds(written_as))
    share = _percent(written_as)
    if unit is Unit.SHARE and share is not None and 0 <= share <= 1:
        return share
    raise ValueError(
        f"'{written_as}' is no share; write 90% or 0.9"
        if unit is Unit.SHARE
        else f"'{written_as}' is no number; write it without a unit"
    )


def difference(written_as: str | float, unit: Unit) -> Amount:
    """What a change must come to. A percentage of a ratio means points (``10%``: from 92 % to 82 %), of everything
    else a share of what it was. Raises ``ValueError``."""
    share = _percent(written_as) if isinstance(written_as, str) else None
    found = (
        Amount(share, relative=True)
        if share is not None and unit is not Unit.SHARE
        else Amount(level(written_as, unit), relative=False)
    )
    if found.value <= 0:
        raise ValueError("a change is more than nothing; write for example 20%")
    return found


def told(value: float, unit: Unit) -> str:
    """For people: ``2 h 40 min``, ``92.4 %``, ``140``."""
    if unit is Unit.SECONDS:
        return ("-" if value < 0 else "") + written(abs(value))
    if unit is Unit.SHARE:
        return f"{value * 100:.1f}".removesuffix(".0") + " %"
    return f"{value:.1f}".removesuffix(".0") if abs(value) < 1000 else f"{value:.0f}"


def _percent(text: str) -> float | None:
    body = text.strip()
    if not body.endswith("%"):
        return None
    try:
        return float(body[:-1]) / 100
    except ValueError:
        return None
