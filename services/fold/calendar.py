"""Business time: how much of it passed, and when an amount of it will have passed.

Instants are integers, microseconds since the epoch in UTC; amounts are microseconds of open time. What "open"
means is `services.fold.hours`. Open time is half-open, [opening, closing), and spans that touch are one.

A promise of four business hours that runs out exactly at closing time has two ends: the clock shows four hours
from then until the next opening. `due_at` is the first of these instants, `breach_after` the last. A promise is
broken only when more than its amount has passed, so a reply after closing costs nothing.

How it works: time is cut into pages of 2**45 µs (407 days), built when first asked for. A page holds its open
spans and the open time before each. A question within a page is a bisection; one across pages adds their totals,
so ten years cost about as much as ten minutes.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Self

from schemas.instant import to_datetime
from services.fold.hours import DAY_US, Hours
from services.fold.hours_form import read_clock, read_hours

REACH_YEARS = 200
"""How far one question may reach; beyond it stands a wrong date, not a promise to a customer."""

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_PAGE_BITS = 45
_PAGES_KEPT = 1024  # wrong dates all over history must not fill the memory
_FIRST_PAGE = (date.min.toordinal() - _EPOCH_ORDINAL) * DAY_US >> _PAGE_BITS
_LAST_PAGE = (date.max.toordinal() - _EPOCH_ORDINAL) * DAY_US >> _PAGE_BITS
_REACH_DAYS = REACH_YEARS * 36_525 // 100
_REACH_PAGES = _REACH_DAYS * DAY_US >> _PAGE_BITS


@dataclass(frozen=True, slots=True)
class Calendar:
    """The business hours of a team. Calendars of the same hours are equal, whatever their names.

    Every method raises ``OverflowError`` when its answer lies more than `REACH_YEARS` away, or outside the years
    1 to 9999.
    """

    name: str = field(compare=False)
    hours: Hours
    _never_closes: bool = field(init=False, compare=False, repr=False)
    _pages: _Pages = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_never_closes", self.hours.never_closes)
        object.__setattr__(self, "_pages", _Pages(self.hours))

    @classmethod
    def from_mapping(cls, name: str, definition: Mapping[str, object]) -> Self:
        """The calendar of a written definition (its form: `services.fold.hours_form`).

        Raises ``ValueError`` with one line per problem: the field, what is wrong, what to write. A week without
        any open time is refused, because no deadline would ever come.
        """
        return cls(name, read_hours(definition))

    @classmethod
    def always(cls) -> Self:
        """Calendar time: every instant is open."""
        return cls("always", Hours.always())

    def elapsed(self, start_us: int, end_us: int) -> int:
        """Open time in [start, end); 0 when the end is not after the start."""
        if end_us <= start_us:
            return 0
        if self._never_closes:
            return end_us - start_us
        pages = self._pages
        first, last = start_us >> _PAGE_BITS, end_us >> _PAGE_BITS
        if last - first > _REACH_PAGES:
            raise _too_far(start_us)
        worked_us = pages[last].worked(end_us) - pages[first].worked(start_us)
        for number in range(first, last):
            worked_us += pages[number].total
        return worked_us

    def due_at(self, start_us: int, worked_us: int) -> int:
        """The earliest instant at which `worked_us` have passed since the start; ``ValueError`` if negative.

        An amount of 0 is due at the start if that is open, else at the next opening.
        """
        if worked_us <= 0:
            _refuse_negative(worked_us)
            return self.next_open(start_us)
        if self._never_closes:
            return start_us + worked_us
        page = self._page(start_us)
        goal_us = page.worked(start_us) + worked_us
        while goal_us > page.total:
            goal_us -= page.total
            page = self._turn(page, 1, start_us)
        place = bisect_left(page.before, goal_us) - 1
        return page.opens[place] + goal_us - page.before[place]

    def breach_after(self, start_us: int, worked_us: int) -> int:
        """The latest instant at which no more than `worked_us` have passed since the start.

        Differs from `due_at` only where that is a closing time: it is the opening that follows.
        """
        return self.next_open(self.due_at(start_us, worked_us))

    def subtract(self, end_us: int, worked_us: int) -> int:
        """The latest instant from which `worked_us` pass until the end: `due_at` in a mirror.

        With an amount of 0 it is the end if that is open or a closing time, else the closing before.
        """
        if worked_us <= 0:
            _refuse_negative(worked_us)
            return self.prev_open(end_us)
        if self._never_closes:
            return end_us - worked_us
        page = self._page(end_us)
        goal_us = page.worked(end_us) - worked_us
        while goal_us < 0:
            page = self._turn(page, -1, end_us)
            goal_us += page.total
        place = bisect_right(page.before, goal_us) - 1
        return page.opens[place] + goal_us - page.before[place]

    def subtract_earliest(self, end_us: int, worked_us: int) -> int:
        """The earliest instant from which no more than `worked_us` pass until the end: `breach_after` mirrored."""
        return self.prev_open(self.subtract(end_us, worked_us))

    def is_open(self, at_us: int) -> bool:
        """Whether the instant is open; an opening time is, a closing time is not."""
        if self._never_closes:
            return True
        page = self._page(at_us)
        place = bisect_right(page.closes, at_us)
        return place < len(page.opens) and page.opens[place] <= at_us

    def next_open(self, at_us: int) -> int:
        """The instant itself if it is open, else the next opening."""
        if self._never_closes:
            return at_us
        page = self._page(at_us)
        while (place := bisect_right(page.closes, at_us)) == len(page.closes):
            page = self._turn(page, 1, at_us)
        return max(at_us, page.opens[place])

    def next_close(self, at_us: int) -> int:
        """The end of the open span that the instant is in, else of the next span."""
        if self._never_closes:
            raise OverflowError(f"calendar {self.name} never closes")
        page = self._page(at_us)
        while (place := bisect_right(page.closes, at_us)) == len(page.closes):
            page = self._turn(page, 1, at_us)
        close_us = page.closes[place]
        while close_us == page.end_us:  # a span that ends with its page may go on in the next one
            page = self._turn(page, 1, at_us)
            if not page.opens or page.opens[0] != close_us:
                break
            close_us = page.closes[0]
        return close_us

    def prev_open(self, at_us: int) -> int:
        """The instant itself if it is open (but no opening) or a closing time, else the closing before."""
        if self._never_closes:
            return at_us
        page = self._page(at_us)
        while (place := bisect_left(page.opens, at_us)) == 0:
            page = self._turn(page, -1, at_us)
        return min(at_us, page.closes[place - 1])

    def periods_after(self, at_us: int, take: int) -> Iterator[tuple[int, int]]:
        """The first `take` open spans from the instant on; a span that is open already starts at the instant."""
        for _ in range(take):
            open_us = self.next_open(at_us)
            at_us = self.next_close(open_us)
            yield open_us, at_us

    def add_business_days(self, at_us: int, days: int) -> int:
        """The same local clock time `days` open dates later (earlier, if negative).

        A date is open when some time is left of the hours it owns. The time of day need not be an open one.
        """
        if days == 0:
            return at_us
        local = to_datetime(at_us).astimezone(self.hours.zone)
        start = ordinal = local.toordinal()
        left, step = abs(days), 1 if days > 0 else -1
        while left:
            ordinal += step
            if abs(ordinal - start) > _REACH_DAYS:
                raise _too_far(at_us)
            left -= bool(self.hours.spans(ordinal, ordinal))
        wall_s = local.hour * 3600 + local.minute * 60 + local.second
        return self.hours.instant(date.fromordinal(ordinal), wall_s) + local.microsecond

    def local_to_utc(self, day: date, clock: str) -> int:
        """The instant at which the wall clock shows `clock` ("HH:MM" or "HH:MM:SS", 24:00 and later too).

        A time that the zone skips is moved forward by the gap; of one that comes twice it is the first. Raises
        ``ValueError`` for text that is not a time of day.
        """
        return self.hours.instant(day, read_clock(clock))

    def _page(self, at_us: int) -> _Page:
        return self._pages[at_us >> _PAGE_BITS]

    def _turn(self, page: _Page, by: int, origin_us: int) -> _Page:
        number = (page.end_us >> _PAGE_BITS) - 1 + by
        if abs(number - (origin_us >> _PAGE_BITS)) > _REACH_PAGES:
            raise _too_far(origin_us)
        return self._pages[number]


@dataclass(frozen=True, slots=True)
class _Page:
    """The open spans of one page, clipped to it."""

    end_us: int
    opens: list[int]
    closes: list[int]
    before: list[int]  # open time of the page before each span
    total: int

    def worked(self, at_us: int) -> int:
        """Open time of the page before the instant."""
        place = bisect_right(self.opens, at_us) - 1
        if place < 0:
            return 0
        close_us = self.closes[place]
        return self.before[place] + (at_us if at_us < close_us else close_us) - self.opens[place]


class _Pages(dict[int, _Page]):
    """The pages of a calendar by number, each built when first asked for."""

    def __init__(self, hours: Hours) -> None:
        super().__init__()
        self._hours = hours

    def __missing__(self, number: int) -> _Page:
        if not _FIRST_PAGE <= number <= _LAST_PAGE:
            raise OverflowError("an instant outside the years 1 to 9999")
        start_us, end_us = number << _PAGE_BITS, (number + 1) << _PAGE_BITS
        # Hours end up to 48 h after the midnight they are counted from, and zones are less than a day from UTC.
        dates = start_us // DAY_US + _EPOCH_ORDINAL - 2, end_us // DAY_US + _EPOCH_ORDINAL + 1
        opens, closes, before, total = [], [], [], 0
        for open_us, close_us in self._hours.spans(*dates):
            if open_us < end_us and close_us > start_us:
                opens.append(max(open_us, start_us))
                closes.append(min(close_us, end_us))
                before.append(total)
                total += closes[-1] - opens[-1]
        if len(self) >= _PAGES_KEPT:
            self.clear()
        page = self[number] = _Page(end_us, opens, closes, before, total)
        return page


def _refuse_negative(worked_us: int) -> None:
    if worked_us < 0:
        raise ValueError(f"an amount of time is not negative: {worked_us} µs")


def _too_far(origin_us: int) -> OverflowError:
    return OverflowError(f"more than {REACH_YEARS} years from {to_datetime(origin_us).isoformat()}")
