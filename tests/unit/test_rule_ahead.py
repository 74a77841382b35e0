"""Predictions and topics on a few numbers, with their words, and the formulas against exact sums."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import pytest

from schemas.alert import Evidence
from services.alerts.judge import judging
from services.alerts.judge.chance import discoveries, gamma_below, gamma_quantile, two_shares
from services.alerts.judge.queue import Hazard, Queue, Wait, by_history, by_queue
from services.alerts.judge.verdict import Judgement, Point, Verdict, Why
from services.config.rule import ALL, TYPES
from services.kpi import sketch
from tests.support.rules import rule

HOUR_S = 3600.0


def queue(
    lefts_s: Sequence[float],
    *,
    an_hour: int = 16,
    warned: int = 0,
    target_s: float = 4 * HOUR_S,
    usual: dict[int, int] | None = None,
    took: dict[int, int] | None = None,
) -> Queue:
    """So many done in each of the last two hours, and open promises with so much time left."""
    waits = tuple(
        Wait(target_s - left_s, left_s, Evidence("desk", str(number)), number < warned)
        for number, left_s in enumerate(sorted(lefts_s))
    )
    return Queue(waits, (an_hour // 4,) * 8, 900.0, 0, took, usual, "18:00 UTC")


def judged(found: Queue, *, firing: bool = False, segment: str = "team:billing", **fields: object) -> Verdict:
    of = rule("predicted_breach", **{"above": 5, **fields})
    return judging.judge(of, segment, found, firing=firing)


FULL = [HOUR_S] * 40
"""Due within the hour, forty of them; sixteen are done in one."""


def test_what_lies_ahead_of_a_ticket_must_be_done_in_its_time() -> None:
    found = by_queue(queue(FULL), 4 * HOUR_S, 0.8)
    assert found.expected == pytest.approx(40 - 16, abs=1.5)
    assert found.low < found.expected < found.high
    assert found.chances[0] < 0.01, "the first one is done in time"
    assert found.chances[-1] > 0.99
    assert found.needed * 3600 == pytest.approx(40 - 16, abs=1)
    assert by_queue(queue([3 * HOUR_S] * 30), 4 * HOUR_S, 0.8).expected < 0.5, "three hours are time for thirty"
    assert by_queue(queue([]), 4 * HOUR_S, 0.8).expected == 0


def test_what_is_broken_lies_ahead_too_unless_it_was_given_up() -> None:
    lefts = [-600.0] * 20 + [HOUR_S] * 10
    late = by_queue(queue(lefts), 4 * HOUR_S, 0.8)
    assert len(late.waits) == 10, "what is announced as broken is no prediction"
    assert late.expected > 8
    abandoned = by_queue(queue([-40 * HOUR_S] * 20 + [HOUR_S] * 10), 4 * HOUR_S, 0.8)
    assert abandoned.expected < 1


def test_more_urgent_tickets_that_will_come_go_first() -> None:
    waits = tuple(
        Wait(target - 3 * HOUR_S if target > HOUR_S else 0.0, min(target, 3 * HOUR_S), Evidence("desk", "1"))
        for target in [HOUR_S] * 5 + [4 * HOUR_S] * 35
    )
    calm = Queue(waits, (4,) * 8, 900.0, 0)
    coming = Queue(waits, (4,) * 8, 900.0, 60)
    assert by_queue(coming, 4 * HOUR_S, 0.8).expected > by_queue(calm, 4 * HOUR_S, 0.8).expected + 2


def test_uneven_work_widens_the_interval() -> None:
    even = by_queue(Queue(queue(FULL).waits, (4,) * 8, 900.0), 4 * HOUR_S, 0.8)
    uneven = by_queue(Queue(queue(FULL).waits, (0, 16, 0, 0, 16, 0, 0, 0), 900.0), 4 * HOUR_S, 0.8)
    assert uneven.high - uneven.low > even.high - even.low
    assert uneven.sure < even.sure


USUAL = {sketch.cell(minutes * 60_000): 20 for minutes in range(5, 100, 5)}
"""How long answers usually take: evenly from five minutes to an hour and a half."""


def test_the_chance_to_be_late_is_that_of_waits_that_came_so_far() -> None:
    cells = {sketch.cell(minutes * 60_000): 2 for minutes in range(5, 100, 5)}
    usual = queue([600.0], target_s=HOUR_S, usual=USUAL, took=cells)
    (chance,) = by_history(usual, 4 * HOUR_S, 0.8).chances
    assert chance == pytest.approx(35 / 45, abs=0.08), "of those that came to 50 minutes, so many came to 60"
    slow = {sketch.cell(minutes * 60_000): 1 for minutes in range(60, 100, 5)}
    waiting = [600.0] + [1200.0 - n for n in range(60)]
    later = by_history(queue(waiting, an_hour=4, target_s=HOUR_S, usual=USUAL, took=slow), 4 * HOUR_S, 0.8)
    assert later.chances[0] > chance, "fewer end than so many open waits usually would"


def test_the_hazard_of_waits_that_end_evenly_is_that_of_the_books() -> None:
    hazard = Hazard(Counter(sketch.cell(minutes * 60_000) for minutes in range(1, 101)), [])
    assert math.exp(-hazard.to(50.5 * 60)) == pytest.approx(0.5, abs=0.02)
    censored = Hazard({sketch.cell(600_000): 10}, [1200.0] * 30)
    assert math.exp(-censored.to(700)) == pytest.approx(30 / 40, abs=0.001)


def test_a_prediction_fires_when_it_is_sure_and_says_what_would_help() -> None:
    verdict = judged(queue(FULL))
    assert (verdict.judgement, verdict.why) == (Judgement.BAD, Why.WILL_BREAK)
    assert verdict.title == "First answers will be late: team billing"
    assert verdict.said.startswith("At the pace of the last 2 h, 24 (")
    assert ") of 40 first answers of team billing due before 18:00 UTC will be late." in verdict.said
    assert verdict.said.endswith("Keeping all of them, in the order due, needs 24 more an hour than the 16 of now.")
    assert verdict.value == pytest.approx(24, abs=1)
    assert verdict.baseline == 5
    assert len(verdict.evidence) == 5
    assert int(verdict.evidence[0].ticket_id) > 30, "the surest first"


def test_a_few_that_may_be_late_are_no_message_and_it_ends_at_half() -> None:
    few = queue([HOUR_S] * 19)
    assert judged(few).judgement is Judgement.GOOD
    assert judged(few, firing=True).judgement is Judgement.BAD, "more than half of five are still expected"
    assert judged(queue([HOUR_S] * 8), firing=True).judgement is Judgement.GOOD


def test_what_was_announced_ticket_by_ticket_fires_nothing_and_ends_nothing() -> None:
    told = queue(FULL, warned=40)
    assert judged(told).judgement is Judgement.GOOD
    assert judged(told, firing=True).judgement is Judgement.BAD
    some = judged(queue(FULL, warned=10))
    assert some.judgement is Judgement.BAD
    assert "10 of them had a warning of their own." in some.said
    assert all(int(ticket.ticket_id) >= 10 for ticket in some.evidence)


def test_a_share_counts_of_what_is_due() -> None:
    assert judged(queue(FULL), above="50%").judgement is Judgement.BAD
    assert judged(queue(FULL), above="80%").judgement is Judgement.GOOD


def test_without_a_pace_or_a_past_nothing_is_predicted() -> None:
    closed = Queue(queue(FULL).waits, (), 900.0)
    assert (judged(closed).judgement, judged(closed).why) == (Judgement.UNKNOWN, Why.TOO_FEW)
    assert judged(queue(FULL, an_hour=4)).why is Why.TOO_FEW
    assert judged(queue(FULL), estimate="history").why is Why.NOTHING_TO_COMPARE
    nothing = judged(queue([]))
    assert nothing.judgement is Judgement.GOOD
    assert nothing.said == "No first answer of team billing is due before 18:00 UTC."


@pytest.mark.parametrize(("shape", "scale"), [(1.0, 3.0), (4.0, 2.5), (30.0, 1.2)])
def test_the_gamma_distribution_is_that_of_the_books(shape: float, scale: float) -> None:
    mean, variance = shape * scale, shape * scale**2
    for share in (0.1, 0.2, 0.5, 0.8, 0.9):
        x = gamma_quantile(share, mean, variance)
        steps = [(n + 0.5) * x / 4000 for n in range(4000)]
        exact = sum(s ** (shape - 1) * math.exp(-s / scale) for s in steps) * x / 4000
        exact /= math.gamma(shape) * scale**shape
        assert exact == pytest.approx(share, abs=0.01)
        assert gamma_below(x, mean, variance) == pytest.approx(share, abs=1e-9)
    assert gamma_below(-1, mean, variance) == 0


def test_two_shares_differ_as_exact_binomials_say() -> None:
    """Against the exact tail, where the usual share is known from very many cases."""
    for cases, share, hits in ((40, 0.1, 10), (200, 0.04, 18), (30, 0.5, 22)):
        tail = sum(math.comb(cases, n) * share**n * (1 - share) ** (cases - n) for n in range(hits, cases + 1))
        z = two_shares(hits, cases, share * 10**7, 10**7)
        assert math.erfc(z / math.sqrt(2)) / 2 == pytest.approx(tail, rel=0.2)
    assert two_shares(3, 100, 5, 100) == 0, "fewer than usual is no news"
    assert two_shares(12, 400, 0, 1600) > 4, "what never was is news, too"
    assert two_shares(1, 400, 0, 1600) < 1.7


def test_of_many_looks_the_share_of_chance_is_bounded() -> None:
    chances = dict(enumerate([0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216]))
    assert discoveries(chances, 0.05) == {0, 1}, "the example of Benjamini and Hochberg's procedure"
    assert discoveries({}, 0.05) == set()


WEEKS = 4


def tag(now: tuple[int, int, int, int], past: tuple[int, int, int, int]) -> list[Point]:
    """``(created, escalated, solved, reopened)`` of now, and of each past week."""
    points = []
    for created, escalated, solved, reopened in (now, *[past] * WEEKS):
        points += [Point(float(escalated), created), Point(float(reopened), solved)]
    return points


WHOLE = tag((400, 12, 380, 30), (380, 11, 380, 30))


def topics(**tags: list[Point]) -> dict[str, list[Point]]:
    others = {f"tag:other{n}": tag((14, 0, 14, 1), (14, 0, 14, 1)) for n in range(20)}
    return {ALL: WHOLE, **{f"tag:{name}": points for name, points in tags.items()}, **others}


def topic(seen: dict[str, list[Point]], firing: frozenset[str] = frozenset()) -> dict[str, Verdict]:
    return judging.judged(rule("topic"), [name for name in seen if name != ALL], seen, firing)


def test_a_topic_that_grows_and_is_reopened_stands_out_with_its_numbers() -> None:
    found = topic(topics(login=tag((72, 2, 70, 22), (15, 0, 25, 2))))
    verdict = found["tag:login"]
    assert (verdict.judgement, verdict.why) == (Judgement.BAD, Why.STANDS_OUT)
    assert verdict.title == "Topic tag login grows and is reopened more than usual"
    assert verdict.said == (
        "Tag login was in 18 % of new tickets within 7 d (usually 3.9 %): 72 of 400; "
        "31.4 % of its solved tickets were reopened (usually 8 %): 22 of 70."
    )
    assert (verdict.value, verdict.baseline) == (0.18, pytest.approx(60 / 1520))
    assert {one.judgement for name, one in found.items() if name != "tag:login"} == {Judgement.GOOD}


def test_a_topic_that_is_new_is_compared_with_nothing_and_its_rates_with_all_tickets() -> None:
    found = topic(topics(passkey=tag((23, 8, 20, 1), (0, 0, 0, 0))))["tag:passkey"]
    assert found.judgement is Judgement.BAD
    assert found.title == "Topic tag passkey grows and escalates more than usual"
    assert "(never in 4 weeks before): 23 of 400" in found.said
    assert "34.8 % of its new tickets were escalated (all tickets 2.9 %): 8 of 23" in found.said


def test_what_chance_does_to_one_of_many_topics_is_no_news() -> None:
    lucky = tag((26, 0, 14, 1), (12, 0, 14, 1))
    alone = {ALL: WHOLE, "tag:lucky": lucky}
    assert topic(alone)["tag:lucky"].judgement is Judgement.BAD, "the only one that was looked at"
    assert topic(topics(lucky=tag((25, 0, 14, 1), (13, 0, 14, 1))))["tag:lucky"].judgement is Judgement.GOOD


def test_a_topic_holds_until_half_of_its_lift_is_gone() -> None:
    less = topics(login=tag((27, 0, 25, 2), (15, 0, 25, 2)))
    assert topic(less)["tag:login"].judgement is Judgement.GOOD
    assert topic(less, frozenset({"tag:login"}))["tag:login"].judgement is Judgement.BAD


def test_few_tickets_or_no_past_tell_nothing() -> None:
    few = topic(topics(rare=tag((4, 1, 3, 1), (0, 0, 0, 0))))["tag:rare"]
    assert (few.judgement, few.why) == (Judgement.UNKNOWN, Why.TOO_FEW)
    fresh = {ALL: tag((400, 12, 380, 30), (0, 0, 0, 0)), "tag:login": tag((72, 2, 70, 22), (0, 0, 0, 0))}
    assert topic(fresh)["tag:login"].why is Why.NOTHING_TO_COMPARE


def test_every_type_of_rule_has_its_row() -> None:
    assert tuple(judging.KINDS) == TYPES
    assert all((kind.one is None) != (kind.together is None) for kind in judging.KINDS.values())
