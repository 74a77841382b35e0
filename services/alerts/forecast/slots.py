"""Hours as people plan them: the local day, what kind of day it is, and the hour on the wall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from schemas.instant import SECOND_US, to_datetime
from services.fold.hours import Hours

HOUR_S: Final = 3600
HOLIDAY: Final = 7
"""The kind of a day that is closed though its weekday is open. Weekdays are kinds 0 (Monday) to 6."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One hour that starts at ``start_s``, on the local date ``day`` at ``hour`` o'clock."""

    start_s: int
    day: date
    kind: int
    hour: int


def kind(day: date, hours: Hours) -> int:
    """The weekday, or :data:`HOLIDAY`."""
    weekday = day.weekday()
    return HOLIDAY if hours.weekly[weekday] and not hours.on(day) else weekday


def midnight_s(day: date, hours: Hours) -> int:
    """When the local day begins; in zones that are off by half an hour, the whole hour (UTC) before."""
    at_s = hours.instant(day, 0) // SECOND_US
    return at_s - at_s % HOUR_S


def slots(first: date, count: int, hours: Hours) -> list[Slot]:
    """The hours of ``count`` local days from ``first`` on: 23, 24 or 25 of each. In a zone that is off by a part of an
    hour, a slot belongs to the date and hour that it has most of."""
    found = []
    for number in range(count):
        day = first + timedelta(days=number)
        of_day = kind(day, hours)
        begin_s, end_s = midnight_s(day, hours), midnight_s(day + timedelta(days=1), hours)
        for start_s in range(begin_s, end_s, HOUR_S):
            wall = to_datetime((start_s + HOUR_S // 2) * SECOND_US).astimezone(hours.zone)
            found.append(Slot(start_s, day, of_day, wall.hour))
    return found


def local_day(at_s: int, hours: Hours) -> date:
    """The local date of an instant."""
    return to_datetime(at_s * SECOND_US).astimezone(hours.zone).date()


def by_day(chosen: Sequence[Slot]) -> dict[date, list[int]]:
    """The places of the slots of each day, in order."""
    found: dict[date, list[int]] = {}
    for place, slot in enumerate(chosen):
        found.setdefault(slot.day, []).append(place)
    return found
