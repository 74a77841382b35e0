"""Taking a partition over: the same log, another log of the same name, or one with a hole."""

from __future__ import annotations

import pytest

from services.metrics.partition import Partition, Resumed
from services.metrics.position import Position, identity
from services.stream.record import Record


def record(offset: int, value: bytes = b"x", appended_us: int = 1_000) -> Record:
    return Record("t", 0, offset, appended_us, b"k", value)


def partition(following: int) -> Partition:
    last = identity(record(following - 1)) if following else ""
    return Partition(0, Position(epoch=1, next_offset=following, last=last, clock_us=500))


@pytest.mark.parametrize(
    ("following", "first", "end", "offset", "how"),
    [
        (0, 0, 0, 0, Resumed.FRESH),
        (0, 40, 50, 40, Resumed.FRESH),
        (10, 0, 20, 9, Resumed.CONTINUED),
        (10, 0, 10, 9, Resumed.CONTINUED),
        (10, 10, 20, 10, Resumed.CONTINUED),
        (10, 0, 9, 0, Resumed.RECREATED),
        (10, 0, 0, 0, Resumed.RECREATED),
        (10, 12, 20, 12, Resumed.GAP),
    ],
)
def test_where_to_read_on(following: int, first: int, end: int, offset: int, how: Resumed) -> None:
    held = partition(following)
    assert held.resume(first, end) == (offset, how)
    read_again = how is Resumed.CONTINUED and offset < following
    assert held.position.next_offset == (following if read_again else offset)


def test_the_last_applied_record_is_read_again_and_left_out() -> None:
    held = partition(10)
    held.resume(0, 20)
    assert held.verified([record(9), record(10)]) == [record(10)]
    assert held.verified([record(11)]) == [record(11)]


@pytest.mark.parametrize("other", [record(9, b"other"), record(9, appended_us=2_000), record(3)])
def test_another_record_in_its_place_means_another_log(other: Record) -> None:
    held = partition(10)
    held.resume(0, 20)
    assert held.verified([other]) is None
    assert held.restart(0) == 0
    assert held.position.next_offset == 0
    assert held.verified([other]) == [other]


def test_the_clock_is_the_brokers_last_answer_when_caught_up_else_the_last_append() -> None:
    held = partition(0)
    assert held.clock(None, None) == 500
    assert held.clock(None, record(0, appended_us=900)) == 900
    assert held.clock(2_000, record(0, appended_us=900)) == 2_000
    assert held.clock(100, None) == 500, "it never goes back"


def test_an_unverified_log_moves_no_clock() -> None:
    held = partition(10)
    held.resume(0, 10)
    assert held.clock(9_000, None) == 500
