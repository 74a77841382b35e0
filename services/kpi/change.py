"""What changed between two readings of the same KPI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def change(now: Mapping[str, Any], then: Mapping[str, Any]) -> dict[str, Any]:
    """For every number of ``now``, ``absolute`` (now less then) and ``relative`` (that as a share of then).

    Both are ``None`` where one of the two readings has no number; ``relative`` also where it was zero. Parts of a
    reading, such as ``business``, are compared in the same way.
    """
    found: dict[str, Any] = {}
    for name, value in now.items():
        before = then.get(name)
        if isinstance(value, Mapping):
            found[name] = change(value, before if isinstance(before, Mapping) else {})
        elif isinstance(value, int | float) or value is None:
            found[name] = _difference(value, before)
    return found


def _difference(now: float | None, then: float | None) -> dict[str, float | None]:
    if now is None or then is None:
        return {"absolute": None, "relative": None}
    absolute = round(now - then, 6)
    return {"absolute": absolute, "relative": round(absolute / then, 6) if then else None}
