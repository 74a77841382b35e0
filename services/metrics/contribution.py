"""What a ticket adds to the KPIs. The set is a function of the ticket alone; the difference of two sets is what an
event changes, so nothing is ever counted twice and everything can be taken back."""

from __future__ import annotations

from schemas.state import Gone, Mark, Ticket, Who
from schemas.ticket import DONE
from services.kpi.catalogue import Cell

Contribution = tuple[Cell, int, Who, int | None, int | None]
"""``(cell, at_us, attributes, calendar_ms, business_ms)``; counts have no durations."""


def contributions(ticket: Ticket) -> set[Contribution]:
    """Everything that ``ticket`` counts in, but for the backlog, whose moves come from the fold."""
    if ticket.facts == 0 or ticket.gone is Gone.DELETED:
        return set()
    found: set[Contribution] = set()
    if ticket.created is not None:
        found.add((Cell.CREATED, ticket.created.at_us, ticket.created.who, None, None))
    if ticket.first_reply is not None:
        _timed(found, Cell.FIRST_RESPONSE, ticket.first_reply)
    if ticket.solved is not None:
        at_us, who = ticket.solved.at_us, ticket.solved.who
        found.add((Cell.SOLVED, at_us, who, None, None))
        if ticket.reopens:
            found.add((Cell.REOPENED, at_us, who, None, None))
        if ticket.status in DONE:
            _timed(found, Cell.FULL_RESOLUTION, ticket.solved)
    if ticket.first_solved is not None:
        _timed(found, Cell.FIRST_RESOLUTION, ticket.first_solved)
    if ticket.rated is not None:
        found.add((Cell.RATED, ticket.rated.at_us, ticket.rated.who, None, None))
        if ticket.rated.positive:
            found.add((Cell.SATISFIED, ticket.rated.at_us, ticket.rated.who, None, None))
    return found


def _timed(found: set[Contribution], cell: Cell, mark: Mark) -> None:
    if mark.calendar_ms is not None:
        found.add((cell, mark.at_us, mark.who, mark.calendar_ms, mark.business_ms))
