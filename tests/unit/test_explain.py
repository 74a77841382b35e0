"""An explanation says in plain words why a timer reads what it reads, and what did not count."""

from __future__ import annotations

import pytest

from schemas.sla import SlaMetric
from schemas.ticket import ActorKind, Attributes, Kind, Merge, Message, Priority, Status, Visibility
from services.fold.explain import Explanation, explained
from services.fold.fact import fact
from services.fold.life import Happened, Reads
from services.fold.rules import Rules
from services.fold.shown import as_json, as_text
from tests.support.story import Story, at, rules

RULES = rules(
    """
calendars:
  support: {timezone: Europe/Paris, weekly: {mon: [["09:00","18:00"]], tue: [["09:00","18:00"]]}}
sla_policies:
  - {name: vip, calendar: support, match: {tier: [gold]}, warn_at: ["50%"],
     targets: {first_response: {"*": 4h, low: null}, next_response: {"*": 1h}, resolution: {urgent: 30m, "*": 8h}},
     pause_on: {resolution: [pending]}}
  - {name: desk, match: {team: [billing]}, targets: {group_ownership: {"*": 1h}}}
"""
)
FIRST, NEXT, RESOLUTION = SlaMetric.FIRST_RESPONSE, SlaMetric.NEXT_RESPONSE, SlaMetric.RESOLUTION


def told(story: Story, minute: float, rules_: Rules = RULES) -> Explanation:
    return explained(story.source, story.ticket_id, [fact(e) for e in story.events], rules_, at(minute))


def summary(explanation: Explanation, metric: SlaMetric) -> str:
    return [life.summary for life in explanation.lives if life.timer.metric is metric][-1]


def opened(**attributes: object) -> Story:
    story = Story()
    story.created(0, tier="gold", **attributes)
    return story


def test_a_broken_promise_is_told_with_what_used_it_up_and_what_did_not_count() -> None:
    story = opened()
    story.message(20, ActorKind.BOT)
    story.message(30, ActorKind.AGENT, Visibility.PRIVATE)
    story.reply(275)
    assert summary(told(story, 300), FIRST) == (
        "First response: breached at 2026-03-02 13:00:00 UTC: 4 h of business hours (calendar support, Europe/Paris) "
        "were used up at 2026-03-02 13:00:00 UTC; the first public human reply came at 2026-03-02 13:35:00 UTC, 35 min "
        "later; what a bot wrote at 2026-03-02 09:20:00 UTC does not count; what a human agent (private note) wrote at "
        "2026-03-02 09:30:00 UTC does not count. Policy vip."
    )


def test_every_state_has_its_sentence() -> None:
    story = opened()
    assert summary(told(story, 60), FIRST).startswith("First response: runs: 1 h of 4 h of business hours")
    assert "due 2026-03-02 13:00:00 UTC" in summary(told(story, 60), FIRST)
    assert "it is 5 min over and runs" in summary(told(story, 245), FIRST)
    story.reply(70)
    assert "kept: the first public human reply came at 2026-03-02 10:10:00 UTC, after 1 h 10 min" in summary(
        told(story, 80), FIRST
    )
    story.status(90, Status.PENDING)
    assert "stands still since 2026-03-02 10:30:00 UTC (pending)" in summary(told(story, 100), RESOLUTION)
    story.status(120, Status.OPEN)
    assert "before, it stood still for 30 min (pending)" in summary(told(story, 130), RESOLUTION)
    story.tell(140, Kind.UPDATED, ticket=Attributes(tier=None))
    assert "no longer promised since 2026-03-02 11:20:00 UTC" in summary(told(story, 150), RESOLUTION)


def test_what_time_alone_did_is_a_step_of_its_own_in_its_place() -> None:
    story = opened()
    story.reply(275)
    steps = [(step.at_us, change.happened) for step in told(story, 300).steps for change in step.changes]
    assert [(when, happened) for when, happened in steps if happened != (Happened.STARTED,)] == [
        (at(120), (Happened.WARNED,)),
        (at(240), (Happened.BREACHED,)),
        (at(240), (Happened.WARNED,)),  # half of the resolution's time
        (at(275), (Happened.ENDED,)),
    ]


def test_exactly_the_target_is_not_told_as_broken() -> None:
    story = opened()
    story.reply(240)
    life = next(life for life in told(story, 300).lives if life.timer.metric is FIRST)
    assert "kept" in life.summary


def test_a_promise_used_up_at_closing_time_says_that_it_held_until_the_opening() -> None:
    story = Story()
    story.created(240, tier="gold")
    steps = told(story, 25 * 60).steps
    broken = next(c for s in steps for c in s.changes if c.timer.metric is FIRST and Happened.BREACHED in c.happened)
    assert "at closing time: the promise held until the next opening at 2026-03-03 08:00:00 UTC" in broken.why


def test_a_new_target_says_what_stays_counted_and_that_it_is_not_dated_back() -> None:
    story = opened()
    story.priority(60, Priority.URGENT)
    [step] = [step for step in told(story, 61).steps if step.at_us == at(60)]
    change = next(change for change in step.changes if change.timer.metric is RESOLUTION)
    assert change.happened == (Happened.RETARGETED, Happened.BREACHED)
    assert (change.before, change.after) == (Reads.RUNNING, Reads.BREACHED)
    assert "30 min of business hours" in change.why
    assert "the 1 h that had passed stay counted" in change.why
    assert "not back in time" in change.why


def test_a_promise_that_began_to_apply_late_says_what_had_passed() -> None:
    story = Story()
    story.created()
    story.tell(30, Kind.UPDATED, ticket=Attributes(tier="gold"))
    changes = [change for step in told(story, 31).steps for change in step.changes]
    assert "30 min of it had passed when the promise began to apply" in changes[0].why


@pytest.mark.parametrize(
    ("attributes", "metric", "why"),
    [
        ({"tier": None}, FIRST, "No policy matches the ticket."),
        ({"tier": "gold", "priority": Priority.LOW}, FIRST, "promises nothing of it at this priority"),
        ({"tier": "gold"}, SlaMetric.AGENT_WORK, "Policy vip matches first, and has no target for it."),
        ({"tier": "gold"}, NEXT, "no customer has written since the first reply"),
        ({"team": "tech"}, SlaMetric.GROUP_OWNERSHIP, "No policy matches the ticket."),
    ],
)
def test_a_promise_that_is_not_made_has_its_reason(attributes: dict[str, object], metric: SlaMetric, why: str) -> None:
    story = Story()
    story.created(0, **attributes)
    assert why in told(story, 1).unpromised[metric]


def test_a_ticket_first_seen_in_mid_life_says_so() -> None:
    story = Story()
    story.tell(0, Kind.UPDATED, ticket=Attributes(status=Status.OPEN, tier="gold", team="billing"))
    explanation = told(story, 1)
    assert "first seen in mid-life" in explanation.unpromised[FIRST]
    assert "nobody saw when the team got it" in explanation.unpromised[SlaMetric.GROUP_OWNERSHIP]
    assert "first seen in mid-life" in explanation.notes[0]


def test_an_imported_and_a_merged_ticket_are_noted() -> None:
    story = Story()
    story.tell(0, Kind.CREATED, imported=True, ticket=Attributes(tier="gold"))
    story.tell(10, Kind.MERGED, merge=Merge(into="2"))
    first, second = told(story, 20).notes
    assert "never announced" in first
    assert "merged" in second


def test_messages_that_do_not_count_say_why() -> None:
    story = opened()
    taken_back = story.reply(10)
    story.message(20, ActorKind.BOT)
    story.message(30, ActorKind.AGENT, Visibility.PRIVATE)
    story.asks(40)
    story.asks(50)
    assert taken_back.message is not None
    story.tell(60, Kind.MESSAGE_RETRACTED, message=Message(id=taken_back.message.id))
    ignored = {step.at_us: step.ignored for step in told(story, 70).steps if step.ignored is not None}
    assert "taken back later" in (ignored[at(10)] or "")
    assert "Only a human agent" in (ignored[at(20)] or "")
    assert "private note" in (ignored[at(30)] or "")
    assert "earlier message was unanswered" in (ignored[at(50)] or "")


def test_an_event_that_arrived_late_says_so_and_counts_in_its_place() -> None:
    story = opened()
    story.reply(275)
    facts = [fact(event) for event in story.events]
    explanation = explained("zendesk", "1", facts[::-1], RULES, at(300))
    [late] = [step for step in explanation.steps if step.ignored is not None]
    assert (late.at_us, "arrived after what happened later" in (late.ignored or "")) == (at(0), True)
    assert [step.at_us for step in explanation.steps] == sorted(step.at_us for step in explanation.steps)


def test_a_ticket_whose_rules_were_edited_is_told_on_its_own_terms_and_a_note_says_so() -> None:
    story = opened()
    stored = story.ticket(RULES)
    edited = rules(
        """
calendars: {support: {timezone: Europe/Paris, weekly: {mon: [["09:00","18:00"]], tue: [["09:00","18:00"]]}}}
sla_policies: [{name: vip, calendar: support, match: {tier: [gold]},
                targets: {first_response: {"*": 1h}, resolution: {"*": 8h}}}]
"""
    )
    facts = [fact(event) for event in story.events]
    assert explained("zendesk", "1", facts, RULES, at(1), stored=stored).notes == ()
    explanation = explained("zendesk", "1", facts, edited, at(90), stored=stored)
    assert explanation.ticket.timers == stored.timers
    assert "1 h 30 min of 4 h" in summary(explanation, FIRST)
    [note] = explanation.notes
    assert "The rules were edited since" in note


def test_timers_that_cannot_be_told_again_are_noted() -> None:
    story = opened()
    story.reply(90)
    stored = story.ticket(RULES)
    stored.timers = tuple(t for t in stored.timers if t.metric is not FIRST)
    [note] = explained("zendesk", "1", [fact(event) for event in story.events], RULES, at(1), stored=stored).notes
    assert "read otherwise than these steps" in note


def test_as_json_and_as_text_say_the_same_and_can_be_narrowed_to_a_metric() -> None:
    story = opened(team="billing", agent="ana-the-agent")
    story.reply(275)
    shown = as_json(told(story, 300), FIRST)
    assert {timer["metric"] for timer in shown["timers"]} == {"first_response"}
    assert {change["metric"] for step in shown["steps"] for change in step["timers"]} == {"first_response"}
    lines = list(as_text(shown))
    assert shown["timers"][0]["summary"] in lines
    assert not any("ana-the-agent" in line for line in [*lines, str(shown)])
