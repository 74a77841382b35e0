"""Instants: integers inside (microseconds since the epoch, UTC), RFC 3339 with ``Z`` outside."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from msgspec import Meta

Instant = Annotated[datetime, Meta(tz=True)]
"""A time in a record: refused without an offset from UTC."""

Number = Annotated[int, Meta(ge=0, le=2**53 - 1)]
"""A counting number that Redis, Lua and every JSON reader keep exact."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND_US = 1_000_000
_FRACTION = re.compile(r"\.(\d+)")


def from_datetime(at: datetime) -> int:
    """Microseconds since the epoch of an aware datetime; exact (no float is involved).

    Raises ``ValueError`` for a naive one: guessing its zone would shift every number built on it.
    """
    if at.tzinfo is None:
        raise ValueError("a time without an offset from UTC")
    passed = at - EPOCH
    return (passed.days * 86_400 + passed.seconds) * SECOND_US + passed.microseconds


def to_datetime(at_us: int) -> datetime:
    """The aware UTC datetime of an instant in microseconds."""
    return EPOCH + timedelta(microseconds=at_us)


def to_rfc3339(at_us: int) -> str:
    """``2026-03-02T09:00:00Z``; the fraction (six digits) only where there is one."""
    return to_datetime(at_us).isoformat().replace("+00:00", "Z")


def parse_rfc3339(text: str) -> datetime:
    """An aware datetime from RFC 3339 text; fractions beyond microseconds are cut (Zendesk sends nine digits).

    Raises ``ValueError`` for text that is not a time or has no offset.
    """
    at = datetime.fromisoformat(_FRACTION.sub(lambda found: "." + found[1][:6].ljust(6, "0"), text, count=1))
    if at.tzinfo is None:
        raise ValueError("a time without an offset from UTC")
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time outside the years 1 to 9999") from None
