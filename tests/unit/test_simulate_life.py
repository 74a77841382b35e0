"""Ticket lives: always a possible story, the same from the same seed, and as varied as the scenario says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice, pairwise, takewhile
from random import Random
from statistics import mean, median

import pytest

from schemas.instant import SECOND_US
from schemas.ticket import DONE, ActorKind, Priority, Status, Visibility
from services.simulate.day import Happening, Rhythm, happenings
from services.simulate.life import Deed, Fate, Life, live
from services.simulate.scenario import DEMO, Scenario
from services.simulate.zendesk import weight

REAL = Scenario()
START_US = 1_790_000_000 * SECOND_US


def lives(number: int, scenario: Scenario = REAL, seed: int = 1) -> list[Life]:
    rng = Random(seed)
    return [live(rng, scenario, duplicate_of="7") for _ in range(number)]


def first_reply_us(life: Life) -> int | None:
    return next(
        (
            step.at_us
            for step in life.steps[1:]
            if step.message is Visibility.PUBLIC and step.actor.kind is ActorKind.AGENT
        ),
        None,
    )


def test_the_same_seed_tells_the_same_lives_and_another_seed_others() -> None:
    assert lives(50, seed=3) == lives(50, seed=3)
    assert lives(50, seed=3) != lives(50, seed=4)


@pytest.mark.parametrize("scenario", [Scenario(), DEMO, Scenario(time_scale=100_000)])
def test_every_life_is_a_story_that_can_happen(scenario: Scenario) -> None:
    agents = {agent: team.id for team in scenario.teams for agent in team.agents}
    for life in lives(400, scenario):
        assert life.steps[0].deed is Deed.CREATED
        assert life.steps[0].at_us == 0
        assert [step.deed for step in life.steps].count(Deed.CREATED) == 1
        assert all(before.at_us < after.at_us for before, after in pairwise(life.steps))
        status, team, tags, deleted = Status.NEW, None, set[str](), False
        for step in life.steps:
            assert not deleted or step.deed is Deed.RESTORED
            assert status is not Status.CLOSED, "nothing follows closing"
            assert step.deed is not Deed.REOPENED or status is Status.SOLVED
            assert step.deed is not Deed.RATED or status is Status.SOLVED
            assert set(step.tags_removed) <= tags
            status, team = step.status or status, step.team or team
            tags = (tags - set(step.tags_removed)) | set(step.tags_added)
            deleted = step.deed in (Deed.DELETED, Deed.MARKED_AS_SPAM)
            assert step.agent is None or agents[step.agent] == team
        assert deleted or status is Status.CLOSED


def test_nobody_writes_so_soon_after_the_creation_that_it_looks_like_the_opening_message() -> None:
    for life in lives(300, Scenario(time_scale=100_000)):
        written = [step for step in life.steps[1:] if step.message and step.actor.kind is not ActorKind.BOT]
        assert all(step.at_us >= 3 * SECOND_US for step in written)


def test_shares_come_out_as_the_scenario_states_them() -> None:
    told = lives(4000)
    count = Counter(deed for life in told for deed in {step.deed for step in life.steps})

    assert 0.065 < count[Deed.REOPENED] / len(told) < 0.095
    assert 0.010 < count[Deed.MERGED] / len(told) < 0.020
    assert 0.002 < count[Deed.DELETED] / len(told) < 0.009
    assert 0.004 < count[Deed.MARKED_AS_SPAM] / len(told) < 0.017
    assert 0.31 < count[Deed.RATED] / len(told) < 0.39
    assert 0.08 < sum(life.steps[0].priority is None for life in told) / len(told) < 0.16
    assert 0.04 < sum(life.steps[0].actor.kind is ActorKind.AGENT for life in told) / len(told) < 0.10
    assert {life.channel for life in told} == {"email", "chat", "web", "voice", "api"}
    assert set(Deed) == set(count)


def test_the_more_urgent_the_sooner_and_the_fuller_the_later_is_the_first_answer() -> None:
    scenario = Scenario(raised=0.0, silence_s=0.0)
    waits: dict[Priority | None, list[int]] = {}
    for life in lives(3000, scenario):
        replied_us = first_reply_us(life)
        if replied_us is not None:
            waits.setdefault(life.steps[0].priority, []).append(replied_us)
    medians = [median(waits[priority]) for priority in (Priority.URGENT, Priority.HIGH, Priority.NORMAL, Priority.LOW)]
    assert medians == sorted(medians)
    assert medians[0] < medians[3] / 5

    def mean_wait_us(open_tickets: int) -> float:
        rng = Random(5)
        crowd = {team.id: open_tickets for team in scenario.teams}
        told = [live(rng, scenario, open_by_team=crowd) for _ in range(300)]
        return mean(waited for waited in map(first_reply_us, told) if waited is not None)

    assert mean_wait_us(500) == pytest.approx(2 * mean_wait_us(0), rel=0.05)


def test_time_scale_squeezes_a_whole_life() -> None:
    slow, fast = (lives(50, Scenario(time_scale=scale, silence_s=0.0)) for scale in (1.0, 100.0))
    for whole, squeezed in zip(slow, fast, strict=True):
        assert squeezed.steps[-1].at_us == pytest.approx(whole.steps[-1].at_us / 100, rel=0.01, abs=20_000)


def test_a_fate_that_is_decided_is_what_happens() -> None:
    rng = Random(2)
    decided = Fate(reopened=True, good=False, rounds=1)
    for _ in range(30):
        deeds = [step.deed for step in live(rng, Scenario(), decided=decided).steps]
        assert Deed.REOPENED in deeds
        assert Deed.RATED in deeds
    merged = live(rng, Scenario(), decided=Fate(merged=True), duplicate_of="41").steps
    assert [step.into for step in merged if step.deed is Deed.MERGED] == ["41"]
    assert Deed.MERGED not in {step.deed for step in live(rng, Scenario(), decided=Fate(merged=True)).steps}


def stream(rhythm: Rhythm, seed: int = 1, scenario: Scenario = DEMO) -> Iterator[Happening]:
    return happenings(Random(seed), scenario, rhythm, first_ticket=100, weigh=weight)


def until(rhythm: Rhythm, end_us: int, seed: int = 1) -> list[Happening]:
    return list(takewhile(lambda happening: happening.at_us < end_us, stream(rhythm, seed)))


def test_steps_of_many_tickets_interleave_in_the_order_of_time() -> None:
    told = list(islice(stream(Rhythm(4.0, START_US)), 2000))

    assert all(before.at_us <= after.at_us for before, after in pairwise(told))
    numbers: dict[str, int] = {}
    for happening in told:
        assert happening.number == numbers.get(happening.ticket_id, -1) + 1
        numbers[happening.ticket_id] = happening.number
    created = [happening for happening in told if happening.number == 0]
    assert [int(happening.ticket_id) for happening in created] == list(range(100, 100 + len(created)))
    assert all(happening.created_us == happening.at_us for happening in created)


@pytest.mark.parametrize("per_s", [0.5, 4.0, 200.0])
def test_the_rate_is_the_one_asked_for_from_the_first_minute(per_s: float) -> None:
    minutes = max(1, round(20 / per_s))
    told = until(Rhythm(per_s, START_US, day_s=None), START_US + minutes * 60 * SECOND_US)

    sent = sum(weight(happening.step) for happening in told)
    assert sent == pytest.approx(per_s * minutes * 60, rel=0.12 if per_s > 1 else 0.2)


@pytest.mark.parametrize("seed", range(3))
def test_a_demo_settles_at_forty_to_eighty_open_tickets(seed: int) -> None:
    told = until(Rhythm(4.0, START_US, day_s=None), START_US + 600 * SECOND_US, seed)

    settled = [happening.open_tickets for happening in told if happening.at_us > START_US + 150 * SECOND_US]
    assert 35 <= mean(settled) <= 80


def test_the_backlog_that_is_counted_is_the_one_that_the_steps_make() -> None:
    status: dict[str, Status | None] = {}
    held: dict[str, Status | None] = {}
    for happening in islice(stream(Rhythm(4.0, START_US, day_s=None), seed=9), 6000):
        step = happening.step
        if step.deed in (Deed.DELETED, Deed.MARKED_AS_SPAM):
            held[happening.ticket_id] = status[happening.ticket_id]
            status[happening.ticket_id] = None
        elif step.deed is Deed.RESTORED:
            status[happening.ticket_id] = held[happening.ticket_id]
        elif step.status:
            status[happening.ticket_id] = step.status
        open_now = sum(at is not None and at not in DONE for at in status.values())
        assert happening.open_tickets == open_now


def test_a_squeezed_day_begins_on_a_monday_morning_and_keeps_the_mean() -> None:
    rhythm = Rhythm(10.0, START_US, duration_s=240.0, day_s=240.0)
    rates = [rhythm.at(START_US + n * SECOND_US) for n in range(240)]

    assert mean(rates) == pytest.approx(10.0, rel=0.02)
    assert max(rates) == pytest.approx(max(rates[20:50])), "the morning peak comes two to five hours after seven"
    assert min(rates) < 1.5


def test_a_real_week_has_quiet_nights_and_weekends_and_keeps_the_mean() -> None:
    monday_us = 1_790_553_600 * SECOND_US  # Monday 28 September 2026, 00:00 UTC
    rhythm = Rhythm(10.0, monday_us)
    hours = [rhythm.at(monday_us + n * 3600 * SECOND_US) for n in range(168)]

    assert mean(hours) == pytest.approx(10.0, rel=0.02)
    assert hours[9] > 5 * hours[3]
    assert sum(hours[:24]) > 2 * sum(hours[144:])


def test_a_short_run_has_its_rate_at_night_too() -> None:
    night = Rhythm(10.0, 1_790_564_400 * SECOND_US, duration_s=60.0)  # Monday, 03:00 UTC
    assert night.at(night.start_us + 30 * SECOND_US) == pytest.approx(10.0, rel=0.01)
