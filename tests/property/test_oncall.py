"""Rotation arithmetic against a loop that lives through every hand-over, in zones whose clocks change."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.instant import SECOND_US, from_datetime, to_datetime
from services.alerts.oncall import Turns
from tests.support.oncall import roster

ZONES = ("UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia")
LENGTHS = st.sampled_from([timedelta(hours=h) for h in (1, 8, 12, 24, 36, 168, 336)])
_DAYS, _MINUTES = st.dates(date(2024, 1, 1), date(2026, 12, 31)), st.integers(0, 24 * 60 - 1)
STARTS = st.builds(lambda day, minute: datetime.combine(day, time(*divmod(minute, 60))), _DAYS, _MINUTES)


def lived(turns: Turns, at_us: int) -> int:
    """The turn, by going through the hand-overs one after the other."""
    turn = -1
    while True:
        wall = turns.first + (turn + 1) * turns.length
        if from_datetime(wall.replace(tzinfo=turns.zone).astimezone(UTC)) > at_us:
            return turn
        turn += 1


@settings(max_examples=300)
@given(st.sampled_from(ZONES), STARTS, LENGTHS, st.integers(0, 400 * 24 * 60))
def test_the_turn_is_the_one_that_a_slow_loop_ends_in(
    zone: str, first: datetime, length: timedelta, minutes: int
) -> None:
    turns = Turns(("a", "b", "c"), ZoneInfo(zone), first, length, None)
    at_us = turns.begins_us(0) + minutes * 60 * SECOND_US
    if length < timedelta(days=1):
        at_us = turns.begins_us(0) + minutes % (40 * 24 * 60) * 60 * SECOND_US
    assert turns.turn(at_us) == lived(turns, at_us)


@given(st.sampled_from(ZONES), STARTS, LENGTHS, st.integers(-500, 500))
def test_turns_follow_one_another_without_a_hole_and_begin_at_the_wall_clock(
    zone: str, first: datetime, length: timedelta, turn: int
) -> None:
    turns = Turns(("a", "b"), ZoneInfo(zone), first, length, None)
    begin_us, end_us = turns.begins_us(turn), turns.begins_us(turn + 1)
    assert begin_us <= end_us
    if begin_us < end_us:
        assert turns.turn(begin_us) == turn
        assert turns.turn(end_us - 1) == turn
    wall = to_datetime(begin_us).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    shifted = wall - (first + turn * length)
    assert timedelta(0) <= shifted <= timedelta(days=1)  # later only where the clock left the hand-over out


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from(["ana", "ben", "cleo"]), min_size=1, max_size=4),
    st.sampled_from(["8h", "1d", "1w"]),
    st.sampled_from([None, ["22:00", "06:00"], ["09:00", "18:00"]]),
    st.integers(0, 300),
)
def test_stretches_say_the_same_as_asking_every_half_hour(
    people: list[str], length: str, hours: list[str] | None, day: int
) -> None:
    rotation = {"people": people, "start": date(2026, 1, 5), "length": length, "hours": hours}
    away = [{"from": "2026-03-27", "to": "2026-04-02"}]
    found = roster({"ana": {"cover": "ben", "away": away}, "ben": {}, "cleo": {}}, rotations=[rotation])
    since_us = from_datetime(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day))
    until_us = since_us + 5 * 86_400 * SECOND_US
    stretches = found.stretches("support", since_us, until_us)
    assert [stretches[0].since_us, *(s.until_us for s in stretches)] == [
        *(s.since_us for s in stretches),
        until_us,
    ]
    for at_us in range(since_us, until_us, 1800 * SECOND_US):
        (here,) = (s for s in stretches if s.since_us <= at_us < s.until_us)
        assert here.duty == found.duty("support", at_us)
