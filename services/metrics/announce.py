"""What to tell the world about a ticket's timers, given what it has been told.

The standing of a timer is a function of the ticket and the clock; an announcement is the step from the level that
was announced to the level that stands. So a late event that changes the past changes the announcement, and a
replay announces nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from schemas.instant import to_datetime
from schemas.sla import Holder, SlaEvent, SlaKind
from schemas.state import Level, Mode, Notice, Ticket, Timer
from schemas.ticket import event_id
from services.fold import sla
from services.fold.rules import Rules


class Announcement(Struct, frozen=True):
    """``wake_us`` is when the clock alone will bring news of this ticket; ``None`` when only an event can."""

    events: tuple[SlaEvent, ...]
    notices: tuple[Notice, ...]
    wake_us: int | None


class Standing(Struct, frozen=True):
    """A timer as it stands at the clock."""

    level: Level
    threshold_us: int = 0
    threshold: str | None = None
    breached_us: int | None = None


_QUIET = Standing(Level.QUIET)


def announce(ticket: Ticket, notices: Iterable[Notice], clock_us: int, rules: Rules) -> Announcement:
    """The events that bring the world up to date at ``clock_us``, the partition's clock.

    History is never announced: not for imported tickets, and not a promise that broke before we first saw a ticket
    whose creation we did not see. A source whose helpdesk delivers late is judged as of its delay ago, when all that
    has happened is known.
    """
    delay_us = rules.delays.get(ticket.source, 0)
    known_us = clock_us - delay_us
    told = {(notice.metric, notice.cycle): notice for notice in notices}
    events: list[SlaEvent] = []
    wake_us: int | None = None
    standing_of: dict[tuple[object, int], Timer] = {}
    if ticket.gone is None:
        standing_of = {(timer.metric, timer.cycle): timer for timer in ticket.timers}
    standing: Standing | None
    for timer in standing_of.values():
        standing, next_us = _standing(timer, known_us, rules)
        if delay_us and timer.breached_us is not None and timer.breached_us >= known_us:
            standing, next_us = None, timer.breached_us + 1
        if next_us is not None and (wake_us is None or next_us + delay_us < wake_us):
            wake_us = next_us + delay_us
        if standing is None:
            continue
        notice = told.get((timer.metric, timer.cycle))
        if notice is None:
            if standing.level is Level.QUIET:
                continue
            notice = Notice(timer.metric, timer.cycle, 0, Level.QUIET)
        if _same(notice, standing, timer):
            continue
        muted = notice.muted or _is_history(ticket, standing)
        told[(timer.metric, timer.cycle)] = _told(ticket, timer, notice, standing, muted, clock_us, rules, events)
    for key, notice in list(told.items()):
        if key in standing_of:
            continue
        if notice.cycle < sla.cycle_of(notice.metric, ticket) - sla.CYCLES_KEPT:
            del told[key]  # its timer is no longer kept either, so nothing can change it any more
        elif notice.level is not Level.QUIET:
            told[key] = _withdrawn(ticket, notice, clock_us, events)
    return Announcement(tuple(events), tuple(told.values()), wake_us)


def _standing(timer: Timer, clock_us: int, rules: Rules) -> tuple[Standing, int | None]:
    timer = sla.latched(timer, clock_us)
    if timer.breached_us is not None:
        level = Level.LATE if timer.mode is Mode.MET else Level.BREACHED
        return Standing(level, breached_us=timer.breached_us), None
    if timer.mode is Mode.MET:
        return _QUIET, None
    warnings = rules.given(timer).warnings
    shown_us = sla.elapsed(timer, clock_us, rules)
    crossed = [(amount, name) for amount, name in warnings if amount <= shown_us]
    standing = Standing(Level.WARNED, *crossed[-1]) if crossed else _QUIET
    if timer.mode is not Mode.RUNNING or timer.breach_after_us is None:
        return standing, None
    next_us = timer.breach_after_us + 1
    if len(crossed) < len(warnings):
        amount = warnings[len(crossed)][0]
        next_us = min(next_us, rules.calendar(timer.calendar).due_at(timer.since_us, amount - timer.elapsed_us))
    return standing, max(next_us, clock_us + 1)


def _same(notice: Notice, standing: Standing, timer: Timer) -> bool:
    """A lower threshold than the one announced says nothing new while the target is the same; another time of the
    breach is news."""
    if notice.level is not standing.level:
        return False
    if standing.level is not Level.WARNED:
        return notice.breached_us == standing.breached_us
    return notice.target_us == timer.target_us and standing.threshold_us <= notice.threshold_us


def _is_history(ticket: Ticket, standing: Standing) -> bool:
    if ticket.imported:
        return True
    broke_us = standing.breached_us
    return not ticket.born and broke_us is not None and broke_us < ticket.seen_us


def _told(
    ticket: Ticket,
    timer: Timer,
    notice: Notice,
    standing: Standing,
    muted: bool,
    clock_us: int,
    rules: Rules,
    events: list[SlaEvent],
) -> Notice:
    revision = notice.revision
    for kind in _steps(notice.level, standing.level, timer.mode):
        if muted:
            continue
        revision += 1
        events.append(_event(ticket, timer, kind, standing, revision, clock_us, rules))
    return Notice(
        timer.metric,
        timer.cycle,
        revision,
        standing.level,
        timer.policy,
        standing.threshold_us,
        timer.target_us,
        muted,
        standing.breached_us,
    )


def _steps(told: Level, stands: Level, mode: Mode) -> tuple[SlaKind, ...]:
    """The events that lead from the announced level to the standing one."""
    if stands is Level.WARNED:
        return (SlaKind.RETRACTED, SlaKind.WARNING) if told in _BROKEN else (SlaKind.WARNING,)
    if stands is Level.BREACHED:
        return (SlaKind.BREACHED,)
    if stands is Level.LATE:
        return (SlaKind.FULFILLED,) if told in _BROKEN else (SlaKind.BREACHED, SlaKind.FULFILLED)
    if told is Level.WARNED and mode is Mode.MET:
        return (SlaKind.FULFILLED,)
    return (SlaKind.RETRACTED,)


_BROKEN = frozenset({Level.BREACHED, Level.LATE})


def _withdrawn(ticket: Ticket, notice: Notice, clock_us: int, events: list[SlaEvent]) -> Notice:
    """A timer that is no more: its ticket is gone, its promise no longer made, or its cycle never was."""
    finished = any(t.metric is notice.metric and t.cycle > notice.cycle for t in ticket.timers)
    if finished and notice.level is Level.WARNED:
        kind = SlaKind.FULFILLED
    else:
        kind = SlaKind.RETRACTED if finished else SlaKind.CANCELLED
    revision = notice.revision + (not notice.muted)
    if not notice.muted:
        events.append(
            SlaEvent(
                event_id=_event_id(ticket, notice.metric.value, notice.cycle, revision),
                kind=kind,
                source=ticket.source,
                ticket_id=ticket.ticket_id,
                metric=notice.metric,
                cycle=notice.cycle,
                revision=revision,
                policy=notice.policy,
                target_s=notice.target_us / 1e6,
                elapsed_s=0.0,
                detected_at=to_datetime(clock_us),
                ticket=_holder(ticket),
            )
        )
    return Notice(notice.metric, notice.cycle, revision, Level.QUIET, notice.policy, muted=notice.muted)


def _event(
    ticket: Ticket, timer: Timer, kind: SlaKind, standing: Standing, revision: int, clock_us: int, rules: Rules
) -> SlaEvent:
    breached_us = standing.breached_us
    met = timer.mode is Mode.MET
    return SlaEvent(
        event_id=_event_id(ticket, timer.metric.value, timer.cycle, revision),
        kind=kind,
        source=ticket.source,
        ticket_id=ticket.ticket_id,
        metric=timer.metric,
        cycle=timer.cycle,
        revision=revision,
        policy=timer.policy,
        target_s=timer.target_us / 1e6,
        elapsed_s=sla.elapsed(timer, clock_us, rules) / 1e6,
        detected_at=to_datetime(clock_us),
        due_at=to_datetime(timer.due_us) if timer.due_us is not None else None,
        breached_at=to_datetime(breached_us) if breached_us is not None else None,
        fulfilled_at=to_datetime(timer.since_us) if met else None,
        threshold=standing.threshold if kind is SlaKind.WARNING else None,
        calendar=timer.calendar,
        ticket=_holder(ticket),
    )


def _holder(ticket: Ticket) -> Holder:
    who = ticket.who
    return Holder(
        status=ticket.status,
        priority=who.priority,
        channel=who.channel,
        team=who.team,
        agent=who.agent,
        brand=who.brand,
        tier=who.tier,
    )


def _event_id(ticket: Ticket, metric: str, cycle: int, revision: int) -> str:
    return event_id(ticket.source, "sla", ticket.ticket_id, metric, str(cycle), str(revision))
