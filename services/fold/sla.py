"""SLA timers: what each metric's clock does for a ticket in a given state, and how it gets from there to here.

Definitions: Zendesk's six timer states and metrics, semantics.md §b. A timer is advanced by facts, never by a
sweep: whether a promise broke is computed from event times, so a late look finds the same answer as an early one.

Some metrics happen once and can be taken up again (a reopened ticket's resolution). Others repeat, each time as an
instance of its own: an unanswered question, the time since an agent last wrote, a stay with a team.
"""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Final

from msgspec import Struct, structs

from schemas.sla import SlaMetric
from schemas.state import Cycle, Mode, Ticket, Timer
from schemas.ticket import DONE
from services.fold.rules import Promise, Rules

CYCLES_KEPT = 20
"""How many instances back a broken promise is kept on the ticket, so that it can still be retracted."""

Promises = dict[SlaMetric, Promise]

_OPEN: Final = frozenset({Mode.RUNNING, Mode.PAUSED})
REPEATING: Final = frozenset(
    {
        SlaMetric.NEXT_RESPONSE,
        SlaMetric.PERIODIC_UPDATE,
        SlaMetric.PAUSABLE_UPDATE,
        SlaMetric.GROUP_OWNERSHIP,
    }
)
"""Metrics of which a ticket has one instance after the other."""


class Natural(Struct, frozen=True):
    """What a metric's clock should be doing, whatever was promised: ``None`` for a metric that has not begun.

    ``since_us`` is when this instance began, ``None`` once a repeating one has ended.
    """

    mode: Mode | None
    cycle: int = 1
    since_us: int | None = None


_NOT_BEGUN: Final = Natural(None)


def reckoned(before: Ticket, ticket: Ticket, at_us: int, promises: Promises, rules: Rules) -> tuple[Timer, ...]:
    """The ticket's timers after a fact at ``at_us`` has been folded into everything else of ``ticket``.

    A promise that is no longer made takes its timer away; a changed target keeps what has elapsed. What the ticket
    does decides that: rules that were edited meanwhile change nothing of a timer that stands (:func:`reevaluated`
    does). While a ticket is deleted or merged its clocks stand still, so that a restored one goes on where it was.
    """
    ticket.timers = broken_before(before, at_us)
    earlier: Promises | None = promises
    if before.facts == 0 or before.gone is not None:
        earlier = None
    elif ticket.who is not before.who:
        earlier = rules.promises(before.source, before.who)
    return _attributed(_advanced(before, ticket, at_us, promises, earlier, rules), ticket)


def broken_before(before: Ticket, at_us: int) -> tuple[Timer, ...]:
    """The timers with every promise that broke before this fact recorded, under those who held the ticket then."""
    timers = before.timers
    for place, timer in enumerate(timers):
        after_us = timer.breach_after_us
        if timer.who is None and (timer.breached_us is not None or (after_us is not None and at_us > after_us)):
            broken_us = timer.breached_us if timer.breached_us is not None else after_us
            timer = structs.replace(timer, breached_us=broken_us, who=before.who)
            timers = (*timers[:place], timer, *timers[place + 1 :])
    return timers


def _attributed(timers: tuple[Timer, ...], ticket: Ticket) -> tuple[Timer, ...]:
    """Who holds the ticket belongs to a timer from the instant at which it broke or was fulfilled."""
    for place, timer in enumerate(timers):
        decided = timer.breached_us is not None or timer.mode is Mode.MET
        if decided == (timer.who is None):
            changed = structs.replace(timer, who=ticket.who if decided else None)
            timers = (*timers[:place], changed, *timers[place + 1 :])
    return timers


def reevaluated(ticket: Ticket, at_us: int, old: Rules, new: Rules, *, retarget: bool) -> Ticket:
    """The ticket under rules that were edited at ``at_us``: up to then by ``old``, from then on by ``new``.

    Without ``retarget`` timers keep their targets and only go on by the new hours of their calendars. With it, every
    promise is made anew: elapsed time stays, a breach found now is dated now, and a promise made only now starts where
    it would have started.
    """
    after = copy.copy(ticket)
    after.settled_us = at_us
    after.timers = tuple(
        _aimed(_settled(timer, timer.mode, at_us, old), new) if timer.mode is Mode.RUNNING else timer
        for timer in ticket.timers
    )
    if retarget:
        promises = new.promises(ticket.source, ticket.who)
        after.timers = _advanced(after, after, at_us, promises, None, new)
    return after


def latched(timer: Timer, at_us: int) -> Timer:
    """The timer with its breach recorded if the promise broke before ``at_us``."""
    if timer.breached_us is None and timer.breach_after_us is not None and at_us > timer.breach_after_us:
        return structs.replace(timer, breached_us=timer.breach_after_us)
    return timer


def elapsed(timer: Timer, at_us: int, rules: Rules) -> int:
    """What the timer's clock shows at ``at_us``, in µs of its own calendar."""
    if timer.mode is not Mode.RUNNING:
        return timer.elapsed_us
    return timer.elapsed_us + rules.calendar(timer.calendar).elapsed(timer.since_us, at_us)


def natural(metric: SlaMetric, ticket: Ticket, promise: Promise) -> Natural:
    """What the metric's clock is doing on this ticket, by its definition and the pauses of the promise."""
    if metric in REPEATING:
        if metric is SlaMetric.GROUP_OWNERSHIP:
            return _repeating(ticket.holding, ticket, promise)
        if metric is not SlaMetric.NEXT_RESPONSE:
            return _repeating(ticket.updates, ticket, promise)
        if ticket.created_us is None:
            return _NOT_BEGUN
        counts = ticket.first_reply is not None or promise.from_first_message
        return _repeating(Cycle(ticket.cycles, ticket.awaiting_us if counts else None), ticket, promise)
    if ticket.created is None or ticket.created_us is None:
        return _NOT_BEGUN  # nobody knows when it began, or whether its promises were kept before it was forgotten
    ended = ticket.status in DONE
    if metric is SlaMetric.FIRST_RESPONSE:
        if not ticket.born:
            return _NOT_BEGUN
        ended = ended or ticket.first_reply is not None
    return Natural(Mode.MET if ended else _unless_paused(ticket, promise), 1, ticket.created_us)


def cycle_of(metric: SlaMetric, ticket: Ticket) -> int:
    """The number of the newest instance of a metric; 1 for one that does not repeat."""
    if metric not in REPEATING:
        return 1
    if metric is SlaMetric.NEXT_RESPONSE:
        return ticket.cycles
    return ticket.holding.number if metric is SlaMetric.GROUP_OWNERSHIP else ticket.updates.number


def _repeating(cycle: Cycle, ticket: Ticket, promise: Promise) -> Natural:
    if cycle.since_us is None:
        return Natural(Mode.MET, cycle.number) if cycle.number else _NOT_BEGUN
    return Natural(_unless_paused(ticket, promise), cycle.number, cycle.since_us)


def _unless_paused(ticket: Ticket, promise: Promise) -> Mode:
    return Mode.PAUSED if ticket.status in promise.pauses else Mode.RUNNING


def _advanced(
    before: Ticket, ticket: Ticket, at_us: int, promises: Promises, earlier: Promises | None, rules: Rules
) -> tuple[Timer, ...]:
    """``earlier`` is what the same rules promised before; ``None`` when everything is to be promised anew."""
    if ticket.gone is not None:
        return tuple(_switched(t, Mode.PAUSED, at_us, rules) if t.mode is Mode.RUNNING else t for t in ticket.timers)
    kept: list[Timer] = []
    standing: dict[SlaMetric, Timer] = {}
    for timer in ticket.timers:
        if timer.cycle > cycle_of(timer.metric, ticket):
            continue  # it began and ended at one instant, so it never was
        if timer.metric in standing:
            kept.append(standing[timer.metric])
        standing[timer.metric] = timer
    current: list[Timer] = []
    for metric, promise in promises.items():
        steady = earlier is promises or (earlier is not None and earlier.get(metric) == promise)
        standing_timer = standing.pop(metric, None)
        now = natural(metric, ticket, promise)
        if standing_timer is not None and standing_timer.cycle < now.cycle and now.mode in _OPEN:
            ended = _switched(standing_timer, Mode.MET, at_us, rules)
            if ended.breached_us is not None or standing_timer.mode is not Mode.MET:
                kept.append(ended)
            standing_timer = None
        if standing_timer is None:
            started = _started(metric, promise, now, steady, before, ticket, at_us, rules)
            if started is None:
                continue
            standing_timer = started
        elif not steady:
            standing_timer = _retargeted(standing_timer, promise, at_us, rules)
        if now.mode is not None and now.mode is not standing_timer.mode:
            taken_up = standing_timer.mode is Mode.MET
            standing_timer = _switched(standing_timer, now.mode, at_us, rules)
            if taken_up:  # what was promised anew while it was done counts from here
                standing_timer = _retargeted(standing_timer, promise, at_us, rules)
        current.append(standing_timer)
    for metric, timer in standing.items():
        edited = earlier is not None and metric not in earlier  # nobody promised it before this fact either
        left = _unpromised(timer, ticket, at_us, rules, edited=edited)
        if left is not None:
            (kept if left.cycle < cycle_of(metric, ticket) else current).append(left)
    return (*(timer for timer in kept if _still_counts(timer, ticket)), *current)


def _still_counts(timer: Timer, ticket: Ticket) -> bool:
    """Broken promises stay for a while; one that was superseded in time stays until the next one is."""
    age = cycle_of(timer.metric, ticket) - timer.cycle
    return age <= CYCLES_KEPT if timer.breached_us is not None else age <= 1


def _unpromised(timer: Timer, ticket: Ticket, at_us: int, rules: Rules, *, edited: bool) -> Timer | None:
    """The newest timer of a metric that nobody promises now: what has ended stays as it ended, also what ends with the
    very fact that withdraws the promise. What is still open is gone with the promise, unless only the rules were
    ``edited``."""
    now = natural(timer.metric, ticket, rules.given(timer))
    if now.cycle > timer.cycle or now.mode is Mode.MET:
        return _switched(timer, Mode.MET, at_us, rules)
    if timer.mode is Mode.MET or not edited:
        return None
    return _switched(timer, now.mode, at_us, rules) if now.mode not in (None, timer.mode) else timer


def _started(
    metric: SlaMetric,
    promise: Promise,
    now: Natural,
    steady: bool,
    before: Ticket,
    ticket: Ticket,
    at_us: int,
    rules: Rules,
) -> Timer | None:
    """The timer of an instance that begins with this fact, or began before the promise was made."""
    if now.mode is None or now.since_us is None:
        return None
    was = natural(metric, before, promise)
    begun = (was.cycle, was.since_us) == (now.cycle, now.since_us)
    if begun and (now.mode is Mode.MET or (steady and was.mode in _OPEN)):
        return None  # a promise binds nobody once all is done, and edited rules bind only what comes
    timer = Timer(
        metric, now.cycle, promise.policy, promise.target_us, promise.calendar_name, Mode.RUNNING, now.since_us
    )
    if begun:
        spent_us = _spent(ticket, timer, promise, at_us, rules)
        late_us = at_us if spent_us > promise.target_us else None
        timer = structs.replace(timer, mode=now.mode, since_us=at_us, elapsed_us=spent_us, breached_us=late_us)
    elif now.since_us == ticket.status_since_us and now.mode is Mode.PAUSED:
        timer = structs.replace(timer, mode=Mode.PAUSED)
    return _aimed(timer, rules)


def _spent(ticket: Ticket, timer: Timer, promise: Promise, at_us: int, rules: Rules) -> int:
    """What the clock would show had the promise been made at the start: pauses and the time when all was done count
    nothing."""
    calendar = rules.calendar(timer.calendar)
    spent_us = calendar.elapsed(timer.since_us, at_us)
    stands = [*ticket.statuses, (at_us, None)]
    for (from_us, status), (until_us, _) in pairwise(stands):
        if status is None or status in DONE or status in promise.pauses:
            spent_us -= calendar.elapsed(max(from_us, timer.since_us), until_us)
    return spent_us


def _aimed(timer: Timer, rules: Rules) -> Timer:
    """A running timer with the instants at which its promise is used up and broken."""
    left_us = timer.target_us - timer.elapsed_us
    if timer.mode is not Mode.RUNNING or left_us < 0:
        return timer
    due_us, breach_after_us = _aim(timer.calendar, timer.since_us, left_us, rules)
    return structs.replace(timer, due_us=due_us, breach_after_us=breach_after_us)


def _aim(calendar_name: str | None, since_us: int, left_us: int, rules: Rules) -> tuple[int, int]:
    calendar = rules.calendar(calendar_name)
    due_us = calendar.due_at(since_us, left_us)
    return due_us, calendar.next_open(due_us)


def _retargeted(timer: Timer, promise: Promise, at_us: int, rules: Rules) -> Timer:
    """A new target from ``at_us`` on: elapsed time stays, and a breach found now is dated now, not back."""
    same = (timer.policy, timer.target_us, timer.calendar) == (
        promise.policy,
        promise.target_us,
        promise.calendar_name,
    )
    if same or timer.mode is Mode.MET:
        return timer
    timer = latched(timer, at_us)
    spent_us = elapsed(timer, at_us, rules)
    timer = structs.replace(
        timer,
        policy=promise.policy,
        target_us=promise.target_us,
        calendar=promise.calendar_name,
        elapsed_us=spent_us,
        since_us=max(at_us, timer.since_us),
        due_us=None,
        breach_after_us=None,
    )
    if timer.breached_us is None and spent_us > promise.target_us:
        timer = structs.replace(timer, breached_us=at_us)
    return _aimed(timer, rules)


def _switched(timer: Timer, mode: Mode | None, at_us: int, rules: Rules) -> Timer:
    """The timer in ``mode`` from ``at_us`` on, aimed if it runs then."""
    if timer.mode is Mode.MET and mode is Mode.MET:
        return timer
    settled = _settled(timer, mode or timer.mode, at_us, rules)
    return _aimed(settled, rules) if settled.mode is Mode.RUNNING else settled


def _settled(timer: Timer, mode: Mode, at_us: int, rules: Rules) -> Timer:
    """The timer in ``mode`` from ``at_us`` on, with what had passed until then."""
    breached_us, after_us, since_us = timer.breached_us, timer.breach_after_us, timer.since_us
    if breached_us is None and after_us is not None and at_us > after_us:
        breached_us = after_us
    return Timer(
        timer.metric,
        timer.cycle,
        timer.policy,
        timer.target_us,
        timer.calendar,
        mode,
        at_us if at_us > since_us else since_us,
        elapsed(timer, at_us, rules),
        None,
        None,
        breached_us,
        timer.who,
    )
