"""What both kinds of Zendesk webhook say about a ticket: its words, and who acted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from schemas.ticket import Actor, ActorKind, Priority, Status
from services.ingest.normalise.moment import zone_of
from services.ingest.normalise.people import customer, staff

STATUSES: Final[Mapping[str, Status]] = {
    "new": Status.NEW,
    "open": Status.OPEN,
    "pending": Status.PENDING,
    "hold": Status.ON_HOLD,
    "solved": Status.SOLVED,
    "closed": Status.CLOSED,
}
NOT_STATUSES: Final = frozenset({"deleted", "archived", "scrubbed"})
"""What Zendesk writes in a status field without saying whether the ticket is done."""

PRIORITIES: Final[Mapping[str, Priority]] = {priority.value: priority for priority in Priority}

CHANNELS: Final[Mapping[str, str]] = {
    "mail": "email",
    "email": "email",
    "web": "web",
    "web_form": "web",
    "web_widget": "web",
    "help_center": "web",
    "web_service": "api",
    "api": "api",
    "mobile": "mobile",
    "mobile_sdk": "mobile",
    "chat": "chat",
    "chat_transcript": "chat",
    "native_messaging": "chat",
    "messaging": "chat",
    "phone": "voice",
    "voice": "voice",
    "voicemail": "voice",
    "sms": "sms",
    "text": "sms",
}
"""``via.channel`` in the words of segments; any other (whatsapp, facebook, …) keeps its own name."""

SYSTEM_ID: Final = "-1"
"""The user id that Zendesk gives to what it does by itself."""


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``options`` of a Zendesk source.

    ``statuses`` and ``priorities``: the words that your language shows in trigger bodies, each with ours
    (``{"offen": "open"}``). ``timezone``: of times in trigger bodies that have no offset. ``tiers``: tag → tier, the
    first that the ticket has counts. ``bots``: ids of agents that are programs; what they write is never a reply.
    """

    teams: dict[str, str] = {}
    statuses: dict[str, Status] = {}
    priorities: dict[str, Priority] = {}
    timezone: str = "UTC"
    tiers: dict[str, str] = {}
    bots: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        zone_of(self.timezone)


def actor(user: str | None, requester: str | None, options: Options, hash_key: bytes) -> Actor:
    """Who acted, from ids alone: Zendesk itself, the requester, one of our bots, else an agent."""
    if user is None or user == SYSTEM_ID:
        return Actor(ActorKind.SYSTEM)
    if user == requester:
        return customer(user, hash_key)
    return staff(user, options.bots)
