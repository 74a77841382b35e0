"""Promises made anew on request, after policies or calendars were edited: what that does to a ticket, and how a ticket
that it was done to is folded again.

What an event changes of a timer can be found again from the events; what a request changed cannot. So the ticket keeps
when it was, and the timers that stood before it: folded again, it goes through the same stages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import structs

from schemas.state import Fact, Mode, Recomputed, Ticket, Timer
from services.fold import flow, sla, terms
from services.fold.flow import Flow
from services.fold.rules import Rules
from services.fold.ticket import fold, step, steps, taken_back

KEPT: Final = 8
"""How many requests back a ticket remembers."""


def recomputed(ticket: Ticket, at_us: int, rules: Rules, policy: str | None = None) -> tuple[Ticket, list[Flow]] | None:
    """The ticket with its promises made anew at ``at_us`` (or just after its newest event), and what that adds to the
    KPIs. ``None`` where nothing changes: a ticket that is not open, one that stands on these terms already, and with
    ``policy`` one that this policy promises nothing to, before or after."""
    if not flow.in_backlog(ticket) or (policy is not None and not _concerns(policy, ticket, rules)):
        return None
    at_us = max(at_us, ticket.last[0] + 1)
    after, flows = _anew(ticket, at_us, rules, rules)
    if [_terms(timer) for timer in after.timers] == [_terms(sla.latched(timer, at_us)) for timer in ticket.timers]:
        return None
    after.recomputed = (*ticket.recomputed, Recomputed(at_us, ticket.timers))[-KEPT:]
    return after, flows


def refolded(before: Ticket, facts: Sequence[Fact], rules: Rules) -> tuple[Ticket, list[Flow]]:
    """``facts``, sorted, folded from the first one on the terms that ``before`` stands on; where its promises were made
    anew meanwhile, on the former ones up to then."""
    stages = before.recomputed
    if not stages:
        return fold(before.source, before.ticket_id, facts, terms.kept(before, rules), before.floor_us)
    standing = [terms.kept(structs.replace(before, timers=stage.timers), rules) for stage in stages]
    standing.append(terms.kept(before, rules))
    earlier = [fact for fact in facts if fact.at_us < stages[0].at_us]
    blank = Ticket(before.source, before.ticket_id, withdrawn=taken_back(facts), floor_us=before.floor_us)
    ticket, flows = steps(blank, earlier, standing[0])
    ends_us = [stage.at_us for stage in stages[1:]]
    for number, stage in enumerate(stages):
        if flow.in_backlog(ticket):
            ticket, more = _anew(ticket, stage.at_us, standing[number], standing[number + 1])
            flows += more
        until_us = ends_us[number] if number < len(ends_us) else None
        for fact in facts:
            if fact.at_us >= stage.at_us and (until_us is None or fact.at_us < until_us):
                ticket, more = step(ticket, fact, standing[number + 1])
                flows += more
    ticket = structs.replace(ticket, recomputed=stages, settled_us=stages[-1].at_us)
    return ticket, flow.counted(ticket, flows)


def _anew(ticket: Ticket, at_us: int, old: Rules, new: Rules) -> tuple[Ticket, list[Flow]]:
    flows: list[Flow] = []
    after = sla.reevaluated(ticket, at_us, old, new, retarget=True)
    flow.overdue(ticket, after, at_us, flows)
    return after, flows


def _concerns(policy: str, ticket: Ticket, rules: Rules) -> bool:
    standing = any(timer.policy == policy and timer.mode is not Mode.MET for timer in ticket.timers)
    return standing or any(p.policy == policy for p in rules.promises(ticket.source, ticket.who).values())


def _terms(timer: Timer) -> tuple[object, ...]:
    """What of a timer a request is made for; how far its clock was read changes nothing."""
    terms_of = (timer.metric, timer.cycle, timer.policy, timer.target_us, timer.calendar, timer.mode)
    return (*terms_of, timer.due_us, timer.breach_after_us, timer.breached_us)
