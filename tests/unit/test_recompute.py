"""Promises made anew on request: what it changes, and that it stays so whatever comes later."""

from __future__ import annotations

from collections import Counter

import pytest

from schemas.sla import SlaKind
from schemas.state import Entry, Fact, Ticket, unpack_entry
from schemas.ticket import ActorKind, Kind, Priority, Status
from services.fold.fact import fact
from services.fold.recompute import recomputed, refolded
from services.fold.rules import Rules
from services.fold.ticket import step
from services.kpi.catalogue import Cell, broken
from services.kpi.window import resolutions
from services.metrics.delta import Delta
from services.metrics.engine import Engine
from tests.support.story import MINUTE_US, Story, at
from tests.unit.test_sla_terms import RESOLUTION, RULES, policy, timer

SHORTER = policy(target="30m")


def made(story: Story, minute: float, rules: Rules = SHORTER, name: str | None = None) -> Ticket:
    found = recomputed(story.ticket(RULES), at(minute), rules, name)
    assert found is not None
    return found[0]


def ordered(story: Story) -> list[Fact]:
    return sorted((fact(event) for event in story.events), key=lambda one: one.order)


def open_ticket() -> Story:
    story = Story()
    story.created(tags=("vip",))
    story.reply(10)
    return story


def test_an_open_ticket_gets_the_targets_of_now_and_keeps_what_has_passed() -> None:
    found = timer(made(open_ticket(), 20))
    assert (found.target_us, found.elapsed_us, found.due_us) == (30 * MINUTE_US, 20 * MINUTE_US, at(30))


def test_asking_again_changes_nothing() -> None:
    once = made(open_ticket(), 50)
    assert timer(once).breached_us == at(50)
    assert recomputed(once, at(60), SHORTER) is None


@pytest.mark.parametrize("status", [Status.SOLVED, Status.CLOSED])
def test_a_ticket_that_is_done_stays_as_it_is(status: Status) -> None:
    story = open_ticket()
    story.status(20, status)
    assert recomputed(story.ticket(RULES), at(50), SHORTER) is None


def test_rules_that_say_the_same_change_nothing() -> None:
    assert recomputed(open_ticket().ticket(RULES), at(50), policy()) is None


def test_a_policy_concerns_those_whom_it_promises_something() -> None:
    assert recomputed(open_ticket().ticket(RULES), at(50), SHORTER, "another") is None
    assert timer(made(open_ticket(), 50, name="vip")).target_us == 30 * MINUTE_US


def test_it_is_never_dated_before_what_the_ticket_knows() -> None:
    story = open_ticket()
    assert made(story, 5).settled_us == at(10) + 1


@pytest.mark.parametrize("late", [5, 30, 49])
def test_an_event_that_comes_late_dates_no_breach_back(late: float) -> None:
    story = open_ticket()
    before = made(story, 50)
    story.message(late, ActorKind.BOT)
    again, _ = refolded(before, ordered(story), SHORTER)
    assert timer(again) == timer(before)
    assert (again.settled_us, again.recomputed) == (before.settled_us, before.recomputed)


def test_two_requests_and_a_late_event_keep_both_dates() -> None:
    story = open_ticket()
    first = made(story, 50)
    second = recomputed(first, at(70), policy(target="8h"))
    assert second is not None
    story.message(30, ActorKind.BOT)
    again, _ = refolded(second[0], ordered(story), policy(target="8h"))
    assert (timer(again).target_us, timer(again).breached_us) == (480 * MINUTE_US, at(50))
    assert timer(again) == timer(second[0])


def test_steps_after_a_request_and_the_fold_of_everything_agree() -> None:
    story = open_ticket()
    ticket = made(story, 20)
    for event in (story.priority(40, Priority.URGENT), story.status(55, Status.PENDING), story.status(90, Status.OPEN)):
        ticket, _ = step(ticket, fact(event), SHORTER)
    again, _ = refolded(ticket, ordered(story), SHORTER)
    assert again == ticket


def test_a_breach_that_is_found_is_announced_and_counted_once_and_taken_back_with_its_ticket() -> None:
    story, key = open_ticket(), "zendesk:1"
    old, new = (Engine(rules, resolutions([])) for rules in (RULES, SHORTER))
    total: Counter[str] = Counter()

    def taken(delta: Delta) -> Entry:
        for (resolution, _), segments in delta.buckets.items():
            if resolution == "1d":
                total.update(segments.get("all", {}))
        return unpack_entry(delta.entries[key])

    entry = taken(old.batch({}, {key: story.facts()}, {}, at(40), at(40))[0])
    assert total[broken(RESOLUTION)] == 0
    delta, _ = new.counted(new.recomputed({key: entry}, at(50), None), at(50))
    assert [(event.kind, event.metric) for event in delta.events] == [(SlaKind.BREACHED, RESOLUTION)]
    entry = taken(delta)
    assert (total[broken(RESOLUTION)], total[Cell.OVERDUE.value]) == (1, 1)
    assert new.recomputed({key: entry}, at(60), None).delta.entries == {}

    known = story.facts()
    gone = fact(story.tell(70, Kind.DELETED))
    taken(new.batch({key: entry}, {key: [gone]}, {key: known}, at(71), at(71))[0])
    assert {field: amount for field, amount in total.items() if amount} == {}, "a deleted ticket takes all of it back"
