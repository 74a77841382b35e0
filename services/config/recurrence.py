"""When the events of an iCalendar file (RFC 5545) take place: rules, extra dates, exceptions, moved and cancelled ones.

Where the standard and what calendars show disagree, what they show counts, since that is what people agreed to:

- A recurring event ends at the wall clock time that it shows, also in the night in which clocks change.
- One that begins at a time that the change to summer time leaves out begins as much later; it is not left out.
- Its first occurrence is its own begin, whether the rule names that or not.

Times without a zone, and days, are those of the zone that is asked for. The zone that a calendar calls its own
(``X-WR-TIMEZONE``) is for showing it, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import islice
from typing import Any, Final, NamedTuple

from dateutil.rrule import rrule, rrulestr
from icalendar import Calendar
from icalendar.prop import vRecur

from schemas.instant import from_datetime, to_datetime

_DAYS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_DAY: Final = timedelta(days=1)
_SLACK: Final = timedelta(days=2)
"""More than any zone is away from another, and clocks are put."""
_TOO_OFTEN: Final = frozenset({"SECONDLY", "MINUTELY"})


_ANY: Final = datetime.combine(date(2000, 1, 1), time())
"""A begin without a zone: rules are worked out by the wall clock."""


class Occurrence(NamedTuple):
    """``begin_us`` to before ``end_us``, of the event ``component``."""

    begin_us: int
    end_us: int
    component: Any


@dataclass(frozen=True, slots=True)
class Instance:
    """A component that stands in for an occurrence of its series, or with ``following`` for all from it on."""

    component: Any
    replaces: date | datetime
    following: bool


class Series:
    """The components of one UID: at most one with a rule, and its exceptions. Raises ``ValueError`` for a rule that is
    none, or that repeats more often than a shift can."""

    def __init__(self, components: list[Any]) -> None:
        masters = [one for one in components if "RECURRENCE-ID" not in one]
        self._instances = _newest(components)
        self._master = max(masters, key=_age) if masters else None
        recurs = [] if self._master is None else _many(self._master, "RRULE")
        self._rules = [_rule(recur) for recur in recurs if not _never(recur)]

    def occurrences(self, since_us: int, until_us: int, zone: tzinfo) -> Iterator[Occurrence]:
        """Those that touch the span. What is cancelled takes no place."""
        taken = set()
        for instance in self._instances:
            if not instance.following:
                taken.add(_key(instance.replaces, zone))
                yield from _within(_own(instance.component, zone), since_us, until_us)
        if self._master is None:
            for instance in self._instances:
                if instance.following:
                    yield from _within(_own(instance.component, zone), since_us, until_us)
            return
        for wall, component, shift in self._begins(self._master, since_us, until_us, zone):
            if _key(wall, zone) not in taken and not _replaced_by_day(wall, taken):
                yield from _within(_placed(component, wall, shift, zone), since_us, until_us)

    def _begins(
        self, master: Any, since_us: int, until_us: int, zone: tzinfo
    ) -> Iterator[tuple[date | datetime, Any, timedelta]]:
        """Where the occurrences of the rule begin, each with the component that says the rest, and how far that moved
        it."""
        start = master["DTSTART"].dt
        later = sorted((one for one in self._instances if one.following), key=lambda one: _us(one.replaces, zone))
        moved = [abs(_us(one.component["DTSTART"].dt, zone) - _us(one.replaces, zone)) for one in later]
        reach = timedelta(microseconds=max(moved, default=0)) + _SLACK
        longest = max([_length(master), *(_length(one.component) for one in later)])
        first = _wall(to_datetime(since_us), start, zone) - longest - reach
        last = _wall(to_datetime(until_us), start, zone) + reach
        out = {_key(one, zone) for one in _dates(master, "EXDATE")}
        days_out = {one for one in _dates(master, "EXDATE") if not isinstance(one, datetime)}
        for begin in self._all(master, start, first, last, zone):
            timed = isinstance(begin, datetime)
            if _key(begin, zone) in out or (timed and begin.date() in days_out):  # type: ignore[union-attr]
                continue
            by = next((one for one in reversed(later) if _us(one.replaces, zone) <= _us(begin, zone)), None)
            if by is None:
                yield begin, master, timedelta()
            else:
                yield begin, by.component, _apart(by.component["DTSTART"].dt, by.replaces, zone)

    def _all(
        self, master: Any, start: date | datetime, first: datetime, last: datetime, zone: tzinfo
    ) -> Iterator[date | datetime]:
        """Every begin in the span, each once, by the wall clock of ``start``."""
        wall = _naive(start)
        seen = set()
        found: list[datetime] = [wall] if wall <= last else []
        for rule, count, until in self._rules:
            end = last if until is None else min(last, _until(until, start, zone))
            every: Iterator[datetime] = iter(rule.replace(dtstart=wall, until=end))
            if count is not None:
                own = 0 if any(one == wall for one in islice(iter(rule.replace(dtstart=wall, until=end)), 1)) else 1
                every = islice(every, max(count - own, 0))
            found += [one for one in every if one >= first]
        for one in found:
            if one not in seen:
                seen.add(one)
                yield one.date() if not isinstance(start, datetime) else one.replace(tzinfo=start.tzinfo)
        for extra in _dates(master, "RDATE"):
            if extra not in seen:
                yield extra


def series(calendar: Calendar) -> list[Series]:
    """Every series of the calendar. An event without a UID is one of its own."""
    found: dict[str, list[Any]] = {}
    for number, event in enumerate(calendar.walk("VEVENT")):
        if "DTSTART" in event:
            found.setdefault(str(event.get("UID") or f"\0{number}"), []).append(event)
    return [Series(components) for components in found.values()]


def cancelled(component: Any) -> bool:
    """Whether it takes no place, or takes nobody's time."""
    return (
        str(component.get("STATUS", "")).upper() == "CANCELLED"
        or str(component.get("TRANSP", "")).upper() == "TRANSPARENT"
    )


def _newest(components: list[Any]) -> list[Instance]:
    found: dict[str, Any] = {}
    for one in components:
        if "RECURRENCE-ID" in one:
            name = one["RECURRENCE-ID"].to_ical().decode()
            if name not in found or _age(one) >= _age(found[name]):
                found[name] = one
    return [
        Instance(one, one["RECURRENCE-ID"].dt, _parameter(one["RECURRENCE-ID"], "RANGE") == "THISANDFUTURE")
        for one in found.values()
    ]


def _age(component: Any) -> int:
    return int(component.get("SEQUENCE", 0))


def _parameter(value: Any, name: str) -> str:
    return str(getattr(value, "params", {}).get(name, "")).upper()


def _many(component: Any, name: str) -> list[Any]:
    found = component.get(name)
    return [] if found is None else list(found) if isinstance(found, list) else [found]


def _dates(component: Any, name: str) -> list[Any]:
    """Dates and times of a list; of a period its begin."""
    found = [one.dt for each in _many(component, name) for one in each.dts]
    return [one[0] if isinstance(one, tuple) else one for one in found]


def _rule(recur: Any) -> tuple[rrule, int | None, date | datetime | None]:
    """The rule without its end, and its end. What it leaves to its beginning, ``replace`` takes from the real one."""
    parts: Mapping[str, Any] = {str(name).upper(): value for name, value in recur.items()}
    if str(parts.get("FREQ", [""])[0]).upper() in _TOO_OFTEN:
        raise ValueError("an event repeats every minute, or every second")
    kept: Any = vRecur({name: value for name, value in parts.items() if name not in ("COUNT", "UNTIL")})
    made: rrule = rrulestr(kept.to_ical().decode(), dtstart=_ANY)
    count, until = (parts[name][0] if name in parts else None for name in ("COUNT", "UNTIL"))
    return made, int(count) if count is not None else None, until


def _never(recur: Any) -> bool:
    """Whether the rule names days that no month has, such as 30 February: dateutil would look for them, for seconds,
    up to the year 9999."""
    parts: Mapping[str, Any] = {str(name).upper(): value for name, value in recur.items()}
    months, days = ([int(one) for one in parts.get(name, ())] for name in ("BYMONTH", "BYMONTHDAY"))
    return bool(months and days) and all(
        month not in range(1, 13) or abs(day) > _DAYS[month - 1] for month in months for day in days
    )


def _until(until: date | datetime, start: date | datetime, zone: tzinfo) -> datetime:
    """The last wall clock time, in the zone of ``start``."""
    if not isinstance(until, datetime):
        return datetime.combine(until, time.max)
    if until.tzinfo is None or not isinstance(start, datetime):
        return until.replace(tzinfo=None)
    return until.astimezone(start.tzinfo or zone).replace(tzinfo=None)


def _length(component: Any) -> timedelta:
    """By the wall clock. Without an end a date lasts a day, and a time no time."""
    start = component["DTSTART"].dt
    if "DTEND" in component:
        end = component["DTEND"].dt
        if isinstance(start, datetime) and isinstance(end, datetime) and start.tzinfo and end.tzinfo:
            end = end.astimezone(start.tzinfo)
        return max(_naive(end) - _naive(start), timedelta())
    if "DURATION" in component:
        length: timedelta = component["DURATION"].dt
        return max(length, timedelta())
    return timedelta() if isinstance(start, datetime) else _DAY


def _own(component: Any, zone: tzinfo) -> Occurrence | None:
    return _placed(component, component["DTSTART"].dt, timedelta(), zone)


def _placed(component: Any, begin: date | datetime, shift: timedelta, zone: tzinfo) -> Occurrence | None:
    if cancelled(component):
        return None
    wall, length = _naive(begin) + shift, _length(component)
    begin_us, end_us = (_instant(_zoned(at, begin, zone)) for at in (wall, wall + length))
    if end_us <= begin_us:  # it begins in the hour that summer time leaves out, and would end in the one after
        end_us = begin_us + length // timedelta(microseconds=1)
    return Occurrence(begin_us, end_us, component)


def _within(found: Occurrence | None, since_us: int, until_us: int) -> Iterator[Occurrence]:
    if found is not None and found.begin_us < until_us and found.end_us > since_us and found.begin_us < found.end_us:
        yield found


def _replaced_by_day(begin: date | datetime, taken: Collection[int | date]) -> bool:
    """Some calendars name a moved occurrence by its day alone."""
    return isinstance(begin, datetime) and begin.date() in taken


def _key(at: date | datetime, zone: tzinfo) -> int | date:
    return _us(at, zone) if isinstance(at, datetime) else at


def _apart(begin: date | datetime, before: date | datetime, zone: tzinfo) -> timedelta:
    if isinstance(begin, datetime) and isinstance(before, datetime) and begin.tzinfo and before.tzinfo:
        before = before.astimezone(begin.tzinfo)
    return _naive(begin) - _naive(before)


def _wall(at: datetime, start: date | datetime, zone: tzinfo) -> datetime:
    found = start.tzinfo if isinstance(start, datetime) else None
    return at.astimezone(found or zone).replace(tzinfo=None)


def _naive(at: date | datetime) -> datetime:
    return at.replace(tzinfo=None) if isinstance(at, datetime) else datetime.combine(at, time())


def _zoned(wall: datetime, like: date | datetime, zone: tzinfo) -> datetime:
    found = like.tzinfo if isinstance(like, datetime) else None
    return wall.replace(tzinfo=found or zone)


def _us(at: date | datetime, zone: tzinfo) -> int:
    return _instant(_zoned(_naive(at), at, zone))


def _instant(at: datetime) -> int:
    return from_datetime(at.astimezone(UTC))
