"""Chatwoot: one webhook for each event of a conversation or a message.

https://www.chatwoot.com/docs/product/features/webhooks and the presenters of its source. The conversation in the body
is as it is after the event, and ``changed_attributes`` tells what changed, where the event is an update. One change may
be told as ``conversation_updated`` and as ``conversation_status_changed``: it is named by the attribute, its new value
and the conversation's ``updated_at``, so that both are one event. Servers that send no ``updated_at`` are taken by the
time of receipt; Chatwoot never sends again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
    Rating,
    Status,
    StatusChange,
    TagsChange,
    TicketEvent,
    Visibility,
)
from services.ingest.delivery import Delivery, SourceSettings
from services.ingest.normalise import own_words
from services.ingest.normalise.epoch import from_seconds
from services.ingest.normalise.fields import Object, boolean, identifier, obj, pseudonym, required, words
from services.ingest.normalise.happening import Happening
from services.ingest.normalise.moment import opening, written
from services.ingest.normalise.own_words import PRIORITIES
from services.ingest.normalise.people import customer, staff
from services.ingest.normalise.personal import stated
from services.ingest.normalise.reading import Context, json_object
from services.ingest.normalise.reading import context as context_of
from services.ingest.normalise.vocabulary import channel, tier

_STATUSES: Final[Mapping[str, Status]] = {
    "open": Status.OPEN,
    "pending": Status.PENDING,
    "snoozed": Status.PENDING,
    "resolved": Status.SOLVED,
}
_CHANNELS: Final[Mapping[str, str]] = {
    "webwidget": "chat",
    "twiliosms": "sms",
    "facebookpage": "facebook",
    "twitterprofile": "twitter",
}
_TYPES: Final[Mapping[str, str]] = {"0": "incoming", "1": "outgoing", "2": "activity", "3": "template"}
_SILENT: Final = frozenset(
    {
        *("contact_created", "contact_updated", "webwidget_triggered", "inbox_created", "inbox_updated"),
        *("conversation_typing_on", "conversation_typing_off"),
    }
)


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``options`` of a Chatwoot source.

    ``statuses``: Chatwoot's statuses (open, pending, snoozed, resolved), each with ours where ours is not meant.
    ``tiers``: label → tier. ``bots``: ids of users that are programs.
    """

    teams: dict[str, str] = {}
    statuses: dict[str, Status] = {}
    tiers: dict[str, str] = {}
    bots: tuple[str, ...] = ()


_Context = Context[Options]


def normalise(delivery: Delivery, settings: SourceSettings) -> list[TicketEvent]:
    """The events of a Chatwoot webhook. Raises :class:`Invalid`."""
    body = json_object(delivery, settings, "a Chatwoot webhook")
    return stated(_events(body, delivery, settings), body, delivery.vendor, settings.keep)


def _events(body: Object, delivery: Delivery, settings: SourceSettings) -> list[TicketEvent]:
    name = body.get("event")
    if not isinstance(name, str):
        raise Invalid(Reason.UNSUPPORTED_FORMAT, "event is missing: this is not a webhook of Chatwoot")
    if name in _SILENT:
        return []
    context = context_of(delivery, settings, Options)
    match name:
        case "conversation_created":
            return [_created(body, context)]
        case "conversation_updated" | "conversation_status_changed":
            return _updated(name, body, context)
        case "message_created":
            return _message(body, context)
        case "message_updated":
            return _answered(body, context)
        case _:
            raise Invalid(Reason.UNKNOWN_TYPE, "event is one of Chatwoot's that this version does not know")


def _created(body: Object, context: _Context) -> TicketEvent:
    stated = _attributes(body, context)
    at = stated.created_at if isinstance(stated.created_at, datetime) else _changed_at(body, context)
    name = required(body.get("id"), "id")
    writer = ActorKind.CUSTOMER if isinstance(stated.requester, str) else ActorKind.SYSTEM
    who = Actor(writer, stated.requester if isinstance(stated.requester, str) else None)
    first = body.get("messages")
    if isinstance(first, list) and first and isinstance(first[0], dict) and _type(first[0]) not in (None, "incoming"):
        who = _writer(first[0], context)
    return Happening(context.delivery, name, at, (name,), actor=who, ticket=stated).tells(Kind.CREATED)


def _changed_at(body: Object, context: _Context) -> datetime:
    """When: the conversation's own time of change, else when it was sent, else when it came."""
    if body.get("updated_at"):
        return _time(body["updated_at"], "updated_at")
    sent = context.delivery.headers.get("x-chatwoot-timestamp", "")
    return from_seconds(int(sent), "x-chatwoot-timestamp") if _whole(sent) else context.delivery.received_at


def _whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 12


def _time(value: Any, path: str) -> datetime:
    return from_seconds(value, path) if isinstance(value, int | float) else written(value, path)


def _updated(name: str, body: Object, context: _Context) -> list[TicketEvent]:
    stated = _attributes(body, context)
    ticket = required(body.get("id"), "id")
    at = _changed_at(body, context)
    moment = at.isoformat() if body.get("updated_at") else context.delivery.digest
    happening = Happening(context.delivery, ticket, at, (ticket, moment), ticket=stated)
    if body.get("changed_attributes") is None:
        if name == "conversation_updated":
            return [happening.tells(Kind.UPDATED)]
        if isinstance(stated.status, UnsetType):
            raise Invalid(Reason.MISSING_FIELD, "status is missing")
        return [_status(happening, stated.status, None)]
    changes = dict(_changes(body["changed_attributes"]))
    found = _told(happening, changes, context)
    if not found and not changes.keys() & _READ:
        return [happening.tells(Kind.UPDATED)]  # an assignment can open a conversation, and say so only in its status
    return found


_READ: Final = frozenset({"status", "priority", "assignee_id", "team_id", "label_list", "labels", "cached_label_list"})


def _changes(given: Any) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Name, old and new value of every change. A list of objects with one member each, or one object."""
    for part in given if isinstance(given, list) else [given]:
        if not isinstance(part, dict):
            raise Invalid(Reason.BAD_VALUE, "changed_attributes must be a list of objects")
        for name, change in part.items():
            if isinstance(change, dict) and "current_value" in change:
                yield name, (change.get("previous_value"), change["current_value"])
            elif isinstance(change, list) and len(change) == 2:
                yield name, (change[0], change[1])
            elif name in _READ:
                raise Invalid(Reason.BAD_VALUE, f"changed_attributes.{name} must hold the old and the new value")


def _told(happening: Happening, changes: Mapping[str, tuple[Any, Any]], context: _Context) -> list[TicketEvent]:
    found = []
    if "status" in changes:
        old, new = changes["status"]
        to = _status_of(new, context.options)
        previous = None if old is None else _status_of(old, context.options)
        if to is not previous:
            found.append(_status(happening, to, previous))
    if "priority" in changes:
        before, after = (own_words.priority(one, PRIORITIES, {}, "priority") for one in changes["priority"])
        if before is not after:
            found.append(_priority(happening, after, before))
    if held := _held(changes):
        assignment = Assignment(**held)
        identity = (*happening.identity, *(f"{name}={value}" for name, value in sorted(held.items())))
        ticket = msgspec.structs.replace(happening.ticket, **held)
        found.append(happening.tells(Kind.ASSIGNMENT_CHANGED, *identity, assignment=assignment, ticket=ticket))
    labels = next((changes[name] for name in ("label_list", "labels", "cached_label_list") if name in changes), None)
    if labels is not None:
        was, now = (set(_labels(one)) for one in labels)
        if was != now:
            change = TagsChange(tuple(sorted(now - was)), tuple(sorted(was - now)))
            found.append(happening.tells(Kind.TAGS_CHANGED, tags=change))
    return found


def _labels(value: Any) -> tuple[str, ...]:
    """A list, or, in the cached form, text separated by commas."""
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    return words(value, "changed_attributes.label_list")


def _status(happening: Happening, to: Status, previous: Status | None) -> TicketEvent:
    ticket = msgspec.structs.replace(happening.ticket, status=to)
    identity = (*happening.identity, to.value)
    return happening.tells(Kind.STATUS_CHANGED, *identity, status=StatusChange(to, previous), ticket=ticket)


def _priority(happening: Happening, to: Priority | None, previous: Priority | None) -> TicketEvent:
    ticket = msgspec.structs.replace(happening.ticket, priority=to)
    return happening.tells(Kind.PRIORITY_CHANGED, priority=PriorityChange(to, previous), ticket=ticket)


def _held(changes: Mapping[str, tuple[Any, Any]]) -> dict[str, str | None]:
    held = {}
    for name, attribute in (("agent", "assignee_id"), ("team", "team_id")):
        if attribute in changes:
            before, after = (identifier(one, f"changed_attributes.{attribute}") for one in changes[attribute])
            if before != after:
                held[name] = after
    return held


def _message(body: Object, context: _Context) -> list[TicketEvent]:
    kind = _type(body)
    if kind is None:
        raise Invalid(Reason.BAD_VALUE, "message_type is none of: incoming, outgoing, template, activity")
    if kind == "activity":
        return []
    conversation = obj(body, "conversation", "conversation")
    ticket = required(conversation.get("id"), "conversation.id")
    stated = _attributes(conversation, context)
    at = _time(body.get("created_at"), "created_at")
    who = _writer(body, context)
    private = boolean(body, "private", "private") if "private" in body else False
    name = required(body.get("id"), "id")
    added = Message(
        id=name,
        visibility=Visibility.PRIVATE if private else Visibility.PUBLIC,
        author=who.kind,
        opening=opening(at, stated.created_at),
    )
    happening = Happening(context.delivery, ticket, at, (name,), actor=who, ticket=stated)
    return [happening.tells(Kind.MESSAGE_ADDED, message=added)]


def _type(message: Object) -> str | None:
    given = message.get("message_type")
    name = _TYPES.get(str(given), str(given).lower())
    return name if name in _TYPES.values() else None


def _writer(message: Object, context: _Context) -> Actor:
    """Templates (greetings, surveys) and what has no sender are written by Chatwoot itself."""
    sender = message.get("sender")
    user = identifier(sender.get("id"), "sender.id") if isinstance(sender, dict) else None
    kind = str(sender.get("type") or "").lower() if isinstance(sender, dict) else ""
    match _type(message), kind:
        case "incoming", _:
            return customer(user, context.hash_key)
        case "template", _:
            return Actor(ActorKind.BOT)
        case _, "agent_bot" | "agentbot" | "captain_assistant":
            return Actor(ActorKind.BOT, user)
        case _ if user is None:
            return Actor(ActorKind.BOT)
        case _:
            return staff(user, context.options.bots)


def _answered(body: Object, context: _Context) -> list[TicketEvent]:
    """An update of a message says something only when it is the answer to the satisfaction survey."""
    if body.get("content_type") != "input_csat":
        return []
    inner: Any = body.get("content_attributes")
    for name in ("submitted_values", "csat_survey_response"):
        inner = inner.get(name) if isinstance(inner, dict) else None
    if not isinstance(inner, dict) or inner.get("rating") is None:
        return []
    score = inner["rating"]
    if isinstance(score, bool) or not isinstance(score, int | float) or not 1 <= score <= 5:
        raise Invalid(Reason.BAD_VALUE, "csat_survey_response.rating must be a number from 1 to 5")
    conversation = obj(body, "conversation", "conversation")
    stated = _attributes(conversation, context)
    name = required(body.get("id"), "id")
    happening = Happening(
        delivery=context.delivery,
        ticket_id=required(conversation.get("id"), "conversation.id"),
        at=_changed_at(body, context),
        identity=(name, str(score)),
        actor=Actor(ActorKind.CUSTOMER, stated.requester if isinstance(stated.requester, str) else None),
        ticket=stated,
    )
    return [happening.tells(Kind.CSAT_RECEIVED, rating=Rating(float(score), best=5.0, worst=1.0))]


def _attributes(conversation: Object, context: _Context) -> Attributes:
    meta = conversation.get("meta")
    people: Object = meta if isinstance(meta, dict) else {}
    labels = words(conversation["labels"], "labels") if "labels" in conversation else UNSET
    via = conversation.get("channel")
    given = conversation.get("priority")
    return Attributes(
        status=_status_of(conversation["status"], context.options) if conversation.get("status") else UNSET,
        priority=own_words.priority(given, PRIORITIES, {}, "priority") if "priority" in conversation else UNSET,
        channel=channel(via.removeprefix("Channel::"), _CHANNELS) if isinstance(via, str) else UNSET,
        team=_person(people, "team"),
        agent=_person(people, "assignee"),
        tier=UNSET if isinstance(labels, UnsetType) else tier(labels, context.options.tiers),
        tags=labels,
        requester=_requester(people, context.hash_key),
        # Messages carry a conversation whose times may be 0: then nothing is known.
        created_at=_time(conversation["created_at"], "created_at") if conversation.get("created_at") else UNSET,
    )


def _status_of(value: Any, options: Options) -> Status:
    return own_words.status(value, _STATUSES, options.statuses, "status")


def _person(people: Object, name: str) -> str | UnsetType | None:
    if name not in people:
        return UNSET
    person = people[name]
    return identifier(person.get("id"), f"meta.{name}.id") if isinstance(person, dict) else None


def _requester(people: Object, hash_key: bytes) -> str | UnsetType:
    sender = people.get("sender")
    user = identifier(sender.get("id"), "meta.sender.id") if isinstance(sender, dict) else None
    return pseudonym(hash_key, user) if user else UNSET
