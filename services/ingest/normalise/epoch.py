"""Times that vendors write as a number counted from 1970 (Unix time)."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from schemas.failure import Invalid, Reason
from schemas.instant import SECOND_US, to_datetime

_MILLISECOND_US: Final = 1_000


def from_seconds(value: Any, path: str) -> datetime:
    """The instant of whole or broken seconds, exact to the microsecond. Raises :class:`Invalid`."""
    return _instant(value, SECOND_US, path, "seconds")


def from_milliseconds(value: Any, path: str) -> datetime:
    """The instant of milliseconds. Raises :class:`Invalid`."""
    return _instant(value, _MILLISECOND_US, path, "milliseconds")


def _instant(value: Any, unit_us: int, path: str, unit: str) -> datetime:
    if value is None or value == "":
        raise Invalid(Reason.MISSING_FIELD, f"{path} is missing")
    try:
        # Decimal of the shortest text keeps 1518309907.474 exact, which a product of floats does not.
        number = Decimal(value if isinstance(value, str) else repr(value))
        if number > 0:
            return to_datetime(int(number * unit_us))
    except (ArithmeticError, ValueError):
        pass
    raise Invalid(Reason.BAD_VALUE, f"{path} must be a time in {unit} since 1970")
