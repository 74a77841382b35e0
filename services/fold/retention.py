"""How long a ticket is remembered, and what is refused because nobody remembers any more (ADR 0015). Pure.

All of it is told from event times and from when the log took the events, never from when somebody looked: so a rebuild
from the log forgets and refuses what was forgotten and refused the first time.
"""

from __future__ import annotations

from typing import Final

from schemas.instant import SECOND_US
from schemas.state import FORGET_FROM, Entry, Fact, Ticket
from schemas.ticket import DONE, Kind
from services.fold.rules import Rules

_LONGEST_GRACE_US: Final = 3600 * SECOND_US
_STAFFING: Final = frozenset({Kind.AGENT_JOINED, Kind.AGENT_LEFT})


def forget_us(entry: Entry, rules: Rules) -> int | None:
    """The last instant at which the log may take an event that still finds the ticket; ``None`` while it is open.

    Every fact of the ticket is older than a horizon then, so that a copy of it, which no longer meets the ticket, is
    too late itself.
    """
    if rules.horizon_us is None or not _is_over(entry.ticket):
        return None
    return max(entry.heard_us, entry.ticket.last[0]) + rules.horizon_us


def lapsed(entry: Entry, heard_us: int, rules: Rules) -> bool:
    """Whether an event that the log took at ``heard_us`` finds the ticket forgotten."""
    until_us = forget_us(entry, rules)
    return until_us is not None and heard_us > until_us


def wake_us(entry: Entry, rules: Rules) -> int | None:
    """The score on the schedule of a ticket that no timer wakes: when it is deleted. A little later than it is
    forgotten, since the clocks of the broker and of the worker may differ a little."""
    until_us = forget_us(entry, rules)
    if until_us is None or rules.horizon_us is None:
        return None
    return FORGET_FROM + until_us + min(_LONGEST_GRACE_US, rules.horizon_us // 24) + 1


def floor_us(fact: Fact, rules: Rules, began_us: int = 0) -> int:
    """What lies before this, on a ticket that begins with ``fact``, may have been counted and forgotten. Nothing was in
    a state that has not heard of anything for as long as a horizon: ``began_us`` is when it heard of the first."""
    if rules.horizon_us is None or fact.heard_us - rules.horizon_us <= began_us:
        return 0
    return fact.heard_us - rules.horizon_us


def too_late(fact: Fact, floor_us: int) -> bool:
    """Whether ``fact`` is refused. History that is loaded is wanted as it is; and who works here is never forgotten, so
    it is never too late to hear of it."""
    return fact.at_us < floor_us and not fact.imported and fact.kind not in _STAFFING


def _is_over(ticket: Ticket) -> bool:
    """Whether nothing is expected of the ticket any more. Agents stay for good: they are few, and each counts."""
    name = ticket.ticket_id
    if name.startswith("\x1f"):
        return ticket.matter_us is None and not name.startswith("\x1fagent\x1f")
    return ticket.gone is not None or ticket.status in DONE
