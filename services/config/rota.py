"""An iCalendar file (RFC 5545) as shifts of people: what PagerDuty, Opsgenie and Google Calendar export.

Each event is a shift; its summary names the person, as ``people`` does, before anything in brackets and in any case.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import recurring_ical_events
from icalendar import Calendar

from schemas.instant import SECOND_US, from_datetime, to_datetime

_MOST_BYTES: Final = 5_000_000
_DAY_US: Final = 86_400 * SECOND_US
_NAME: Final = re.compile(r"^\s*(?:on[ -]call\s*[-:]\s*)?([^(\[\-–:@]+)", re.IGNORECASE)

Shift = tuple[int, int, str]
"""From, to (µs since the epoch) and who."""


class RotaInvalid(Exception):
    """The file cannot be read as iCalendar; the text says why."""


class Rota:
    """The shifts of one file. Recurrences are worked out for the days that are asked for."""

    def __init__(self, text: bytes) -> None:
        try:
            self._calendar: Any = Calendar.from_ical(text)
            self._query: Any = recurring_ical_events.of(self._calendar)
            self.names()
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as exc:
            raise RotaInvalid(f"not an iCalendar file ({type(exc).__name__})") from None

    @staticmethod
    def read(path: str) -> Rota:
        """The rota in the file at ``path``. Raises :class:`RotaInvalid`."""
        try:
            stat = Path(path).stat()
            if stat.st_size > _MOST_BYTES:
                raise RotaInvalid(f"{path} is larger than {_MOST_BYTES // 1_000_000} MB")
            return _read(path, stat.st_mtime_ns, stat.st_size)
        except OSError as exc:
            raise RotaInvalid(f"{path} cannot be read ({exc.strerror})") from None

    def names(self) -> set[str]:
        """Everybody who has a shift."""
        return {_person(event) for event in self._calendar.walk("VEVENT") if not _cancelled(event)}

    def shifts(self, since_us: int, until_us: int, zone: str) -> list[Shift]:
        """The shifts that touch the span, by their begin. ``zone`` is that of times without one."""
        found = [
            (_us(event["DTSTART"].dt, zone), _us(event["DTEND"].dt, zone), _person(event))
            for event in self._query.between(to_datetime(since_us - _DAY_US), to_datetime(until_us + _DAY_US))
            if not _cancelled(event)
        ]
        return sorted(shift for shift in found if shift[0] < until_us and shift[1] > since_us)


@lru_cache(maxsize=64)
def _read(path: str, _changed_ns: int, _size: int) -> Rota:
    return Rota(Path(path).read_bytes())


def _person(event: Any) -> str:
    text = str(event.get("SUMMARY", ""))
    found = _NAME.match(text)
    return re.sub(r"[^a-z0-9_-]+", "-", (found[1] if found else text).strip().lower()).strip("-")


def _cancelled(event: Any) -> bool:
    return str(event.get("STATUS", "")).upper() == "CANCELLED" or str(event.get("TRANSP", "")).upper() == "TRANSPARENT"


def _us(value: date | datetime, zone: str) -> int:
    at = value if isinstance(value, datetime) else datetime.combine(value, time())
    return from_datetime((at if at.tzinfo is not None else at.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC))
