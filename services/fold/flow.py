"""What a ticket adds to the KPIs as it goes: what happens any number of times, and how the gauges move.

What stands or falls as a whole (created, solved, answered) is read from the ticket itself (``services.metrics``); this
is the rest. Everything here is a function of the facts, so a fold that starts over takes its earlier flows back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from schemas.state import Answered, Effort, Fact, Gone, Mark, Mode, Ticket, Timer, Who
from schemas.ticket import DONE, ActorKind, Kind, Priority
from services.fold import sla
from services.fold.calendar import Calendar
from services.fold.rules import Rules
from services.kpi.catalogue import MILLION, OF_BACKLOG, STANDING, STAYS, Cell, broken, created_in, kept

Flow = tuple[str, int, Who, int | None, int | None, int]
"""``(cell, at_us, attributes, first, second, sign)``: ``first`` and ``second`` as in ``services.kpi.bucket.fields``; of
a gauge, ``sign`` is the change."""

PEOPLE: Final = frozenset(
    {Kind.KNOWLEDGE_CONTRIBUTED, Kind.QUESTION_ASKED, Kind.QUESTION_ANSWERED, Kind.AGENT_JOINED, Kind.AGENT_LEFT}
)
"""Kinds that tell of no ticket."""

CALENDARS_KEPT: Final = 32
"""How many changes of calendar back business time is summed exactly."""

_RANK: Final = {priority: rank for rank, priority in enumerate(Priority)}
_PLACE: Final = {status: 2 * number for number, status in enumerate(STAYS)}
_NOBODY: Final = frozenset({ActorKind.CUSTOMER, ActorKind.BOT, ActorKind.SYSTEM})
_CREATED_IN: Final = Cell.CREATED_IN.value
_STANDING: Final = {status: cell.value for status, cell in STANDING.items()}
_BACKLOG, _UNASSIGNED, _OVERDUE = Cell.BACKLOG.value, Cell.UNASSIGNED.value, Cell.OVERDUE.value
_REPLIES, _AFTER_HOURS, _NEXT_RESPONSE = Cell.REPLIES.value, Cell.AFTER_HOURS.value, Cell.NEXT_RESPONSE.value


def counted(ticket: Ticket, flows: Iterable[Flow]) -> list[Flow]:
    """Those of ``flows`` that count for a ticket that ends as ``ticket``: of a deleted one nothing but what the backlog
    was, of a merged one no promise."""
    if ticket.gone is Gone.DELETED:
        return [flow for flow in flows if flow[0] in OF_BACKLOG or flow[0].startswith(_CREATED_IN)]
    if ticket.gone is Gone.MERGED:
        return [flow for flow in flows if flow[0][0] not in "+-"]
    return list(flows)


def in_backlog(ticket: Ticket) -> bool:
    """Backlog: neither solved nor closed, and still on the books (semantics.md §a)."""
    return ticket.facts > 0 and ticket.gone is None and ticket.status is not None and ticket.status not in DONE


def worked(ticket: Ticket, from_us: int, until_us: int, rules: Rules) -> int:
    """Business time between two instants: each stretch in the calendar that was in force then (semantics.md §b)."""
    passed_us = 0
    for end_us, name in ticket.hours_until:
        if from_us < end_us:
            passed_us += _calendar(name, rules).elapsed(from_us, end_us)
            from_us = end_us
    return passed_us + hours(ticket, rules).elapsed(from_us, until_us)


def rehoured(before: Ticket, after: Ticket, at_us: int, rules: Rules) -> None:
    """Attributes changed: keeps in which calendar business time was measured up to now, if it is another one now."""
    was = rules.hours(before.source, before.who)
    if before.facts and was != rules.hours(after.source, after.who):
        after.hours_until = (*after.hours_until, (at_us, was))[-CALENDARS_KEPT:]


def hours(ticket: Ticket, rules: Rules) -> Calendar:
    """The calendar in which the ticket's business time is measured: its policy's, else the business calendar."""
    return _calendar(rules.hours(ticket.source, ticket.who), rules)


def _calendar(name: str | None, rules: Rules) -> Calendar:
    return rules.calendar(name) if name is not None else rules.business


def handed(before: Ticket, after: Ticket, fact: Fact, rules: Rules) -> None:
    """Attributes changed: counts changes of holder, and notices an escalation by priority or team."""
    was, now = before.who, after.who
    if was.agent != now.agent:
        last = was.agent if was.agent is not None else before.former_agent
        after.former_agent = last if now.agent is None else None
        after.agents_passed += now.agent is not None and last is not None and last != now.agent
    if was.team != now.team:
        last = was.team if was.team is not None else before.former_team
        after.former_team = last if now.team is None else None
        after.teams_passed += now.team is not None and last is not None and last != now.team
    if after.escalated is None and (_raised(was, now, rules) or _passed_up(was, now, rules)):
        after.escalated = Mark(fact.at_us, now)


def stayed(before: Ticket, after: Ticket, at_us: int, rules: Rules) -> None:
    """The status changed, or the ticket went: adds the stay that ended to the time spent, from creation at the earliest
    and from its return if it was gone. While it is gone it is in no status."""
    if before.gone is not None:
        return
    place = _PLACE.get(before.status) if before.status is not None else None
    if place is None or after.created_us is None or before.status_since_us is None:
        return
    returned_us = before.statuses[-1][0] if before.statuses else before.status_since_us
    from_us = max(before.status_since_us, returned_us, after.created_us)
    if at_us > from_us:
        spent = list(after.spent_us) or [0] * (2 * len(STAYS))
        spent[place] += at_us - from_us
        spent[place + 1] += worked(after, from_us, at_us, rules)
        after.spent_us = tuple(spent)


def solved(after: Ticket, fact: Fact, rules: Rules, flows: list[Flow]) -> None:
    """The ticket was solved with ``fact``; ``after.solved`` says so already. Keeps what it took."""
    after.effort = None
    if after.born:
        after.effort = Effort(after.replies, after.bot, after.agents_passed, after.teams_passed, after.spent_us)
    if after.first_solved is after.solved:
        after.first_replies = after.replies if after.born else None
        after.mature_us = fact.at_us + rules.first_contact_us
    if fact.actor not in _NOBODY:
        _active(after, fact, flows)
    _decided(after, fact.at_us, rules, flows)


def replied(after: Ticket, fact: Fact, rules: Rules, flows: list[Flow]) -> None:
    """An agent's public reply; ``after.awaiting_us`` is still what it answers."""
    at_us, who = fact.at_us, after.who
    flows.append((_REPLIES, at_us, who, None, None, 1))
    if not hours(after, rules).is_open(at_us):
        flows.append((_AFTER_HOURS, at_us, who, None, None, 1))
    _active(after, fact, flows)
    if after.first_reply is not None and after.awaiting_us is not None:
        flows.append(_lasted(_NEXT_RESPONSE, after.awaiting_us, at_us, after, rules))


def told(after: Ticket, fact: Fact, rules: Rules, flows: list[Flow]) -> None:
    """Answers, reviews and escalations: kinds that change nothing else of a ticket."""
    at_us, amount = fact.at_us, fact.amount
    if fact.kind is Kind.ESCALATION_RAISED:
        if after.matter_us is None:
            after.matter_us = at_us
        if after.escalated is None:
            after.escalated = Mark(at_us, after.who)
    elif fact.kind is Kind.ESCALATION_CLEARED:
        _decided(after, at_us, rules, flows)
    elif amount is None:
        return
    elif fact.kind is Kind.CES_RECEIVED:
        after.ces = Answered(at_us, after.who, amount)
    elif fact.kind is Kind.NPS_RECEIVED:
        after.nps = Answered(at_us, after.who, amount)
    elif fact.kind is Kind.QA_SCORED:
        flows.append((Cell.REVIEWED.value, at_us, after.who, None, None, 1))
        flows.append((Cell.REVIEWED_SUM.value, at_us, after.who, amount, None, 1))


def aside(after: Ticket, fact: Fact, rules: Rules, flows: list[Flow]) -> None:
    """A people event, folded into what it tells of."""
    at_us, who = fact.at_us, after.who
    if fact.kind is Kind.KNOWLEDGE_CONTRIBUTED:
        if _active(after, fact, flows):
            flows.append((Cell.CONTRIBUTING.value + flows[-1][0][len(Cell.ACTIVE.value) :], at_us, who, None, None, 1))
    elif fact.kind is Kind.QUESTION_ASKED:
        after.matter_us = at_us if after.matter_us is None else after.matter_us
    elif fact.kind is Kind.QUESTION_ANSWERED:
        if after.matter_us is not None:
            flows.append(_lasted(Cell.ANSWERED.value, after.matter_us, at_us, after, rules))
            after.matter_us = None
    elif fact.kind is Kind.AGENT_JOINED:
        after.matter_us = at_us if after.matter_us is None else after.matter_us
    elif fact.kind is Kind.AGENT_LEFT:
        after.matter_us = None


def staffed(before: Ticket, after: Ticket, at_us: int, flows: list[Flow]) -> None:
    """How the headcount moved with an event about an agent."""
    was, now = before.matter_us is not None, after.matter_us is not None
    if was and now and before.who == after.who:
        return
    of_agent = f"{Cell.STAFF_OF.value}{after.source}:{after.ticket_id.rpartition(chr(31))[2]}"
    for there, who, sign in ((was, before.who, -1), (now, after.who, 1)):
        if there:
            flows.append((Cell.STAFF.value, at_us, who, None, None, sign))
            flows.append((of_agent, at_us, who, None, None, sign))


def moved(before: Ticket, after: Ticket, at_us: int, flows: list[Flow]) -> None:
    """How the backlog moved, in whole and by status, holder and creation."""
    if (
        before.status is after.status
        and before.who is after.who
        and before.gone is after.gone
        and before.created_us == after.created_us
        and before.facts
    ):
        return
    was, now = _stands_in(before), _stands_in(after)
    if before.who == after.who:
        flows += [(cell, at_us, after.who, None, None, -1) for cell in was if cell not in now]
        flows += [(cell, at_us, after.who, None, None, 1) for cell in now if cell not in was]
        return
    flows += [(cell, at_us, before.who, None, None, -1) for cell in was]
    flows += [(cell, at_us, after.who, None, None, 1) for cell in now]


def overdue(before: Ticket, after: Ticket, at_us: int, flows: list[Flow]) -> None:
    """Keeps since when the holder has a broken promise, and tells of the time that ended with this fact."""
    since_us = before.overdue_us
    if since_us is None and before.timers and in_backlog(before):
        since_us = _first_run_out(before.timers, at_us)
    now = bool(after.timers) and in_backlog(after) and any(_is_overdue(timer) for timer in after.timers)
    if since_us is None or (now and (before.who is after.who or before.who == after.who)):
        after.overdue_us = (at_us if since_us is None else since_us) if now else None
        return
    flows.append((_OVERDUE, since_us, before.who, None, None, 1))
    flows.append((_OVERDUE, at_us, before.who, None, None, -1))
    after.overdue_us = at_us if now else None


def superseded(before: Ticket, after: Ticket, flows: list[Flow]) -> None:
    """Timer instances that another one took the place of count for good; one that is the newest again, since the next
    never was, counts with the ticket again."""
    if before.cycles == after.cycles and before.updates is after.updates and before.holding is after.holding:
        return
    for timer in before.timers:
        if timer.metric not in sla.REPEATING:
            continue
        number = sla.cycle_of(timer.metric, before)
        if timer.cycle == number < sla.cycle_of(timer.metric, after):
            final = (t for t in after.timers if t.metric is timer.metric and t.cycle == number)
            _ended(next(final, timer), after, flows, 1)
    for timer in after.timers:
        if timer.metric in sla.REPEATING and (
            timer.cycle == sla.cycle_of(timer.metric, after) < sla.cycle_of(timer.metric, before)
        ):
            _ended(timer, after, flows, -1)


def verdict(timer: Timer) -> tuple[str, int] | None:
    """The cell and the instant in which a timer instance counts, as far as facts tell: broken, kept or neither."""
    if timer.breached_us is not None:
        return broken(timer.metric), timer.breached_us
    return (kept(timer.metric), timer.since_us) if timer.mode is Mode.MET else None


def _ended(timer: Timer, after: Ticket, flows: list[Flow], sign: int) -> None:
    found = verdict(timer)
    if found is not None:
        flows.append((*found, timer.who if timer.who is not None else after.who, None, None, sign))


def _is_overdue(timer: Timer) -> bool:
    return timer.breached_us is not None and timer.mode is not Mode.MET


def _first_run_out(timers: Iterable[Timer], at_us: int) -> int | None:
    """When the first of the timers broke its promise that no fact had told of yet."""
    first_us: int | None = None
    for timer in timers:
        after_us = timer.breach_after_us
        if after_us is not None and at_us > after_us and timer.breached_us is None:
            first_us = after_us if first_us is None else min(first_us, after_us)
    return first_us


def _stands_in(ticket: Ticket) -> tuple[str, ...]:
    """The gauges that a ticket counts in."""
    status = ticket.status
    if status is None or ticket.gone is not None or ticket.facts == 0 or status in DONE:
        return ()
    born = created_in(ticket.created_us if ticket.created_us is not None else ticket.seen_us)
    if ticket.who.agent is None:
        return (_BACKLOG, _STANDING[status], born, _UNASSIGNED)
    return (_BACKLOG, _STANDING[status], born)


def _active(after: Ticket, fact: Fact, flows: list[Flow]) -> bool:
    agent = fact.by if fact.by is not None else after.who.agent
    if agent is None:
        return False
    flows.append((f"{Cell.ACTIVE.value}{after.source}:{agent}", fact.at_us, after.who, None, None, 1))
    return True


def _decided(after: Ticket, at_us: int, rules: Rules, flows: list[Flow]) -> None:
    if after.matter_us is not None:
        flows.append(_lasted(Cell.DECIDED.value, after.matter_us, at_us, after, rules))
        after.matter_us = None


def _lasted(cell: str, from_us: int, at_us: int, after: Ticket, rules: Rules) -> Flow:
    business_us = worked(after, from_us, at_us, rules)
    return cell, at_us, after.who, max(0, at_us - from_us) // 1000, business_us // 1000, 1


def _raised(was: Who, now: Who, rules: Rules) -> bool:
    if was.priority is now.priority or was.priority is None or now.priority is None:
        return False
    return now.priority in rules.escalating_priorities and _RANK[was.priority] < _RANK[now.priority]


def _passed_up(was: Who, now: Who, rules: Rules) -> bool:
    teams = rules.escalating_teams
    return bool(teams) and now.team in teams and was.team is not None and was.team not in teams


def promoter(amount: int) -> Cell | None:
    """What an NPS answer, in millionths of 0 to 10, makes of the customer; ``None`` is neither."""
    if amount >= 9 * MILLION:
        return Cell.PROMOTERS
    return Cell.DETRACTORS if amount <= 6 * MILLION else None
