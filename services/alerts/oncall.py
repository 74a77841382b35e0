"""Who is on call at an instant, by arithmetic: no loop over turns, days or minutes, and right when clocks change.

Of a schedule counts, in this order: the last override in the document that covers the instant; a shift of its
iCalendar file; the first rotation that is on duty. Whoever is away is replaced by their cover, and theirs; where
nobody of a chain is there, the next of that order counts. A turn begins when the wall clock of the schedule's zone
shows the hand-over: a week with a change of clocks has an hour more or less.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from schemas.instant import SECOND_US, from_datetime, to_datetime
from services.config.document import Document
from services.config.duration import seconds
from services.config.rota import Rota
from services.config.schedule import Away, Override, Rotation, Schedule, Somebody
from services.fold.calendar import Calendar

DAY_US: Final = 86_400 * SECOND_US
_PAGE_US: Final = 7 * DAY_US
_FURTHEST_US: Final = 366 * DAY_US
_MOST_CHANGES: Final = 4000
Span = tuple[int, int]


class Source(StrEnum):
    """What of a schedule names the person."""

    OVERRIDE = "override"
    CALENDAR = "calendar"
    ROTATION = "rotation"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Duty:
    """``person`` is on call, ``None`` for nobody; ``instead_of`` has the turn and is away."""

    person: str | None
    source: Source
    instead_of: str | None = None


@dataclass(frozen=True, slots=True)
class Stretch:
    """From ``since_us`` to ``until_us`` the same duty."""

    since_us: int
    until_us: int
    duty: Duty


NOBODY: Final = Duty(None, Source.NOBODY)


@dataclass(frozen=True, slots=True)
class Turns:
    """A rotation: turn ``n`` is that of person ``n`` modulo their number."""

    people: tuple[str, ...]
    zone: ZoneInfo
    first: datetime
    """The wall clock at the first hand-over; without a zone."""
    length: timedelta
    hours: Calendar | None

    def begins_us(self, turn: int) -> int:
        """When the turn begins. A hand-over that the change to summer time leaves out comes as much later."""
        wall = self.first + turn * self.length
        return from_datetime(wall.replace(tzinfo=self.zone).astimezone(UTC))

    def turn(self, at_us: int) -> int:
        """The number of the turn that the instant is in; negative before the first."""
        wall = to_datetime(at_us).astimezone(self.zone).replace(tzinfo=None)
        number = (wall - self.first) // self.length
        # The wall clock is off by what clocks were put forward or back: by one turn, or by as many as fit into that.
        while self.begins_us(number) > at_us:
            number -= 1
        while self.begins_us(number + 1) <= at_us:
            number += 1
        return number

    def person(self, at_us: int) -> str | None:
        """Whose duty the instant is; ``None`` before the first turn and outside the hours."""
        number = self.turn(at_us)
        if number < 0 or (self.hours is not None and not self.hours.is_open(at_us)):
            return None
        return self.people[number % len(self.people)]

    def changes_us(self, at_us: int) -> Iterator[int]:
        """When it may be somebody else's duty next."""
        yield self.begins_us(max(self.turn(at_us) + 1, 0))
        if self.hours is not None:
            open_us = self.hours.next_open(at_us)
            yield self.hours.next_close(at_us) if open_us == at_us else open_us


@dataclass(frozen=True, slots=True)
class OnCall:
    """One schedule, worked out."""

    name: str
    timezone: str
    turns: tuple[Turns, ...]
    overrides: tuple[tuple[Span, str], ...]
    rota: Rota | None
    otherwise: str | None

    def named(self, at_us: int) -> Iterator[tuple[str, Source]]:
        """Who is named for the instant, the most binding first."""
        for (since_us, until_us), person in reversed(self.overrides):
            if since_us <= at_us < until_us:
                yield person, Source.OVERRIDE
        if self.rota is not None:
            for since_us, until_us, person in self._shifts(at_us):
                if since_us <= at_us < until_us:
                    yield person, Source.CALENDAR
        for turns in self.turns:
            if (person_on := turns.person(at_us)) is not None:
                yield person_on, Source.ROTATION

    def changes_us(self, at_us: int) -> Iterator[int]:
        """Instants after ``at_us``, among them the next at which somebody else may be named."""
        for span, _ in self.overrides:
            yield from span
        if self.rota is not None:
            for since_us, until_us, _ in self._shifts(at_us):
                yield from (since_us, until_us)
            yield (at_us // _PAGE_US + 1) * _PAGE_US
        for turns in self.turns:
            yield from turns.changes_us(at_us)

    def _shifts(self, at_us: int) -> tuple[tuple[int, int, str], ...]:
        assert self.rota is not None
        return _page(self.rota, self.timezone, at_us // _PAGE_US)


class Roster:
    """Everybody and every schedule of a document. Pure: the same instant has the same answer."""

    def __init__(self, document: Document, rotas: Mapping[str, Rota] | None = None) -> None:
        """``rotas`` are the calendars of schedules that name an address, by schedule, as far as they were read."""
        read = rotas or {}
        self.schedules: Mapping[str, OnCall] = {
            name: _compiled(name, schedule, read.get(name)) for name, schedule in document.schedules.items()
        }
        self._people: Mapping[str, Somebody] = document.people
        self._away = {
            name: tuple(_span(away, ZoneInfo(person.timezone)) for away in person.away)
            for name, person in document.people.items()
        }
        self._receivers = frozenset(document.receivers)

    def duty(self, schedule: str, at_us: int) -> Duty:
        """Who is on call. Raises ``KeyError`` for a schedule that does not exist."""
        for named, source in self.schedules[schedule].named(at_us):
            present = self.stands_in(named, at_us)
            if present is not None:
                return Duty(present, source, named if present != named else None)
        return NOBODY

    def stands_in(self, person: str, at_us: int) -> str | None:
        """The person, or the first of their covers who is there; ``None`` when nobody is."""
        seen: set[str] = set()
        found: str | None = person
        while found is not None and found not in seen and found in self._people:
            if not any(since_us <= at_us < until_us for since_us, until_us in self._away[found]):
                return found
            seen.add(found)
            found = self._people[found].cover
        return None

    def changes_us(self, schedule: str, at_us: int) -> int | None:
        """When the duty is another than at the instant for the first time; ``None`` when it stays so for a year."""
        duty, end_us = self.duty(schedule, at_us), at_us
        for _ in range(_MOST_CHANGES):
            end_us = self._next_us(schedule, end_us)
            if end_us - at_us >= _FURTHEST_US:
                return None
            if self.duty(schedule, end_us) != duty:
                return end_us
        return None

    def stretches(self, schedule: str, since_us: int, until_us: int) -> list[Stretch]:
        """The whole span, in order and without holes between them."""
        found: list[Stretch] = []
        at_us = since_us
        while at_us < until_us and len(found) < _MOST_CHANGES:
            end_us, duty = min(self._next_us(schedule, at_us), until_us), self.duty(schedule, at_us)
            if found and found[-1].duty == duty:
                found[-1] = Stretch(found[-1].since_us, end_us, duty)
            else:
                found.append(Stretch(at_us, end_us, duty))
            at_us = end_us
        return found

    def gaps(self, schedule: str, since_us: int, until_us: int) -> list[Span]:
        """When nobody is on call."""
        return [
            (stretch.since_us, stretch.until_us)
            for stretch in self.stretches(schedule, since_us, until_us)
            if stretch.duty.person is None
        ]

    def reached_by(self, name: str, at_us: int) -> tuple[str, ...]:
        """The receivers that ``name`` stands for at the instant: itself, a person's, or those of who is on call.

        Rather everybody than nobody: where nobody is on call and the schedule says no ``otherwise``, all of its people
        are told; a person who is away without a cover is told all the same.
        """
        if name in self.schedules:
            duty = self.duty(name, at_us)
            if duty.person is not None:
                return self._people[duty.person].receivers
            otherwise = self.schedules[name].otherwise
            return (otherwise,) if otherwise is not None else self._everybody(name)
        if name in self._people:
            return self._people[self.stands_in(name, at_us) or name].receivers
        return (name,) if name in self._receivers else ()

    def people(self, schedule: str) -> tuple[str, ...]:
        """Everybody whom the schedule may name."""
        found = self.schedules[schedule]
        names = [person for turns in found.turns for person in turns.people]
        names += [person for _, person in found.overrides]
        names += sorted(found.rota.names()) if found.rota is not None else []
        return tuple(dict.fromkeys(name for name in names if name in self._people))

    def _everybody(self, schedule: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(to for person in self.people(schedule) for to in self._people[person].receivers))

    def _next_us(self, schedule: str, at_us: int) -> int:
        spans = [*self.schedules[schedule].changes_us(at_us)]
        spans += [edge for person in self._away.values() for span in person for edge in span]
        return min((edge for edge in spans if edge > at_us), default=at_us + _FURTHEST_US)


def gap_problems(roster: Roster, since_us: int, until_us: int) -> list[str]:
    """A line for each schedule that leaves somebody waiting, with the first of its gaps."""
    found = []
    for name, schedule in roster.schedules.items():
        gaps = roster.gaps(name, since_us, until_us) if schedule.otherwise is None else []
        if gaps:
            zone = ZoneInfo(schedule.timezone)
            first, last = (to_datetime(at_us).astimezone(zone).strftime("%a %Y-%m-%d %H:%M") for at_us in gaps[0])
            more = f" and {len(gaps) - 1} more times" if len(gaps) > 1 else ""
            found.append(
                f"schedules.{name}: nobody is on call from {first} to {last} ({schedule.timezone}){more} in the next "
                "weeks; fill it, or say with `otherwise` which receiver takes alerts then"
            )
    return found


@lru_cache(maxsize=256)
def _page(rota: Rota, timezone: str, number: int) -> tuple[tuple[int, int, str], ...]:
    return tuple(rota.shifts(number * _PAGE_US, (number + 1) * _PAGE_US, timezone))


def _compiled(name: str, schedule: Schedule, remote: Rota | None) -> OnCall:
    zone = ZoneInfo(schedule.timezone)
    return OnCall(
        name=name,
        timezone=schedule.timezone,
        turns=tuple(_turns(name, rotation, schedule.timezone) for rotation in schedule.rotations),
        overrides=tuple((_span(override, zone), override.person) for override in schedule.overrides),
        rota=Rota.read(schedule.calendar) if isinstance(schedule.calendar, str) else remote,
        otherwise=schedule.otherwise,
    )


def _turns(name: str, rotation: Rotation, timezone: str) -> Turns:
    always = len(rotation.days) == 7 and rotation.hours is None
    hours = None if always else Calendar.from_mapping(name, {"timezone": timezone, "weekly": rotation.weekly})
    first = datetime.combine(rotation.start, time.fromisoformat(rotation.hand_over))
    return Turns(rotation.people, ZoneInfo(timezone), first, timedelta(seconds=seconds(rotation.length)), hours)


def _span(given: Away | Override, zone: ZoneInfo) -> Span:
    until = given.until
    if not isinstance(until, datetime):
        until = until + timedelta(days=1)
    return _us(given.since, zone), _us(until, zone)


def _us(at: date | datetime, zone: ZoneInfo) -> int:
    wall = at if isinstance(at, datetime) else datetime.combine(at, time())
    return from_datetime((wall if wall.tzinfo is not None else wall.replace(tzinfo=zone)).astimezone(UTC))
