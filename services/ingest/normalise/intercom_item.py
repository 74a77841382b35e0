"""What an Intercom conversation or ticket says about itself, and who wrote a part of it, in both generations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from schemas.ticket import Actor, ActorKind, Attributes, Priority, Status
from services.ingest.normalise.epoch import from_seconds
from services.ingest.normalise.fields import Object, identifier, pseudonym, word
from services.ingest.normalise.own_words import status
from services.ingest.normalise.people import customer, staff
from services.ingest.normalise.vocabulary import channel, extended, tier

STATUSES: Final[Mapping[str, Status]] = {
    "open": Status.OPEN,
    "snoozed": Status.PENDING,
    "closed": Status.CLOSED,
    "submitted": Status.NEW,
    "in_progress": Status.OPEN,
    "waiting_on_customer": Status.PENDING,
    "resolved": Status.SOLVED,
}
"""States of conversations and categories of ticket states."""

PRIORITIES: Final[Mapping[str, Priority]] = {"priority": Priority.HIGH, "not_priority": Priority.NORMAL}
_CHANNELS: Final[Mapping[str, str]] = {
    "conversation": "chat",
    "messenger": "chat",
    "push": "mobile",
    "phone_call": "voice",
    "phone_switch": "voice",
}
_CUSTOMERS: Final = frozenset({"user", "lead", "contact", "visitor"})


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``options`` of an Intercom source.

    ``statuses``: other meanings of ``open``, ``snoozed``, ``closed`` and of the categories of ticket states.
    ``priorities``: other meanings of ``priority`` and ``not_priority``. ``tiers``: tag → tier, the first that the
    conversation has counts. ``bots``: ids of teammates that are programs; what they write never counts as a reply.
    """

    teams: dict[str, str] = {}
    statuses: dict[str, Status] = {}
    priorities: dict[str, Priority] = {}
    tiers: dict[str, str] = {}
    bots: tuple[str, ...] = ()


def author(part: Object, options: Options, hash_key: bytes) -> Actor | None:
    """Who wrote a part; ``None`` where it does not say."""
    writer = part.get("author")
    if not isinstance(writer, dict):
        return None
    user, kind = identifier(writer.get("id"), "the part's author.id"), str(writer.get("type")).lower()
    if kind in _CUSTOMERS:
        return customer(user, hash_key)
    if kind == "bot":
        return Actor(ActorKind.BOT, user)
    return staff(user, options.bots) if kind == "admin" else Actor(ActorKind.SYSTEM)


def attributes(item: Object, path: str, options: Options, hash_key: bytes) -> Attributes:
    """What the snapshot states. A field that is absent states nothing."""
    tags = tag_names(item.get("tags"))
    requester = _requester(item, path)
    return Attributes(
        status=_state(item, path, options),
        priority=_priority(item["priority"], path, options) if item.get("priority") else UNSET,
        channel=_channel(item),
        team=_holder(item, "team", path),
        agent=_holder(item, "admin", path),
        tier=UNSET if isinstance(tags, UnsetType) else tier(tags, options.tiers),
        tags=tags,
        requester=pseudonym(hash_key, requester) if requester else UNSET,
        organisation=identifier(item["company_id"], f"{path}.company_id") if "company_id" in item else UNSET,
        created_at=_created_at(item, path),
    )


def _priority(value: Any, path: str, options: Options) -> Priority:
    return word(value, extended(PRIORITIES, options.priorities), f"{path}.priority")


def _created_at(item: Object, path: str) -> datetime | UnsetType:
    return from_seconds(item["created_at"], f"{path}.created_at") if item.get("created_at") else UNSET


def _state(item: Object, path: str, options: Options) -> Status | UnsetType:
    ticket_state = item.get("ticket_state")
    if isinstance(ticket_state, dict):
        return status(ticket_state.get("category"), STATUSES, options.statuses, f"{path}.ticket_state.category")
    if item.get("state") is None:
        return UNSET
    return status(item["state"], STATUSES, options.statuses, f"{path}.state")


def _channel(item: Object) -> str | UnsetType | None:
    source = item.get("source")
    name = item.get("channel") or (source.get("type") if isinstance(source, dict) else None)
    return channel(name, _CHANNELS) if isinstance(name, str) else UNSET


def _holder(item: Object, kind: str, path: str) -> str | UnsetType | None:
    """The assigned ``admin`` or ``team``: by its own field, or, in older bodies, as the one ``assignee``."""
    field = f"{kind}_assignee_id"
    if field in item:
        return identifier(item[field], f"{path}.{field}")
    assignee = item.get("assignee")
    if not isinstance(assignee, dict):
        return None if "assignee" in item and kind == "admin" else UNSET
    if assignee.get("type") == kind:
        return identifier(assignee.get("id"), f"{path}.assignee.id")
    return None if assignee.get("type") == "nobody_admin" else UNSET


def _requester(item: Object, path: str) -> str | None:
    user = item.get("user")
    if not isinstance(user, dict):
        contacts = item.get("contacts")
        listed = contacts.get("contacts") if isinstance(contacts, dict) else None
        user = listed[0] if isinstance(listed, list) and listed else None
    return identifier(user.get("id"), f"{path}.contacts") if isinstance(user, dict) else None


def tag_names(holder: Any) -> tuple[str, ...] | UnsetType:
    """The names in a list of tags; ids alone state nothing."""
    listed = holder.get("tags") if isinstance(holder, dict) else None
    if not isinstance(listed, list):
        return UNSET
    names = [tag.get("name") for tag in listed if isinstance(tag, dict)]
    known = {name.strip() for name in names if isinstance(name, str)} - {""}
    return tuple(sorted(known)) if len(names) == len(listed) and all(isinstance(n, str) for n in names) else UNSET
