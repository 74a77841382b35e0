"""What the world is told of SLA timers, and when."""

from __future__ import annotations

import pytest

from schemas.instant import from_datetime, to_datetime
from schemas.sla import SlaEvent, SlaKind, SlaMetric
from schemas.state import Entry, Notice, TimerState, timer_list
from schemas.ticket import ActorKind, Attributes, Kind, Merge, Priority, Status
from services.fold import sla
from services.fold.rules import Rules
from services.fold.ticket import fold
from services.metrics.announce import announce
from services.metrics.engine import listing
from tests.support.story import Story, at, rules

RULES = rules(
    """
calendars:
  office: {timezone: UTC, weekly: {mon: [["09:00","17:00"]], tue: [["09:00","17:00"]], wed: [["09:00","17:00"]]}}
sla_policies:
  - {name: gold, match: {tier: [gold]}, calendar: office, warn_at: ["50%", "10m"],
     targets: {first_response: {urgent: 30m, "*": 1h}, next_response: {"*": 1h}, resolution: {"*": 4h}},
     pause_on: {resolution: [pending]}}
"""
)


class Watch:
    """A ticket and what has been announced of it: looks again whenever told to."""

    def __init__(self, story: Story, rules_: Rules = RULES) -> None:
        self.story, self.rules = story, rules_
        self.notices: tuple[Notice, ...] = ()
        self.wake_us: int | None = None

    def look(self, minute: float) -> list[SlaEvent]:
        ticket, _ = fold(self.story.source, self.story.ticket_id, self.story.facts(), self.rules)
        said = announce(ticket, self.notices, at(minute), self.rules)
        self.notices, self.wake_us = said.notices, said.wake_us
        self.entry = Entry(ticket, said.notices)
        return list(said.events)

    def kinds(self, minute: float, metric: SlaMetric = SlaMetric.FIRST_RESPONSE) -> list[SlaKind]:
        return [event.kind for event in self.look(minute) if event.metric is metric]


def opened(**attributes: object) -> Story:
    story = Story()
    story.created(0, tier="gold", **attributes)
    return story


def test_thresholds_warn_once_each_and_the_breach_follows_when_more_than_the_target_has_passed() -> None:
    watch = Watch(opened())
    assert watch.look(29) == []
    assert watch.wake_us == at(30)
    [half] = watch.look(30)
    assert (half.kind, half.threshold, half.metric) == (SlaKind.WARNING, "50%", SlaMetric.FIRST_RESPONSE)
    assert watch.wake_us == at(50)
    assert watch.look(31) == []
    [near] = watch.look(50)
    assert (near.threshold, near.revision) == ("10m", 2)
    assert watch.look(60) == [], "exactly the target is in time"
    [broken] = watch.look(60.001)
    assert broken.kind is SlaKind.BREACHED
    assert broken.breached_at is not None
    assert from_datetime(broken.breached_at) == at(60)
    assert from_datetime(broken.detected_at) == at(60.001)
    assert watch.look(1000)[0].metric is SlaMetric.RESOLUTION, "the first response is not announced again"


def test_only_the_highest_of_several_thresholds_is_announced() -> None:
    assert [event.threshold for event in Watch(opened()).look(55)] == ["10m"]


def test_an_answer_after_a_warning_ends_it_and_an_answer_before_says_nothing() -> None:
    quiet = Watch(opened())
    quiet.story.reply(10)
    assert quiet.kinds(11) == []
    warned = Watch(opened())
    warned.look(40)
    warned.story.reply(45)
    assert warned.kinds(46) == [SlaKind.FULFILLED]
    assert warned.kinds(47) == []


def test_a_late_answer_is_told_as_fulfilled_late() -> None:
    watch = Watch(opened())
    watch.look(70)
    watch.story.reply(80)
    [event] = [e for e in watch.look(81) if e.metric is SlaMetric.FIRST_RESPONSE]
    assert event.kind is SlaKind.FULFILLED
    assert event.breached_at is not None
    assert event.fulfilled_at is not None
    assert from_datetime(event.fulfilled_at) == at(80)
    assert event.elapsed_s == 80 * 60


def test_a_breach_found_after_the_answer_is_still_told_and_ended_at_once() -> None:
    watch = Watch(opened())
    watch.story.reply(80)
    assert watch.kinds(81) == [SlaKind.BREACHED, SlaKind.FULFILLED]


def test_an_answer_that_arrives_late_with_an_earlier_time_retracts_the_breach() -> None:
    watch = Watch(opened())
    watch.look(61)
    watch.story.reply(59)
    assert watch.kinds(62) == [SlaKind.RETRACTED]
    assert watch.kinds(63) == []


def test_a_late_event_that_moves_the_breach_corrects_it() -> None:
    watch = Watch(opened())
    watch.story.reply(1)
    [event] = [e for e in watch.look(250) if e.kind is SlaKind.BREACHED]
    assert event.breached_at == to_datetime(at(240))
    watch.story.status(100, Status.PENDING)
    watch.story.status(105, Status.OPEN)
    [again] = watch.look(251)
    assert (again.kind, again.breached_at) == (SlaKind.BREACHED, to_datetime(at(245)))
    assert watch.look(252) == []


def test_a_reopened_resolution_that_was_late_is_broken_again() -> None:
    watch = Watch(opened())
    metric = SlaMetric.RESOLUTION
    watch.look(250)
    watch.story.status(260, Status.SOLVED)
    assert watch.kinds(261, metric) == [SlaKind.FULFILLED]
    watch.story.status(270, Status.OPEN)
    assert watch.kinds(271, metric) == [SlaKind.BREACHED]


def test_after_closing_time_no_promise_breaks_before_the_next_opening() -> None:
    story = Story()
    story.created(7 * 60, tier="gold")  # 16:00; the hour is used up exactly at 17:00
    watch = Watch(story)
    watch.look(7 * 60 + 55)
    assert watch.kinds(9 * 60) == []
    assert watch.kinds(24 * 60) == [], "09:00 the next morning is the last instant of the promise"
    assert watch.kinds(24 * 60 + 0.001) == [SlaKind.BREACHED]


def test_a_paused_clock_neither_warns_nor_breaks() -> None:
    watch = Watch(opened())
    watch.story.reply(1)
    watch.story.status(60, Status.PENDING)
    assert watch.look(2000) == []
    assert watch.wake_us is None
    watch.story.status(2000, Status.OPEN)
    watch.look(2001)
    assert watch.wake_us is not None


def test_a_shorter_target_warns_anew_and_a_breach_found_at_the_change_is_dated_there() -> None:
    watch = Watch(opened())
    assert watch.kinds(35) == [SlaKind.WARNING]
    watch.story.priority(36, Priority.URGENT)
    [event] = watch.look(36)
    assert event.kind is SlaKind.BREACHED
    assert event.breached_at is not None
    assert from_datetime(event.breached_at) == at(36)
    assert event.target_s == 30 * 60


def test_a_longer_target_takes_a_warning_back_and_keeps_a_breach() -> None:
    warned = Watch(opened(priority=Priority.URGENT))
    assert warned.kinds(25) == [SlaKind.WARNING]
    warned.story.priority(26, Priority.LOW)
    assert warned.kinds(26) == [SlaKind.RETRACTED]
    broken = Watch(opened(priority=Priority.URGENT))
    assert broken.kinds(31) == [SlaKind.BREACHED]
    broken.story.priority(32, Priority.LOW)
    assert broken.kinds(32) == [], "what was broken stays broken"


def test_a_promise_that_is_no_longer_made_is_cancelled() -> None:
    watch = Watch(opened())
    watch.look(35)
    watch.story.tell(36, Kind.UPDATED, ticket=Attributes(tier=None))
    [event] = watch.look(36)
    assert (event.kind, event.policy) == (SlaKind.CANCELLED, "gold")
    assert listing(watch.entry) == {}


@pytest.mark.parametrize("ending", ["deleted", "merged"])
def test_a_ticket_that_is_gone_cancels_what_was_announced(ending: str) -> None:
    watch = Watch(opened())
    watch.look(61)
    if ending == "deleted":
        watch.story.tell(65, Kind.DELETED)
    else:
        watch.story.tell(65, Kind.MERGED, merge=Merge(into="2"))
    assert watch.kinds(66) == [SlaKind.CANCELLED]
    assert watch.wake_us is None
    assert listing(watch.entry) == {}


def test_a_restored_ticket_goes_on_where_it_was() -> None:
    watch = Watch(opened())
    watch.story.tell(10, Kind.DELETED)
    watch.story.tell(100, Kind.RESTORED)
    watch.look(101)
    assert watch.kinds(119) == []
    assert watch.kinds(120) == [SlaKind.WARNING], "ten minutes had passed before it was deleted"


def test_imported_history_is_computed_and_never_announced() -> None:
    story = Story()
    story.tell(0, Kind.CREATED, imported=True, ticket=Attributes(tier="gold"))
    watch = Watch(story)
    assert watch.look(5000) == []
    story.reply(6000)
    assert watch.look(6001) == []
    assert listing(watch.entry), "the resolution's timer is there to be read"


def test_what_broke_before_we_first_saw_a_ticket_is_not_announced() -> None:
    story = Story()
    created_at = to_datetime(at(-7 * 24 * 60))
    story.tell(0, Kind.UPDATED, ticket=Attributes(status=Status.OPEN, tier="gold", created_at=created_at))
    watch = Watch(story)
    assert watch.look(1) == []
    lists = [listed for listed, _ in listing(watch.entry)]
    assert lists == [timer_list(TimerState.BREACHED, SlaMetric.RESOLUTION)], (
        "the API shows it all the same; nobody is woken for it"
    )


def test_each_unanswered_message_after_an_answer_is_an_instance_of_its_own() -> None:
    watch = Watch(opened())
    metric = SlaMetric.NEXT_RESPONSE
    watch.story.reply(5)
    watch.story.asks(10)
    watch.story.asks(20)
    events = [e for e in watch.look(71) if e.metric is metric]
    assert [(e.kind, e.cycle) for e in events] == [(SlaKind.BREACHED, 1)]
    watch.story.reply(80)
    watch.story.message(85, ActorKind.BOT)
    watch.story.asks(90)
    events = [e for e in watch.look(151) if e.metric is metric]
    assert [(e.kind, e.cycle) for e in events] == [(SlaKind.FULFILLED, 1), (SlaKind.BREACHED, 2)]


def test_a_ticket_that_is_talked_about_for_ever_keeps_a_bounded_memory() -> None:
    watch = Watch(opened())
    watch.story.reply(5)
    kinds: list[SlaKind] = []
    for cycle in range(60):
        watch.story.asks(10 + cycle * 100)
        watch.story.reply(10 + cycle * 100 + 90)
        kinds += watch.kinds(10 + cycle * 100 + 91, SlaMetric.NEXT_RESPONSE)
    assert SlaKind.RETRACTED not in kinds
    assert kinds.count(SlaKind.BREACHED) > 10
    assert len(watch.notices) <= sla.CYCLES_KEPT + 5
    assert len(watch.entry.ticket.timers) <= sla.CYCLES_KEPT + 5


LATE_HELPDESK = rules(
    """
sources: {zendesk: {vendor: zendesk, secrets: [x], delivery_delay: 10m}}
sla_policies:
  - {name: gold, match: {tier: [gold]}, warn_at: ["50%"], targets: {first_response: {urgent: 20m, "*": 1h}}}
"""
)


def test_a_source_that_delivers_late_is_announced_later_and_its_times_stay_true() -> None:
    watch = Watch(opened(), LATE_HELPDESK)
    assert watch.look(30) == []
    assert watch.wake_us == at(40)
    assert watch.kinds(40) == [SlaKind.WARNING]
    assert watch.look(70) == []
    assert watch.wake_us == at(70) + 1
    [broken] = watch.look(70.001)
    assert broken.kind is SlaKind.BREACHED
    assert broken.breached_at == to_datetime(at(60))
    assert broken.detected_at == to_datetime(at(70.001))


def test_a_reply_that_comes_within_the_delay_spares_the_alarm() -> None:
    watch = Watch(opened(), LATE_HELPDESK)
    watch.look(45)
    assert watch.look(69) == []
    watch.story.reply(59)
    assert watch.kinds(69.5) == [SlaKind.FULFILLED], "of the warning"
    assert watch.look(200) == []


def test_a_breach_that_a_change_of_target_finds_waits_too_and_is_told_once_it_stands() -> None:
    watch = Watch(opened(), LATE_HELPDESK)
    watch.story.priority(30, Priority.URGENT)
    assert watch.look(35) == []
    assert watch.wake_us == at(40) + 1
    [broken] = watch.look(41)
    assert (broken.kind, broken.breached_at) == (SlaKind.BREACHED, to_datetime(at(30)))


def test_a_late_reply_within_the_delay_is_told_with_its_breach_when_the_delay_is_over() -> None:
    watch = Watch(opened(), LATE_HELPDESK)
    watch.look(45)
    watch.story.reply(62)
    assert watch.look(63) == []
    assert watch.kinds(71) == [SlaKind.BREACHED, SlaKind.FULFILLED]
