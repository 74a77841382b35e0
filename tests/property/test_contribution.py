"""The parts of a change add up to the change, whatever the numbers are."""

from __future__ import annotations

import math
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from services.alerts.explain.contribution import Amount, averaged, counted

_CASES = st.integers(min_value=0, max_value=10_000)
_AMOUNTS = st.builds(Amount, st.floats(min_value=-1e7, max_value=1e7, allow_nan=False), _CASES)
_SIDES = st.dictionaries(st.sampled_from([f"team:{name}" for name in "abcdefgh"]), _AMOUNTS, max_size=8)


def _kept(side: Mapping[str, Amount]) -> dict[str, Amount]:
    """Without cases nothing was summed."""
    return {name: amount if amount.cases else Amount(0) for name, amount in side.items()}


def _mean(side: Mapping[str, Amount]) -> float:
    return sum(amount.total for amount in side.values()) / sum(amount.cases for amount in side.values())


@given(_SIDES, _SIDES)
def test_volume_and_rate_of_all_parts_are_the_change_of_a_mean(now: dict[str, Amount], then: dict[str, Amount]) -> None:
    now, then = _kept(now), _kept(then)
    parts = averaged(now, then)
    if not any(a.cases for a in now.values()) or not any(a.cases for a in then.values()):
        assert parts == []
        return
    size = max(abs(amount.total) for side in (now, then) for amount in side.values())
    assert math.isclose(
        sum(part.change for part in parts), _mean(now) - _mean(then), rel_tol=1e-6, abs_tol=1e-8 * (1 + size)
    )
    assert math.isclose(sum(part.weight for part in parts), 1, rel_tol=1e-9)
    assert math.isclose(sum(part.shift for part in parts), 0, abs_tol=1e-9)


@given(_SIDES, _SIDES)
def test_seen_from_the_other_side_every_part_brings_the_opposite(
    now: dict[str, Amount], then: dict[str, Amount]
) -> None:
    now, then = _kept(now), _kept(then)
    back = {part.segment: part for part in averaged(then, now)}
    for part in averaged(now, then):
        size = 1e-6 * (1 + abs(part.change))
        assert math.isclose(part.volume, -back[part.segment].volume, rel_tol=1e-6, abs_tol=size)
        assert math.isclose(part.rate, -back[part.segment].rate, rel_tol=1e-6, abs_tol=size)


@given(_SIDES)
def test_when_every_part_fares_as_before_there_is_no_rate_effect(side: dict[str, Amount]) -> None:
    """Only the shares of the work move: a value with three times the cases and three times the sum fares the same."""
    then = _kept(side)
    first = min(then, default="")
    now = {
        name: Amount(3 * amount.total, 3 * amount.cases) if name == first else amount for name, amount in then.items()
    }
    assert all(math.isclose(part.rate, 0, abs_tol=1e-6) for part in averaged(now, then))


@given(_SIDES, _SIDES)
def test_the_parts_of_a_count_are_the_change_of_the_count(now: dict[str, Amount], then: dict[str, Amount]) -> None:
    parts = counted(now, then)
    whole = sum(amount.total for amount in now.values()) - sum(amount.total for amount in then.values())
    assert math.isclose(sum(part.change for part in parts), whole, rel_tol=1e-9, abs_tol=1e-6)
    assert all(part.rate == 0 for part in parts)
