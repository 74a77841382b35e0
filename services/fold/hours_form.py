"""The written form of a calendar's hours, as it stands in the configuration, and everything wrong with it.

    timezone: Europe/Paris                                          # IANA name
    weekly: {mon: [["09:00", "12:30"], ["13:30", "18:00"]], fri: [["22:00", "30:00"]]}
    country: FR                                                     # closed on its public holidays
    subdivision: "57"                                               # and on those of this part of it
    holidays: ["2026-12-25"]                                        # closed on these dates
    annual_holidays: ["01-01"]                                      # closed every year, month-day
    overrides: {"2026-12-24": [["09:00", "12:00"]]}                 # hours of one date, before all of the above
    breaks: [{date: "2026-06-01", start: "10:00", end: "11:30"}]    # closed for a while

An end of 24:00 is midnight; a later one, up to 48:00, runs into the next day.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from difflib import get_close_matches
from zoneinfo import ZoneInfo, available_timezones

from services.fold import public_holidays
from services.fold.hours import DAY_S, Hours, Interval
from services.fold.public_holidays import PublicHolidays

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
KEYS = ("timezone", "weekly", "country", "subdivision", "holidays", "annual_holidays", "overrides", "breaks")

_BREAK_KEYS = ("date", "start", "end")
_CLOCK = re.compile(r"([0-9]{1,2}):([0-5][0-9])(?::([0-5][0-9]))?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MONTH_DAY = re.compile(r"[0-9]{2}-[0-9]{2}")
_DAYS_OF_A_LEAP_YEAR = 366


def read_hours(definition: object) -> Hours:
    """The hours that a definition states.

    Raises ``ValueError`` with one line per problem: the field, what is wrong, what to write instead.
    """
    reader = _Reader()
    hours = reader.hours(definition)
    if reader.problems:
        raise ValueError("\n".join(reader.problems))
    return hours


def read_clock(value: object) -> int:
    """Seconds after midnight of "HH:MM" or "HH:MM:SS", from 00:00 to 48:00; ``ValueError`` for anything else."""
    found = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if found is not None:
        seconds = int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3] or 0)
        if seconds <= 2 * DAY_S:
            return seconds
    # The quotes matter: YAML 1.1 reads an unquoted 17:00 as the base-60 number 1020.
    raise ValueError(f'{_shown(value)} is not a time of day; write 00:00 to 48:00 in quotes, as in "17:00"')


def read_date(value: object) -> date:
    """A date, or text of the form 2026-12-25; ``ValueError`` for anything else."""
    if isinstance(value, date) and not isinstance(value, datetime):  # an unquoted date in YAML
        return value
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{value} is not a day of that month; correct the date") from None
    raise ValueError(f"{_shown(value)} is not a date; write year-month-day, as in 2026-12-25")


class _Reader:
    """Reads on after a problem, so that a person sees all of them at once."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def hours(self, definition: object) -> Hours:
        given = self._mapping("", definition, KEYS)
        return Hours(
            zone=self._zone(given.get("timezone")),
            weekly=self._weekly(given.get("weekly")),
            public=self._public(given.get("country"), given.get("subdivision")),
            annual_holidays=self._annual(given.get("annual_holidays")),
            dated=self._dated(given.get("holidays"), given.get("overrides")),
            breaks=self._breaks(given.get("breaks")),
        )

    def _zone(self, name: object) -> ZoneInfo:
        if isinstance(name, str):
            try:
                return ZoneInfo(name)
            except (KeyError, ValueError, OSError):  # unknown; malformed; a folder of zones, such as "Europe"
                near = get_close_matches(name, available_timezones(), n=1)
                fix = f"did you mean {near[0]}?" if near else "write an IANA name, such as Europe/Paris"
                self._problem("timezone", f"{_shown(name)} is not a time zone; {fix}")
        elif name is None:
            self._problem("timezone", "missing; write an IANA name, such as Europe/Paris")
        else:
            self._problem("timezone", f"{_shown(name)} is not a name; write an IANA name, such as Europe/Paris")
        return ZoneInfo("UTC")

    def _weekly(self, value: object) -> tuple[tuple[Interval, ...], ...]:
        problems_before = len(self.problems)
        given = self._mapping("weekly", value, DAYS)
        weekly = tuple(self._intervals(f"weekly.{day}", given.get(day)) for day in DAYS)
        if not any(weekly) and len(self.problems) == problems_before:
            self._problem("weekly", 'no open time on any day; add hours, as in mon: [["09:00", "17:00"]]')
        return weekly

    def _public(self, country: object, subdivision: object) -> PublicHolidays | None:
        if country is None:
            if subdivision is not None:
                self._problem("subdivision", "stands without a country; write that too, as in country: FR")
            return None
        if not isinstance(country, str):
            # YAML 1.1 reads an unquoted NO as false.
            fix = 'write "NO" in quotes for Norway' if country is False else "write its ISO 3166 code, as in FR"
            self._problem("country", f"{_shown(country)} is not a country; {fix}")
            return None
        known = public_holidays.countries()
        if country not in known:
            near = public_holidays.near(country, known)
            fix = f"did you mean {near}?" if near else "write its ISO 3166 code, as in FR"
            self._problem("country", f"{_shown(country)} is not a country whose holidays are known; {fix}")
            return None
        return PublicHolidays(country, self._subdivision(country, subdivision))

    def _subdivision(self, country: str, value: object) -> str | None:
        if value is None:
            return None
        name = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        known = public_holidays.subdivisions(country)
        if isinstance(name, str) and name in known:
            return name
        near = public_holidays.near(name, known) if isinstance(name, str) else None
        there = f"did you mean {near}?" if near else f"known are {', '.join(known) or 'none'}"
        self._problem("subdivision", f"{_shown(value)} is no part of {country} with holidays of its own; {there}")
        return None

    def _annual(self, value: object) -> frozenset[tuple[int, int]]:
        closed: set[tuple[int, int]] = set()
        for field, text in self._list("annual_holidays", value):
            try:
                if not isinstance(text, str) or not _MONTH_DAY.fullmatch(text):
                    raise ValueError  # noqa: TRY301 - one message for both kinds of mistake
                day = date.fromisoformat(f"2000-{text}")  # a leap year, so that 02-29 is a day
            except ValueError:
                self._problem(field, f"{_shown(text)} is not a day of the year; write month-day, as in 12-25")
            else:
                closed.add((day.month, day.day))
        if len(closed) == _DAYS_OF_A_LEAP_YEAR:
            self._problem("annual_holidays", "no open time on any day of the year; leave some days out")
        return frozenset(closed)

    def _dated(self, holidays: object, overrides: object) -> dict[date, tuple[Interval, ...]]:
        dated: dict[date, tuple[Interval, ...]] = {}
        for field, value in self._list("holidays", holidays):
            holiday = self._date(field, value)
            if holiday is not None:
                dated[holiday] = ()
        closed = set(dated)
        for key, intervals in self._mapping("overrides", overrides).items():
            field = f"overrides.{key}"
            day = self._date(field, key)
            opened = self._intervals(field, intervals)
            if intervals is None:
                self._problem(field, "no hours; write [] to close the date")
            if opened and day in closed:
                self._problem(field, "holidays closes the same date; take it out of one of the two")
            if day is not None:
                dated[day] = opened
        return dated

    def _breaks(self, value: object) -> dict[date, tuple[Interval, ...]]:
        breaks: dict[date, tuple[Interval, ...]] = {}
        for field, entry in self._list("breaks", value):
            given = self._mapping(field, entry, _BREAK_KEYS)
            missing = [key for key in _BREAK_KEYS if key not in given]
            if missing:
                if entry is None or isinstance(entry, Mapping):  # what else it is has been told
                    self._problem(field, f"{' and '.join(missing)} missing; write {{date, start, end}}")
                continue
            day = self._date(f"{field}.date", given["date"])
            interval = self._interval(field, given["start"], given["end"])
            if day is not None and interval is not None:
                breaks[day] = (*breaks.get(day, ()), interval)
        return breaks

    def _intervals(self, field: str, value: object) -> tuple[Interval, ...]:
        """The intervals of one day; those that touch become one."""
        intervals: list[Interval] = []
        for at, pair in self._list(field, value):
            if not isinstance(pair, list | tuple) or len(pair) != 2:
                self._problem(at, f'{_shown(pair)} is not a start and an end; write ["09:00", "17:00"]')
                continue
            interval = self._interval(at, pair[0], pair[1])
            if interval is None:
                continue
            start_s, end_s = interval
            last_end_s = intervals[-1][1] if intervals else -1
            if start_s < last_end_s:
                times = f"starts at {_clock(start_s)} before the previous interval ends at {_clock(last_end_s)}"
                self._problem(at, f"{times}; put the intervals in order and apart")
            elif start_s == last_end_s:
                intervals[-1] = (intervals[-1][0], end_s)
            else:
                intervals.append(interval)
        return tuple(intervals)

    def _interval(self, field: str, start: object, end: object) -> Interval | None:
        try:
            start_s, end_s = read_clock(start), read_clock(end)
        except ValueError as error:
            self._problem(field, str(error))
            return None
        if start_s >= DAY_S:
            self._problem(field, f"starts at {_clock(start_s)}; write it on its own day, before 24:00")
        elif end_s <= start_s:
            fix = f"hours past midnight end at {_clock(end_s + DAY_S)}" if end_s < start_s else "write a later end"
            self._problem(field, f"ends at {_clock(end_s)}, not after its start at {_clock(start_s)}; {fix}")
        else:
            return start_s, end_s
        return None

    def _date(self, field: str, value: object) -> date | None:
        try:
            return read_date(value)
        except ValueError as error:
            self._problem(field, str(error))
            return None

    def _mapping(self, field: str, value: object, keys: tuple[str, ...] = ()) -> dict[object, object]:
        """The entries of a mapping that may be absent; with `keys`, no others are allowed."""
        if value is None and field:
            return {}
        if not isinstance(value, Mapping):
            self._problem(field, f"{_shown(value)} is not a mapping; write {{name: value}}")
            return {}
        given = dict(value)
        for key in [key for key in given if keys and key not in keys]:
            near = get_close_matches(str(key), keys, n=1)
            fix = f"did you mean {near[0]}?" if near else f"known are {', '.join(keys)}"
            self._problem(f"{field}.{key}" if field else str(key), f"unknown; {fix}")
            del given[key]
        return given

    def _list(self, field: str, value: object) -> Iterator[tuple[str, object]]:
        """Each item of a list that may be absent, with the name of its place."""
        if isinstance(value, list | tuple):
            yield from ((f"{field}[{place}]", item) for place, item in enumerate(value))
        elif value is not None:
            self._problem(field, f"{_shown(value)} is not a list; put it in square brackets")

    def _problem(self, field: str, text: str) -> None:
        self.problems.append(f"{field}: {text}" if field else text)


def _clock(seconds: int) -> str:
    minutes, second = divmod(seconds, 60)
    text = f"{minutes // 60:02d}:{minutes % 60:02d}"
    return f"{text}:{second:02d}" if second else text


def _shown(value: object) -> str:
    """A value in an error text: quoted, and never long."""
    text = repr(value) if not isinstance(value, str) else f'"{value}"'
    return text if len(text) <= 60 else f"{text[:57]}..."
