"""Metrics that repeat: each wait for an update and each stay with a team is an instance of its own."""

from __future__ import annotations

import pytest

from schemas.instant import from_datetime
from schemas.sla import SlaKind, SlaMetric
from schemas.state import Mode, Timer
from schemas.ticket import ActorKind, Assignment, Attributes, Kind, Merge, Message, Priority, Status, Visibility
from services.fold import sla
from tests.support.story import MINUTE_US, Story, at, rules
from tests.unit.test_announce import Watch
from tests.unit.test_kpis import Desk

RULES = rules(
    """
sla_policies:
  - {name: updates, match: {tier: [gold]}, warn_at: ["50%"],
     targets: {periodic_update: {urgent: 30m, "*": 1h}, pausable_update: {"*": 1h}}}
  - {name: nobody, match: {brand: [internal]}, targets: {}}
  - {name: desk, match: {team: [billing]}, warn_at: ["50%"], targets: {group_ownership: {"*": 2h}}}
  - {name: others, targets: {group_ownership: {"*": 8h}, resolution: {"*": 1d}}}
"""
)
PERIODIC, PAUSABLE, OWNERSHIP = SlaMetric.PERIODIC_UPDATE, SlaMetric.PAUSABLE_UPDATE, SlaMetric.GROUP_OWNERSHIP


def opened(**attributes: object) -> Story:
    story = Story()
    story.created(0, tier="gold", **attributes)
    return story


def timers(story: Story, metric: SlaMetric) -> list[Timer]:
    return [timer for timer in story.ticket(RULES).timers if timer.metric is metric]


def minutes(story: Story, metric: SlaMetric, minute: float) -> float:
    return sla.elapsed(timers(story, metric)[-1], at(minute), RULES) / MINUTE_US


@pytest.mark.parametrize("metric", [PERIODIC, PAUSABLE])
def test_updates_are_owed_from_the_first_public_message_of_an_agent_on(metric: SlaMetric) -> None:
    story = opened()
    story.asks(1)
    story.message(2, ActorKind.AGENT, Visibility.PRIVATE)
    story.message(3, ActorKind.BOT)
    assert timers(story, metric) == []
    story.reply(10)
    [timer] = timers(story, metric)
    assert (timer.cycle, timer.since_us, timer.due_us) == (1, at(10), at(70))


def test_every_update_ends_an_instance_and_begins_the_next() -> None:
    story = opened()
    story.reply(10)
    story.reply(50)
    first, second = timers(story, PERIODIC)
    assert (first.cycle, first.mode, first.elapsed_us, first.breached_us) == (1, Mode.MET, 40 * MINUTE_US, None)
    assert (second.cycle, second.mode, second.since_us) == (2, Mode.RUNNING, at(50))


def test_a_broken_instance_stays_when_the_next_one_is_met() -> None:
    story = opened()
    for minute in (10, 90, 100, 110):
        story.reply(minute)
    found = [(timer.cycle, timer.mode, timer.breached_us) for timer in timers(story, PERIODIC)]
    assert found == [(1, Mode.MET, at(70)), (3, Mode.MET, None), (4, Mode.RUNNING, None)]


def test_only_the_pausable_update_stands_still_on_pending() -> None:
    story = opened()
    story.reply(10)
    story.status(30, Status.PENDING)
    story.status(130, Status.OPEN)
    assert minutes(story, PAUSABLE, 140) == 30
    assert minutes(story, PERIODIC, 140) == 130
    story.status(150, Status.PENDING)
    story.reply(160)
    assert timers(story, PAUSABLE)[-1].mode is Mode.PAUSED
    story.status(170, Status.ON_HOLD)
    assert minutes(story, PAUSABLE, 175) == 5


def test_a_solved_ticket_owes_no_update_until_an_agent_writes_after_the_reopening() -> None:
    story = opened()
    story.reply(10)
    story.status(20, Status.SOLVED)
    story.reply(25)
    assert [(t.cycle, t.mode) for t in timers(story, PERIODIC)] == [(1, Mode.MET)]
    story.status(30, Status.OPEN)
    assert [(t.cycle, t.mode) for t in timers(story, PERIODIC)] == [(1, Mode.MET)]
    story.reply(40)
    assert [(t.cycle, t.mode) for t in timers(story, PERIODIC)][-1] == (2, Mode.RUNNING)


def test_a_message_that_comes_with_the_solving_promises_no_further_one() -> None:
    story = opened()
    story.reply(10)
    story.reply(20)
    story.status(20, Status.SOLVED)
    assert [(t.cycle, t.mode, t.elapsed_us) for t in timers(story, PERIODIC)] == [(1, Mode.MET, 10 * MINUTE_US)]
    story.status(30, Status.OPEN)
    story.reply(40)
    assert timers(story, PERIODIC)[-1].cycle == 2, "numbers have no gaps"


def test_a_message_that_was_taken_back_was_no_update() -> None:
    story = opened()
    story.reply(10)
    second = story.reply(50)
    assert second.message is not None
    story.tell(60, Kind.MESSAGE_RETRACTED, message=Message(id=second.message.id))
    assert [(t.cycle, t.since_us) for t in timers(story, PERIODIC)] == [(1, at(10))]


def test_a_change_of_priority_keeps_what_the_update_has_waited() -> None:
    story = opened()
    story.reply(10)
    story.priority(30, Priority.URGENT)
    timer = timers(story, PERIODIC)[-1]
    assert (timer.elapsed_us, timer.due_us, timer.breached_us) == (20 * MINUTE_US, at(40), None)
    story.priority(50, None)
    assert timers(story, PERIODIC)[-1].breached_us == at(40), "what was broken stays broken"


def test_updates_warn_break_and_end_by_cycle() -> None:
    watch = Watch(opened(), RULES)
    watch.story.reply(10)
    assert watch.kinds(41, PERIODIC) == [SlaKind.WARNING]
    watch.story.reply(50)
    [met] = [event for event in watch.look(51) if event.metric is PERIODIC]
    assert (met.kind, met.cycle, met.elapsed_s) == (SlaKind.FULFILLED, 1, 40 * 60)
    assert met.fulfilled_at is not None
    assert [(e.kind, e.cycle) for e in watch.look(111) if e.metric is PERIODIC] == [(SlaKind.BREACHED, 2)]
    watch.story.reply(105)  # arrives late
    retracted = [(e.kind, e.cycle) for e in watch.look(112) if e.metric is PERIODIC]
    assert retracted == [(SlaKind.RETRACTED, 2)]


def test_a_stay_begins_with_the_team_and_ends_with_the_next_one() -> None:
    story = opened()
    assert timers(story, OWNERSHIP) == []
    story.assigned(10, team="billing")
    [timer] = timers(story, OWNERSHIP)
    assert (timer.cycle, timer.policy, timer.due_us) == (1, "desk", at(130))
    story.assigned(20, agent="ana")
    assert timers(story, OWNERSHIP) == [timer]
    story.assigned(40, team="tech")
    first, second = timers(story, OWNERSHIP)
    assert (first.mode, first.elapsed_us, first.since_us) == (Mode.MET, 30 * MINUTE_US, at(40))
    assert (second.cycle, second.policy, second.due_us) == (2, "others", at(40 + 480))
    story.assigned(50, team=None)
    assert timers(story, OWNERSHIP)[-1].mode is Mode.MET


def test_a_ticket_born_with_a_team_is_held_from_its_creation() -> None:
    story = opened(team="billing")
    assert [(t.cycle, t.since_us) for t in timers(story, OWNERSHIP)] == [(1, at(0))]


def test_solving_ends_a_stay_and_reopening_begins_another() -> None:
    story = opened(team="billing")
    story.status(30, Status.SOLVED)
    assert [(t.cycle, t.mode, t.elapsed_us) for t in timers(story, OWNERSHIP)] == [(1, Mode.MET, 30 * MINUTE_US)]
    story.assigned(40, team="tech")
    assert len(timers(story, OWNERSHIP)) == 1, "who gets a solved ticket does not hold it"
    story.status(50, Status.OPEN)
    assert (timers(story, OWNERSHIP)[-1].cycle, timers(story, OWNERSHIP)[-1].since_us) == (2, at(50))


def test_a_team_that_solves_as_it_gets_the_ticket_had_no_stay() -> None:
    story = opened()
    story.assigned(10, team="billing")
    story.status(10, Status.SOLVED)
    assert timers(story, OWNERSHIP) == []


def test_a_stay_whose_beginning_nobody_saw_is_not_timed_and_the_next_one_is() -> None:
    story = Story()
    story.tell(0, Kind.UPDATED, ticket=Attributes(status=Status.OPEN, team="tech"))
    story.tell(10, Kind.UPDATED, ticket=Attributes(status=Status.OPEN, team="tech"))
    assert timers(story, OWNERSHIP) == []
    story.assigned(20, team="billing")
    assert [(t.cycle, t.since_us) for t in timers(story, OWNERSHIP)] == [(1, at(20))]


@pytest.mark.parametrize("before", [True, False])
def test_a_team_that_is_seen_to_get_a_ticket_begins_a_stay_though_nobody_knows_who_had_it(before: bool) -> None:
    story = Story()
    if before:
        story.tell(0, Kind.UPDATED, ticket=Attributes(status=Status.OPEN))
    story.assigned(10, team="billing")
    story.assigned(20, agent="a1")
    assert [(t.cycle, t.since_us) for t in timers(story, OWNERSHIP)] == [(1, at(10))]


def test_an_agent_that_gets_a_ticket_tells_nothing_of_since_when_the_team_has_it() -> None:
    story = Story()
    story.tell(10, Kind.ASSIGNMENT_CHANGED, assignment=Assignment(agent="a1"), ticket=Attributes(team="billing"))
    assert timers(story, OWNERSHIP) == []


def test_what_a_team_owes_is_chosen_apart_from_what_is_promised_to_the_customer() -> None:
    policies = {metric: promise.policy for metric, promise in RULES.promises("z", opened().ticket().who).items()}
    assert policies == {PERIODIC: "updates", PAUSABLE: "updates", OWNERSHIP: "others"}
    internal = Story()
    internal.created(brand="internal")
    assert RULES.promises("z", internal.ticket().who) == {}, "a policy without targets ends both searches"


@pytest.mark.parametrize("ending", ["deleted", "merged"])
def test_a_ticket_that_is_gone_takes_its_promises_back(ending: str) -> None:
    watch = Watch(opened(team="billing"), RULES)
    watch.story.reply(1)
    watch.look(200)
    if ending == "deleted":
        watch.story.tell(210, Kind.DELETED)
    else:
        watch.story.tell(210, Kind.MERGED, merge=Merge(into="2"))
    said = {event.metric: event.kind for event in watch.look(211)}
    assert said == dict.fromkeys((PERIODIC, PAUSABLE, OWNERSHIP), SlaKind.CANCELLED)


def test_a_ticket_that_is_handed_round_for_ever_keeps_a_bounded_memory() -> None:
    watch = Watch(opened(), RULES)
    for number in range(60):
        watch.story.assigned(10 + number * 200, team=("billing", "tech")[number % 2])
        watch.story.reply(12 + number * 200)
        watch.look(13 + number * 200)
    assert len(watch.entry.ticket.timers) <= 3 * (sla.CYCLES_KEPT + 3)
    assert len(watch.notices) <= 3 * (sla.CYCLES_KEPT + 5)


WITHDRAWN = rules(
    """
sla_policies:
  - {name: bugs, match: {team: [support]}, targets: {resolution: {"*": 1d}}}
  - {name: everyone, targets: {next_response: {"*": 1h}, periodic_update: {"*": 1h}}}
  - {name: desk, match: {team: [billing]}, targets: {group_ownership: {"*": 2h}}}
"""
)
NEXT = SlaMetric.NEXT_RESPONSE


def verdicts(story: Story, metric: SlaMetric) -> dict[str, int]:
    """How many promises of a metric were kept and broken, as the worker's core counts them."""
    desk = Desk(WITHDRAWN)
    for event in story.events:
        desk.hears(event, minute=(from_datetime(event.occurred_at) - at(0)) / MINUTE_US)
    found = desk.reads("sla_attainment")["by_metric"][metric.value]
    return {"count": found["count"], "kept": found["hits"]}


def answered(minute: float) -> Story:
    """A question of minute 20 that is answered then, and a ticket that another team gets afterwards."""
    story = Story()
    story.created()
    story.reply(10)
    story.asks(20)
    story.reply(minute)
    story.assigned(minute + 10, team="support")
    return story


@pytest.mark.parametrize(("minute", "kept"), [(30, 1), (100, 0)])
def test_a_promise_that_was_kept_or_broken_stays_so_when_the_next_policy_does_not_make_it(
    minute: float, kept: int
) -> None:
    story = answered(minute)
    assert verdicts(story, NEXT) == {"count": 1, "kept": kept}
    story.asks(200)
    assert verdicts(story, NEXT) == {"count": 1, "kept": kept}
    story.assigned(210, team=None)
    story.reply(220)
    assert verdicts(story, NEXT) == {"count": 2, "kept": kept + 1}


def test_a_promise_that_is_withdrawn_while_it_stands_was_neither_kept_nor_broken() -> None:
    story = answered(30)
    story.assigned(50, team=None)
    story.asks(60)
    story.assigned(70, team="support")
    story.reply(80)
    assert verdicts(story, NEXT) == {"count": 1, "kept": 1}


def test_a_promise_that_ends_with_the_very_event_that_withdraws_it_was_kept() -> None:
    story = Story()
    story.created(0, team="billing")
    story.assigned(30, team="support")
    assert verdicts(story, OWNERSHIP) == {"count": 1, "kept": 1}
    story.assigned(40, team="billing")
    story.assigned(170, team="support")
    assert verdicts(story, OWNERSHIP) == {"count": 2, "kept": 1}
