"""Statuses and priorities in a vendor's words or in a site's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from schemas.ticket import Priority, Status
from services.ingest.normalise.fields import word
from services.ingest.normalise.vocabulary import extended

PRIORITIES: Final[Mapping[str, Priority]] = {
    **{priority.value: priority for priority in Priority},
    "medium": Priority.NORMAL,
    "critical": Priority.URGENT,
}
"""The words for priorities that vendors share."""

_NONE: Final = frozenset({"", "-", "-none-", "none", "null"})


def status(value: Any, known: Mapping[str, Status], own: Mapping[str, Status], path: str) -> Status:
    """The status that ``value`` stands for. Raises :class:`Invalid`: every word must be known, none is guessed."""
    return word(value, extended(known, own), f"{path} (add your own words to options.statuses)")


def priority(value: Any, known: Mapping[str, Priority], own: Mapping[str, Priority], path: str) -> Priority | None:
    """The priority, ``None`` for what vendors write where there is none. Raises :class:`Invalid`."""
    if value is None or (isinstance(value, str) and value.strip().lower() in _NONE):
        return None
    return word(value, extended(known, own), f"{path} (add your own words to options.priorities)")
