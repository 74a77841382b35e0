"""The pure parts of the bench: percentiles, ratios, verdicts and the table."""

from __future__ import annotations

import math

import pytest

from bench.table import (
    Budget,
    Line,
    Sense,
    Verdict,
    document,
    median_ratio,
    percentile,
    ratios,
    rendered,
    spread,
)

AT_LEAST_FOUR = Budget(Sense.AT_LEAST, 4, "×", aim=7)
AT_MOST_20_MS = Budget(Sense.AT_MOST, 20, "ms")


@pytest.mark.parametrize(
    ("share", "wanted"), [(0.0, 1), (0.01, 1), (0.5, 50), (0.501, 51), (0.99, 99), (0.991, 100), (1.0, 100)]
)
def test_a_percentile_is_a_value_that_was_measured(share: float, wanted: float) -> None:
    shuffled = [(number * 37) % 101 for number in range(1, 101)]
    assert percentile(shuffled, share) == wanted


def test_the_percentile_of_one_value_is_that_value() -> None:
    assert {percentile([7.0], share) for share in (0.0, 0.5, 0.99, 1.0)} == {7.0}


def test_a_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 0.5)


def test_the_ratio_is_the_median_of_the_pairs_and_not_the_ratio_of_medians() -> None:
    # The second pair was disturbed as a whole: both halves took four times as long.
    pairs = [(800.0, 200.0), (200.0, 50.0), (900.0, 180.0)]
    assert ratios(pairs) == [4.0, 4.0, 5.0]
    assert median_ratio(pairs) == 4.0


def test_a_ratio_to_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="ratio"):
        ratios([(1.0, 0.0)])


@pytest.mark.parametrize(
    ("budget", "value", "wanted"),
    [
        (AT_LEAST_FOUR, 4.0, Verdict.WITHIN),
        (AT_LEAST_FOUR, 3.99, Verdict.OVER),
        (AT_LEAST_FOUR, 9.0, Verdict.WITHIN),
        (AT_MOST_20_MS, 20.0, Verdict.WITHIN),
        (AT_MOST_20_MS, 20.1, Verdict.OVER),
        (AT_MOST_20_MS, math.nan, Verdict.OVER),
        (AT_LEAST_FOUR, math.nan, Verdict.OVER),
    ],
)
def test_a_bound_belongs_to_its_budget_and_a_missing_number_keeps_none(
    budget: Budget, value: float, wanted: Verdict
) -> None:
    assert budget.verdict(value) is wanted


def test_a_budget_reads_as_the_design_writes_it() -> None:
    assert str(AT_LEAST_FOUR) == "≥ 4 ×, aim 7 ×"
    assert str(AT_MOST_20_MS) == "≤ 20 ms"
    assert str(Budget(Sense.AT_LEAST, 0.6, "×")) == "≥ 0.6 ×"


def test_a_line_with_a_budget_and_no_number_is_not_within_it() -> None:
    assert Line("x", "?", budget=AT_MOST_20_MS).verdict is Verdict.OVER
    assert Line("x", "5 ms").verdict is Verdict.NONE


def test_the_table_keeps_its_columns_whatever_the_lengths() -> None:
    lines = [
        Line("short", "1 ms", "other", 0.5, 0.5, AT_LEAST_FOUR),
        Line("a much longer name of a thing", "1,234 records/s", "", 12.25),
    ]
    heading, rule, first, second = rendered(lines).splitlines()
    for name, one, two in [("measured", "1 ms", "1,234 records/s"), ("beside it", "other", "")]:
        at = heading.index(name)
        assert first[at:].startswith(one)
        assert second[at:].startswith(two)
    assert first.index("0.50") + 4 == second.index("12.25") + 5 == heading.index("ratio") + 5
    assert first.endswith("over")
    assert set(rule) == {"-", " "}
    assert not any(line.endswith(" ") for line in (heading, first, second))


def test_a_row_of_the_document_says_what_the_table_says() -> None:
    line = Line("worker", "8,000 records/s", "2,000 stock", 4.0, 4.0, AT_LEAST_FOUR)
    assert document(line) == {
        "what": "worker",
        "measured": "8,000 records/s",
        "beside": "2,000 stock",
        "ratio": 4.0,
        "judged": 4.0,
        "budget": "≥ 4 ×, aim 7 ×",
        "verdict": "within",
    }
    assert document(Line("x", "1"))["verdict"] == "none"


def test_the_spread_of_the_pairs_is_told() -> None:
    assert spread([4.5, 3.987, 5.0]) == "3.99 to 5.00 in 3 pairs"
    assert spread([4.0]) == "4.00 to 4.00 in 1 pair"
