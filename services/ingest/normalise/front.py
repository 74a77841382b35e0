"""Front: the webhooks of applications (an envelope around the event) and of rules (the event alone).

https://dev.frontapp.com/docs/application-webhooks and https://dev.frontapp.com/docs/rule-webhooks. Both carry the same
event ids, and a message is named by its own id, so that one happening told by both is one event.

The conversation in the payload is as it was when Front sent it, which may be later than the event: where its last
message is newer than the event, its status and its holder are not stated.

Front has no event for a new conversation: a message from no later than two seconds after the conversation's creation
is the one that opened it. Front has no priorities and tells no satisfaction.
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
    Status,
    StatusChange,
    TagsChange,
    TicketEvent,
    Visibility,
)
from services.ingest.delivery import Delivery, SourceSettings
from services.ingest.normalise.epoch import from_seconds
from services.ingest.normalise.fields import Object, identifier, obj, pseudonym, required
from services.ingest.normalise.happening import Happening
from services.ingest.normalise.moment import OPENING
from services.ingest.normalise.people import staff
from services.ingest.normalise.personal import stated
from services.ingest.normalise.reading import json_object, options_of
from services.ingest.normalise.vocabulary import channel, tier

_STATUSES: Final[Mapping[str, Status]] = {
    "assigned": Status.OPEN,
    "unassigned": Status.OPEN,
    "open": Status.OPEN,
    "waiting": Status.PENDING,
    "snoozed": Status.PENDING,
    "archived": Status.SOLVED,
    "resolved": Status.SOLVED,
}
_CHANNELS: Final[Mapping[str, str]] = {
    "smtp": "email",
    "gmail": "email",
    "office365": "email",
    "front_chat": "chat",
    "chat": "chat",
    "call": "voice",
    "phone-call": "voice",
    "twilio": "sms",
    "tweet": "twitter",
    "custom": "api",
}


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``options`` of a Front source.

    A team is an inbox, by its id. ``snoozed``: the status that a snoozed conversation has. ``archived``: the one of an
    archived conversation. ``tiers``: tag → tier, the first that the conversation has counts. ``bots``: ids of teammates
    that are programs.
    """

    teams: dict[str, str] = {}
    tiers: dict[str, str] = {}
    snoozed: Status = Status.PENDING
    archived: Status = Status.SOLVED
    bots: tuple[str, ...] = ()


class _Told(msgspec.Struct, frozen=True):
    """An event with the parts that every reader needs."""

    event: Object
    conversation: Object
    happening: Happening
    hash_key: bytes
    options: Options


def normalise(delivery: Delivery, settings: SourceSettings) -> list[TicketEvent]:
    """The events of a Front webhook. Raises :class:`Invalid`."""
    body = json_object(delivery, settings, "a Front webhook")
    return stated(_events(body, delivery, settings), body, delivery.vendor, settings.keep)


def _events(body: Object, delivery: Delivery, settings: SourceSettings) -> list[TicketEvent]:
    if body.get("type") == "sync":
        return []  # what Front posts when the webhook is saved
    event: Any = body.get("payload") if "authorization" in body or "payload" in body else body
    if not isinstance(event, dict):
        raise Invalid(Reason.MISSING_FIELD, "payload is missing")
    kind = event.get("type", body.get("type"))
    if not isinstance(kind, str):
        raise Invalid(Reason.UNSUPPORTED_FORMAT, "type is missing: this is not an event of Front")
    name = _SAME.get(kind.lower(), kind.lower())
    if name in _SILENT:
        return []
    reader = _READERS.get(name)
    if reader is None:
        raise Invalid(Reason.UNKNOWN_TYPE, "type is an event of Front that this version does not know")
    return reader(_told(event, delivery, settings))


def _told(event: Object, delivery: Delivery, settings: SourceSettings) -> _Told:
    options = options_of(settings, Options)
    if not isinstance(event.get("conversation"), dict):
        raise Invalid(
            Reason.UNSUPPORTED_FORMAT,
            "conversation is missing: let the rule send the full event, not its preview",
        )
    conversation = obj(event, "conversation", "conversation")
    at = from_seconds(event.get("emitted_at"), "emitted_at")
    happening = Happening(
        delivery=delivery,
        ticket_id=required(conversation.get("id"), "conversation.id"),
        at=at,
        identity=(required(event.get("id"), "id"),),
        actor=_source(event, options),
        ticket=_attributes(event, conversation, at, settings.hash_key, options),
    )
    return _Told(event, conversation, happening, settings.hash_key, options)


def _source(event: Object, options: Options) -> Actor | None:
    """Who did it: a teammate, or something that is no person (a rule, the API, a connected mailbox)."""
    kind, data = _part(event, "source")
    if kind is None:
        return None
    if kind == "teammate" and isinstance(data, dict):
        return staff(identifier(data.get("id"), "source.data.id"), options.bots)
    return Actor(ActorKind.SYSTEM)


def _part(event: Object, name: str) -> tuple[str | None, Any]:
    """The type and the data of ``source`` or ``target``; nothing where there is none."""
    part = event.get(name)
    if not isinstance(part, dict) or not isinstance(part.get("_meta"), dict):
        return None, None
    kind = part["_meta"].get("type")
    return (kind.lower(), part.get("data")) if isinstance(kind, str) else (None, None)


def _attributes(event: Object, conversation: Object, at: datetime, hash_key: bytes, options: Options) -> Attributes:
    stated = {} if _later(conversation, at) else _moving(conversation, options)
    inbox = _inbox(event, "source")
    last = conversation.get("last_message")
    via = last.get("type") if isinstance(last, dict) else None
    return Attributes(
        channel=channel(via, _CHANNELS) if isinstance(via, str) else UNSET,
        team=UNSET if inbox is None else inbox,
        requester=_requester(conversation, hash_key),
        created_at=_created_at(conversation) or UNSET,
        **stated,
    )


def _later(conversation: Object, at: datetime) -> bool:
    last = conversation.get("last_message")
    if not isinstance(last, dict) or last.get("created_at") is None:
        return False
    return from_seconds(last["created_at"], "conversation.last_message.created_at") > at + OPENING


def _moving(conversation: Object, options: Options) -> dict[str, Any]:
    """What changes in a conversation's life; statuses that say nothing of being done (deleted, spam) are left out."""
    stated: dict[str, Any] = {}
    status = str(conversation.get("status")).lower()
    if status in _STATUSES:
        stated["status"] = {"archived": options.archived, "snoozed": options.snoozed}.get(status, _STATUSES[status])
    if "assignee" in conversation:
        holder = conversation["assignee"]
        stated["agent"] = identifier(holder.get("id"), "assignee.id") if isinstance(holder, dict) else None
    tags = conversation.get("tags")
    if isinstance(tags, list):
        named = {tag["name"].strip() for tag in tags if isinstance(tag, dict) and isinstance(tag.get("name"), str)}
        stated["tags"] = tuple(sorted(named - {""}))
        stated["tier"] = tier(stated["tags"], options.tiers)
    return stated


def _inbox(event: Object, name: str) -> str | None:
    """The inbox that an event comes from or goes to, when it is one."""
    kind, data = _part(event, name)
    found = [data] if isinstance(data, dict) else data
    if kind not in ("inbox", "inboxes") or not isinstance(found, list) or len(found) != 1:
        return None
    return identifier(found[0].get("id"), f"{name}.data.id") if isinstance(found[0], dict) else None


def _requester(conversation: Object, hash_key: bytes) -> str | UnsetType:
    """The correspondent's handle (an address or a number), of which only the pseudonym is kept."""
    recipient = conversation.get("recipient")
    handle = recipient.get("handle") if isinstance(recipient, dict) else None
    if not isinstance(handle, str) or not handle.strip():
        return UNSET
    return pseudonym(hash_key, handle.strip().lower())


def _created_at(conversation: Object) -> datetime | None:
    value = conversation.get("created_at")
    return None if value is None else from_seconds(value, "conversation.created_at")


def _inbound(told: _Told) -> list[TicketEvent]:
    requester = told.happening.ticket.requester
    return _message(told, Actor(ActorKind.CUSTOMER, requester if isinstance(requester, str) else None))


def _outbound(told: _Told) -> list[TicketEvent]:
    """A message without an author was sent by a rule, a sequence or the API: nobody of the team replied."""
    _, message = _part(told.event, "target")
    author = message.get("author") if isinstance(message, dict) else None
    user = identifier(author.get("id"), "target.data.author.id") if isinstance(author, dict) else None
    return _message(told, Actor(ActorKind.BOT) if user is None else staff(user, told.options.bots))


def _message(told: _Told, who: Actor) -> list[TicketEvent]:
    _, message = _part(told.event, "target")
    if not isinstance(message, dict):
        raise Invalid(Reason.UNSUPPORTED_FORMAT, "target is missing: let the rule send the full event, not its preview")
    if message.get("is_draft") is True:
        return []
    happening = told.happening
    name = required(message.get("id"), "target.data.id")
    created = happening.ticket.created_at
    opening = isinstance(created, datetime) and happening.at <= created + OPENING
    added = Message(name, author=who.kind, opening=opening)
    found = [happening.tells(Kind.MESSAGE_ADDED, name, actor=who, message=added)]
    if opening and isinstance(created, datetime):
        found.insert(0, happening.tells(Kind.CREATED, happening.ticket_id, actor=who, occurred_at=created))
    return found


def _comment(told: _Told) -> list[TicketEvent]:
    """A comment is for the team only. One that mentions somebody is told twice, and is one."""
    _, comment = _part(told.event, "target")
    if not isinstance(comment, dict):
        raise Invalid(Reason.MISSING_FIELD, "target is missing")
    name = required(comment.get("id"), "target.data.id")
    author = comment.get("author")
    user = identifier(author.get("id"), "target.data.author.id") if isinstance(author, dict) else None
    who = Actor(ActorKind.BOT) if user is None else staff(user, told.options.bots)
    posted = comment.get("posted_at")
    at = told.happening.at if posted is None else from_seconds(posted, "target.data.posted_at")
    note = Message(name, Visibility.PRIVATE, who.kind)
    return [told.happening.tells(Kind.MESSAGE_ADDED, name, actor=who, occurred_at=at, message=note)]


def _status(told: _Told, to: Status) -> list[TicketEvent]:
    ticket = msgspec.structs.replace(told.happening.ticket, status=to)
    return [told.happening.tells(Kind.STATUS_CHANGED, status=StatusChange(to), ticket=ticket)]


def _assigned(told: _Told) -> list[TicketEvent]:
    kind, holder = _part(told.event, "target")
    if kind == "teammate" and isinstance(holder, dict):
        return _held(told, required(holder.get("id"), "target.data.id"))
    if "assignee" not in told.conversation:
        raise Invalid(Reason.MISSING_FIELD, "neither target nor conversation.assignee says to whom")
    now = told.conversation["assignee"]
    return _held(told, identifier(now.get("id"), "conversation.assignee.id") if isinstance(now, dict) else None)


def _held(told: _Told, agent: str | None) -> list[TicketEvent]:
    ticket = msgspec.structs.replace(told.happening.ticket, agent=agent)
    return [told.happening.tells(Kind.ASSIGNMENT_CHANGED, assignment=Assignment(agent=agent), ticket=ticket)]


def _moved(told: _Told) -> list[TicketEvent]:
    inbox = _inbox(told.event, "target")
    if inbox is None:
        return []
    ticket = msgspec.structs.replace(told.happening.ticket, team=inbox)
    return [told.happening.tells(Kind.ASSIGNMENT_CHANGED, assignment=Assignment(team=inbox), ticket=ticket)]


def _tagged(told: _Told, added: bool) -> list[TicketEvent]:
    _, tag = _part(told.event, "target")
    name = tag.get("name") if isinstance(tag, dict) else None
    if not isinstance(name, str) or not name.strip():
        raise Invalid(Reason.MISSING_FIELD, "target.data.name is missing: which tag it was")
    change = TagsChange(added=(name.strip(),)) if added else TagsChange(removed=(name.strip(),))
    return [told.happening.tells(Kind.TAGS_CHANGED, tags=change)]


_READERS: Final[Mapping[str, Callable[[_Told], list[TicketEvent]]]] = {
    "inbound": _inbound,
    "outbound": _outbound,
    "comment": _comment,
    "archive": lambda told: _status(told, told.options.archived),
    "reopen": lambda told: _status(told, Status.OPEN),
    "snooze": lambda told: _status(told, told.options.snoozed),
    "wake": lambda told: _status(told, Status.OPEN),
    "trash": lambda told: [told.happening.tells(Kind.DELETED)],
    "restore": lambda told: [told.happening.tells(Kind.RESTORED)],
    "assign": _assigned,
    "unassign": lambda told: _held(told, None),
    "move": _moved,
    "tag": lambda told: _tagged(told, added=True),
    "untag": lambda told: _tagged(told, added=False),
}
_SAME: Final[Mapping[str, str]] = {
    "inbound_received": "inbound",
    "outbound_sent": "outbound",
    "out_reply": "outbound",
    "new_comment_added": "comment",
    "mention": "comment",
    "conversation_archived": "archive",
    "conversation_reopened": "reopen",
    "conversation_snoozed": "snooze",
    "reminder": "snooze",
    "conversation_snooze_expired": "wake",
    "snooze_expired": "wake",
    "reminder_expired": "wake",
    "conversation_deleted": "trash",
    "conversation_restored": "restore",
    "conversation_moved": "move",
    "assignee_changed": "assign",
    "tag_added": "tag",
    "tag_removed": "untag",
}
"""Applications have longer words for what rules call by short ones."""

_SILENT: Final = frozenset({"link_added", "link_removed", "message_delivery_failed", "sending_error", "sla_breach"})
