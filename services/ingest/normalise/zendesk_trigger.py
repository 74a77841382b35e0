"""Zendesk triggers and automations: our template, filled in by Zendesk.

The template is in docs/guides/connect-zendesk.md. ``event`` is a constant that the admin chooses to go with the
trigger's condition; one of :data:`EVENTS`, with or without ``ticket.`` in front:

- ``created``, ``updated``
- ``status_changed``, ``priority_changed``, ``assignment_changed``: the new value is the one in the template
- ``comment_public_agent``, ``comment_public_customer``, ``comment_private``
- ``csat_good``, ``csat_bad``

Placeholders render as text in the account's language, and as nothing where the ticket has nothing. A field that
the template leaves out says nothing; one that is there and empty says: none. Text that still holds ``{{`` was not
rendered. Without ``updated_at`` the time of receipt is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

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
    Rating,
    Status,
    StatusChange,
    TicketEvent,
    Visibility,
    event_id,
)
from services.ingest.delivery import Delivery
from services.ingest.normalise.fields import Object, identifier, pseudonym, required, word
from services.ingest.normalise.moment import written, zone_of
from services.ingest.normalise.people import customer, staff
from services.ingest.normalise.vocabulary import channel, tier
from services.ingest.normalise.zendesk_event import OPENING
from services.ingest.normalise.zendesk_ticket import (
    CHANNELS,
    PRIORITIES,
    STATUSES,
    SYSTEM_ID,
    Options,
    actor,
)

SCHEMA: Final = "zendesk.trigger.v1"
INVOCATION: Final = "x-zendesk-webhook-invocation-id"

EVENTS: Final[Mapping[str, Kind]] = {
    "created": Kind.CREATED,
    "updated": Kind.UPDATED,
    "status_changed": Kind.STATUS_CHANGED,
    "priority_changed": Kind.PRIORITY_CHANGED,
    "assignment_changed": Kind.ASSIGNMENT_CHANGED,
    "comment_public_agent": Kind.MESSAGE_ADDED,
    "comment_public_customer": Kind.MESSAGE_ADDED,
    "comment_private": Kind.MESSAGE_ADDED,
    "csat_good": Kind.CSAT_RECEIVED,
    "csat_bad": Kind.CSAT_RECEIVED,
}
FIELDS: Final = (
    *("event", "ticket_id", "status", "priority", "assignee_id", "group_id", "requester_id", "organization_id"),
    *("brand_id", "tags", "channel", "created_at", "updated_at", "current_user_id"),
)
"""Every field that the template may have; ``ticket_id`` and ``event`` must be there."""

_SPELLINGS: Final[Mapping[str, Status]] = {"on-hold": Status.ON_HOLD, "on hold": Status.ON_HOLD}


def events(body: Object, delivery: Delivery, hash_key: bytes, options: Options) -> list[TicketEvent]:
    """The one event of a rendered template. Raises :class:`Invalid`."""
    fields = {name: _rendered(body[name], name) for name in FIELDS if name in body}
    if not fields.get("event"):
        raise Invalid(Reason.MISSING_FIELD, f"event is missing: write one of {', '.join(EVENTS)}")
    name = str(fields["event"]).removeprefix("ticket.")
    kind = EVENTS.get(name)
    if kind is None:
        raise Invalid(Reason.UNKNOWN_TYPE, f"event is none of: {', '.join(EVENTS)}")

    requester = identifier(fields.get("requester_id"), "requester_id")
    user = identifier(fields.get("current_user_id"), "current_user_id")
    ticket = _attributes(fields, requester, options, hash_key)
    at = _occurred_at(kind, fields, delivery, options)
    who = _who(name, kind, user, requester, options, hash_key)
    return [
        TicketEvent(
            event_id=event_id(delivery.source, "zendesk-trigger", _identity(delivery)),
            source=delivery.source,
            vendor=delivery.vendor,
            ticket_id=required(fields.get("ticket_id"), "ticket_id"),
            kind=kind,
            occurred_at=at,
            received_at=delivery.received_at,
            actor=who,
            ticket=ticket,
            message=_message(name, who.kind, at, ticket) if kind is Kind.MESSAGE_ADDED else None,
            status=_status_change(ticket) if kind is Kind.STATUS_CHANGED else None,
            priority=_priority_change(ticket) if kind is Kind.PRIORITY_CHANGED else None,
            assignment=_assignment(ticket) if kind is Kind.ASSIGNMENT_CHANGED else None,
            rating=_rating(name) if kind is Kind.CSAT_RECEIVED else None,
        )
    ]


def _who(name: str, kind: Kind, user: str | None, requester: str | None, options: Options, hash_key: bytes) -> Actor:
    """The event's name says more than ids do: an agent may be the requester, a customer's reply comes by mail."""
    if name == "comment_public_customer" or kind is Kind.CSAT_RECEIVED:
        writer = requester if kind is Kind.CSAT_RECEIVED or user in (None, SYSTEM_ID) else user
        return customer(writer, hash_key) if writer else Actor(ActorKind.CUSTOMER)
    if kind is Kind.MESSAGE_ADDED:
        if user is None:
            return Actor(ActorKind.AGENT)
        return Actor(ActorKind.SYSTEM) if user == SYSTEM_ID else staff(user, options.bots)
    return actor(user, requester, options, hash_key)


def _identity(delivery: Delivery) -> str:
    """Zendesk numbers each invocation and keeps the number when it tries again."""
    return delivery.headers.get(INVOCATION) or delivery.digest


def _rendered(value: Any, name: str) -> Any:
    if isinstance(value, str) and "{{" in value:
        raise Invalid(
            Reason.UNRENDERED_TEMPLATE,
            f"{name} still holds a placeholder: it is misspelt, or this webhook is not called by a trigger",
        )
    if value is not None and (isinstance(value, bool) or not isinstance(value, str | int)):
        raise Invalid(Reason.BAD_VALUE, f"{name} must be text")
    return value


def _occurred_at(kind: Kind, fields: Object, delivery: Delivery, options: Options) -> datetime:
    order = ("created_at", "updated_at") if kind is Kind.CREATED else ("updated_at",)
    chosen = next((name for name in order if fields.get(name)), None)
    return delivery.received_at if chosen is None else written(fields[chosen], chosen, zone_of(options.timezone))


def _attributes(fields: Object, requester: str | None, options: Options, hash_key: bytes) -> Attributes:
    def named(field: str) -> str | UnsetType | None:
        return identifier(fields[field], field) if field in fields else UNSET

    tags = tuple(sorted(set(str(fields["tags"] or "").split()))) if "tags" in fields else UNSET
    return Attributes(
        status=_status(fields["status"], options) if fields.get("status") else UNSET,
        priority=_priority(fields["priority"], options) if "priority" in fields else UNSET,
        channel=channel(str(fields["channel"] or ""), CHANNELS) if "channel" in fields else UNSET,
        team=named("group_id"),
        agent=named("assignee_id"),
        brand=named("brand_id"),
        tier=UNSET if isinstance(tags, UnsetType) else tier(tags, options.tiers),
        tags=tags,
        requester=(pseudonym(hash_key, requester) if requester else None) if "requester_id" in fields else UNSET,
        organisation=named("organization_id"),
        created_at=written(fields["created_at"], "created_at", zone_of(options.timezone))
        if fields.get("created_at")
        else UNSET,
    )


def _status(value: Any, options: Options) -> Status:
    own = {text.lower(): status for text, status in options.statuses.items()}
    return word(value, {**STATUSES, **_SPELLINGS, **own}, "status (add your language's words to options.statuses)")


def _priority(value: Any, options: Options) -> Priority | None:
    if value in (None, "", "-"):
        return None
    own = {text.lower(): priority for text, priority in options.priorities.items()}
    return word(value, {**PRIORITIES, **own}, "priority (add your language's words to options.priorities)")


def _status_change(ticket: Attributes) -> StatusChange:
    if isinstance(ticket.status, UnsetType):
        raise Invalid(Reason.MISSING_FIELD, "status is missing, and the event is status_changed")
    return StatusChange(ticket.status)


def _priority_change(ticket: Attributes) -> PriorityChange:
    if isinstance(ticket.priority, UnsetType):
        raise Invalid(Reason.MISSING_FIELD, "priority is missing, and the event is priority_changed")
    return PriorityChange(ticket.priority)


def _assignment(ticket: Attributes) -> Assignment:
    if isinstance(ticket.agent, UnsetType) and isinstance(ticket.team, UnsetType):
        raise Invalid(Reason.MISSING_FIELD, "assignee_id or group_id is missing, and the event is assignment_changed")
    return Assignment(ticket.agent, ticket.team)


def _message(name: str, author: ActorKind, at: datetime, ticket: Attributes) -> Message:
    return Message(
        visibility=Visibility.PRIVATE if name == "comment_private" else Visibility.PUBLIC,
        author=author,
        opening=isinstance(ticket.created_at, datetime) and abs(at - ticket.created_at) <= OPENING,
    )


def _rating(name: str) -> Rating:
    good = name == "csat_good"
    return Rating(1.0 if good else 0.0, best=1.0, positive=good)
