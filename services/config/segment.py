"""Segments as people write them: ``all``, ``team:billing``, ``team:billing,priority:high``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

ALL: Final = "all"
DIMENSIONS: Final = ("source", "channel", "team", "agent", "priority", "brand", "tier", "tag")
"""What segments and policies can ask of a ticket."""


def values(segment: str) -> dict[str, str]:
    """The values by dimension. A value may hold a comma or a colon; a dimension's name may not."""
    found: dict[str, str] = {}
    last = ""
    for part in segment.split(","):
        name, colon, value = part.partition(":")
        if colon and name in DIMENSIONS and name not in found:
            found[name], last = value, name
        elif last:
            found[last] += f",{part}"
    return found


def ordered(segment: str, cuts: Sequence[Sequence[str]]) -> str | None:
    """The segment with its dimensions in the order of the configured cut; ``None`` where there is none of them."""
    if segment == ALL:
        return ALL
    given = values(segment)
    for names in cuts:
        if set(names) == set(given) and all(given.values()):
            return ",".join(f"{name}:{given[name]}" for name in names)
    return None


def there(cuts: Sequence[Sequence[str]]) -> list[str]:
    """What can be written."""
    return [ALL, *(",".join(f"{name}:…" for name in names) for names in cuts)]


def problem(segment: str, cuts: Sequence[Sequence[str]]) -> str | None:
    """Why it is none, with what there is."""
    if ordered(segment, cuts) is not None:
        return None
    return f"'{segment}' is no configured segment (there is: {'; '.join(there(cuts))}); add it to `segments`"
