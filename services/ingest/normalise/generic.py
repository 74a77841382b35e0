"""The generic source: any system that can post the canonical event itself, one or a JSON array of them.

Needed are ``kind``, ``ticket_id`` and ``occurred_at``, and the object that the kind is about. ``source``,
``vendor`` and ``received_at`` are ours. What can be derived without guessing is: the ``status``, ``priority`` and
``assignment`` of a change from the same values under ``ticket``, and ``message.author`` from ``actor.kind``.

``event_id`` makes a repetition harmless: a UUID is kept, any other text becomes a UUID that stands for it, and
without one the ``webhook-id`` header (and the place in the array) is taken.

A customer's id, in ``ticket.requester`` and in the ``actor`` of kind ``customer``, is replaced by its pseudonym.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import msgspec

from schemas.codec import checked
from schemas.failure import Invalid, Reason
from schemas.ticket import ActorKind, Kind, Priority, Status, TicketEvent, Visibility, event_id
from services.ingest.delivery import Delivery, SourceSettings
from services.ingest.normalise.fields import identifier, instant, pseudonym, required
from services.ingest.normalise.reading import json_value

BATCH_LIMIT: Final = 1000
"""Most events in one array; one delivery must stay well within the time a sender waits for its answer."""

WEBHOOK_ID: Final = "webhook-id"

_WORDS: Final[Mapping[str, type[StrEnum]]] = {
    "status": Status,
    "to": Status,
    "previous": Status,
    "priority": Priority,
    "kind": ActorKind,
    "author": ActorKind,
    "visibility": Visibility,
}
_PLACE = re.compile(r" - at `\$\.?([^`]*)`$")
_QUOTED = re.compile(r"'[^']*'")


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A generic source takes no ``options``."""


def normalise(delivery: Delivery, settings: SourceSettings) -> list[TicketEvent]:
    """The events of one delivery. An array is taken whole or not at all; the reason names the item.

    Raises :class:`Invalid`.
    """
    body = json_value(delivery, settings)
    if isinstance(body, dict):
        return [_event(body, delivery, settings, 0, "")]
    if not isinstance(body, list):
        raise Invalid(Reason.NOT_AN_EVENT, "send an event (a JSON object) or an array of events")
    if len(body) > BATCH_LIMIT:
        raise Invalid(Reason.BAD_VALUE, f"the array has more than {BATCH_LIMIT} events: send several deliveries")
    return [_event(item, delivery, settings, place, f"item {place}: ") for place, item in enumerate(body)]


def _event(item: Any, delivery: Delivery, settings: SourceSettings, place: int, where: str) -> TicketEvent:
    if not isinstance(item, dict):
        raise Invalid(Reason.NOT_AN_EVENT, f"{where}an event is a JSON object")
    try:
        return _built(item, delivery, settings.hash_key, place)
    except Invalid as exc:
        raise Invalid(exc.reason, where + exc.detail) from None


def _built(item: dict[str, Any], delivery: Delivery, hash_key: bytes, place: int) -> TicketEvent:
    for name, example in (
        ("kind", "status.changed"),
        ("ticket_id", "T-1001"),
        ("occurred_at", "2026-03-02T09:00:00Z"),
    ):
        if item.get(name) in (None, ""):
            raise Invalid(Reason.MISSING_FIELD, f"{name} is missing, for example {example}")
    kind = _kind(item["kind"])
    event = {
        **item,
        "kind": kind.value,
        "ticket_id": required(item["ticket_id"], "ticket_id"),
        "occurred_at": instant(item["occurred_at"], "occurred_at"),
        "received_at": delivery.received_at,
        "source": delivery.source,
        "vendor": delivery.vendor,
        "event_id": _identity(item.get("event_id"), delivery, place),
    }
    if isinstance(event.get("ticket"), dict):
        event["ticket"] = _ticket(event["ticket"], hash_key)
    if isinstance(event.get("actor"), dict):
        event["actor"] = _actor(event["actor"], hash_key)
    _derive(kind, event)
    return checked(_converted(event))


def _kind(value: Any) -> Kind:
    try:
        return Kind(value)
    except ValueError:
        raise Invalid(Reason.UNKNOWN_TYPE, f"kind is none of: {', '.join(Kind)}") from None


def _identity(given: Any, delivery: Delivery, place: int) -> str:
    own = identifier(given, "event_id")
    if own is None:
        # Without even a webhook-id (a body replayed by hand) the bytes identify the delivery.
        return event_id(delivery.source, WEBHOOK_ID, delivery.headers.get(WEBHOOK_ID) or delivery.digest, str(place))
    try:
        return str(UUID(own))
    except ValueError:
        return event_id(delivery.source, "event_id", own)


def _ticket(ticket: dict[str, Any], hash_key: bytes) -> dict[str, Any]:
    clean = dict(ticket)
    for name in ("team", "agent", "brand", "organisation", "requester"):
        if name in clean:
            clean[name] = identifier(clean[name], f"ticket.{name}")
    if clean.get("requester") is not None:
        clean["requester"] = pseudonym(hash_key, clean["requester"])
    if "created_at" in clean:
        clean["created_at"] = instant(clean["created_at"], "ticket.created_at")
    return clean


def _actor(actor: dict[str, Any], hash_key: bytes) -> dict[str, Any]:
    user = identifier(actor.get("id"), "actor.id")
    if user is not None and actor.get("kind") == ActorKind.CUSTOMER:
        user = pseudonym(hash_key, user)
    return {**actor, "id": user}


def _derive(kind: Kind, event: dict[str, Any]) -> None:
    """Fills in what the sender has said elsewhere in the event, and asks for what cannot be known."""
    ticket = event.get("ticket") if isinstance(event.get("ticket"), dict) else {}
    assert isinstance(ticket, dict)
    match kind:
        case Kind.STATUS_CHANGED if event.get("status") is None:
            if ticket.get("status") is None:
                raise Invalid(Reason.MISSING_FIELD, 'status is missing, for example {"to": "pending"}')
            event["status"] = {"to": ticket["status"]}
        case Kind.PRIORITY_CHANGED if event.get("priority") is None:
            if "priority" not in ticket:
                raise Invalid(Reason.MISSING_FIELD, 'priority is missing, for example {"to": "high"}')
            event["priority"] = {"to": ticket["priority"]}
        case Kind.ASSIGNMENT_CHANGED if event.get("assignment") is None:
            event["assignment"] = {name: ticket[name] for name in ("agent", "team") if name in ticket}
            if not event["assignment"]:
                raise Invalid(Reason.MISSING_FIELD, 'assignment is missing, for example {"agent": "17"}')
        case Kind.MESSAGE_ADDED:
            event["message"] = _message(event)
        case _:
            pass


def _message(event: dict[str, Any]) -> Any:
    message = event.get("message")
    if message is None:
        message = {}
    if not isinstance(message, dict) or message.get("author") is not None:
        return message
    actor = event.get("actor")
    author = actor.get("kind") if isinstance(actor, dict) else None
    if author is None:
        raise Invalid(Reason.MISSING_FIELD, "message.author is missing: customer, agent, bot or system")
    return {**message, "author": author}


def _converted(event: dict[str, Any]) -> TicketEvent:
    try:
        return msgspec.convert(event, TicketEvent)
    except msgspec.ValidationError as exc:
        raise _explained(str(exc)) from None


def _explained(message: str) -> Invalid:
    """A sentence about the field, with the words that would do, and without the value that was sent."""
    found = _PLACE.search(message)
    path = found[1] if found else ""
    said = _PLACE.sub("", message)
    if said.startswith("Object missing required field"):
        name = said.rpartition("field ")[2].strip("`")
        return Invalid(Reason.MISSING_FIELD, f"{path}.{name} is missing".lstrip("."))
    if said.startswith("Invalid enum value"):
        top, _, name = path.rpartition(".")
        words = Priority if top == "priority" else _WORDS.get(name)
        options = f" is none of: {', '.join(words)}" if words else " is not a word that is known here"
        return Invalid(Reason.BAD_VALUE, path + options)
    return Invalid(Reason.BAD_VALUE, f"{path or 'the event'}: {_QUOTED.sub('a value', said).lower()}")
