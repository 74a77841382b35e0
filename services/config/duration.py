"""Durations and warning thresholds as people write them: ``15m``, ``4h``, ``3d``, ``90%``."""

from __future__ import annotations

import re
from typing import Final

UNIT_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"^(\d+(?:\.\d+)?)([smhdw])$")
_PERCENT = re.compile(r"^(\d{1,2}(?:\.\d+)?)%$")


def seconds(text: str) -> int:
    """Whole seconds of ``text``; a day is 24 hours of the clock that measures. Raises ``ValueError``."""
    found = _DURATION.match(text.strip())
    value = round(float(found[1]) * UNIT_S[found[2]]) if found else 0
    if value <= 0:
        raise ValueError(f"'{text}' is not a duration; write for example 90s, 15m, 4h or 3d")
    return value


def percent(text: str) -> float | None:
    """0.75 for ``75%``; ``None`` when ``text`` is not a percentage between 0 and 100."""
    found = _PERCENT.match(text.strip())
    value = float(found[1]) / 100 if found else 0.0
    return value if value > 0 else None


def written(value_s: float) -> str:
    """A duration for people: ``45 s``, ``12 min``, ``3 h 20 min``, ``2 d 4 h``."""
    total = round(value_s)
    if total < 60:
        return f"{total} s"
    days, rest = divmod(total, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes = rest // 60
    parts = [(days, "d"), (hours, "h"), (minutes, "min")]
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "0 s"
