"""Conversations as Help Scout posts them, and FreeScout, which mimics it: one reader for both.

The name of the event is in a header, the body is the conversation after it. Neither an id of the delivery nor a
previous value is sent. What identifies a change: of a message its thread, of a creation or a deletion the
conversation, of anything else the conversation with its state and the latest time in it.

Times have whole seconds. A message within two seconds of the conversation's creation is the one it began with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
    Rating,
    Status,
    StatusChange,
    TicketEvent,
    Visibility,
)
from services.ingest.delivery import Delivery, SourceSettings
from services.ingest.normalise.fields import Object, identifier, instant, pseudonym, required, word
from services.ingest.normalise.happening import Happening
from services.ingest.normalise.moment import opening
from services.ingest.normalise.own_words import status
from services.ingest.normalise.people import customer, staff
from services.ingest.normalise.personal import stated
from services.ingest.normalise.reading import json_object, options_of
from services.ingest.normalise.vocabulary import channel, tier

STATUSES: Final[Mapping[str, Status]] = {
    "active": Status.OPEN,
    "pending": Status.PENDING,
    "closed": Status.CLOSED,
}
SPAM: Final = "spam"

_CHANNELS: Final[Mapping[str, str]] = {"phone": "voice", "beacon": "chat", "beaconchat": "chat"}
_RATINGS: Final[Mapping[str, float]] = {"great": 3.0, "okay": 2.0, "not good": 1.0, "bad": 1.0}
_MESSAGES: Final[Mapping[str, tuple[ActorKind, Visibility, frozenset[str]]]] = {
    "convo.customer.reply.created": (
        ActorKind.CUSTOMER,
        Visibility.PUBLIC,
        frozenset({"customer", "beaconchat", "chat", "phone"}),
    ),
    "convo.agent.reply.created": (ActorKind.AGENT, Visibility.PUBLIC, frozenset({"message", "reply"})),
    "convo.note.created": (ActorKind.AGENT, Visibility.PRIVATE, frozenset({"note"})),
}
_CREATED: Final = frozenset({"convo.created", "convo.ai-answers.created"})
_RESTATED: Final = frozenset({"convo.tags", "convo.custom-fields"})
_SILENT: Final = frozenset({"beacon.chat.created", "beacon.chat.customer.replied", "message.survey.response.received"})
_OTHER_SUBJECTS: Final = ("customer.", "tag.", "organization.", "user.", "mailbox.")


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``options`` of a Help Scout or FreeScout source.

    ``statuses``: other meanings of ``active``, ``pending`` and ``closed``. A team is an inbox, by its id. ``tiers``:
    tag → tier, the first that the conversation has counts. ``bots``: ids of users that are programs; what they write
    never counts as a reply.
    """

    teams: dict[str, str] = {}
    statuses: dict[str, Status] = {}
    tiers: dict[str, str] = {}
    bots: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Brand:
    """What differs between the two: names, the header of the event, and the field of the customer."""

    name: str
    guide: str
    event_header: str
    customer_field: str
    test_event: str


def events(brand: Brand, delivery: Delivery, settings: SourceSettings) -> list[TicketEvent]:
    """The event of one webhook; none for what no KPI is made of. Raises :class:`Invalid`."""
    body = json_object(delivery, settings, f"a {brand.name} webhook")
    return stated(_events(brand, body, delivery, settings), body, delivery.vendor, settings.keep)


def _events(brand: Brand, body: Object, delivery: Delivery, settings: SourceSettings) -> list[TicketEvent]:
    name = delivery.headers.get(brand.event_header, "").strip().lower()
    if not name:
        raise Invalid(
            Reason.MISSING_FIELD, f"the header {brand.event_header} is missing: without it nothing says what happened"
        )
    if name in _SILENT or name.startswith(_OTHER_SUBJECTS) or name == brand.test_event:
        return []
    options = options_of(settings, Options)
    if name == "satisfaction.ratings":
        return [_rated(body, delivery, settings.hash_key)]
    if name == "convo.merged":
        raise Invalid(
            Reason.UNSUPPORTED_FORMAT,
            f"{brand.name} does not say into which conversation this one was merged: untick the event, and tick "
            "convo.deleted",
        )
    if name == "convo.deleted":
        happening = Happening(
            delivery, required(body.get("id"), "id"), delivery.received_at, ("convo", str(body["id"]))
        )
        return [happening.tells(Kind.DELETED)]
    if not name.startswith("convo."):
        raise _unknown(brand)
    if "mailboxId" not in body and isinstance(body.get("mailbox"), dict):
        raise Invalid(
            Reason.UNSUPPORTED_FORMAT, f"this is the payload of version 1: let the webhook send V2, see {brand.guide}"
        )
    return _conversation(brand, name, body, delivery, settings.hash_key, options)


def _unknown(brand: Brand) -> Invalid:
    return Invalid(Reason.UNKNOWN_TYPE, f"{brand.event_header} is an event that this version does not know: untick it")


def _conversation(
    brand: Brand, name: str, body: Object, delivery: Delivery, hash_key: bytes, options: Options
) -> list[TicketEvent]:
    convo = required(body.get("id"), "id")
    updated_at = _updated_at(body)
    happening = Happening(
        delivery,
        convo,
        updated_at or delivery.received_at,
        ("convo", convo, name, str(body.get("status")), updated_at.isoformat() if updated_at else delivery.digest),
        ticket=_attributes(brand, body, hash_key, options),
    )
    ticket = happening.ticket
    if name in _MESSAGES:
        return [_message(name, body, happening, hash_key, options)]
    if name in _CREATED:
        at = ticket.created_at if isinstance(ticket.created_at, datetime) else happening.at
        who = _creator(body, ticket, options)
        return [happening.tells(Kind.CREATED, "convo", convo, "created", occurred_at=at, actor=who)]
    if name in _RESTATED:
        return [happening.tells(Kind.UPDATED)]
    if name == "convo.assigned":
        identity = (*happening.identity, str(ticket.agent))
        return [happening.tells(Kind.ASSIGNMENT_CHANGED, *identity, assignment=Assignment(agent=ticket.agent))]
    if name == "convo.moved":
        team = required(body.get("mailboxId"), "mailboxId")
        return [happening.tells(Kind.ASSIGNMENT_CHANGED, assignment=Assignment(team=team))]
    if name == "convo.status":
        return [_status_changed(body, happening)]
    raise _unknown(brand)


def _status_changed(body: Object, happening: Happening) -> TicketEvent:
    if str(body.get("status")).lower() == SPAM:
        return happening.tells(Kind.DELETED)
    to = happening.ticket.status
    if isinstance(to, UnsetType):
        raise Invalid(Reason.MISSING_FIELD, "status is missing")
    return happening.tells(Kind.STATUS_CHANGED, status=StatusChange(to))


def _message(name: str, body: Object, happening: Happening, hash_key: bytes, options: Options) -> TicketEvent:
    author, shown, types = _MESSAGES[name]
    thread = _newest_thread(body, types)
    number = identifier(thread.get("id"), "thread.id") if thread else None
    # A reply need not move the time of the last update by a user, so without a thread only its arrival dates it.
    at = happening.delivery.received_at
    if thread and thread.get("createdAt"):
        at = instant(thread["createdAt"], "thread.createdAt")
    who = _writer(author, thread, happening.ticket, hash_key, options)
    message = Message(number, shown, who.kind, opening(at, happening.ticket.created_at))
    identity = ("thread", number) if number else ("convo", happening.ticket_id, name, happening.delivery.digest)
    return happening.tells(Kind.MESSAGE_ADDED, *identity, occurred_at=at, actor=who, message=message)


def _newest_thread(body: Object, types: frozenset[str]) -> Object | None:
    fitting = [thread for thread in _threads(body) if str(thread.get("type")).lower() in types]
    return max(fitting, key=lambda thread: str(thread.get("createdAt") or ""), default=None)


def _threads(body: Object) -> list[Object]:
    embedded = body.get("_embedded")
    listed = embedded.get("threads") if isinstance(embedded, dict) else None
    return [thread for thread in listed if isinstance(thread, dict)] if isinstance(listed, list) else []


def _writer(author: ActorKind, thread: Object | None, ticket: Attributes, hash_key: bytes, options: Options) -> Actor:
    created_by = thread.get("createdBy") if thread else None
    user = identifier(created_by.get("id"), "thread.createdBy.id") if isinstance(created_by, dict) else None
    if author is ActorKind.AGENT:
        return staff(user, options.bots)
    if user is not None:
        return customer(user, hash_key)
    return Actor(ActorKind.CUSTOMER, ticket.requester if isinstance(ticket.requester, str) else None)


def _creator(body: Object, ticket: Attributes, options: Options) -> Actor | None:
    created_by = body.get("createdBy")
    if not isinstance(created_by, dict):
        return None
    user = identifier(created_by.get("id"), "createdBy.id")
    match str(created_by.get("type")).lower():
        case "customer":
            return Actor(ActorKind.CUSTOMER, ticket.requester if isinstance(ticket.requester, str) else None)
        case "user":
            return staff(user, options.bots)
        case _:
            return None


def _updated_at(body: Object) -> datetime | None:
    """The latest time in the conversation: a customer's reply that reopens it is no update by a user."""
    times = [
        instant(body[name], name) for name in ("userUpdatedAt", "updatedAt", "closedAt", "createdAt") if body.get(name)
    ]
    times += [instant(thread["createdAt"], "thread.createdAt") for thread in _threads(body) if thread.get("createdAt")]
    return max(times, default=None)


def _attributes(brand: Brand, body: Object, hash_key: bytes, options: Options) -> Attributes:
    tags = _tags(body["tags"]) if "tags" in body else UNSET
    user = body.get(brand.customer_field)
    requester = identifier(user.get("id"), f"{brand.customer_field}.id") if isinstance(user, dict) else None
    state, kind = body.get("status"), body.get("type")
    mailbox = identifier(body.get("mailboxId"), "mailboxId")
    assignee = body.get("assignee")
    return Attributes(
        status=status(state, STATUSES, options.statuses, "status") if state and str(state).lower() != SPAM else UNSET,
        channel=channel(kind, _CHANNELS) if isinstance(kind, str) else UNSET,
        team=mailbox or UNSET,
        # The assignee of a conversation that has none is left out.
        agent=identifier(assignee.get("id"), "assignee.id") if isinstance(assignee, dict) else None,
        tier=UNSET if isinstance(tags, UnsetType) else tier(tags, options.tiers),
        tags=tags,
        requester=pseudonym(hash_key, requester) if requester else UNSET,
        created_at=instant(body["createdAt"], "createdAt") if body.get("createdAt") else UNSET,
    )


def _tags(value: Any) -> tuple[str, ...]:
    items = value if isinstance(value, list) else ()
    names = [item.get("tag") or item.get("name") if isinstance(item, dict) else item for item in items]
    if (value and not isinstance(value, list)) or not all(isinstance(name, str) for name in names):
        raise Invalid(Reason.BAD_VALUE, "tags must be a list of objects that have a tag")
    return tuple(sorted({str(name).strip() for name in names} - {""}))


def _rated(body: Object, delivery: Delivery, hash_key: bytes) -> TicketEvent:
    """A customer may change a rating: the later time makes it another answer."""
    score = word(body.get("rating"), _RATINGS, "rating")
    name = "modifiedAt" if body.get("modifiedAt") else "createdAt"
    at = instant(body.get(name), name)
    user = body.get("customer")
    who = customer(identifier(user.get("id"), "customer.id") if isinstance(user, dict) else None, hash_key)
    happening = Happening(
        delivery,
        required(body.get("ticketId"), "ticketId"),
        at,
        ("rating", required(body.get("id"), "id"), at.isoformat()),
        actor=who,
    )
    return happening.tells(Kind.CSAT_RECEIVED, rating=Rating(score, best=3.0, worst=1.0, positive=score == 3.0))
