"""Times as text that may lack its zone, and what a time says about a message."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

from schemas.failure import Invalid, Reason
from schemas.instant import parse_rfc3339

OPENING: Final = timedelta(seconds=2)
"""A message this close to its ticket's creation is the one it was created with; observed gaps are below 1 s."""


def written(value: Any, path: str, zone: tzinfo = UTC) -> datetime:
    """``2026-03-02T09:00:00Z``, ``2026-03-02 09:00:00`` or ``2026-03-02 09:00:00 UTC``, in UTC.

    Text without an offset is in ``zone``. Raises :class:`Invalid`.
    """
    if value is None or value == "":
        raise Invalid(Reason.MISSING_FIELD, f"{path} is missing")
    try:
        return _parsed(value.strip().removesuffix(" UTC"), zone)
    except (AttributeError, ValueError, OverflowError):
        raise Invalid(Reason.BAD_VALUE, f"{path} must be a time such as 2026-03-02T09:00:00Z") from None


def zone_of(name: str) -> ZoneInfo:
    """The zone of an option. Raises ``ValueError`` for a name that is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # a name that is not known is a KeyError
        raise ValueError("timezone must be an IANA name, such as Europe/Paris") from None


def opening(at: datetime, created_at: object) -> bool:
    """Whether a message of ``at`` is the one that a ticket of ``created_at`` was created with."""
    return isinstance(created_at, datetime) and abs(at - created_at) <= OPENING


def _parsed(text: str, zone: tzinfo) -> datetime:
    if len(text) < len("2026-03-02T09:00"):
        raise ValueError("a date is not a time")
    try:
        return parse_rfc3339(text)
    except ValueError:
        local = datetime.fromisoformat(text)
        if local.tzinfo is not None:
            raise
        return local.replace(tzinfo=zone).astimezone(UTC)
