"""Which terms a timer stands on: promises made late, changed, edited, and made anew."""

from __future__ import annotations

import pytest

from schemas.sla import SlaKind, SlaMetric
from schemas.state import Mode, Ticket, Timer
from schemas.ticket import ActorKind, Kind, Priority, Status, TagsChange
from services.fold import sla, terms
from services.fold.fact import fact
from services.fold.rules import Rules
from services.fold.ticket import fold, step
from tests.support.story import MINUTE_US, Story, at, rules
from tests.unit.test_announce import Watch


def policy(target: str = "4h", calendar: str = "office", closes: str = "17:00", more: str = "") -> Rules:
    return rules(
        f"""
calendars:
  office: {{timezone: UTC, weekly: {{mon: [["09:00","{closes}"]], tue: [["09:00","{closes}"]]}}}}
  always: {{timezone: UTC, weekly: {{mon: [["00:00","24:00"]], tue: [["00:00","24:00"]]}}}}
sla_policies:
  - {{name: vip, match: {{tag: [vip]}}, calendar: {calendar}, warn_at: ["50%"], pause_on: {{resolution: [pending]}},
     targets: {{first_response: {{urgent: 15m, "*": 1h}}, resolution: {{urgent: 2h, "*": {target}}}{more}}}}}
"""
    )


RULES = policy()
RESOLUTION, FIRST = SlaMetric.RESOLUTION, SlaMetric.FIRST_RESPONSE


def timer(ticket: Ticket, metric: SlaMetric = RESOLUTION) -> Timer:
    return next(t for t in reversed(ticket.timers) if t.metric is metric)


def tagged(story: Story, minute: float, added: str = "vip", removed: str = "") -> None:
    story.tell(minute, Kind.TAGS_CHANGED, tags=TagsChange(added=(added,), removed=(removed,) if removed else ()))


def after(ticket: Ticket, story: Story, new: Rules) -> Ticket:
    """The ticket after the last event of the story, folded by other rules than those before it."""
    return step(ticket, fact(story.events[-1]), new)[0]


def test_a_promise_made_late_starts_where_it_would_have_started_pauses_included() -> None:
    story = Story()
    story.created()
    story.status(30, Status.PENDING)
    story.status(90, Status.OPEN)
    tagged(story, 120)
    made = timer(story.ticket(RULES))
    assert (made.mode, made.elapsed_us, made.due_us) == (Mode.RUNNING, 60 * MINUTE_US, at(300))


def test_a_promise_made_late_does_not_count_the_time_when_the_ticket_was_solved_or_gone() -> None:
    story = Story()
    story.created()
    story.status(10, Status.SOLVED)
    story.status(100, Status.OPEN)
    story.tell(110, Kind.DELETED)
    story.tell(210, Kind.RESTORED)
    tagged(story, 215)
    assert timer(story.ticket(RULES)).elapsed_us == 25 * MINUTE_US


def test_a_promise_that_is_broken_as_it_is_made_is_dated_then_not_back() -> None:
    story = Story()
    story.created()
    tagged(story, 90)
    assert timer(story.ticket(RULES), FIRST).breached_us == at(90)


def test_a_promise_made_after_the_reply_binds_nobody() -> None:
    story = Story()
    story.created()
    story.reply(5)
    tagged(story, 90)
    watch = Watch(story, RULES)
    assert watch.kinds(91) == []
    assert [t.metric for t in watch.entry.ticket.timers] == [RESOLUTION]


def test_a_promise_taken_away_and_made_again_counts_from_the_beginning() -> None:
    story = Story()
    story.created()
    tagged(story, 0)
    tagged(story, 30, added="x", removed="vip")
    assert story.ticket(RULES).timers == ()
    tagged(story, 50)
    assert timer(story.ticket(RULES), FIRST).elapsed_us == 50 * MINUTE_US


def test_an_edited_policy_leaves_timers_alone_until_the_ticket_gives_cause() -> None:
    story = Story()
    story.created(tags=("vip",))
    ticket, edited = story.ticket(RULES), policy(target="1h")
    story.assigned(10, agent="ana")
    ticket = after(ticket, story, edited)
    assert timer(ticket).target_us == 240 * MINUTE_US
    story.status(20, Status.PENDING)
    ticket = after(ticket, story, edited)
    assert (timer(ticket).mode, timer(ticket).target_us) == (Mode.PAUSED, 240 * MINUTE_US)
    story.priority(30, Priority.URGENT)
    assert timer(after(ticket, story, edited)).target_us == 120 * MINUTE_US, "a change of priority asks anew"


def test_a_policy_that_was_edited_away_is_kept_for_those_it_was_made_to() -> None:
    story = Story()
    story.created(tags=("vip",))
    story.reply(1)
    ticket = story.ticket(RULES)
    story.assigned(10, agent="ana")
    ticket = after(ticket, story, Rules(calendars=RULES.calendars))
    assert timer(ticket).due_us == at(240)
    story.status(20, Status.SOLVED)
    ticket = after(ticket, story, Rules(calendars=RULES.calendars))
    assert (timer(ticket).mode, timer(ticket).since_us) == (Mode.MET, at(20))


def test_a_new_policy_starts_nothing_on_a_ticket_that_is_open_already() -> None:
    story = Story()
    story.created(tags=("vip",))
    ticket = story.ticket(Rules())
    story.assigned(10, agent="ana")
    ticket = after(ticket, story, RULES)
    assert ticket.timers == ()
    story.status(20, Status.SOLVED)
    ticket = after(ticket, story, RULES)
    story.status(50, Status.OPEN)
    ticket = after(ticket, story, RULES)
    assert timer(ticket).elapsed_us == 20 * MINUTE_US, "a reopened ticket is promised what is promised then"


def test_re_evaluation_takes_the_new_target_and_keeps_what_has_passed() -> None:
    story = Story()
    story.created(tags=("vip",))
    story.status(30, Status.PENDING)
    story.status(90, Status.OPEN)
    ticket = sla.reevaluated(story.ticket(RULES), at(100), RULES, policy(target="1h"), retarget=True)
    made = timer(ticket)
    assert (made.target_us, made.elapsed_us, made.due_us, made.breached_us) == (
        60 * MINUTE_US,
        40 * MINUTE_US,
        at(120),
        None,
    )
    assert ticket.settled_us == at(100)


def test_a_breach_that_re_evaluation_finds_is_dated_then() -> None:
    story = Story()
    story.created(tags=("vip",))
    ticket = sla.reevaluated(story.ticket(RULES), at(50), RULES, policy(target="30m"), retarget=True)
    assert timer(ticket).breached_us == at(50)


def test_what_was_broken_before_the_re_evaluation_keeps_its_date() -> None:
    story = Story()
    story.created(tags=("vip",))
    ticket = sla.reevaluated(story.ticket(RULES), at(100), RULES, policy(), retarget=True)
    assert timer(ticket, FIRST).breached_us == at(60)


def test_re_evaluation_takes_promises_away_and_makes_new_ones_from_their_beginning() -> None:
    story = Story()
    story.created(tags=("vip",))
    story.reply(10)
    gone = sla.reevaluated(story.ticket(RULES), at(20), RULES, Rules(), retarget=True)
    assert [(left.metric, left.mode) for left in gone.timers] == [(FIRST, Mode.MET)], "what was kept stays kept"
    more = policy(more=', periodic_update: {"*": 1h}')
    found = timer(sla.reevaluated(story.ticket(RULES), at(40), RULES, more, retarget=True), SlaMetric.PERIODIC_UPDATE)
    assert (found.cycle, found.elapsed_us, found.due_us) == (1, 30 * MINUTE_US, at(70))


@pytest.mark.parametrize("retarget", [True, False])
def test_a_calendar_that_was_edited_counts_from_then_on(retarget: bool) -> None:
    story = Story()
    story.created(tags=("vip",))
    ticket = sla.reevaluated(story.ticket(RULES), at(60), RULES, policy(closes="11:00"), retarget=retarget)
    made = timer(ticket)
    assert (made.elapsed_us, made.due_us) == (60 * MINUTE_US, at(24 * 60 + 120))  # an hour more today, two tomorrow


def test_without_retarget_only_the_hours_change() -> None:
    story = Story()
    story.created(tags=("vip",))
    ticket = sla.reevaluated(story.ticket(RULES), at(60), RULES, policy(target="1h"), retarget=False)
    assert timer(ticket).target_us == 240 * MINUTE_US
    assert timer(ticket).due_us == at(240)


def test_re_evaluating_under_the_same_rules_changes_no_deadline() -> None:
    story = Story()
    story.created(tags=("vip",))
    story.reply(30)
    before = story.ticket(RULES)
    same = sla.reevaluated(before, at(90), RULES, RULES, retarget=True)
    assert [(t.metric, t.due_us, t.breach_after_us, t.breached_us, t.mode) for t in same.timers] == [
        (t.metric, t.due_us, t.breach_after_us, t.breached_us, t.mode) for t in before.timers
    ]


def test_a_promise_made_anew_while_solved_counts_when_the_ticket_is_reopened() -> None:
    story = Story()
    story.created(tags=("vip",))
    story.status(30, Status.SOLVED)
    story.priority(40, Priority.URGENT)
    story.status(50, Status.OPEN)
    assert (timer(story.ticket(RULES)).target_us, timer(story.ticket(RULES)).due_us) == (120 * MINUTE_US, at(140))


def test_warnings_of_an_older_target_are_shares_of_that_target() -> None:
    story = Story()
    story.created(tags=("vip",))
    story.reply(1)
    watch = Watch(story, RULES)
    watch.look(2)
    given = policy(target="1h").given(timer(watch.entry.ticket))
    assert given.warnings == ((120 * MINUTE_US, "50%"),)
    assert [event.kind for event in watch.look(121)] == [SlaKind.WARNING]


def late(story: Story, ticket: Ticket, new: Rules) -> Ticket:
    """The ticket folded from its beginning, because an event came late, after the rules became ``new``."""
    return fold(ticket.source, ticket.ticket_id, story.facts(), terms.kept(ticket, new))[0]


def test_an_event_that_comes_late_does_not_bring_edited_targets_with_it() -> None:
    story = Story()
    story.created(tags=("vip",))
    story.status(30, Status.OPEN)
    ticket = story.ticket(RULES)
    story.message(20, ActorKind.BOT)
    again = late(story, ticket, policy(target="10m"))
    assert timer(again) == timer(ticket)
    assert timer(again).breached_us is None


def test_an_event_that_comes_late_does_not_take_a_removed_policy_away() -> None:
    story = Story()
    story.created(tags=("vip",))
    ticket = story.ticket(RULES)
    story.message(20, ActorKind.BOT)
    assert late(story, ticket, Rules(calendars=RULES.calendars)).timers == ticket.timers


def test_an_event_that_comes_late_starts_nothing_that_was_not_promised() -> None:
    story = Story()
    story.created(tags=("vip",))
    ticket = story.ticket(Rules())
    story.message(20, ActorKind.BOT)
    assert late(story, ticket, RULES).timers == ()


def test_where_nothing_was_edited_the_rules_are_the_rules() -> None:
    story = Story()
    story.created(tags=("vip",))
    story.reply(10)
    story.priority(20, Priority.URGENT)
    assert terms.kept(story.ticket(RULES), RULES) is RULES
