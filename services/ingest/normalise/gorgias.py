"""Gorgias: HTTP integrations, whose body is a template.

https://developers.gorgias.com/reference/the-integration-object. Three bodies are read: our template (``"schema":
"gorgias.v1"``, in docs/guides/connect-gorgias.md), and what ``{{context}}`` renders to, a ticket or a message. A bare
ticket does not say what happened to it: it is a snapshot (``ticket.updated``), and the fold finds the changes.

Templates render everything to text: ``None`` and nothing are no value. Times without an offset are UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    TicketEvent,
    Visibility,
)
from services.ingest.delivery import Delivery, SourceSettings
from services.ingest.normalise import own_words
from services.ingest.normalise.fields import Object, identifier, pseudonym, required
from services.ingest.normalise.happening import Happening
from services.ingest.normalise.moment import opening, written
from services.ingest.normalise.own_words import PRIORITIES
from services.ingest.normalise.people import customer, staff
from services.ingest.normalise.personal import stated
from services.ingest.normalise.reading import Context, json_object
from services.ingest.normalise.reading import context as context_of
from services.ingest.normalise.template import rendered
from services.ingest.normalise.vocabulary import channel, tier

SCHEMA: Final = "gorgias.v1"
EVENTS: Final[Mapping[str, Kind]] = {
    "ticket-created": Kind.CREATED,
    "ticket-updated": Kind.UPDATED,
    "ticket-status-updated": Kind.STATUS_CHANGED,
    "ticket-self-unsnoozed": Kind.STATUS_CHANGED,
    "ticket-assignment-updated": Kind.ASSIGNMENT_CHANGED,
    "ticket-handed-over": Kind.ASSIGNMENT_CHANGED,
    "ticket-priority-updated": Kind.PRIORITY_CHANGED,
    "ticket-message-created": Kind.MESSAGE_ADDED,
}
"""The triggers of an integration, by the names that Gorgias gives them."""

_SILENT: Final = frozenset({"ticket-message-failed"})
_STATUSES: Final[Mapping[str, Status]] = {"open": Status.OPEN, "closed": Status.CLOSED}
_CHANNELS: Final[Mapping[str, str]] = {
    "phone": "voice",
    "aircall": "voice",
    "contact_form": "web",
    "help-center": "web",
    "facebook-messenger": "facebook",
    "instagram-direct-message": "instagram",
}
_BY_ITSELF: Final = frozenset({"rule", "self_service", "automate", "ai-agent"})
"""``via`` of messages that no person of the team wrote."""

_NONE: Final = frozenset({"", "none", "null", "undefined"})
_TICKET: Final = (
    *("id", "status", "priority", "channel", "assignee_user_id", "assignee_team_id", "customer_id", "customer_email"),
    *("created_datetime", "updated_datetime", "closed_datetime", "snooze_datetime", "trashed_datetime", "spam", "tags"),
)
_MESSAGE: Final = ("id", "public", "from_agent", "channel", "via", "rule_id", "sender_id", "created_datetime")


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``options`` of a Gorgias source.

    ``statuses`` and ``priorities``: other words, each with ours. ``snoozed``: the status of a snoozed ticket, which
    Gorgias shows as closed. ``tiers``: tag → tier. ``bots``: ids of users that are programs.
    """

    teams: dict[str, str] = {}
    statuses: dict[str, Status] = {}
    priorities: dict[str, Priority] = {}
    snoozed: Status = Status.PENDING
    tiers: dict[str, str] = {}
    bots: tuple[str, ...] = ()


_Context = Context[Options]


def normalise(delivery: Delivery, settings: SourceSettings) -> list[TicketEvent]:
    """The events of an HTTP integration. Raises :class:`Invalid`."""
    body = json_object(delivery, settings, "the body of a Gorgias integration")
    return stated(_events(body, delivery, settings), body, delivery.vendor, settings.keep)


def _events(body: Object, delivery: Delivery, settings: SourceSettings) -> list[TicketEvent]:
    context = context_of(delivery, settings, Options)
    if body.get("schema") == SCHEMA:
        return _template(body, context)
    uri = body.get("uri")
    if isinstance(uri, str) and uri.startswith("/api/tickets/"):
        return _message(body, None, context) if "/messages/" in uri else _ticket(Kind.UPDATED, body, context)
    raise Invalid(
        Reason.UNSUPPORTED_FORMAT,
        f"neither our template (schema {SCHEMA}) nor a whole ticket or message ({{{{context}}}}): paste the template "
        "of docs/guides/connect-gorgias.md into the integration",
    )


def _template(body: Object, context: _Context) -> list[TicketEvent]:
    name = str(rendered(body, ("event",)).get("event") or "").strip().lower()
    if name in _SILENT:
        return []
    kind = EVENTS.get(name)
    if kind is None:
        raise Invalid(Reason.UNKNOWN_TYPE, f"event is none of: {', '.join(EVENTS)}")
    ticket = _filled(body, "ticket", _TICKET)
    if kind is not Kind.MESSAGE_ADDED:
        return _ticket(kind, ticket, context)
    message = _filled(body, "message", _MESSAGE)
    return _message({**message, "ticket_id": ticket.get("id")}, ticket, context)


def _filled(body: Object, part: str, names: tuple[str, ...]) -> dict[str, Any]:
    """The fields of the template: text, where "None" stands for nothing and "True" for true."""
    given = body.get(part)
    if not isinstance(given, dict):
        raise Invalid(Reason.MISSING_FIELD, f"{part} is missing")
    plain = {name: value for name, value in given.items() if not isinstance(value, bool)}
    fields = {**given, **rendered(plain, [name for name in names if name in plain])}
    return {name: None if _nothing(value) else value for name, value in fields.items()}


def _nothing(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value.strip().lower() in _NONE)


def _ticket(kind: Kind, ticket: Object, context: _Context) -> list[TicketEvent]:
    """What happened, by the trigger's name, and what the ticket tells besides: that it went away, that it was rated."""
    name = required(ticket.get("id"), "ticket.id")
    field = "created_datetime" if kind is Kind.CREATED else "updated_datetime"
    at = written(ticket.get(field), f"ticket.{field}")
    stated = _attributes(ticket, at, context)
    identity = (name,) if kind is Kind.CREATED else (name, at.isoformat())
    happening = Happening(context.delivery, name, at, identity, ticket=stated)
    return [
        happening.tells(kind, **_parts(kind, stated)),
        *_gone(ticket, happening),
        *_rated(ticket, happening, context),
    ]


def _parts(kind: Kind, stated: Attributes) -> dict[str, Any]:
    match kind:
        case Kind.STATUS_CHANGED if not isinstance(stated.status, UnsetType):
            return {"status": StatusChange(stated.status)}
        case Kind.PRIORITY_CHANGED if not isinstance(stated.priority, UnsetType):
            return {"priority": PriorityChange(stated.priority)}
        case Kind.ASSIGNMENT_CHANGED if not (
            isinstance(stated.agent, UnsetType) and isinstance(stated.team, UnsetType)
        ):
            return {"assignment": Assignment(stated.agent, stated.team)}
        case Kind.CREATED | Kind.UPDATED:
            return {}
        case _:
            needed = {Kind.STATUS_CHANGED: "status", Kind.PRIORITY_CHANGED: "priority"}.get(kind, "assignee_user_id")
            raise Invalid(Reason.MISSING_FIELD, f"ticket.{needed} is missing, and the event is about it")


def _gone(ticket: Object, happening: Happening) -> list[TicketEvent]:
    """Trashed, or marked as spam. The same ids as long as it stays so, however often the ticket is sent again."""
    if ticket.get("trashed_datetime"):
        at = written(ticket["trashed_datetime"], "ticket.trashed_datetime")
        return [happening.tells(Kind.DELETED, happening.ticket_id, at.isoformat(), occurred_at=at)]
    if _flag(ticket.get("spam"), "ticket.spam"):
        return [happening.tells(Kind.DELETED, happening.ticket_id, "spam")]
    return []


def _rated(ticket: Object, happening: Happening, context: _Context) -> list[TicketEvent]:
    survey = ticket.get("satisfaction_survey")
    if not isinstance(survey, dict) or survey.get("score") is None:
        return []
    score = survey["score"]
    if isinstance(score, bool) or not isinstance(score, int | float) or not 1 <= score <= 5:
        raise Invalid(Reason.BAD_VALUE, "satisfaction_survey.score must be a number from 1 to 5")
    at = happening.at
    if survey.get("scored_datetime"):
        at = written(survey["scored_datetime"], "satisfaction_survey.scored_datetime")
    requester = happening.ticket.requester
    who = Actor(ActorKind.CUSTOMER, requester if isinstance(requester, str) else None)
    name = required(survey.get("id"), "satisfaction_survey.id")
    rating = Rating(float(score), best=5.0, worst=1.0)
    return [happening.tells(Kind.CSAT_RECEIVED, name, str(score), occurred_at=at, actor=who, rating=rating)]


def _message(message: Object, ticket: Object | None, context: _Context) -> list[TicketEvent]:
    name = required(message.get("id"), "message.id")
    at = written(message.get("created_datetime"), "message.created_datetime")
    stated = Attributes() if ticket is None else _attributes(ticket, at, context)
    who = _writer(message, context)
    private = message.get("channel") == "internal-note" or not _flag(message.get("public", True), "message.public")
    added = Message(
        id=name,
        visibility=Visibility.PRIVATE if private else Visibility.PUBLIC,
        author=who.kind,
        opening=opening(at, stated.created_at),
    )
    happening = Happening(
        context.delivery, required(message.get("ticket_id"), "ticket_id"), at, (name,), actor=who, ticket=stated
    )
    return [happening.tells(Kind.MESSAGE_ADDED, message=added)]


def _writer(message: Object, context: _Context) -> Actor:
    if message.get("from_agent") is None:
        raise Invalid(Reason.MISSING_FIELD, "message.from_agent is missing: who wrote cannot be known")
    sender = message.get("sender")
    user = sender.get("id") if isinstance(sender, dict) else message.get("sender_id")
    writer = identifier(user, "message.sender.id")
    if not _flag(message["from_agent"], "message.from_agent"):
        return customer(writer, context.hash_key)
    if message.get("rule_id") is not None or str(message.get("via")).lower() in _BY_ITSELF:
        return Actor(ActorKind.BOT)
    return staff(writer, context.options.bots)


def _flag(value: Any, path: str) -> bool:
    if value is None or isinstance(value, bool):
        return bool(value)
    text = str(value).strip().lower()
    if text not in ("true", "false", "1", "0"):
        raise Invalid(Reason.BAD_VALUE, f"{path} must be true or false")
    return text in ("true", "1")


def _attributes(ticket: Object, at: datetime, context: _Context) -> Attributes:
    options = context.options
    tags = _tags(ticket["tags"]) if "tags" in ticket else UNSET
    via = ticket.get("channel")
    return Attributes(
        status=_status(ticket, at, options) if ticket.get("status") else UNSET,
        priority=own_words.priority(ticket["priority"], PRIORITIES, options.priorities, "ticket.priority")
        if "priority" in ticket
        else UNSET,
        channel=channel(via, _CHANNELS) if isinstance(via, str) else UNSET,
        team=_holder(ticket, "assignee_team"),
        agent=_holder(ticket, "assignee_user"),
        tier=UNSET if isinstance(tags, UnsetType) else tier(tags, options.tiers),
        tags=tags,
        requester=_requester(ticket, context.hash_key),
        created_at=written(ticket["created_datetime"], "ticket.created_datetime")
        if ticket.get("created_datetime")
        else UNSET,
    )


def _status(ticket: Object, at: datetime, options: Options) -> Status:
    found = own_words.status(ticket["status"], _STATUSES, options.statuses, "ticket.status")
    until = ticket.get("snooze_datetime")
    if found is Status.CLOSED and until and written(until, "ticket.snooze_datetime") > at:
        return options.snoozed
    return found


def _holder(ticket: Object, name: str) -> str | UnsetType | None:
    """``assignee_user_id``, or the id within ``assignee_user``; null is nobody, absent says nothing."""
    if f"{name}_id" in ticket:
        return identifier(ticket[f"{name}_id"], f"ticket.{name}_id")
    if name not in ticket:
        return UNSET
    holder = ticket[name]
    return identifier(holder.get("id"), f"ticket.{name}.id") if isinstance(holder, dict) else None


def _requester(ticket: Object, hash_key: bytes) -> str | UnsetType:
    """By the customer's id. A template that has only the address gives another pseudonym, and no address."""
    person = ticket.get("customer")
    given = person.get("id") if isinstance(person, dict) else ticket.get("customer_id")
    user = identifier(given, "ticket.customer_id")
    if user is None and isinstance(ticket.get("customer_email"), str):
        user = ticket["customer_email"].strip().lower()
    return pseudonym(hash_key, user) if user else UNSET


def _tags(value: Any) -> tuple[str, ...]:
    """A list of objects in a whole ticket, text separated by commas in a template."""
    if isinstance(value, list):
        names: list[Any] = [tag.get("name") if isinstance(tag, dict) else tag for tag in value]
    else:
        names = str(value or "").split(",")
    if not all(isinstance(name, str) for name in names):
        raise Invalid(Reason.BAD_VALUE, "ticket.tags must be a list of tags with names")
    return tuple(sorted({str(name).strip() for name in names} - {""}))
