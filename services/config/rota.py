"""An iCalendar file (RFC 5545) as shifts of people: what PagerDuty, Opsgenie and Google Calendar export.

Each event is a shift; its summary names the person, as ``people`` does, before anything in brackets and in any case.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from icalendar import Calendar

from services.config.recurrence import cancelled, series

MOST_BYTES: Final = 5_000_000
_NAME: Final = re.compile(r"^\s*(?:on[ -]call\s*[-:]\s*)?(.+?)\s*(?:\s[-–]\s|[(\[:@]|$)", re.IGNORECASE | re.DOTALL)

Shift = tuple[int, int, str]
"""From, to (µs since the epoch) and who."""


class RotaInvalid(Exception):
    """The file cannot be read as iCalendar; the text says why."""


class Rota:
    """The shifts of one file. Recurrences are worked out for the days that are asked for."""

    def __init__(self, text: bytes) -> None:
        if len(text) > MOST_BYTES:
            raise RotaInvalid(f"larger than {MOST_BYTES // 1_000_000} MB")
        try:
            self._calendar: Any = Calendar.from_ical(text)
            self._series = series(self._calendar)
            self.names()
            self.shifts(0, 0, "UTC")
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError) as exc:
            raise RotaInvalid(f"not an iCalendar file ({type(exc).__name__})") from None

    @staticmethod
    def read(path: str) -> Rota:
        """The rota in the file at ``path``. Raises :class:`RotaInvalid`."""
        try:
            stat = Path(path).stat()
            if stat.st_size > MOST_BYTES:
                raise RotaInvalid(f"{path} is larger than {MOST_BYTES // 1_000_000} MB")
            return _read(path, stat.st_mtime_ns, stat.st_size)
        except OSError as exc:
            raise RotaInvalid(f"{path} cannot be read ({exc.strerror})") from None

    def names(self) -> set[str]:
        """Everybody who has a shift."""
        return {_person(event) for event in self._calendar.walk("VEVENT") if not cancelled(event)}

    def shifts(self, since_us: int, until_us: int, zone: str) -> list[Shift]:
        """The shifts that touch the span, by their begin. ``zone`` is that of times without one."""
        found = [one for each in self._series for one in each.occurrences(since_us, until_us, ZoneInfo(zone))]
        return sorted((one.begin_us, one.end_us, _person(one.component)) for one in found)


@lru_cache(maxsize=64)
def _read(path: str, _changed_ns: int, _size: int) -> Rota:
    return Rota(Path(path).read_bytes())


def _person(event: Any) -> str:
    text = str(event.get("SUMMARY", ""))
    found = _NAME.match(text)
    return re.sub(r"[^a-z0-9_-]+", "-", (found[1] if found else text).strip().lower()).strip("-")
