"""The events that are measured with: simulated lives of tickets, as many as wanted.

Made once for a run and then repeated under other ticket ids, since making them costs more than processing them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import count, islice
from typing import Any

from msgspec import structs

from schemas.instant import to_datetime
from schemas.ticket import (
    Actor,
    ActorKind,
    Assignment,
    Attributes,
    Kind,
    Message,
    Priority,
    PriorityChange,
    Status,
    TicketEvent,
    Visibility,
    event_id,
)
from services import clock
from tests.support.lives import arrivals  # the bench runs from a checkout, where the tests' support is

_RATE = 6.0
_LASTING_S = 1200.0


def lives(number: int) -> list[TicketEvent]:
    """The first ``number`` events of an endless supply: about 11 for a ticket, a few late, a few twice."""
    return list(islice(_endless(), number))


@cache
def _original() -> tuple[TicketEvent, ...]:
    return tuple(arrivals(seed=20, until_us=clock.now_us(), lasting_s=_LASTING_S, rate=_RATE))


def _endless() -> Iterator[TicketEvent]:
    for again in count():
        for event in _original():
            if again:
                yield structs.replace(
                    event,
                    ticket_id=f"{event.ticket_id}-{again}",
                    event_id=event_id(event.source, event.event_id, str(again)),
                )
            else:
                yield event


def created(ticket_id: str, at_us: int, **attributes: Any) -> TicketEvent:
    """A new e-mail ticket; ``attributes`` are what else is stated of it."""
    at = to_datetime(at_us)
    stated: dict[str, Any] = {"status": Status.NEW, "channel": "email", "team": "support", "created_at": at}
    return _event(ticket_id, Kind.CREATED, at_us, ActorKind.CUSTOMER, ticket=Attributes(**stated | attributes))


def replied(ticket_id: str, at_us: int) -> TicketEvent:
    """A public answer of an agent."""
    message = Message(f"m{ticket_id}", Visibility.PUBLIC, ActorKind.AGENT)
    return _event(ticket_id, Kind.MESSAGE_ADDED, at_us, ActorKind.AGENT, message=message)


def assigned(ticket_id: str, at_us: int, agent: str) -> TicketEvent:
    """Somebody has the ticket now."""
    return _event(
        ticket_id,
        Kind.ASSIGNMENT_CHANGED,
        at_us,
        ActorKind.AGENT,
        ticket=Attributes(status=Status.OPEN, agent=agent),
        assignment=Assignment(agent=agent),
    )


def made_urgent(ticket_id: str, at_us: int) -> TicketEvent:
    """The priority is set."""
    change = PriorityChange(Priority.URGENT)
    stated = Attributes(priority=Priority.URGENT)
    return _event(ticket_id, Kind.PRIORITY_CHANGED, at_us, ActorKind.AGENT, ticket=stated, priority=change)


def _event(ticket_id: str, kind: Kind, at_us: int, actor: ActorKind, **objects: Any) -> TicketEvent:
    at = to_datetime(at_us)
    return TicketEvent(
        event_id=event_id("zendesk", ticket_id, kind.value),
        source="zendesk",
        vendor="zendesk",
        ticket_id=ticket_id,
        kind=kind,
        occurred_at=at,
        received_at=at,
        actor=Actor(actor, "7"),
        **objects,
    )
