"""Short ticket stories for tests: events at minutes after a Monday 09:00 UTC, told in one line each."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from schemas.instant import SECOND_US, from_datetime, parse_rfc3339, to_datetime
from schemas.state import Fact, Ticket
from schemas.ticket import (
    Actor,
    ActorKind,
    Assignment,
    Attributes,
    Kind,
    Message,
    Priority,
    PriorityChange,
    Rating,
    Status,
    StatusChange,
    TicketEvent,
    Visibility,
)
from services.config.document import Document, parse
from services.fold.fact import fact
from services.fold.rules import Rules, compiled
from services.fold.ticket import fold

START_US = from_datetime(parse_rfc3339("2026-03-02T09:00:00Z"))
MINUTE_US = 60 * SECOND_US


def at(minute: float) -> int:
    """The instant ``minute`` minutes after the start."""
    return START_US + round(minute * MINUTE_US)


class Story:
    """Collects the events of one ticket. Every method tells one and returns it."""

    def __init__(self, source: str = "zendesk", ticket_id: str = "1") -> None:
        self.source, self.ticket_id = source, ticket_id
        self.events: list[TicketEvent] = []

    def tell(self, minute: float, kind: Kind, **what: Any) -> TicketEvent:
        when = to_datetime(at(minute))
        number = len(self.events) + 1
        event = TicketEvent(
            event_id=str(UUID(int=number)),
            source=self.source,
            vendor="zendesk",
            ticket_id=self.ticket_id,
            kind=kind,
            occurred_at=when,
            received_at=when,
            sequence=number,
            **what,
        )
        self.events.append(event)
        return event

    def created(self, minute: float = 0, by: ActorKind = ActorKind.CUSTOMER, **attributes: Any) -> TicketEvent:
        return self.tell(minute, Kind.CREATED, actor=Actor(kind=by), ticket=Attributes(**attributes))

    def status(self, minute: float, to: Status, **what: Any) -> TicketEvent:
        return self.tell(minute, Kind.STATUS_CHANGED, status=StatusChange(to=to), **what)

    def priority(self, minute: float, to: Priority | None) -> TicketEvent:
        return self.tell(minute, Kind.PRIORITY_CHANGED, priority=PriorityChange(to=to))

    def assigned(self, minute: float, **holder: str | None) -> TicketEvent:
        return self.tell(minute, Kind.ASSIGNMENT_CHANGED, assignment=Assignment(**holder))

    def message(
        self, minute: float, author: ActorKind, visibility: Visibility = Visibility.PUBLIC, **what: Any
    ) -> TicketEvent:
        message = Message(id=f"m{len(self.events)}", visibility=visibility, author=author, **what)
        return self.tell(minute, Kind.MESSAGE_ADDED, message=message)

    def reply(self, minute: float) -> TicketEvent:
        return self.message(minute, ActorKind.AGENT)

    def asks(self, minute: float) -> TicketEvent:
        return self.message(minute, ActorKind.CUSTOMER)

    def rated(self, minute: float, score: float) -> TicketEvent:
        return self.tell(minute, Kind.CSAT_RECEIVED, rating=Rating(score=score, best=5, worst=1))

    def facts(self) -> list[Fact]:
        return sorted((fact(event) for event in self.events), key=lambda f: f.order)

    def ticket(self, rules: Rules | None = None) -> Ticket:
        """The fold of everything told so far."""
        return fold(self.source, self.ticket_id, self.facts(), rules or Rules())[0]


def document(text: str) -> Document:
    return parse(text, {})


def rules(text: str) -> Rules:
    return compiled(parse(text, {}))
