"""Business time against a reference that looks at every minute, and the laws that its operations obey."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from schemas.instant import EPOCH
from services.fold.calendar import Calendar

MINUTE_US = 60_000_000
DAY_MIN = 24 * 60
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
NAIVE_EPOCH = EPOCH.replace(tzinfo=None)

# A zone and a date near which its clocks change; among them gaps and overlaps at midnight, of 30 minutes, of a
# whole day, and zones that never change.
TURNS = (
    ("Europe/Paris", date(2026, 3, 29)),
    ("Europe/Paris", date(2026, 10, 25)),
    ("America/New_York", date(2026, 3, 8)),
    ("America/New_York", date(2026, 11, 1)),
    ("America/Sao_Paulo", date(2015, 10, 18)),
    ("America/Sao_Paulo", date(2015, 2, 22)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("Pacific/Apia", date(2011, 12, 30)),
    ("Africa/Casablanca", date(2026, 2, 15)),
    ("America/Nuuk", date(2026, 3, 28)),
    ("America/St_Johns", date(1989, 4, 2)),
    ("Asia/Kolkata", date(2026, 1, 1)),
    ("UTC", date(1969, 12, 31)),
)


def clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


@dataclass(frozen=True)
class Week:
    """A calendar definition with the dates it is asked about, all in whole minutes."""

    zone: str
    first: date
    definition: dict[str, Any]

    def owned(self, day: date) -> list[list[str]]:
        if day.isoformat() in self.definition["holidays"]:
            return []
        if day.isoformat() in self.definition["overrides"]:
            return list(self.definition["overrides"][day.isoformat()])
        if f"{day:%m-%d}" in self.definition["annual_holidays"]:
            return []
        return list(self.definition["weekly"][DAYS[day.weekday()]])


@st.composite
def intervals(draw: st.DrawFn) -> list[list[str]]:
    """In order and apart or touching; only the last can run past midnight."""
    edges = sorted(draw(st.lists(st.integers(0, DAY_MIN - 1), max_size=4, unique=True)))
    if len(edges) % 2:
        edges.append(draw(st.integers(edges[-1] + 1, 2 * DAY_MIN)))
    return [[clock(start), clock(end)] for start, end in zip(edges[::2], edges[1::2], strict=True)]


@st.composite
def weeks(draw: st.DrawFn) -> Week:
    zone, turn = draw(st.sampled_from(TURNS))
    days = [(turn + timedelta(days=n)).isoformat() for n in range(-4, 5)]
    holidays = draw(st.lists(st.sampled_from(days), max_size=1))
    weekly = {day: draw(intervals()) for day in DAYS}
    assume(any(weekly.values()))
    breaks = []
    for day in draw(st.lists(st.sampled_from(days), max_size=2)):
        start = draw(st.integers(0, DAY_MIN - 1))
        end = draw(st.integers(start + 1, min(start + 600, 2 * DAY_MIN)))
        breaks.append({"date": day, "start": clock(start), "end": clock(end)})
    overrides = draw(st.dictionaries(st.sampled_from(days), intervals(), max_size=2))
    definition = {
        "timezone": zone,
        "weekly": weekly,
        "holidays": holidays,
        "annual_holidays": draw(st.lists(st.sampled_from([day[5:] for day in days]), max_size=1)),
        "overrides": {day: hours for day, hours in overrides.items() if day not in holidays},
        "breaks": breaks,
    }
    return Week(zone, turn - timedelta(days=4), definition)


@cache
def wall_clock(zone: str, start: int, end: int) -> tuple[dict[int, int], dict[int, int]]:
    """The minute at which the wall clock first shows each local minute, and to which each skipped one moves."""
    shown: dict[int, int] = {}
    moved: dict[int, int] = {}
    last = None
    for minute in range(start, end):
        wall = datetime.fromtimestamp(minute * 60, UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        local = int((wall - NAIVE_EPOCH).total_seconds()) // 60
        if last is not None:
            moved |= {skipped: minute + skipped - last - 1 for skipped in range(last + 1, local)}
        shown.setdefault(local, minute)
        last = local
    return shown, moved


class EveryMinute:
    """The reference: which minutes of nine days are open, found by looking at a clock on the wall each minute."""

    def __init__(self, week: Week) -> None:
        self.start = (week.first - date(1970, 1, 1)).days * DAY_MIN
        self.end = self.start + 9 * DAY_MIN
        self.shown, self.moved = wall_clock(week.zone, self.start - 4 * DAY_MIN, self.end + 4 * DAY_MIN)
        opened: set[int] = set()
        for n in range(-3, 10):
            day = week.first + timedelta(days=n)
            for start, end in week.owned(day):
                opened |= self.between(day, start, end)
        for cut in week.definition["breaks"]:
            opened -= self.between(date.fromisoformat(cut["date"]), cut["start"], cut["end"])
        self.open = sorted(opened)

    def between(self, day: date, start: str, end: str) -> set[int]:
        midnight = (day - date(1970, 1, 1)).days * DAY_MIN
        if all(midnight + minute in self.moved for minute in range(DAY_MIN)):
            return set()
        first, last = (midnight + int(text[:2]) * 60 + int(text[3:]) for text in (start, end))
        return set(range(self.minute(first), self.minute(last)))

    def minute(self, local: int) -> int:
        return self.shown[local] if local in self.shown else self.moved[local]


@settings(max_examples=60, deadline=None)
@given(week=weeks(), data=st.data())
def test_every_answer_is_the_one_found_by_looking_at_every_minute(week: Week, data: st.DataObject) -> None:
    calendar = Calendar.from_mapping("any", week.definition)
    reference = EveryMinute(week)
    opened = set(reference.open)
    moments = st.integers(reference.start, reference.end)

    for _ in range(10):
        at = data.draw(moments)
        assert calendar.is_open(at * MINUTE_US) == (at in opened)
        # Half a minute in, so that a rounding of instants to minutes would be seen.
        assert calendar.is_open(at * MINUTE_US + MINUTE_US // 2) == (at in opened)

    for _ in range(10):
        start, end = data.draw(moments), data.draw(moments)
        wanted = sum(start <= minute < end for minute in reference.open)
        assert calendar.elapsed(start * MINUTE_US, end * MINUTE_US) == wanted * MINUTE_US

    start = data.draw(moments)
    ahead = [minute for minute in reference.open if start <= minute < reference.end]
    behind = [minute for minute in reference.open if reference.start <= minute < start]
    if ahead:
        assert calendar.next_open(start * MINUTE_US) == ahead[0] * MINUTE_US
        amount = data.draw(st.integers(1, len(ahead)))
        assert calendar.due_at(start * MINUTE_US, amount * MINUTE_US) == (ahead[amount - 1] + 1) * MINUTE_US
        if amount < len(ahead):
            assert calendar.breach_after(start * MINUTE_US, amount * MINUTE_US) == ahead[amount] * MINUTE_US
    if behind:
        assert calendar.prev_open(start * MINUTE_US) == (behind[-1] + 1) * MINUTE_US
        amount = data.draw(st.integers(1, len(behind)))
        assert calendar.subtract(start * MINUTE_US, amount * MINUTE_US) == behind[-amount] * MINUTE_US
        if amount < len(behind):
            earliest_us = calendar.subtract_earliest(start * MINUTE_US, amount * MINUTE_US)
            assert earliest_us == (behind[-amount - 1] + 1) * MINUTE_US


INSTANTS = st.integers(-40 * 366 * DAY_MIN * MINUTE_US, 80 * 366 * DAY_MIN * MINUTE_US)  # 1930 to 2050
AMOUNTS = st.integers(0, 400 * 24 * 60 * MINUTE_US)


@settings(max_examples=60, deadline=None)
@given(week=weeks(), instants=st.lists(INSTANTS, min_size=3, max_size=3).map(sorted))
def test_time_elapsed_adds_up(week: Week, instants: list[int]) -> None:
    calendar = Calendar.from_mapping("any", week.definition)
    first, middle, last = instants
    assert calendar.elapsed(first, last) == calendar.elapsed(first, middle) + calendar.elapsed(middle, last)
    assert 0 <= calendar.elapsed(first, last) <= last - first
    assert calendar.elapsed(last, first) == 0


@settings(max_examples=100, deadline=None)
@given(week=weeks(), start=INSTANTS, amount=AMOUNTS)
def test_a_target_is_reached_when_due_and_not_before_and_passed_after_its_breach(
    week: Week, start: int, amount: int
) -> None:
    calendar = Calendar.from_mapping("any", week.definition)
    due, breach = calendar.due_at(start, amount), calendar.breach_after(start, amount)
    assert start <= due <= breach
    assert calendar.elapsed(start, due) == calendar.elapsed(start, breach) == amount
    assert calendar.elapsed(start, breach + 1) == amount + 1
    if amount:
        assert calendar.elapsed(start, due - 1) == amount - 1


@settings(max_examples=100, deadline=None)
@given(week=weeks(), end=INSTANTS, amount=AMOUNTS)
def test_subtracting_is_the_mirror_of_a_target(week: Week, end: int, amount: int) -> None:
    calendar = Calendar.from_mapping("any", week.definition)
    latest, earliest = calendar.subtract(end, amount), calendar.subtract_earliest(end, amount)
    assert earliest <= latest <= end
    assert calendar.elapsed(latest, end) == calendar.elapsed(earliest, end) == amount
    assert calendar.elapsed(earliest - 1, end) == amount + 1
    if amount:
        assert calendar.elapsed(latest + 1, end) == amount - 1
        assert calendar.due_at(latest, amount) == calendar.due_at(earliest, amount) == calendar.prev_open(end)


@settings(max_examples=60, deadline=None)
@given(week=weeks(), start=INSTANTS)
def test_open_spans_follow_each_other_and_are_what_is_open(week: Week, start: int) -> None:
    calendar = Calendar.from_mapping("any", week.definition)
    some_week_us = 7 * DAY_MIN * MINUTE_US
    assume(calendar.elapsed(0, some_week_us) < some_week_us)  # hours that never end have no spans to list
    spans = list(calendar.periods_after(start, 6))
    last_close = start - 1
    for opening, closing in spans:
        assert last_close < opening < closing
        assert calendar.is_open(opening)
        assert calendar.is_open(closing - 1)
        assert not calendar.is_open(closing)
        last_close = closing
    assert sum(closing - opening for opening, closing in spans) == calendar.elapsed(start, last_close)
