"""Zoho Desk: arrays of events, each a ticket, thread or comment as it is now and, if asked for, as it was.

https://desk.zoho.com/support/WebhookDocument.do. Without ``includePrevState`` an update is a snapshot
(``ticket.updated``), and the fold finds the changes. Ids have up to 19 digits and are texts. Satisfaction is not among
the events. An item that cannot be read does not cost the others, see :mod:`services.ingest.normalise.batch`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from schemas.failure import Invalid, Reason
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
    StatusChange,
    TicketEvent,
    Visibility,
)
from services.ingest.delivery import Delivery, SourceSettings
from services.ingest.normalise import own_words
from services.ingest.normalise.batch import each
from services.ingest.normalise.epoch import from_milliseconds
from services.ingest.normalise.fields import Object, boolean, identifier, instant, obj, pseudonym, required
from services.ingest.normalise.happening import Happening
from services.ingest.normalise.own_words import PRIORITIES
from services.ingest.normalise.people import customer, staff
from services.ingest.normalise.personal import stated
from services.ingest.normalise.reading import Context, json_value
from services.ingest.normalise.reading import context as context_of
from services.ingest.normalise.vocabulary import channel, extended

_STATUSES: Final[Mapping[str, Status]] = {
    "open": Status.OPEN,
    "on hold": Status.ON_HOLD,
    "escalated": Status.OPEN,
    "closed": Status.CLOSED,
}
_CHANNELS: Final[Mapping[str, str]] = {"phone": "voice", "web_form": "web", "forums": "web", "feedback_widget": "web"}
_OTHERS: Final = (
    *("contact_", "account_", "agent_", "department_", "task_", "call_", "event_", "timeentry_", "article_"),
    *("ticket_approval_", "ticket_attachment_", "product_", "contract_"),
)
"""Events of other things, and of parts of a ticket that no number is made of."""

_UNSENT: Final = frozenset({"draft", "pending", "failed"})


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``options`` of a Zoho Desk source.

    ``statuses``: your own statuses, each with ours; without, the type that Zoho gives each status counts.
    ``priorities``: your own priorities. ``bots``: ids of agents that are programs.
    """

    teams: dict[str, str] = {}
    statuses: dict[str, Status] = {}
    priorities: dict[str, Priority] = {}
    bots: tuple[str, ...] = ()


_Context = Context[Options]


def normalise(delivery: Delivery, settings: SourceSettings) -> list[TicketEvent]:
    """The events of every item. Raises :class:`Invalid`, or its kind :class:`PartlyInvalid`."""
    body = json_value(delivery, settings)
    if not isinstance(body, list):
        raise Invalid(
            Reason.UNSUPPORTED_FORMAT,
            "Zoho Desk's webhooks are JSON arrays; those of workflow rules are another format: subscribe a webhook "
            "instead, see docs/guides/connect-zoho-desk.md",
        )
    context = context_of(delivery, settings, Options)
    return each(body, lambda item: stated(_events(item, context), item, delivery.vendor, settings.keep))


def _events(item: Any, context: _Context) -> list[TicketEvent]:
    if not isinstance(item, dict):
        raise Invalid(Reason.NOT_AN_EVENT, "an event is a JSON object")
    given = item.get("eventType")
    if not isinstance(given, str):
        raise Invalid(Reason.MISSING_FIELD, "eventType is missing")
    name = given.strip().lower()
    if name.startswith(_OTHERS):
        return []
    reader = _READERS.get(name)
    if reader is None:
        raise Invalid(Reason.UNKNOWN_TYPE, "eventType is an event of Zoho Desk that this version does not know")
    payload = obj(item, "payload", "payload")
    previous = item.get("prevState")
    return reader(
        payload, previous if isinstance(previous, dict) else None, _happening(name, item, payload, context), context
    )


def _happening(name: str, item: Object, payload: Object, context: _Context) -> Happening:
    given = item.get("eventTime")
    plain = int(given) if isinstance(given, str) and given.isascii() and given.isdigit() and len(given) < 20 else given
    at = from_milliseconds(plain, "eventTime")
    thing = required(payload.get("id"), "payload.id")
    ticket = thing
    if name.startswith(("ticket_comment", "ticket_thread")):
        ticket = required(payload.get("ticketId"), "payload.ticketId")
    organisation = identifier(item.get("orgId"), "orgId") or ""
    return Happening(context.delivery, ticket, at, (organisation, name, thing, at.isoformat()))


def _added(payload: Object, _: Object | None, happening: Happening, context: _Context) -> list[TicketEvent]:
    return [happening.tells(Kind.CREATED, ticket=_attributes(payload, context))]


def _updated(payload: Object, previous: Object | None, happening: Happening, context: _Context) -> list[TicketEvent]:
    happening = msgspec.structs.replace(happening, ticket=_attributes(payload, context))
    if previous is None:
        return [happening.tells(Kind.UPDATED)]
    before, now = _attributes(previous, context), happening.ticket
    found = []
    if not isinstance(now.status, UnsetType) and _differs(before.status, now.status):
        assert isinstance(before.status, Status)
        found.append(happening.tells(Kind.STATUS_CHANGED, status=StatusChange(now.status, before.status)))
    if not isinstance(now.priority, UnsetType) and _differs(before.priority, now.priority):
        assert not isinstance(before.priority, UnsetType)
        found.append(happening.tells(Kind.PRIORITY_CHANGED, priority=PriorityChange(now.priority, before.priority)))
    held = {
        name: getattr(now, name) for name in ("agent", "team") if _differs(getattr(before, name), getattr(now, name))
    }
    if held:
        found.append(happening.tells(Kind.ASSIGNMENT_CHANGED, assignment=Assignment(**held)))
    return found


def _differs(before: object, now: object) -> bool:
    return before is not UNSET and now is not UNSET and before != now


def _deleted(_: Object, __: Object | None, happening: Happening, ___: _Context) -> list[TicketEvent]:
    return [happening.tells(Kind.DELETED)]


def _thread(payload: Object, _: Object | None, happening: Happening, context: _Context) -> list[TicketEvent]:
    """A message from or to the customer. One that was not sent says nothing."""
    if str(payload.get("status")).lower() in _UNSENT:
        return []
    who = _writer(payload, context)
    private = str(payload.get("visibility")).lower() == "private"
    message = Message(
        id=required(payload.get("id"), "payload.id"),
        visibility=Visibility.PRIVATE if private else Visibility.PUBLIC,
        author=who.kind,
        opening=payload.get("isDescriptionThread") is True,
    )
    return [happening.tells(Kind.MESSAGE_ADDED, actor=who, message=message)]


def _writer(payload: Object, context: _Context) -> Actor:
    author = payload.get("author")
    user = identifier(author.get("id"), "payload.author.id") if isinstance(author, dict) else None
    kind = str(author.get("type") or "").lower() if isinstance(author, dict) else ""
    match str(payload.get("direction") or "").lower():
        case "in":
            return customer(user, context.hash_key)
        case "out" if kind in ("", "agent"):
            return staff(user, context.options.bots)
        case "out":
            return Actor(ActorKind.BOT)
        case _:
            raise Invalid(Reason.MISSING_FIELD, "payload.direction is missing: in or out")


def _comment(payload: Object, _: Object | None, happening: Happening, context: _Context) -> list[TicketEvent]:
    public = boolean(payload, "isPublic", "payload.isPublic")
    writer = payload.get("commenter")
    user = identifier(payload.get("commenterId"), "payload.commenterId")
    if user is None and isinstance(writer, dict):
        user = identifier(writer.get("id"), "payload.commenter.id")
    kind = str(writer.get("type") or "").lower() if isinstance(writer, dict) else ""
    outside = kind in ("end_user", "enduser", "contact", "customer")
    who = customer(user, context.hash_key) if outside else staff(user, context.options.bots)
    name = required(payload.get("id"), "payload.id")
    message = Message(name, Visibility.PUBLIC if public else Visibility.PRIVATE, who.kind)
    return [happening.tells(Kind.MESSAGE_ADDED, actor=who, message=message)]


def _comment_updated(payload: Object, previous: Object | None, happening: Happening, _: _Context) -> list[TicketEvent]:
    """Only that a public comment was made private says something."""
    if previous is None or previous.get("isPublic") is not True or payload.get("isPublic") is not False:
        return []
    message = Message(required(payload.get("id"), "payload.id"), Visibility.PRIVATE)
    return [happening.tells(Kind.MESSAGE_RETRACTED, message=message)]


_READERS: Final[Mapping[str, Callable[[Object, Object | None, Happening, _Context], list[TicketEvent]]]] = {
    "ticket_add": _added,
    "ticket_update": _updated,
    "ticket_delete": _deleted,
    "ticket_thread_add": _thread,
    "ticket_comment_add": _comment,
    "ticket_comment_update": _comment_updated,
}


def _attributes(ticket: Object, context: _Context) -> Attributes:
    """What a ticket states. The state before holds only some fields, and states only those."""

    def named(field: str) -> str | UnsetType | None:
        return identifier(ticket[field], f"payload.{field}") if field in ticket else UNSET

    options = context.options
    contact = named("contactId")
    via = ticket.get("channel")
    return Attributes(
        status=_status(ticket, options),
        priority=own_words.priority(ticket["priority"], PRIORITIES, options.priorities, "payload.priority")
        if "priority" in ticket
        else UNSET,
        channel=channel(via, _CHANNELS) if isinstance(via, str) else UNSET,
        team=named("departmentId"),
        agent=named("assigneeId"),
        requester=pseudonym(context.hash_key, contact) if isinstance(contact, str) else contact,
        organisation=named("accountId"),
        created_at=_created_at(ticket) or UNSET,
    )


def _status(ticket: Object, options: Options) -> Status | UnsetType:
    """By name where the name is known, else by the type that every status has."""
    name, kind = ticket.get("status"), ticket.get("statusType")
    if not name and not kind:
        return UNSET
    known = extended(_STATUSES, options.statuses)
    found = known.get(name.strip().lower()) if isinstance(name, str) else None
    return found or own_words.status(kind or name, _STATUSES, options.statuses, "payload.status")


def _created_at(ticket: Object) -> datetime | None:
    return instant(ticket["createdTime"], "payload.createdTime") if ticket.get("createdTime") else None
