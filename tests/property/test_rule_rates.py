"""Rules find what is there and keep quiet where nothing is: a few of the months of which docs/guides/write-a-rule.md
shows a hundred."""

from __future__ import annotations

import re

import pytest

from services.alerts.judge import trend
from services.config.rule import TYPES
from tests.contract.house import ROOT
from tests.support import rule_ahead, rule_rates
from tests.support.rule_rates import CASES, OUTLIER, WALK, alarms
from tests.support.rule_world import DAY_S, SEED, Case, rates

pytestmark = pytest.mark.timeout(300)

GUIDE = ROOT / "docs/guides/write-a-rule.md"
FEW = {
    "threshold": 2,
    "anomaly": 3,
    "burn_rate": 3,
    "stale": 3,
    "change": 6,
    "trend": 12,
    "recognition": 25,
    "predicted_breach": 2,
    "topic": 2,
}
FOUND = {"threshold": 0.5, "predicted_breach": 0.5, "change": 0.8, "trend": 0.9, "recognition": 0.6}
"""The least share that is found in these few months; of the others two of three."""
ALARMS = {"threshold": 2.0, "change": 2.0, "recognition": 0.6, "topic": 1.5}
"""The most alerts in a month without a problem; of the others one in two months."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}-{case.rule.model_dump().get('estimate', '')}")
def test_a_planted_problem_is_found_and_a_quiet_month_stays_quiet(case: Case) -> None:
    found = rates(case, FEW[case.name])
    assert found.found >= FOUND.get(case.name, 0.6)
    assert found.false_alarms <= ALARMS.get(case.name, 0.5)


def test_a_quality_score_that_falls_from_92_to_70_in_three_weeks_is_told_in_the_third_week_at_the_latest() -> None:
    (case,) = (case for case in CASES if case.name == "trend")
    found = rates(case, 30, seed=7)
    assert found.found >= 0.96, "within 21 days of the first day; 99 of 100 in the guide"
    assert found.delay_s is not None
    assert found.delay_s <= 16 * DAY_S
    assert found.false_alarms == 0


def test_random_walks_of_the_same_variance_fire_less_than_once_in_two_years() -> None:
    assert alarms(WALK, 12) < 1


def test_without_the_test_of_scale_random_walks_would_fire_every_few_months(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trend, "SCALE", 0.0)
    assert alarms(WALK, 3) > 3


def test_one_outlier_is_no_trend() -> None:
    assert alarms(OUTLIER, 30) == 0


def test_every_kind_of_rule_is_simulated_and_stands_in_the_guide() -> None:
    assert {case.name for case in CASES} == set(TYPES)
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| (\d+)% \| [^|]* \| ([\d.]+) \|$", GUIDE.read_text(), re.M)
    assert [(name, problem) for name, problem, _, _ in rows] == [(case.name, case.problem) for case in CASES]
    assert f"seed {SEED}" in GUIDE.read_text()


@pytest.mark.parametrize("name", ["trend", "recognition"])
def test_the_guide_shows_what_the_simulation_gives(name: str) -> None:
    """Those that are quick; the others change with the same code."""
    (case,) = (case for case in CASES if case.name == name)
    found = rates(case, 100)
    row = next(line for line in GUIDE.read_text().splitlines() if line.startswith(f"| `{name}` | {case.problem} |"))
    assert row == rule_rates.row(case, found), "out of date: python -m tests.support.rule_rates"


def test_what_is_predicted_happens_as_often_as_it_says() -> None:
    """Four months, two of them with half of the agents away, of the desks of which the guide shows a hundred."""
    found = rule_ahead.calibration(rule_ahead.PREDICTED["queue"], 1.0, rule_ahead.MEAN, 4, SEED)
    assert found.happened > 300, "there was something to predict"
    assert 0.75 <= found.predicted / found.happened <= 1.25
    assert found.tenths[0][2] <= 0.05
    assert found.tenths[-1][2] >= 0.85
    assert found.inside >= 0.75, "the interval of 80 % is no narrower than it says"
    assert found.sure >= 0.8


def test_the_guide_has_the_table_of_calibration_with_all_desks() -> None:
    rows = re.findall(r"^\| `(queue|history)` \| ([^|]+) \| \d+ \| \d+ \|", GUIDE.read_text(), re.M)
    assert rows == [(estimate, desk) for estimate in rule_ahead.PREDICTED for desk in rule_ahead.DESKS]
