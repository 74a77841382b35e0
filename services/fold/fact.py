"""From a TicketEvent to the Fact that the fold keeps: change objects become statements about the ticket."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET

from schemas.instant import from_datetime
from schemas.state import Fact, Stated
from schemas.ticket import DONE, ActorKind, Kind, Rating, TicketEvent, Visibility
from services.kpi.catalogue import MILLION

_UPPER_FROM = 0.6
"""The upper 40 per cent of a scale are satisfied, as the contract of the event says: above this share of its length."""

_ASIDE: Final = {
    Kind.KNOWLEDGE_CONTRIBUTED: "article",
    Kind.QUESTION_ASKED: "question",
    Kind.QUESTION_ANSWERED: "question",
    Kind.AGENT_JOINED: "agent",
    Kind.AGENT_LEFT: "agent",
}
"""Whose id ``ticket_id`` is when it is no ticket's."""


def subject(event: TicketEvent) -> str:
    """Whose facts ``event`` belongs to, ``source:id``: a ticket's, or an article's, a question's or an agent's, which
    never meet a ticket of the same id."""
    aside = _ASIDE.get(event.kind)
    return event.key if aside is None else f"{event.source}:\x1f{aside}\x1f{event.ticket_id}"


def fact(event: TicketEvent, heard_us: int = 0) -> Fact:
    """The fact of ``event``, which the log took at ``heard_us``. What the change object says outranks the snapshot that
    came with it."""
    kind, message, tags, rating, assigned = event.kind, event.message, event.tags, event.rating, event.assignment
    return Fact(  # by place, not by name: there are very many
        from_datetime(event.occurred_at),
        event.sequence,
        bytes.fromhex(event.event_id.replace("-", "")),
        kind,
        _stated(event),
        message.author if message is not None else event.actor.kind if event.actor is not None else None,
        message.visibility if message is not None else None,
        message.id if message is not None else None,
        message.opening if message is not None else False,
        tags.added if tags is not None else (),
        tags.removed if tags is not None else (),
        _positive(rating) if rating is not None and kind is Kind.CSAT_RECEIVED else None,
        rating.score if rating is not None else None,
        event.merge.into if event.merge is not None else None,
        event.imported,
        _by(event),
        _amount(kind, rating) if rating is not None else None,
        assigned is not None and assigned.team is not UNSET,
        heard_us,
    )


def _stated(event: TicketEvent) -> Stated:
    told, status, priority, assigned = event.ticket, event.status, event.priority, event.assignment
    agent, team = told.agent, told.team
    if assigned is not None:
        agent = assigned.agent if assigned.agent is not UNSET else agent
        team = assigned.team if assigned.team is not UNSET else team
    return Stated(
        status.to if status is not None else told.status,
        priority.to if priority is not None else told.priority,
        told.channel,
        team,
        agent,
        told.brand,
        told.tier,
        told.tags,
        told.requester,
        told.organisation,
        from_datetime(told.created_at) if told.created_at is not UNSET else UNSET,
    )


def _positive(rating: Rating) -> bool:
    if rating.positive is not None:
        return rating.positive
    return rating.score > rating.worst + _UPPER_FROM * (rating.best - rating.worst)


def _by(event: TicketEvent) -> str | None:
    """The agent who wrote, solved or contributed. ``None`` where the fold would say the same or nobody asks: every
    fact is kept, and most need no name."""
    actor = event.actor
    if actor is None or actor.kind is not ActorKind.AGENT:
        return None
    if event.kind is Kind.MESSAGE_ADDED:
        message = event.message
        asked = message is not None and message.author is ActorKind.AGENT and message.visibility is Visibility.PUBLIC
    else:
        status = event.status.to if event.status is not None else event.ticket.status
        asked = event.kind is Kind.KNOWLEDGE_CONTRIBUTED or status in DONE
    return actor.id if asked else None


def _amount(kind: Kind, rating: Rating) -> int | None:
    """The score in millionths of what its KPI is read in."""
    if kind is Kind.QA_SCORED:
        return round(max(0.0, rating.score / rating.best) * MILLION) if rating.best > 0 else None
    place = (rating.score - rating.worst) / (rating.best - rating.worst)
    if kind is Kind.CES_RECEIVED:
        return round((1 + 6 * place) * MILLION)
    return round(10 * place * MILLION) if kind is Kind.NPS_RECEIVED else None
