"""SLA timers: what each metric's clock does for a ticket in a given state, and how it gets from there to here.

Definitions: Zendesk's six timer states and metrics, semantics.md §b. A timer is advanced by facts, never by a
sweep: whether a promise broke is computed from event times, so a late look finds the same answer as an early one.
"""

from __future__ import annotations

from msgspec import structs

from schemas.sla import SlaMetric
from schemas.state import Mode, Ticket, Timer
from schemas.ticket import DONE
from services.fold.rules import Promise, Rules

CYCLES_KEPT = 20
"""How many next-response cycles back a broken promise is kept on the ticket, so that it can still be retracted."""


def reckoned(ticket: Ticket, at_us: int, promises: dict[SlaMetric, Promise], rules: Rules) -> tuple[Timer, ...]:
    """The ticket's timers after a fact at ``at_us`` has been folded into everything else of ``ticket``.

    A promise that is no longer made takes its timer away; a changed target keeps what has elapsed. While a ticket
    is deleted or merged its clocks stand still, so that a restored one goes on where it was.
    """
    if ticket.gone is not None:
        return tuple(_switched(t, Mode.PAUSED, at_us, rules) if t.mode is Mode.RUNNING else t for t in ticket.timers)
    standing = {timer.metric: timer for timer in ticket.timers}
    kept = [timer for timer in ticket.timers if timer is not standing[timer.metric]]
    current: list[Timer] = []
    for metric, promise in promises.items():
        mode, start_us = _mode(metric, ticket, promise)
        timer = standing.get(metric)
        if timer is not None and _begins_again(timer, ticket, mode):
            if timer.breached_us is not None:
                kept.append(timer)
            timer = None
        if timer is None:
            if mode is None or start_us is None:
                continue
            timer = _started(metric, ticket, promise, start_us, rules)
        timer = _retargeted(timer, promise, at_us, rules)
        if mode is not None and mode is not timer.mode:
            timer = _switched(timer, mode, at_us, rules)
        current.append(timer)
    return (*(timer for timer in kept if timer.cycle >= ticket.cycles - CYCLES_KEPT), *current)


def latched(timer: Timer, at_us: int) -> Timer:
    """The timer with its breach recorded if the promise broke before ``at_us``."""
    if timer.breached_us is None and timer.breach_after_us is not None and at_us > timer.breach_after_us:
        return _with(timer, breached_us=timer.breach_after_us)
    return timer


def elapsed(timer: Timer, at_us: int, rules: Rules) -> int:
    """What the timer's clock shows at ``at_us``, in µs of its own calendar."""
    if timer.mode is not Mode.RUNNING:
        return timer.elapsed_us
    return timer.elapsed_us + rules.calendar(timer.calendar).elapsed(timer.since_us, at_us)


def _mode(metric: SlaMetric, ticket: Ticket, promise: Promise) -> tuple[Mode | None, int | None]:
    """What the clock should be doing, and since when it would run if it had to start now."""
    if ticket.created_us is None:
        return None, None
    done = ticket.status in DONE
    if metric is SlaMetric.NEXT_RESPONSE:
        asked = ticket.awaiting_us
        if asked is None or not (ticket.first_reply is not None or promise.from_first_message):
            return (Mode.MET, None) if ticket.cycles else (None, None)
        return _unless_paused(ticket, promise), asked
    if metric is SlaMetric.FIRST_RESPONSE:
        if not ticket.born:
            return None, None
        if ticket.first_reply is not None or done:
            return Mode.MET, ticket.created_us
        return _unless_paused(ticket, promise), ticket.created_us
    return (Mode.MET if done else _unless_paused(ticket, promise)), ticket.created_us


def _unless_paused(ticket: Ticket, promise: Promise) -> Mode:
    return Mode.PAUSED if ticket.status in promise.pauses else Mode.RUNNING


def _begins_again(timer: Timer, ticket: Ticket, mode: Mode | None) -> bool:
    """Only next response repeats: each unanswered customer message after an answer is an instance of its own."""
    return timer.metric is SlaMetric.NEXT_RESPONSE and ticket.cycles > timer.cycle and mode is not Mode.MET


def _started(metric: SlaMetric, ticket: Ticket, promise: Promise, start_us: int, rules: Rules) -> Timer:
    cycle = ticket.cycles if metric is SlaMetric.NEXT_RESPONSE else 1
    pauses_at_once = start_us == ticket.status_since_us and ticket.status in promise.pauses
    return _aimed(
        Timer(
            metric=metric,
            cycle=cycle,
            policy=promise.policy,
            target_us=promise.target_us,
            calendar=promise.calendar_name,
            mode=Mode.PAUSED if pauses_at_once else Mode.RUNNING,
            since_us=start_us,
        ),
        rules,
    )


def _aimed(timer: Timer, rules: Rules) -> Timer:
    """A running timer with the instants at which its promise is used up and broken."""
    left_us = timer.target_us - timer.elapsed_us
    if timer.mode is not Mode.RUNNING or left_us < 0:
        return timer
    calendar = rules.calendar(timer.calendar)
    due_us = calendar.due_at(timer.since_us, left_us)
    return _with(timer, due_us=due_us, breach_after_us=calendar.next_open(due_us))


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
    timer = _with(
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
        timer = _with(timer, breached_us=at_us)
    return _aimed(timer, rules)


def _switched(timer: Timer, mode: Mode, at_us: int, rules: Rules) -> Timer:
    return _aimed(
        _with(
            latched(timer, at_us),
            elapsed_us=elapsed(timer, at_us, rules),
            since_us=max(at_us, timer.since_us),
            mode=mode,
            due_us=None,
            breach_after_us=None,
        ),
        rules,
    )


def _with(timer: Timer, **changes: object) -> Timer:
    return structs.replace(timer, **changes)
