"""Intercom: notifications of conversations and of tickets, in both generations of their bodies.

https://developers.intercom.com/docs/references/webhooks/webhook-models. The API version that an app has chosen decides
the generation: until 2.0 a conversation has ``user``, ``assignee`` and ``conversation_message``, since then
``contacts``, ``admin_assignee_id`` and ``source``. A ticket stands by itself or beside its part (``ticket_part``).

One action may be told under several topics, all of them with the same part: the part identifies the change, so they
make one event. A part's time has whole seconds. A conversation that became a ticket keeps its id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import UnsetType

from schemas.failure import Invalid, Reason
from schemas.ticket import (
    Actor,
    ActorKind,
    Assignment,
    Kind,
    Message,
    PriorityChange,
    Rating,
    StatusChange,
    TagsChange,
    TicketEvent,
    Visibility,
)
from services.ingest.delivery import Delivery, SourceSettings
from services.ingest.normalise.epoch import from_seconds
from services.ingest.normalise.fields import Object, identifier, obj, required, word
from services.ingest.normalise.happening import Happening
from services.ingest.normalise.intercom_item import PRIORITIES, STATUSES, attributes, author, tag_names
from services.ingest.normalise.intercom_item import Options as Options
from services.ingest.normalise.own_words import status
from services.ingest.normalise.people import customer, staff
from services.ingest.normalise.personal import stated
from services.ingest.normalise.reading import json_object, options_of
from services.ingest.normalise.vocabulary import extended

_OTHER_SUBJECTS: Final = (
    *("contact.", "user.", "lead.", "visitor.", "company.", "admin.", "event.", "content_stat.", "call.", "article."),
    *("news_item.", "subscription.", "job.", "granular.", "data_connector."),
)
_PARTLESS: Final[Mapping[str, str]] = {
    "conversation.priority.updated": "priority_changed",
    "conversation.rating.added": "conversation_rating_changed",
    "conversation.deleted": "",
    "conversation_part.tag.created": "",
}
"""Topics whose part may be an old message: it is what happened only where it is of this type."""

_READS_PARTS: Final = frozenset({"ticket.admin.replied", "ticket.contact.replied", "ticket.note.created"})
"""Topics whose ticket may stand alone: its last part is then what happened."""

_SILENT: Final = frozenset(
    {
        "ping",
        "conversation.read",
        "conversation.contact.attached",
        "conversation.contact.detached",
        "conversation_part.redacted",
        "conversation_part.tag.deleted",
        "ticket.attribute.updated",
        "ticket.contact.attached",
        "ticket.contact.detached",
    }
)
"""Known, and of no consequence for any number: accepted and kept raw."""


@dataclass(frozen=True, slots=True)
class _Notice:
    """A notification about ``item``, a conversation or a ticket; ``part`` is what happened, where it says."""

    id: str
    topic: str
    sent_at: datetime
    item: Object
    part: Object | None
    path: str
    options: Options
    hash_key: bytes
    happening: Happening


def normalise(delivery: Delivery, settings: SourceSettings) -> list[TicketEvent]:
    """The events of a notification; none for what no KPI is made of. Raises :class:`Invalid`."""
    body = json_object(delivery, settings, "an Intercom notification")
    return stated(_events(body, delivery, settings), body, delivery.vendor, settings.keep)


def _events(body: Object, delivery: Delivery, settings: SourceSettings) -> list[TicketEvent]:
    topic = body.get("topic")
    if body.get("type") != "notification_event" or not isinstance(topic, str):
        raise Invalid(
            Reason.UNSUPPORTED_FORMAT,
            "no notification (type notification_event with a topic): point the app's webhooks at this address, see "
            "docs/guides/connect-intercom.md",
        )
    if topic in _SILENT or topic.startswith(_OTHER_SUBJECTS):
        return []
    reader = _READERS.get(topic)
    if reader is None:
        raise Invalid(Reason.UNKNOWN_TYPE, "topic is one that this version does not know: untick it in Intercom")
    events = reader(_notice(body, topic, delivery, settings))
    return [msgspec.structs.replace(event, sequence=place) for place, event in enumerate(events)]


def _notice(body: Object, topic: str, delivery: Delivery, settings: SourceSettings) -> _Notice:
    options = options_of(settings, Options)
    item, path = obj(obj(body, "data", "data"), "item", "data.item"), "data.item"
    part = _listed(item, "conversation_parts")
    if isinstance(item.get("ticket"), dict):
        part = item.get("ticket_part")
        item, path = item["ticket"], "data.item.ticket"
    elif part is None and topic in _READS_PARTS:
        part = _listed(item, "ticket_parts")
    if not isinstance(part, dict) or (topic in _PARTLESS and part.get("part_type") != _PARTLESS[topic]):
        part = None
    notification, sent_at = required(body.get("id"), "id"), from_seconds(body.get("created_at"), "created_at")
    workspace = identifier(body.get("app_id"), "app_id") or ""
    change = identifier(part.get("id"), "the part's id") if part else None
    happening = Happening(
        delivery,
        required(item.get("id"), f"{path}.id"),
        from_seconds(part.get("created_at"), "the part's created_at") if part else sent_at,
        (workspace, "part", change) if change else (workspace, notification),
        actor=author(part, options, settings.hash_key) if part else None,
        ticket=attributes(item, path, options, settings.hash_key),
    )
    return _Notice(notification, topic, sent_at, item, part, path, options, settings.hash_key, happening)


def _listed(item: Object, name: str) -> Object | None:
    """The last part of ``{"conversation_parts": {"conversation_parts": […]}}``; webhooks carry what just happened."""
    holder = item.get(name)
    parts = holder.get(name) if isinstance(holder, dict) else None
    return parts[-1] if isinstance(parts, list) and parts and isinstance(parts[-1], dict) else None


def _created(notice: _Notice) -> list[TicketEvent]:
    """A ticket is created once, however many topics say so: the id of the ticket identifies it."""
    ticket = notice.happening.ticket
    at = ticket.created_at if isinstance(ticket.created_at, datetime) else notice.happening.at
    match notice.topic:
        case "conversation.user.created":
            who = customer(None, notice.hash_key)
            who = Actor(who.kind, ticket.requester) if isinstance(ticket.requester, str) else who
        case "conversation.admin.single.created":
            who = staff(ticket.agent if isinstance(ticket.agent, str) else None, notice.options.bots)
        case _:
            return [_once(notice, Kind.CREATED, "created", occurred_at=at, actor=None)]
    return [_once(notice, Kind.CREATED, "created", occurred_at=at, actor=who)]


def _once(notice: _Notice, kind: Kind, what: str, **parts: Any) -> TicketEvent:
    return notice.happening.tells(kind, notice.happening.ticket_id, what, **parts)


def _message(notice: _Notice) -> list[TicketEvent]:
    part = notice.part
    if part is None:
        raise Invalid(Reason.MISSING_FIELD, f"{notice.path} has no part, so nothing says who wrote")
    private = notice.topic in ("conversation.admin.noted", "ticket.note.created") or part.get("part_type") == "note"
    who = notice.happening.actor
    if notice.topic == "conversation.operator.replied":
        who = Actor(ActorKind.BOT, who.id if who else None)
    if who is None:
        raise Invalid(Reason.MISSING_FIELD, "the part's author is missing")
    shown = Visibility.PRIVATE if private else Visibility.PUBLIC
    message = Message(identifier(part.get("id"), "the part's id"), shown, who.kind)
    return [notice.happening.tells(Kind.MESSAGE_ADDED, actor=who, message=message)]


def _status(to: str) -> Callable[[_Notice], list[TicketEvent]]:
    def read(notice: _Notice) -> list[TicketEvent]:
        options = notice.options
        change = StatusChange(
            status(to, STATUSES, options.statuses, "topic"),
            status("snoozed", STATUSES, options.statuses, "topic") if notice.topic.endswith(".unsnoozed") else None,
        )
        events = [notice.happening.tells(Kind.STATUS_CHANGED, status=change)]
        return [*_said_in_closing(notice), *events]

    return read


def _said_in_closing(notice: _Notice) -> list[TicketEvent]:
    """A close may carry a message to the customer."""
    part = notice.part
    text = part.get("body") if part is not None and part.get("part_type") == "close" else None
    return _message(notice) if isinstance(text, str) and text.strip() else []


def _assigned(notice: _Notice) -> list[TicketEvent]:
    ticket = notice.happening.ticket
    given = notice.part.get("assigned_to") if notice.part else None
    kind = given.get("type") if isinstance(given, dict) else None
    if notice.topic == "ticket.team.assigned" or kind == "team":
        assignment = Assignment(team=ticket.team)
    elif notice.topic == "ticket.admin.assigned" or kind in ("admin", "nobody_admin"):
        assignment = Assignment(agent=ticket.agent)
    else:
        assignment = Assignment(ticket.agent, ticket.team)
    if isinstance(assignment.agent, UnsetType) and isinstance(assignment.team, UnsetType):
        if not isinstance(given, dict):
            raise Invalid(Reason.MISSING_FIELD, f"{notice.path}.admin_assignee_id and team_assignee_id are missing")
        to = identifier(given.get("id"), "assigned_to.id")
        assignment = Assignment(team=to) if kind == "team" else Assignment(agent=to)
    return [notice.happening.tells(Kind.ASSIGNMENT_CHANGED, assignment=assignment)]


def _opened_for(notice: _Notice) -> list[TicketEvent]:
    return [*_status("open")(notice), *_assigned(notice)]


def _priority(notice: _Notice) -> list[TicketEvent]:
    known = extended(PRIORITIES, notice.options.priorities)
    to = word(notice.item.get("priority"), known, f"{notice.path}.priority")
    return [notice.happening.tells(Kind.PRIORITY_CHANGED, priority=PriorityChange(to))]


def _tagged(notice: _Notice) -> list[TicketEvent]:
    added = tag_names(notice.item.get("tags_added"))
    if isinstance(added, UnsetType):
        raise Invalid(Reason.MISSING_FIELD, f"{notice.path}.tags_added is missing")
    if not added:
        return []
    return [notice.happening.tells(Kind.TAGS_CHANGED, tags=TagsChange(added=added))]


def _ticket_state(notice: _Notice) -> list[TicketEvent]:
    """``ticket.state.updated``, ``.resolved`` and ``.closed`` tell of one change: the last state part identifies it."""
    to = notice.happening.ticket.status
    if isinstance(to, UnsetType):
        raise Invalid(Reason.MISSING_FIELD, f"{notice.path}.ticket_state is missing")
    part = _last_state(notice)
    if part is None:
        return [_once(notice, Kind.STATUS_CHANGED, str(notice.item.get("updated_at")), status=StatusChange(to))]
    options = notice.options
    to = status(part.get("ticket_state"), STATUSES, options.statuses, "ticket_state of the part")
    before = part.get("previous_ticket_state")
    previous = status(before, STATUSES, options.statuses, "previous_ticket_state of the part") if before else None
    if to is previous:
        return []
    return [
        notice.happening.tells(
            Kind.STATUS_CHANGED,
            *("state", required(part.get("id"), "the part's id")),
            occurred_at=from_seconds(part.get("created_at"), "the part's created_at"),
            actor=author(part, options, notice.hash_key),
            status=StatusChange(to, previous),
        )
    ]


def _last_state(notice: _Notice) -> Object | None:
    holder = notice.item.get("ticket_parts")
    listed = holder.get("ticket_parts") if isinstance(holder, dict) else None
    parts = [*(listed if isinstance(listed, list) else []), notice.part]
    return next((p for p in reversed(parts) if isinstance(p, dict) and p.get("ticket_state")), None)


def _rated(notice: _Notice) -> list[TicketEvent]:
    given = next((notice.item[n] for n in ("conversation_rating", "ticket_rating") if notice.item.get(n)), None)
    score = given.get("rating") if isinstance(given, dict) else given
    if not isinstance(score, int) or isinstance(score, bool) or not 1 <= score <= 5:
        raise Invalid(Reason.BAD_VALUE, f"{notice.path}.conversation_rating.rating must be a number from 1 to 5")
    at = notice.happening.at
    if isinstance(given, dict) and given.get("created_at"):
        at = from_seconds(given["created_at"], f"{notice.path}.conversation_rating.created_at")
    ticket = notice.happening.ticket
    who = Actor(ActorKind.CUSTOMER, ticket.requester if isinstance(ticket.requester, str) else None)
    rating = Rating(float(score), best=5.0, worst=1.0)
    return [_once(notice, Kind.CSAT_RECEIVED, f"{at.isoformat()}/{score}", occurred_at=at, actor=who, rating=rating)]


def _deleted(notice: _Notice) -> list[TicketEvent]:
    return [_once(notice, Kind.DELETED, "deleted")]


_READERS: Final[Mapping[str, Callable[[_Notice], list[TicketEvent]]]] = {
    "conversation.user.created": _created,
    "conversation.admin.single.created": _created,
    "ticket.created": _created,
    "conversation.user.replied": _message,
    "conversation.admin.replied": _message,
    "conversation.operator.replied": _message,
    "conversation.admin.noted": _message,
    "ticket.admin.replied": _message,
    "ticket.contact.replied": _message,
    "ticket.note.created": _message,
    "conversation.admin.assigned": _assigned,
    "conversation.admin.open.assigned": _opened_for,
    "ticket.admin.assigned": _assigned,
    "ticket.team.assigned": _assigned,
    "conversation.admin.closed": _status("closed"),
    "conversation.admin.opened": _status("open"),
    "conversation.admin.snoozed": _status("snoozed"),
    "conversation.admin.unsnoozed": _status("open"),
    "ticket.state.updated": _ticket_state,
    "ticket.resolved": _ticket_state,
    "ticket.closed": _ticket_state,
    "conversation.priority.updated": _priority,
    "conversation_part.tag.created": _tagged,
    "conversation.rating.added": _rated,
    "ticket.rating.provided": _rated,
    "conversation.deleted": _deleted,
}
