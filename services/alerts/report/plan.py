"""When a report is due, and which time it tells of. Pure: the same instant has the same answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from schemas.instant import SECOND_US, to_datetime
from services.config.document import Document
from services.config.duration import seconds
from services.config.report import ReportPlan
from services.fold.calendar import Calendar
from services.fold.hours import ALL_DAY, Hours

HOUR_US: Final = 3600 * SECOND_US
DAY_S: Final = 86_400
WEEK_S: Final = 7 * DAY_S
TOLD_US: Final = 34 * DAY_S * SECOND_US
"""A period that began longer ago is not made any more: its hours are not kept for sure."""
_FURTHEST_DAYS: Final = 60
"""A calendar that is closed for longer closes the report too."""


@dataclass(frozen=True, slots=True)
class Due:
    """A report that is due at ``at_us`` and tells of ``[since_us, until_us)``: whole hours (UTC), as old windows have.
    It is compared with the same hours ``ago_s`` earlier."""

    at_us: int
    since_us: int
    until_us: int

    @property
    def window_s(self) -> int:
        """How long the period is."""
        return (self.until_us - self.since_us) // SECOND_US

    @property
    def ago_s(self) -> int:
        """As many weeks as the period needs, so that the days of the week are the same."""
        return max(WEEK_S, -(-self.window_s // WEEK_S) * WEEK_S)


class Timetable:
    """The instants at which one report is due: at a time of day, on its weekdays, not on closed days."""

    def __init__(self, plan: ReportPlan, document: Document) -> None:
        person = document.people.get(plan.leader or "")
        name = plan.timezone or (person.timezone if person is not None else "UTC")
        self.zone = ZoneInfo(name)
        self.wall = Hours(self.zone, (ALL_DAY,) * 7)
        self._days = plan.days
        self._clock_s = plan.clock.hour * 3600 + plan.clock.minute * 60
        self.late_us = seconds(plan.late_by) * SECOND_US
        self._open = None
        if plan.calendar is not None:
            self._open = Calendar.from_mapping(plan.calendar, document.calendars[plan.calendar]).hours

    def last(self, at_us: int) -> Due | None:
        """The latest that was due by the instant; ``None`` where none was for two months."""
        found = self._back(self._date(at_us), at_us)
        due_us = next(found, None)
        if due_us is None:
            return None
        before_us = next(found, None)
        until_us = due_us // HOUR_US * HOUR_US
        longest_us = 2 * WEEK_S * SECOND_US
        since_us = before_us // HOUR_US * HOUR_US if before_us is not None else until_us - DAY_S * SECOND_US
        return Due(due_us, max(since_us, until_us - longest_us), until_us)

    def next_us(self, at_us: int) -> int | None:
        """The first instant after this one at which it is due."""
        day = self._date(at_us)
        for ahead in range(_FURTHEST_DAYS):
            due_us = self._due_us(day + timedelta(days=ahead))
            if due_us is not None and due_us > at_us:
                return due_us
        return None

    def _back(self, day: date, at_us: int) -> Iterator[int]:
        for ago in range(_FURTHEST_DAYS):
            due_us = self._due_us(day - timedelta(days=ago))
            if due_us is not None and due_us <= at_us:
                yield due_us

    def _due_us(self, day: date) -> int | None:
        if day.weekday() not in self._days or (self._open is not None and not self._open.on(day)):
            return None
        return self.wall.instant(day, self._clock_s)

    def _date(self, at_us: int) -> date:
        return to_datetime(at_us).astimezone(self.zone).date()
