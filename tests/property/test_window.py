"""Windows and sketches: the arithmetic that every KPI rests on."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kpi import sketch
from services.kpi.window import cover, resolutions

DAY = 86_400
KEPT = resolutions([900, 3600, DAY, 7 * DAY, 28 * DAY])
AT_S = 1_772_442_037


@given(st.integers(1, 60 * DAY), st.integers(0, 3 * DAY))
def test_a_cover_is_one_run_of_buckets_that_are_still_kept(length_s: int, age_s: int) -> None:
    end_s = AT_S - age_s
    buckets = list(cover(end_s - length_s, end_s, AT_S, KEPT))
    position = buckets[0][1]
    assert position <= end_s - length_s
    for resolution, start_s in buckets:
        assert start_s == position
        assert start_s % resolution.width_s == 0
        assert AT_S - start_s <= resolution.keep_s or resolution is KEPT[-1]
        position += resolution.width_s
    assert position >= end_s


@pytest.mark.parametrize(
    ("window_s", "start_edge_s", "most"),
    [(900, 10, 100), (3600, 10, 120), (DAY, 60, 160), (7 * DAY, 3600, 170), (28 * DAY, 3600, 200)],
)
def test_a_window_starts_at_the_finest_edge_that_is_kept_and_needs_few_buckets(
    window_s: int, start_edge_s: int, most: int
) -> None:
    buckets = list(cover(AT_S - window_s, AT_S + 1, AT_S, KEPT))
    assert AT_S - window_s - buckets[0][1] < start_edge_s
    last, start_s = buckets[-1]
    assert start_s + last.width_s - AT_S <= 10
    assert len(buckets) <= most


@given(st.lists(st.integers(0, 10**10), min_size=1), st.sampled_from([0.0, 0.5, 0.9, 0.95, 1.0]))
def test_a_percentile_is_within_one_per_cent_of_the_value_of_that_rank(values: list[int], share: float) -> None:
    cells: dict[int, int] = {}
    for value in values:
        cells[sketch.cell(value)] = cells.get(sketch.cell(value), 0) + 1
    exact = sorted(values)[math.floor(share * (len(values) - 1))]
    found = sketch.quantile(cells, share)
    assert found is not None
    assert found == pytest.approx(exact, rel=0.0101, abs=0.5)


def test_nothing_has_no_percentile() -> None:
    assert sketch.quantile({}, 0.5) is None
    assert sketch.quantile({3: 0}, 0.5) is None
