"""What a ticket adds to the KPIs as a whole. The set is a function of the stored entry alone; the difference of two
sets is what an event changes, so nothing is ever counted twice and everything can be taken back.

What happens any number of times is not here: it flows from the fold (``services.fold.flow``).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from schemas.state import Entry, Gone, Level, Mark, Mode, Ticket, Who
from schemas.ticket import DONE
from services.fold import flow, sla
from services.kpi.catalogue import STAYS, Cell, broken

Contribution = tuple[str, int, Who, int | None, int | None]
"""``(cell, at_us, attributes, first, second)``, the last two as in ``services.kpi.bucket.fields``."""

_CREATED, _CREATED_ESCALATED, _ESCALATED = Cell.CREATED.value, Cell.CREATED_ESCALATED.value, Cell.ESCALATED.value
_SOLVED, _REOPENED = Cell.SOLVED.value, Cell.REOPENED.value
_FIRST_RESPONSE, _FIRST_RESOLUTION = Cell.FIRST_RESPONSE.value, Cell.FIRST_RESOLUTION.value
_FULL_RESOLUTION, _OVERDUE = Cell.FULL_RESOLUTION.value, Cell.OVERDUE.value
_STAYS: Final = tuple(cell.value for cell in STAYS.values())
_BROKEN: Final = frozenset({Level.BREACHED, Level.LATE})
_AGENTS_PASSED: Final = Cell.AGENTS_PASSED.value
_AGENT_WORK: Final = Cell.AGENT_WORK.value
_BY_BOT: Final = Cell.BY_BOT.value
_EFFORT: Final = Cell.EFFORT.value
_EFFORT_SUM: Final = Cell.EFFORT_SUM.value
_FIRST_CONTACT: Final = Cell.FIRST_CONTACT.value
_FIRST_SOLVED: Final = Cell.FIRST_SOLVED.value
_KNOWN: Final = Cell.KNOWN.value
_MATURED: Final = Cell.MATURED.value
_MATURED_CONTACT: Final = Cell.MATURED_CONTACT.value
_ONE_TOUCH: Final = Cell.ONE_TOUCH.value
_PROMOTION: Final = Cell.PROMOTION.value
_RATED: Final = Cell.RATED.value
_REPLIED: Final = Cell.REPLIED.value
_REQUESTER_WAIT: Final = Cell.REQUESTER_WAIT.value
_SATISFIED: Final = Cell.SATISFIED.value
_TEAMS_PASSED: Final = Cell.TEAMS_PASSED.value
_ZERO_TOUCH: Final = Cell.ZERO_TOUCH.value


def contributions(before: Ticket, after: Ticket) -> tuple[Collection[Contribution], Collection[Contribution]]:
    """What ``before`` counts in and ``after`` does not, and the other way round."""
    if (
        before.created is after.created
        and before.first_reply is after.first_reply
        and before.solved is after.solved
        and before.reopens == after.reopens
        and before.gone is after.gone
        and before.escalated is after.escalated
        and before.rated is after.rated
        and before.ces is after.ces
        and before.nps is after.nps
    ):
        return _NOTHING, _NOTHING
    old, new = standing(before), standing(after)
    if not old or not new:
        return old, new
    was, now = set(old), set(new)
    return was - now, now - was


_NOTHING: Final[tuple[Contribution, ...]] = ()


def standing(ticket: Ticket) -> list[Contribution]:
    """Everything that ``ticket`` counts in as a whole, each once, but for its promises."""
    found: list[Contribution] = []
    if ticket.facts == 0 or ticket.gone is Gone.DELETED:
        return found
    if ticket.created is not None:
        found.append((_CREATED, ticket.created.at_us, ticket.created.who, None, None))
        if ticket.escalated is not None:
            found.append((_CREATED_ESCALATED, ticket.created.at_us, ticket.created.who, None, None))
    if ticket.escalated is not None:
        found.append((_ESCALATED, ticket.escalated.at_us, ticket.escalated.who, None, None))
    if ticket.first_reply is not None:
        _timed(found, _FIRST_RESPONSE, ticket.first_reply)
    if ticket.solved is not None:
        _solved(found, ticket, ticket.solved)
    if ticket.first_solved is not None:
        if ticket.created is not None:
            _timed(found, _FIRST_RESOLUTION, ticket.first_solved)
        _first_contact(found, ticket, ticket.first_solved)
    if ticket.rated is not None:
        found.append((_RATED, ticket.rated.at_us, ticket.rated.who, None, None))
        if ticket.rated.positive:
            found.append((_SATISFIED, ticket.rated.at_us, ticket.rated.who, None, None))
    if (ces := ticket.ces) is not None:
        found.append((_EFFORT, ces.at_us, ces.who, None, None))
        found.append((_EFFORT_SUM, ces.at_us, ces.who, ces.amount, None))
    if (nps := ticket.nps) is not None:
        found.append((_PROMOTION, nps.at_us, nps.who, None, None))
        side = flow.promoter(nps.amount)
        if side is not None:
            found.append((side.value, nps.at_us, nps.who, None, None))
    return found


def promises(entry: Entry) -> tuple[Contribution, ...]:
    """The newest timer instance of every metric that is kept or broken, and whether the ticket is overdue.

    A promise is broken when facts say so, or when the clock was found to have passed its end: never ahead of it.
    """
    ticket = entry.ticket
    if ticket.gone is not None or not ticket.timers:
        return ()
    found: list[Contribution] = []
    overdue_us = ticket.overdue_us
    open_now = flow.in_backlog(ticket)
    for timer in ticket.timers:
        if timer.cycle != sla.cycle_of(timer.metric, ticket):
            continue
        if timer.breached_us is None and timer.mode is not Mode.MET:
            for notice in entry.notices:
                if notice.metric is timer.metric and notice.cycle == timer.cycle and notice.level in _BROKEN:
                    broke_us = notice.breached_us
                    if broke_us is not None:
                        found.append((broken(timer.metric), broke_us, ticket.who, None, None))
                        if open_now and ticket.overdue_us is None:
                            overdue_us = broke_us if overdue_us is None else min(overdue_us, broke_us)
            continue
        told = flow.verdict(timer)
        if told is not None:
            found.append((*told, timer.who if timer.who is not None else ticket.who, None, None))
    if overdue_us is not None:
        found.append((_OVERDUE, overdue_us, ticket.who, None, None))
    return tuple(found)


def _solved(found: list[Contribution], ticket: Ticket, mark: Mark) -> None:
    at_us, who, effort = mark.at_us, mark.who, ticket.effort
    found.append((_SOLVED, at_us, who, None, None))
    if ticket.reopens:
        found.append((_REOPENED, at_us, who, None, None))
    done = ticket.status in DONE
    if done:
        _timed(found, _FULL_RESOLUTION, mark)
    if effort is None:
        return
    if done and mark.calendar_ms is not None:
        spent = effort.spent_us or (0,) * (2 * len(STAYS))
        new, new_business, opened, open_business, _, _, held, held_business = spent
        work, business = (new + opened) // 1000, (new_business + open_business) // 1000
        found.append((_AGENT_WORK, at_us, who, work, business))
        work, business = (new + opened + held) // 1000, (new_business + open_business + held_business) // 1000
        found.append((_REQUESTER_WAIT, at_us, who, work, business))
        for cell, clock_us, business_us in zip(_STAYS, spent[::2], spent[1::2], strict=True):
            if clock_us >= 1000:
                found.append((cell, at_us, who, clock_us // 1000, business_us // 1000))
    if ticket.gone is Gone.MERGED:
        return
    found.append((_KNOWN, at_us, who, None, None))
    if effort.replies == 1:
        found.append((_ONE_TOUCH, at_us, who, None, None))
    elif effort.replies == 0:
        found.append((_ZERO_TOUCH, at_us, who, None, None))
        if effort.bot:
            found.append((_BY_BOT, at_us, who, None, None))
    for cell, amount in (
        (_REPLIED, effort.replies),
        (_AGENTS_PASSED, effort.agents_passed),
        (_TEAMS_PASSED, effort.teams_passed),
    ):
        if amount:
            found.append((cell, at_us, who, amount, None))


def _first_contact(found: list[Contribution], ticket: Ticket, mark: Mark) -> None:
    mature_us = ticket.mature_us
    if ticket.first_replies is None or mature_us is None or ticket.gone is Gone.MERGED:
        return
    found.append((_FIRST_SOLVED, mark.at_us, mark.who, None, None))
    found.append((_MATURED, mature_us, mark.who, None, None))
    reopened_us = ticket.reopened_us
    if ticket.first_replies == 1 and (reopened_us is None or reopened_us > mature_us):
        found.append((_FIRST_CONTACT, mark.at_us, mark.who, None, None))
        found.append((_MATURED_CONTACT, mature_us, mark.who, None, None))


def _timed(found: list[Contribution], cell: str, mark: Mark) -> None:
    if mark.calendar_ms is not None:
        found.append((cell, mark.at_us, mark.who, mark.calendar_ms, mark.business_ms))
