"""KPIs recomputed from a list of events, the slow and obvious way, from semantics.md and not from our code.

Nothing of services.metrics is used: tickets are walked event by event, and every number is a plain list.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from msgspec import UNSET

from schemas.ticket import ActorKind, Kind, Status, TicketEvent, Visibility

DONE = (Status.SOLVED, Status.CLOSED)
ATTRIBUTES = ("channel", "team", "agent", "priority")


@dataclass
class Facts:
    """What one ticket contributes: ``(instant, attributes then, value)``."""

    created: list[Any] = field(default_factory=list)
    solved: list[Any] = field(default_factory=list)
    reopened: list[Any] = field(default_factory=list)
    first_response: list[Any] = field(default_factory=list)
    first_resolution: list[Any] = field(default_factory=list)
    full_resolution: list[Any] = field(default_factory=list)
    rated: list[Any] = field(default_factory=list)
    backlog: list[Any] = field(default_factory=list)


def told(events: Iterable[TicketEvent]) -> list[Facts]:
    """The contributions of every ticket in ``events``, which may be in any order and hold copies."""
    tickets: dict[str, dict[str, TicketEvent]] = defaultdict(dict)
    for event in events:
        tickets[event.key].setdefault(event.event_id, event)
    return [_ticket(list(distinct.values())) for distinct in tickets.values()]


def kpis(facts: list[Facts], start: datetime, end: datetime, segment: dict[str, str]) -> dict[str, Any]:
    """The numbers of ``[start, end)`` for tickets whose attributes were ``segment`` at the time of each case."""

    def cases(name: str) -> list[Any]:
        return [
            value
            for one in facts
            for at, attributes, value in getattr(one, name)
            if start <= at < end and all((attributes[d] or "none") == v for d, v in segment.items())
        ]

    rated, solved = cases("rated"), cases("solved")
    now = [a for one in facts for _, a, _ in one.backlog if all((a[d] or "none") == v for d, v in segment.items())]
    return {
        "tickets_created": len(cases("created")),
        "tickets_solved": len(solved),
        "backlog": len(now),
        "first_response_time": sorted(cases("first_response")),
        "first_resolution": sorted(cases("first_resolution")),
        "full_resolution": sorted(cases("full_resolution")),
        "csat": (sum(rated), len(rated)),
        "reopen_rate": (sum(solved), len(solved)),
    }


def _ticket(events: list[TicketEvent]) -> Facts:
    events.sort(key=lambda e: (e.occurred_at, e.sequence, e.event_id))
    withdrawn = {e.message.id for e in events if e.kind is Kind.MESSAGE_RETRACTED and e.message}
    now: dict[str, Any] = dict.fromkeys((*ATTRIBUTES, "status"))
    created: tuple[datetime, dict[str, Any]] | None = None
    born = by_agent = gone = deleted = False
    reply: Any = None
    first_solve: Any = None
    last_solve: Any = None
    reopens = 0
    rating: Any = None

    def attributes() -> dict[str, Any]:
        return {name: now[name] for name in ATTRIBUTES}

    for event in events:
        was = now["status"]
        for name in (*ATTRIBUTES, "status"):
            value = getattr(event.ticket, name)
            if value is not UNSET:
                now[name] = value
        if event.status:
            now["status"] = event.status.to
        if event.priority:
            now["priority"] = event.priority.to
        if event.assignment and event.assignment.agent is not UNSET:
            now["agent"] = event.assignment.agent
        if event.assignment and event.assignment.team is not UNSET:
            now["team"] = event.assignment.team
        if event.kind is Kind.CREATED and not born:
            born, by_agent = True, bool(event.actor and event.actor.kind is ActorKind.AGENT)
            now["status"] = now["status"] or Status.NEW
        if created is None and (event.ticket.created_at is not UNSET or event.kind is Kind.CREATED):
            at = event.ticket.created_at if event.ticket.created_at is not UNSET else event.occurred_at
            created = (at, attributes())
        if event.kind in (Kind.DELETED, Kind.MERGED):
            gone, deleted = True, event.kind is Kind.DELETED
        elif event.kind is Kind.RESTORED:
            gone = deleted = False
        if now["status"] in DONE and was not in DONE and (was or event.kind in (Kind.CREATED, Kind.STATUS_CHANGED)):
            last_solve = (event.occurred_at, attributes())
            first_solve = first_solve or last_solve
        elif was in DONE and now["status"] not in DONE:
            reopens += 1
        message = event.message
        if (
            event.kind is Kind.MESSAGE_ADDED
            and message is not None
            and born
            and reply is None
            and message.visibility is Visibility.PUBLIC
            and message.author is ActorKind.AGENT
            and message.id not in withdrawn
            and not message.opening
            and not (by_agent and created and event.occurred_at == created[0])
        ):
            reply = (event.occurred_at, attributes())
        if event.kind is Kind.CSAT_RECEIVED and event.rating:
            positive = event.rating.positive
            if positive is None:
                upper = event.rating.worst + 0.6 * (event.rating.best - event.rating.worst)
                positive = event.rating.score > upper
            rating = (event.occurred_at, attributes(), positive)

    facts = Facts()
    if deleted:
        return facts
    if created:
        facts.created = [(*created, 1)]
    for name, solve in (("first_resolution", first_solve), ("full_resolution", last_solve)):
        if solve and created and (name == "first_resolution" or now["status"] in DONE):
            setattr(facts, name, [(*solve, _seconds(solve[0] - created[0]))])
    if reply and created:
        facts.first_response = [(*reply, _seconds(reply[0] - created[0]))]
    if last_solve:
        facts.solved = [(*last_solve, reopens > 0)]
    if rating:
        facts.rated = [rating]
    if not gone and now["status"] is not None and now["status"] not in DONE:
        facts.backlog = [(events[-1].occurred_at, attributes(), 1)]
    return facts


def _seconds(passed: timedelta) -> float:
    return max(0.0, passed.total_seconds())
