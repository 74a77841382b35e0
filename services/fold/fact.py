"""From a TicketEvent to the Fact that the fold keeps: change objects become statements about the ticket."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from schemas.instant import from_datetime
from schemas.state import Fact, Stated
from schemas.ticket import ActorKind, Attributes, Kind, Rating, TicketEvent

_PLAIN = ("status", "priority", "channel", "team", "agent", "brand", "tier", "tags", "requester", "organisation")
_UPPER_SHARE = 0.75
"""4 and 5 of 1–5 are satisfied (semantics.md, CSAT): the scale's points from three quarters of its length up."""


def fact(event: TicketEvent) -> Fact:
    """The fact of ``event``. What the change object says outranks the snapshot that came with it."""
    stated = _stated(event.ticket)
    if event.status is not None:
        stated["status"] = event.status.to
    if event.priority is not None:
        stated["priority"] = event.priority.to
    if event.assignment is not None:
        if event.assignment.agent is not UNSET:
            stated["agent"] = event.assignment.agent
        if event.assignment.team is not UNSET:
            stated["team"] = event.assignment.team
    message, tags, rating = event.message, event.tags, event.rating
    return Fact(
        at_us=from_datetime(event.occurred_at),
        sequence=event.sequence,
        event_id=bytes.fromhex(event.event_id.replace("-", "")),
        kind=event.kind,
        stated=Stated(**stated),
        actor=message.author if message is not None else _actor(event),
        visibility=message.visibility if message is not None else None,
        message_id=message.id if message is not None else None,
        opening=message.opening if message is not None else False,
        tags_added=tags.added if tags is not None else (),
        tags_removed=tags.removed if tags is not None else (),
        positive=_positive(rating) if rating is not None and event.kind is Kind.CSAT_RECEIVED else None,
        score=rating.score if rating is not None else None,
        into=event.merge.into if event.merge is not None else None,
        imported=event.imported,
    )


def _stated(attributes: Attributes) -> dict[str, Any]:
    stated = {name: value for name in _PLAIN if (value := getattr(attributes, name)) is not UNSET}
    if attributes.created_at is not UNSET:
        stated["created_us"] = from_datetime(attributes.created_at)
    return stated


def _actor(event: TicketEvent) -> ActorKind | None:
    return event.actor.kind if event.actor is not None else None


def _positive(rating: Rating) -> bool:
    if rating.positive is not None:
        return rating.positive
    return rating.score >= rating.worst + _UPPER_SHARE * (rating.best - rating.worst)
