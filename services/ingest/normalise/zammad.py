"""Zammad: the default body of a trigger's webhook, the ticket and the article as they are when it is sent.

https://admin-docs.zammad.org/en/latest/manage/webhook/payload.html. The body does not say what happened. The article,
where there is one, is a message; the first article of a ticket tells that it was created; all else is the state of
the ticket at ``updated_at``, from which the fold sees what changed. A trigger that is named like one of
:data:`EVENTS` says more (``X-Zammad-Trigger``).

A webhook that is sent again holds the ticket as it is by then. So a message carries nothing of the ticket's state,
and what the state is, is told at the time of its last change.

A ticket in the state ``merged`` counts as deleted: Zammad does not say into which ticket it went.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET, UnsetType, structs

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
from services.ingest.normalise.fields import (
    Object,
    boolean,
    identifier,
    instant,
    pseudonym,
    required,
    word,
    words,
)
from services.ingest.normalise.happening import Happening
from services.ingest.normalise.own_words import PRIORITIES, status
from services.ingest.normalise.people import customer, staff
from services.ingest.normalise.personal import stated
from services.ingest.normalise.reading import json_object, options_of
from services.ingest.normalise.vocabulary import channel, extended, tier

TRIGGER: Final = "x-zammad-trigger"
NOBODY: Final = "1"
"""The user that owns what nobody owns."""

FRESH: Final = timedelta(seconds=60)
"""A ticket that last changed this soon after its creation is told as it was created."""

STATUSES: Final[Mapping[str, Status]] = {
    "new": Status.NEW,
    "open": Status.OPEN,
    "pending reminder": Status.PENDING,
    "pending close": Status.PENDING,
    "closed": Status.CLOSED,
}
GONE: Final = frozenset({"merged", "removed"})
"""States of tickets that are no tickets any more."""

Event = Literal["created", "updated", "closed", "reopened", "status_changed", "priority_changed", "assignment_changed"]
EVENTS: Final[Mapping[str, Kind]] = {
    "created": Kind.CREATED,
    "updated": Kind.UPDATED,
    "closed": Kind.STATUS_CHANGED,
    "reopened": Kind.STATUS_CHANGED,
    "status_changed": Kind.STATUS_CHANGED,
    "priority_changed": Kind.PRIORITY_CHANGED,
    "assignment_changed": Kind.ASSIGNMENT_CHANGED,
}
"""The names of triggers that have a meaning; any other leaves it to the body."""

_CHANNELS: Final[Mapping[str, str]] = {"phone": "voice"}
_SENDERS: Final[Mapping[str, ActorKind]] = {
    "customer": ActorKind.CUSTOMER,
    "agent": ActorKind.AGENT,
    "system": ActorKind.SYSTEM,
}


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``options`` of a Zammad source.

    ``statuses`` and ``priorities``: own states and priorities by name. ``triggers``: what a trigger tells, by its
    name, one of :data:`EVENTS`. ``tiers``: tag → tier, the first that the ticket has counts; ``vip_tier``: the tier of
    customers and organisations that are marked as VIP. ``bots``: ids of agents that are programs; what they write
    never counts as a reply.
    """

    teams: dict[str, str] = {}
    statuses: dict[str, Status] = {}
    priorities: dict[str, Priority] = {}
    triggers: dict[str, Event] = {}
    tiers: dict[str, str] = {}
    vip_tier: str | None = None
    bots: tuple[str, ...] = ()


def normalise(delivery: Delivery, settings: SourceSettings) -> list[TicketEvent]:
    """The message, if there is one, and what else the ticket tells. Raises :class:`Invalid`."""
    body = json_object(delivery, settings, "a Zammad webhook")
    return stated(_events(body, delivery, settings), body, delivery.vendor, settings.keep)


def _events(body: Object, delivery: Delivery, settings: SourceSettings) -> list[TicketEvent]:
    ticket, article = body.get("ticket"), body.get("article")
    if not isinstance(ticket, dict) or not isinstance(article, dict | None):
        raise Invalid(
            Reason.UNSUPPORTED_FORMAT,
            "not Zammad's default body (ticket and article as objects): switch Custom Payload off in the webhook, see "
            "docs/guides/connect-zammad.md",
        )
    options = options_of(settings, Options)
    number = required(ticket.get("id"), "ticket.id")
    updated_at = instant(ticket.get("updated_at"), "ticket.updated_at")
    happening = Happening(
        delivery,
        number,
        updated_at,
        ("ticket", number, updated_at.isoformat()),
        ticket=_attributes(ticket, settings.hash_key, options),
    )
    if str(_name(ticket.get("state"))).strip().lower() in GONE:
        return [happening.tells(Kind.DELETED)]
    event = _event(delivery, ticket, article, options)
    message = [_message(ticket, article, happening, settings.hash_key, options)] if article else []
    if event == "created":
        told = _created(ticket, happening, options)
        events = [*told[:1], *message, *told[1:]]
    else:
        events = [*message, _told(event, happening)]
    return [structs.replace(one, sequence=place) for place, one in enumerate(events)]


def _event(delivery: Delivery, ticket: Object, article: Object | None, options: Options) -> str:
    named = delivery.headers.get(TRIGGER, "").strip().lower()
    own = {text.strip().lower(): event for text, event in options.triggers.items()}
    name: str = own.get(named, named)
    if name in EVENTS:
        return name
    only = ticket.get("article_count") == 1 and bool(article) and _opens(ticket, article)
    return "created" if only else "updated"


def _opens(ticket: Object, article: Object | None) -> bool:
    """Whether the article is the ticket's first."""
    listed = ticket.get("article_ids")
    numbers = listed if isinstance(listed, list) and all(isinstance(number, int) for number in listed) else []
    return article is not None and min(numbers, default=None) == article.get("id")


def _told(event: str, happening: Happening) -> TicketEvent:
    ticket, kind = happening.ticket, EVENTS[event]
    match kind:
        case Kind.STATUS_CHANGED if not isinstance(ticket.status, UnsetType):
            return happening.tells(kind, status=StatusChange(ticket.status))
        case Kind.PRIORITY_CHANGED if not isinstance(ticket.priority, UnsetType):
            return happening.tells(kind, priority=PriorityChange(ticket.priority))
        case Kind.ASSIGNMENT_CHANGED:
            return happening.tells(kind, assignment=Assignment(ticket.agent, ticket.team))
        case _:
            return happening.tells(Kind.UPDATED)


def _created(ticket: Object, happening: Happening, options: Options) -> list[TicketEvent]:
    """The creation, and, when the ticket has changed since, what it has become."""
    created_at = happening.ticket.created_at
    if not isinstance(created_at, datetime):
        raise Invalid(Reason.MISSING_FIELD, "ticket.created_at is missing")
    fresh = happening.at - created_at <= FRESH
    created = happening.tells(
        Kind.CREATED,
        *("ticket", happening.ticket_id, "created"),
        occurred_at=created_at,
        actor=_creator(ticket, happening, options),
        ticket=happening.ticket if fresh else structs.replace(happening.ticket, status=UNSET),
    )
    return [created] if fresh else [created, happening.tells(Kind.UPDATED)]


def _creator(ticket: Object, happening: Happening, options: Options) -> Actor | None:
    """Who the first article is from: an agent may note down what a customer said on the phone."""
    sender = ticket.get("create_article_sender")
    if sender is None:
        return None
    kind = word(sender, _SENDERS, "ticket.create_article_sender")
    if kind is ActorKind.CUSTOMER:
        requester = happening.ticket.requester
        return Actor(kind, requester if isinstance(requester, str) else None)
    user = identifier(ticket.get("created_by_id"), "ticket.created_by_id")
    return staff(user, options.bots) if kind is ActorKind.AGENT else Actor(kind)


def _message(ticket: Object, article: Object, happening: Happening, hash_key: bytes, options: Options) -> TicketEvent:
    number = required(article.get("id"), "article.id")
    kind = word(article.get("sender"), _SENDERS, "article.sender")
    shown = Visibility.PRIVATE if boolean(article, "internal", "article.internal") else Visibility.PUBLIC
    match kind:
        case ActorKind.CUSTOMER:
            who = customer(
                identifier(article.get("origin_by_id"), "article.origin_by_id")
                or identifier(ticket.get("customer_id"), "ticket.customer_id"),
                hash_key,
            )
        case ActorKind.AGENT:
            who = staff(identifier(article.get("created_by_id"), "article.created_by_id"), options.bots)
        case _:
            who = Actor(kind)
    return happening.tells(
        Kind.MESSAGE_ADDED,
        *("article", number),
        occurred_at=instant(article.get("created_at"), "article.created_at"),
        actor=who,
        ticket=Attributes(created_at=happening.ticket.created_at),
        message=Message(number, shown, who.kind, opening=_opens(ticket, article)),
    )


def _attributes(ticket: Object, hash_key: bytes, options: Options) -> Attributes:
    tags = _tags(ticket["tags"]) if "tags" in ticket else UNSET
    requester = identifier(ticket.get("customer_id"), "ticket.customer_id")
    state = _name(ticket.get("state"))
    kind = ticket.get("create_article_type")
    return Attributes(
        status=status(state, STATUSES, options.statuses, "ticket.state")
        if state and str(state).strip().lower() not in GONE
        else UNSET,
        priority=_priority(ticket["priority"], options) if ticket.get("priority") else UNSET,
        channel=channel(kind, _CHANNELS) if isinstance(kind, str) else UNSET,
        team=_team(ticket),
        agent=_owner(ticket["owner_id"]) if "owner_id" in ticket else UNSET,
        tier=_tier(ticket, tags, options),
        tags=tags,
        requester=pseudonym(hash_key, requester) if requester else UNSET,
        organisation=identifier(ticket["organization_id"], "ticket.organization_id")
        if "organization_id" in ticket
        else UNSET,
        created_at=instant(ticket["created_at"], "ticket.created_at") if ticket.get("created_at") else UNSET,
    )


def _name(value: Any) -> Any:
    """A name, or the name of an object: which of them a field holds differs between Zammad's versions."""
    return value.get("name") if isinstance(value, dict) else value


def _priority(value: Any, options: Options) -> Priority:
    """Zammad's own are called ``2 normal``; the number before the name only sorts them."""
    name = str(_name(value)).strip().lower()
    known = extended(PRIORITIES, options.priorities)
    found = known.get(name) or known.get(name.lstrip("0123456789 "))
    return found or word(name, known, "ticket.priority.name (add your own to options.priorities)")


def _team(ticket: Object) -> str | UnsetType | None:
    if "group" not in ticket and "group_id" not in ticket:
        return UNSET
    name = _name(ticket.get("group"))
    return identifier(name, "ticket.group.name") or identifier(ticket.get("group_id"), "ticket.group_id")


def _owner(value: Any) -> str | None:
    owner = identifier(value, "ticket.owner_id")
    return None if owner == NOBODY else owner


def _tags(value: Any) -> tuple[str, ...]:
    return words(value.split(",") if isinstance(value, str) else value, "ticket.tags")


def _tier(ticket: Object, tags: tuple[str, ...] | UnsetType, options: Options) -> str | UnsetType | None:
    tagged = UNSET if isinstance(tags, UnsetType) else tier(tags, options.tiers)
    if isinstance(tagged, str) or options.vip_tier is None:
        return tagged
    marked = (ticket.get("customer"), ticket.get("organization"))
    return options.vip_tier if any(isinstance(one, dict) and one.get("vip") is True for one in marked) else None
