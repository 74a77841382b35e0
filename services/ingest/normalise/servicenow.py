"""ServiceNow: what a business rule of ours posts, by the scripts in docs/guides/connect-servicenow.md.

ServiceNow has no webhooks of its own, so a body is read only when it says what happened: ``event`` (insert, update,
delete, comment), ``table``, the record now (``current``) and, for an update, as it was (``previous``).

Values are texts as ``toString()`` gives them, where nothing is an empty text, or references (``{"value": …}``). Times
have no zone and are UTC, unless the script takes the displayed values: then ``timezone`` says whose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

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
from services.ingest.normalise.fields import Object, identifier, obj, pseudonym, required
from services.ingest.normalise.happening import Happening
from services.ingest.normalise.moment import opening, written, zone_of
from services.ingest.normalise.people import customer, staff
from services.ingest.normalise.personal import stated
from services.ingest.normalise.reading import Context, json_object, options_of
from services.ingest.normalise.vocabulary import channel

_CASE: Final[Mapping[str, Status]] = {
    "1": Status.NEW,
    "10": Status.OPEN,
    "18": Status.PENDING,
    "6": Status.SOLVED,
    "3": Status.CLOSED,
}
_INCIDENT: Final[Mapping[str, Status]] = {
    "1": Status.NEW,
    "2": Status.OPEN,
    "3": Status.ON_HOLD,
    "6": Status.SOLVED,
    "7": Status.CLOSED,
    "8": Status.CLOSED,
}
STATES: Final[Mapping[str, Mapping[str, Status]]] = {"incident": _INCIDENT, "sn_customerservice_case": _CASE}
"""State codes as ServiceNow delivers them; every table has its own."""

PRIORITIES: Final[Mapping[str, Priority]] = {
    "1": Priority.URGENT,
    "2": Priority.HIGH,
    "3": Priority.NORMAL,
    "4": Priority.LOW,
    "5": Priority.LOW,
}
_CHANNELS: Final[Mapping[str, str]] = {"phone": "voice", "self-service": "web", "virtual_agent": "chat"}
_SEQUENCE_LIMIT: Final = 2**31


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``options`` of a ServiceNow source.

    ``states``: table → state code → our status, for tables and codes of your own. ``priorities``: code → ours.
    ``timezone``: of the times in the body, an IANA name. ``bots``: sys_ids of users that are programs.
    """

    teams: dict[str, str] = {}
    states: dict[str, dict[str, Status]] = {}
    priorities: dict[str, Priority] = {}
    timezone: str = "UTC"
    bots: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        zone_of(self.timezone)


@dataclass(frozen=True, slots=True)
class _Context(Context[Options]):
    zone: ZoneInfo
    table: str


def normalise(delivery: Delivery, settings: SourceSettings) -> list[TicketEvent]:
    """The events of one business rule's call. Raises :class:`Invalid`."""
    body = json_object(delivery, settings, "the body of the business rule")
    return stated(_events(body, delivery, settings), body, delivery.vendor, settings.keep)


def _events(body: Object, delivery: Delivery, settings: SourceSettings) -> list[TicketEvent]:
    name = _text(body, "event").lower().removesuffix("ed").removesuffix("e")
    if not name or not _text(body, "table"):
        raise Invalid(
            Reason.UNSUPPORTED_FORMAT,
            "the body does not say what happened (event) to a record of which table: use the script of "
            "docs/guides/connect-servicenow.md",
        )
    options = options_of(settings, Options)
    context = _Context(delivery, settings.hash_key, options, ZoneInfo(options.timezone), _text(body, "table"))
    match name:
        case "insert" | "creat":
            return [_inserted(body, context)]
        case "updat":
            return _updated(body, context)
        case "delet":
            return [_happening(body, context).tells(Kind.DELETED)]
        case "comment":
            return [_comment(body, context)]
        case _:
            raise Invalid(Reason.UNKNOWN_TYPE, "event is none of: insert, update, delete, comment")


def _text(parent: Object, name: str) -> str:
    """The value as text; of a reference its ``value``; empty where there is none. Raises on placeholders."""
    value = parent.get(name)
    if isinstance(value, dict):
        value = value.get("value")
    if isinstance(value, str) and "${" in value:
        raise Invalid(Reason.UNRENDERED_TEMPLATE, f"{name} still holds a placeholder: the body was not filled in")
    return identifier(value, name) or "" if not isinstance(value, bool) else str(value).lower()


def _inserted(body: Object, context: _Context) -> TicketEvent:
    happening = _happening(body, context)
    created = happening.ticket.created_at
    at = created if isinstance(created, datetime) else happening.at
    return happening.tells(Kind.CREATED, occurred_at=at)


def _happening(body: Object, context: _Context) -> Happening:
    current = obj(body, "current", "current")
    stated = _attributes(current, context)
    count = _text(body, "sys_mod_count")
    record = required(_text(body, "sys_id"), "sys_id")
    identity = _text(body, "event_id") or f"{record}:{required(count or None, 'event_id')}"
    return Happening(
        delivery=context.delivery,
        ticket_id=record,
        at=written(_text(body, "sys_updated_on"), "sys_updated_on", context.zone),
        identity=(identity,),
        actor=_actor(body, stated, context),
        ticket=stated,
        # Two updates may fall into one second, which is as fine as ServiceNow's times are.
        sequence=min(int(count), _SEQUENCE_LIMIT) if count.isascii() and count.isdigit() else 0,
    )


def _actor(body: Object, stated: Attributes, context: _Context) -> Actor | None:
    """By ``user_id`` and ``user_is_agent`` of our script; the name in ``sys_updated_by`` is not taken."""
    user = _text(body, "user_id") or None
    if user is None:
        return Actor(ActorKind.SYSTEM) if _text(body, "sys_updated_by").lower() == "system" else None
    if isinstance(stated.requester, str) and pseudonym(context.hash_key, user) == stated.requester:
        return customer(user, context.hash_key)
    match _text(body, "user_is_agent"):
        case "true":
            return staff(user, context.options.bots)
        case "false":
            return customer(user, context.hash_key)
        case _:
            return None


def _updated(body: Object, context: _Context) -> list[TicketEvent]:
    happening = _happening(body, context)
    if not isinstance(body.get("previous"), dict):
        return [happening.tells(Kind.UPDATED)]
    before, now = _attributes(body["previous"], context), happening.ticket
    found = []
    if isinstance(now.status, Status) and isinstance(before.status, Status) and now.status is not before.status:
        found.append(happening.tells(Kind.STATUS_CHANGED, status=StatusChange(now.status, before.status)))
    was, priority = before.priority, now.priority
    if not isinstance(priority, UnsetType) and not isinstance(was, UnsetType) and priority is not was:
        found.append(happening.tells(Kind.PRIORITY_CHANGED, priority=PriorityChange(priority, was)))
    held = {
        name: getattr(now, name)
        for name in ("agent", "team")
        if UNSET not in (getattr(before, name), getattr(now, name)) and getattr(before, name) != getattr(now, name)
    }
    if held:
        found.append(happening.tells(Kind.ASSIGNMENT_CHANGED, assignment=Assignment(**held)))
    return found


def _comment(body: Object, context: _Context) -> TicketEvent:
    """A journal entry: ``comments`` are for the customer, ``work_notes`` for the team."""
    current = body.get("current")
    stated = _attributes(current, context) if isinstance(current, dict) else Attributes()
    entry = required(_text(body, "event_id"), "event_id")
    element = _text(body, "element")
    if element not in ("comments", "work_notes"):
        raise Invalid(Reason.BAD_VALUE, "element is none of: comments, work_notes")
    who = _actor(body, stated, context)
    if who is None:
        if element == "comments":
            raise Invalid(Reason.MISSING_FIELD, "user_id or user_is_agent is missing: who wrote cannot be known")
        who = Actor(ActorKind.AGENT)
    at = written(_text(body, "sys_created_on"), "sys_created_on", context.zone)
    happening = Happening(
        context.delivery, required(_text(body, "sys_id"), "sys_id"), at, (entry,), actor=who, ticket=stated
    )
    message = Message(
        id=entry,
        visibility=Visibility.PUBLIC if element == "comments" else Visibility.PRIVATE,
        author=who.kind,
        opening=opening(at, stated.created_at),
    )
    return happening.tells(Kind.MESSAGE_ADDED, message=message)


def _attributes(record: Object, context: _Context) -> Attributes:
    def named(*fields: str) -> str | UnsetType | None:
        field = next((field for field in fields if field in record), None)
        return UNSET if field is None else _text(record, field) or None

    options = context.options
    caller = named("caller_id", "contact", "opened_for")
    opened = next((field for field in ("opened_at", "sys_created_on") if _text(record, field)), None)
    via = _text(record, "contact_type")
    state = _text(record, "state")
    return Attributes(
        status=_status(state, context) if state else UNSET,
        priority=own_words.priority(_text(record, "priority"), PRIORITIES, options.priorities, "priority")
        if "priority" in record
        else UNSET,
        channel=channel(via, _CHANNELS) if via else UNSET,
        team=named("assignment_group"),
        agent=named("assigned_to"),
        requester=pseudonym(context.hash_key, caller) if isinstance(caller, str) else caller,
        organisation=named("company", "account"),
        created_at=UNSET if opened is None else written(_text(record, opened), opened, context.zone),
    )


def _status(state: str, context: _Context) -> Status:
    found = {**STATES.get(context.table, {}), **context.options.states.get(context.table, {})}.get(state)
    if found is None:
        raise Invalid(Reason.BAD_VALUE, "state is a code that is not known for this table: add it to options.states")
    return found
