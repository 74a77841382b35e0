"""Verdicts of each kind of rule on a few numbers, with their words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from services.alerts.judge import judging
from services.alerts.judge.rank import mann_kendall, spread, theil_sen
from services.alerts.judge.verdict import Judgement, Point, Verdict, Why
from services.config.rule import Rule
from tests.support.rules import rule

NOTHING = Point(None, 0)


def judged(of: Rule, points: Sequence[Point], segment: str = "team:billing", *, firing: bool = False) -> Verdict:
    wanted = len(judging.needs(of))
    padded = [*points, *[NOTHING] * (wanted - len(points))]
    return judging.judge(of, segment, padded, firing=firing)


def p(value: float | None, count: int = 100) -> Point:
    return Point(value, count)


def outcome(verdict: Verdict) -> tuple[Judgement, Why]:
    return verdict.judgement, verdict.why


SLOW = rule(kpi="first_response_time", above="2h", clear="90m", min_count=10)


@pytest.mark.parametrize(
    ("seconds", "count", "firing", "expected"),
    [
        (7200, 34, False, (Judgement.GOOD, Why.WITHIN)),
        (7201, 34, False, (Judgement.BAD, Why.BEYOND)),
        (7201, 9, False, (Judgement.UNKNOWN, Why.TOO_FEW)),
        (6000, 34, False, (Judgement.GOOD, Why.WITHIN)),
        (6000, 34, True, (Judgement.BAD, Why.NOT_CLEARED)),
        (5400, 34, True, (Judgement.GOOD, Why.WITHIN)),
        (None, 0, True, (Judgement.UNKNOWN, Why.TOO_FEW)),
    ],
)
def test_a_threshold_fires_beyond_its_level_and_ends_beyond_the_other(
    seconds: float | None, count: int, firing: bool, expected: Any
) -> None:
    assert outcome(judged(SLOW, [p(seconds, count)], firing=firing)) == expected


def test_words_come_first_and_numbers_after() -> None:
    verdict = judged(SLOW, [p(9600, 34)])
    assert verdict.title == "First response time too high: team billing"
    assert verdict.said == (
        "The first response time of team billing is above its limit. "
        "90 % within 2 h 40 min over 1 h, limit 2 h; 34 cases."
    )
    unhappy = judged(rule(kpi="csat", below="80%", min_count=5), [p(0.745, 51)], "all")
    assert unhappy.said == "The CSAT of all tickets is below its limit. 74.5 % over 1 h, limit 80 %; 51 cases."


@pytest.mark.parametrize(
    ("now", "then", "firing", "expected"),
    [
        (160, 100, False, (Judgement.BAD, Why.BEYOND)),
        (140, 100, False, (Judgement.GOOD, Why.WITHIN)),
        (16, 10, False, (Judgement.GOOD, Why.CHANCE)),
        (130, 100, True, (Judgement.BAD, Why.NOT_CLEARED)),
        (120, 100, True, (Judgement.GOOD, Why.WITHIN)),
        (60, 0, False, (Judgement.UNKNOWN, Why.NOTHING_TO_COMPARE)),
    ],
)
def test_a_change_is_large_and_larger_than_chance(now: float, then: float, firing: bool, expected: Any) -> None:
    of = rule("change", kpi="tickets_created", rises="50%")
    assert outcome(judged(of, [p(now, int(now)), p(then, int(then))], firing=firing)) == expected


def test_a_change_of_shares_is_in_points_and_needs_evidence_on_both_sides() -> None:
    of = rule("change", kpi="csat", falls="10%", min_count=20)
    assert outcome(judged(of, [p(0.75, 200), p(0.9, 200)])) == (Judgement.BAD, Why.BEYOND)
    assert outcome(judged(of, [p(0.75, 20), p(0.9, 20)])) == (Judgement.GOOD, Why.CHANCE)
    assert outcome(judged(of, [p(0.75, 200), p(0.9, 19)])) == (Judgement.UNKNOWN, Why.NOTHING_TO_COMPARE)
    assert "(-15.0 points)" in judged(of, [p(0.75, 200), p(0.9, 200)]).said


QUALITY = rule("trend", kpi="qa_score", falls="10%")


def _days(values: Sequence[float]) -> list[Point]:
    return [p(value) for value in reversed(values)]


def _level(days: int) -> list[float]:
    """Around 92 %, as noise that anybody can repeat."""
    return [0.92 + 0.02 * ((n * 7919) % 11 - 5) / 5 for n in range(days)]


def test_a_trend_is_a_steady_change_and_one_outlier_is_not() -> None:
    level = _level(84)
    assert outcome(judged(QUALITY, _days(level))) == (Judgement.GOOD, Why.NO_TREND)
    slide = [*level[:63], *(0.92 - 0.22 * n / 20 + (value - 0.92) for n, value in enumerate(level[63:]))]
    found = judged(QUALITY, _days(slide))
    assert outcome(found) == (Judgement.BAD, Why.ONE_WAY)
    assert found.title == "QA score keeps falling: team billing"
    for day in range(63, 84):
        odd = [*level[:day], 0.2, *level[day + 1 :]]
        assert outcome(judged(QUALITY, _days(odd))) == (Judgement.GOOD, Why.NO_TREND), day


def test_a_trend_needs_a_past_that_tells_how_far_it_moves_by_itself() -> None:
    slide = [0.92 - 0.22 * n / 20 for n in range(21)]
    assert outcome(judged(QUALITY, _days(slide))) == (Judgement.UNKNOWN, Why.NOTHING_TO_COMPARE)
    assert outcome(judged(QUALITY, _days(slide[:8]))) == (Judgement.UNKNOWN, Why.TOO_FEW)


def test_an_anomaly_is_far_from_the_same_hour_of_past_weeks() -> None:
    of = rule("anomaly", kpi="tickets_created")
    weeks = [p(v, v) for v in (38, 40, 44, 36, 42, 47, 35, 39, 42, 40, 41, 46)]
    assert outcome(judged(of, [p(110, 110), *weeks])) == (Judgement.BAD, Why.UNUSUAL)
    assert outcome(judged(of, [p(48, 48), *weeks])) == (Judgement.GOOD, Why.USUAL)
    assert outcome(judged(of, [p(2, 2), *weeks])) == (Judgement.BAD, Why.UNUSUAL), "both sides"
    assert judged(of, [p(110, 110), *weeks]).title == "Tickets created unusually high: team billing"


def test_before_anything_was_counted_nothing_is_unusual() -> None:
    of = rule("anomaly", kpi="tickets_created")
    assert outcome(judged(of, [p(40, 40), *[p(0, 0)] * 12])) == (Judgement.UNKNOWN, Why.NOTHING_TO_COMPARE)


def test_small_counts_at_night_are_not_unusual_by_chance() -> None:
    of = rule("anomaly", kpi="tickets_created")
    night = [p(v, v) for v in (1, 1, 2, 0, 1, 1, 1, 1, 1, 1, 2, 1)]
    assert outcome(judged(of, [p(7, 7), *night])) == (Judgement.GOOD, Why.USUAL)


BURN = rule("burn_rate", kpi="sla_attainment", objective="95%", min_count=10)


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ((0.2, 0.2, 0.9, 0.2, 0.98, 0.9), Judgement.BAD),
        ((0.2, 1.0, 0.9, 1.0, 0.98, 0.9), Judgement.GOOD),
        ((0.6, 0.6, 0.65, 0.6, 0.98, 0.9), Judgement.BAD),
        ((0.97, 0.9, 0.97, 0.95, 0.97, 0.95), Judgement.GOOD),
        ((0.97, 0.9, 0.97, 0.95, 0.94, 0.94), Judgement.BAD),
    ],
    ids=["fast", "over-already", "slower", "fine", "slowly"],
)
def test_a_budget_burns_when_a_long_and_its_short_window_do(shares: Sequence[float], expected: Judgement) -> None:
    assert judged(BURN, [p(share) for share in shares]).judgement is expected


def test_a_burn_rate_that_a_low_objective_could_never_reach_is_lowered() -> None:
    of = rule("burn_rate", kpi="csat", objective="70%", min_count=10)
    assert judged(of, [p(0.1), p(0.1), *[p(0.9)] * 4]).judgement is Judgement.BAD, "three times the budget's pace"


def test_silence_is_news_only_where_there_always_was_something() -> None:
    of = rule("stale")
    assert outcome(judged(of, [p(0, 0), *[p(v, v) for v in (20, 31, 18, 24)]])) == (Judgement.BAD, Why.SILENT)
    assert outcome(judged(of, [p(1, 1), *[p(v, v) for v in (20, 31, 18, 24)]])) == (Judgement.GOOD, Why.HEARD)
    quiet = (Judgement.UNKNOWN, Why.NOTHING_TO_COMPARE)
    assert outcome(judged(of, [p(0, 0), *[p(v, v) for v in (20, 31, 2, 24)]])) == quiet, "a holiday was among them"


def test_a_win_is_the_best_of_many_or_a_streak() -> None:
    best = rule("recognition", kpi="csat", best_of=5)
    assert outcome(judged(best, [p(0.97), p(0.9), p(0.96), p(0.9), p(0.91)])) == (Judgement.BAD, Why.WON)
    assert outcome(judged(best, [p(0.95), p(0.9), p(0.96), p(0.9), p(0.91)])) == (Judgement.GOOD, Why.NOT_WON)
    assert outcome(judged(best, [p(0.97), p(0.9)])) == (Judgement.UNKNOWN, Why.NOTHING_TO_COMPARE)
    streak = rule("recognition", kpi="csat", streak=3, above="95%")
    won = judged(streak, [p(0.97), p(0.95), p(0.99)])
    assert outcome(won) == (Judgement.BAD, Why.WON)
    assert won.title == "CSAT: 3 weeks in a row: team billing"
    assert outcome(judged(streak, [p(0.97), p(0.94), p(0.99)])) == (Judgement.GOOD, Why.NOT_WON)


def test_days_and_weeks_are_whole_ones() -> None:
    thursday_s = 1_772_704_800  # 2026-03-05 10:00 UTC
    assert judging.looked_at_s(QUALITY, thursday_s) == 1_772_668_800, "midnight"
    best = rule("recognition", kpi="csat", best_of=5)
    assert judging.looked_at_s(best, thursday_s) == 1_772_409_600, "Monday, 2026-03-02"
    assert judging.looked_at_s(SLOW, thursday_s) == thursday_s


def test_statistics_of_ranks_are_those_of_the_books() -> None:
    rising = list(enumerate([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert mann_kendall(rising) == pytest.approx((10 - 1) / (5 * 4 * 15 / 18) ** 0.5)
    assert mann_kendall([(n, 3.0) for n in range(9)]) == 0
    assert theil_sen([(0, 0.0), (1, 2.0), (2, 4.0), (3, 100.0)]) == pytest.approx(18, abs=17)
    assert theil_sen([*((n, 2.0 * n) for n in range(9)), (9, 500.0)]) == 2.0
    assert spread([1.0, 1.0, 2.0, 3.0, 1000.0]) == pytest.approx(1.4826)
