"""Opening hours: what a calendar's definition means, as open stretches of UTC time.

Every local date owns a list of intervals, taken from the most specific entry that names it: `dated` (holidays
and overrides), `annual_holidays` (a month and day), `public` (a country's holidays), `weekly` (a weekday). An
interval that runs past midnight belongs to the date it starts on, so a holiday on the next date does not cut it
short; a break does.

Wall-clock times become instants by the rules of Zendesk's open calendar engine (biz): a time skipped when the
clocks go forward moves forward by the length of the gap, a time that happens twice is its first occurrence, and
time counts as it really passed, so that a day can have 23 or 25 hours.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from operator import itemgetter
from typing import Self
from zoneinfo import ZoneInfo

from schemas.instant import SECOND_US
from services.fold.public_holidays import PublicHolidays

Interval = tuple[int, int]
"""[start, end) in seconds of the wall clock after local midnight; the end can be up to 48 h."""
Span = tuple[int, int]
"""[start, end) in microseconds since the epoch."""

DAY_S = 86_400
DAY_US = DAY_S * SECOND_US
ALL_DAY: tuple[Interval, ...] = ((0, DAY_S),)

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_LAST_ORDINAL = date.max.toordinal() - 2  # an interval can end two dates later


@dataclass(frozen=True, slots=True)
class Hours:
    """The definition of a calendar, already checked. Those that state the same hours are equal."""

    zone: ZoneInfo
    weekly: tuple[tuple[Interval, ...], ...]  # Monday first
    annual_holidays: frozenset[tuple[int, int]] = frozenset()
    dated: Mapping[date, tuple[Interval, ...]] = field(default_factory=dict, hash=False)
    breaks: Mapping[date, tuple[Interval, ...]] = field(default_factory=dict, hash=False)
    public: PublicHolidays | None = None

    @classmethod
    def always(cls) -> Self:
        """Open at every instant."""
        return cls(ZoneInfo("UTC"), (ALL_DAY,) * 7)

    @property
    def never_closes(self) -> bool:
        """Whether every day is open from midnight to midnight, without exceptions."""
        exceptions = self.annual_holidays or self.dated or self.breaks or self.public
        return not exceptions and all(day == ALL_DAY for day in self.weekly)

    def on(self, day: date) -> tuple[Interval, ...]:
        """The intervals that a local date owns; breaks are not removed yet."""
        dated = self.dated.get(day)
        if dated is not None:
            return dated
        if (day.month, day.day) in self.annual_holidays:
            return ()
        weekly = self.weekly[day.weekday()]
        if weekly and self.public is not None and self.public.closes(day):
            return ()
        return weekly

    def instant(self, day: date, wall_s: int) -> int:
        """The instant (µs) at which the wall clock shows `wall_s` seconds after midnight of `day`."""
        wall = datetime(day.year, day.month, day.day, tzinfo=self.zone) + timedelta(seconds=wall_s)
        offset = wall.utcoffset()  # fold is 0: the offset before a gap, and of the first of two occurrences
        assert offset is not None
        local_s = (day.toordinal() - _EPOCH_ORDINAL) * DAY_S + wall_s
        return (local_s - offset.days * DAY_S - offset.seconds) * SECOND_US

    def spans(self, first: int, last: int) -> list[Span]:
        """Open time owned by the local dates with the ordinals `first` to `last`, in order; what touches is one.

        Dates beyond the years that `datetime` knows own no time.
        """
        owned = _merged(self._instants(_known(first, last), self.on))
        if not self.breaks:
            return owned
        near = _known(first - 1, last + 1)  # hours and breaks can both reach into the date after their own
        cuts = self._instants((n for n in map(date.toordinal, self.breaks) if n in near), self.breaks.__getitem__)
        return list(_without(owned, _merged(cuts)))

    def _instants(self, ordinals: Iterable[int], owned_by: Callable[[date], tuple[Interval, ...]]) -> Iterator[Span]:
        for ordinal in ordinals:
            day = date.fromordinal(ordinal)
            intervals = owned_by(day)
            if not intervals:
                continue
            midnight_us = self.instant(day, 0)
            length_us = self.instant(day, DAY_S) - midnight_us
            if length_us <= 0:
                continue  # the zone skipped this date whole, as Samoa did with 30 December 2011
            for start_s, end_s in intervals:
                if length_us == DAY_US and end_s <= DAY_S:  # no change of clocks: three times as fast
                    yield midnight_us + start_s * SECOND_US, midnight_us + end_s * SECOND_US
                    continue
                start_us, end_us = self.instant(day, start_s), self.instant(day, end_s)
                if start_us < end_us:  # a gap can carry the start to its end or past it: nothing was left
                    yield start_us, end_us


def _known(first: int, last: int) -> range:
    return range(max(first, 1), min(last, _LAST_ORDINAL) + 1)


def _merged(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for start_us, end_us in sorted(spans):
        if merged and start_us <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end_us))
        else:
            merged.append((start_us, end_us))
    return merged


def _without(spans: list[Span], cuts: list[Span]) -> Iterator[Span]:
    for span_start_us, end_us in spans:
        start_us = span_start_us
        for cut_start_us, cut_end_us in cuts[bisect_right(cuts, start_us, key=itemgetter(1)) :]:
            if cut_start_us >= end_us:
                break
            if start_us < cut_start_us:
                yield start_us, cut_start_us
            start_us = cut_end_us
        if start_us < end_us:
            yield start_us, end_us
