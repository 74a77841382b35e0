"""Planted causes are found and named, the system before the team, the team before the person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from schemas.alert import Cause
from services.alerts.explain import sentence
from services.alerts.explain.cause import Cut, Load, Seen, found
from services.alerts.explain.contribution import Amount, averaged, counted
from services.alerts.explain.quantity import Kind
from services.alerts.explain.question import Question
from services.kpi.catalogue import KPIS

HOUR_S = 3600
TEAMS = ("billing", "sales", "vip", "tech")
FRESH = Load(created=100, created_then=98, backlog=40, backlog_then=41)
BUSY = Load(created=200, created_then=100, backlog=80, backlog_then=40)
QUESTION = Question(KPIS["first_response_time"], "mean_s", "all", HOUR_S, worse=1)
COUNTING = Question(KPIS["tickets_created"], "count", "all", HOUR_S, worse=1)

Side = Mapping[str, Amount]


def side(
    cases: int = 50, seconds: float = 600, dimension: str = "team", **other: tuple[int, float]
) -> dict[str, Amount]:
    """So many cases of so many seconds for each team, but for those that are named."""
    return {
        f"{dimension}:{name}": Amount(n * mean, n) for name in TEAMS for n, mean in [other.get(name, (cases, seconds))]
    }


def whole(of: Side) -> Amount:
    return Amount(sum(amount.total for amount in of.values()), sum(amount.cases for amount in of.values()))


def means(now: Side, then: Side, load: Load = FRESH, **more: Any) -> Seen:
    """All tickets told apart by team."""
    own = whole(now), whole(then)
    cut = Cut(next(iter(now)).partition(":")[0], averaged(now, then))
    return Seen(Kind.MEAN, own[0].mean, own[1].mean, own, load, **{"worse": 1, "cuts": (cut,), **more})


def counts(now: Mapping[str, int], then: Mapping[str, int], load: Load = FRESH, **more: Any) -> Seen:
    amounts = [{name: Amount(n) for name, n in one.items()} for one in (now, then)]
    own = whole(amounts[0]), whole(amounts[1])
    cut = Cut("channel", counted(*amounts))
    return Seen(Kind.COUNT, own[0].total, own[1].total, own, load, 1, cuts=(cut,), **more)


def test_one_slow_team_is_named() -> None:
    seen = means(side(billing=(50, 3600)), side())
    finding = found(seen)
    assert finding.cause is Cause.ONE_PART
    assert finding.part is not None
    assert finding.part.segment == "team:billing"
    assert sentence.said(QUESTION, seen, finding) == (
        "It is in one place: team billing brings all of the change, without more work than others got. "
        "First response time 22 min over 1 h, 10 min 7 d earlier. Tickets created: 100, then 98; backlog: 40, then 41."
    )


def test_a_slow_team_with_more_work_than_the_others_has_load() -> None:
    loads = {"team:billing": Load(60, 20, 30, 8)}
    finding = found(means(side(billing=(50, 3600)), side(), loads=loads))
    assert (finding.cause, finding.part and finding.part.segment) == (Cause.LOAD_ON_ONE, "team:billing")


def test_a_slow_team_with_no_more_work_than_all_got_is_no_matter_of_load() -> None:
    loads = {"team:billing": Load(50, 25, 20, 10)}
    assert found(means(side(billing=(50, 3600)), side(), BUSY, loads=loads)).cause is Cause.ONE_PART


def test_one_channel_that_grew_is_named() -> None:
    now, then = {"channel:chat": 160, "channel:email": 82}, {"channel:chat": 60, "channel:email": 80}
    seen = counts(now, then, Load(242, 140, 60, 50), loads={"channel:chat": Load(160, 60, 40, 20)})
    finding = found(seen)
    assert (finding.cause, finding.part and finding.part.segment) == (Cause.LOAD_ON_ONE, "channel:chat")
    assert sentence.said(COUNTING, seen, finding).startswith(
        "More work came in one place: channel chat got more than the others, and brings 98 % of the change. "
        "Tickets created 242 over 1 h, 140 7 d earlier."
    )


def test_all_grown_alike_is_the_load_on_everybody() -> None:
    now, then = {"channel:chat": 120, "channel:email": 160}, {"channel:chat": 60, "channel:email": 80}
    assert found(counts(now, then, Load(280, 140, 60, 50))).cause is Cause.LOAD_ON_EVERYBODY


def test_all_slower_with_more_work_is_the_load_on_everybody() -> None:
    assert found(means(side(60, 1500), side(), BUSY)).cause is Cause.LOAD_ON_EVERYBODY


def test_all_slower_without_more_work_is_the_system() -> None:
    assert found(means(side(50, 1500), side())).cause is Cause.EVERYWHERE


def test_more_of_what_always_took_longer_is_mix() -> None:
    then = side(vip=(20, 7200))
    seen = means(side(vip=(80, 7200)), then)
    finding = found(seen)
    assert (finding.cause, finding.part and finding.part.segment) == (Cause.MIX, "team:vip")
    assert "Above all team vip has a larger share" in sentence.said(QUESTION, seen, finding)


def test_parts_that_moved_in_different_ways_are_not_explained_away() -> None:
    now = side(billing=(50, 1500), sales=(50, 1400), vip=(50, 100), tech=(50, 100))
    assert found(means(now, side())).cause is Cause.UNCLEAR


@pytest.mark.parametrize(("now", "then"), [(600, 600), (610, 600), (500, 600)], ids=["same", "a-little", "better"])
def test_what_was_no_better_before_is_a_level_and_not_a_change(now: float, then: float) -> None:
    seen = means(side(50, now), side(50, then))
    finding = found(seen)
    assert finding.cause is Cause.AS_BEFORE
    assert sentence.said(QUESTION, seen, finding).startswith("It was no better 7 d earlier: look at what is always so")


def test_a_count_that_moved_no_more_than_chance_does_is_as_before() -> None:
    assert found(counts({"channel:chat": 14}, {"channel:chat": 9})).cause is Cause.AS_BEFORE


def test_few_cases_explain_nothing() -> None:
    seen = means(side(1, 9000), side())
    finding = found(seen)
    assert finding.cause is Cause.TOO_FEW
    assert sentence.said(QUESTION, seen, finding) == (
        "Too few cases to tell why. 4 cases, 200 7 d earlier; at least 5 are needed in both."
    )


def test_without_a_past_there_is_nothing_to_compare() -> None:
    seen = Seen(Kind.MEAN, 600.0, None, (Amount(600, 1), Amount(0)), FRESH)
    finding = found(seen)
    assert finding.cause is Cause.NOTHING_TO_COMPARE
    assert sentence.said(QUESTION, seen, finding) == (
        "Nothing to compare with: 7 d earlier nothing was counted, or it is no longer kept."
    )


def test_a_team_that_moved_as_all_others_did_is_not_the_cause() -> None:
    """A rule by team fired for one team, and everybody is slower."""
    others = Amount(150 * 1500, 150), Amount(150 * 600, 150)
    seen = means(side(50, 1500), side(), others=others)
    assert found(seen).cause is Cause.EVERYWHERE
    assert found(means(side(50, 1500), side(), others=others, others_load=BUSY)).cause is Cause.LOAD_ON_EVERYBODY


def test_a_person_is_pointed_at_only_when_no_team_and_no_queue_explains_it() -> None:
    slow, same = side(dimension="agent", billing=(50, 3600)), side(dimension="agent")
    people = Cut("agent", averaged(slow, same))
    by_team = means(side(billing=(50, 3600)), side())
    both = found(means(slow, same, cuts=(by_team.cuts[0], people)))
    assert both.cut is not None
    assert both.cut.dimension == "team"
    alike = means(side(50, 1350), side())
    assert found(means(slow, same, cuts=(alike.cuts[0], people))).cause is Cause.EVERYWHERE

    alone = means(slow, same, cuts=(people,))
    said = sentence.said(QUESTION, alone, found(alone))
    assert said.startswith("No team or queue explains it. Ask about the work of agent billing")


def test_kpis_are_spoken_of_as_everywhere_else() -> None:
    question = replace(QUESTION, kpi=KPIS["sla_attainment"], statistic="ratio")
    seen = means(side(50, 1500), side())
    assert " SLA attainment " in sentence.said(question, seen, found(seen))
