"""Freshdesk: what an automation rule posts, either its "Simple" body or our template (``freshdesk.v1``).

https://support.freshdesk.com/support/solutions/articles/132589. The template is in docs/guides/connect-freshdesk.md.
Its ``event`` is a constant that goes with the rule's condition. Without one, or with ``updated``,
``triggered_event`` says what happened; Freshdesk names only the first of several changes there.

Freshdesk sends neither an id nor a time: an event happened when it was received, and is identified by the bytes of
the body within :data:`WINDOW_S`, because a second reply may render to the same body as the first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
from msgspec import UNSET, UnsetType, structs

from schemas.failure import Invalid, Reason
from schemas.instant import SECOND_US, from_datetime
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
from services.ingest.normalise.fields import Object, identifier, instant, obj, pseudonym, required, word
from services.ingest.normalise.happening import Happening
from services.ingest.normalise.moment import zone_of
from services.ingest.normalise.own_words import PRIORITIES as SHARED
from services.ingest.normalise.own_words import priority, status
from services.ingest.normalise.people import customer
from services.ingest.normalise.personal import stated
from services.ingest.normalise.reading import json_object, options_of
from services.ingest.normalise.template import rendered
from services.ingest.normalise.vocabulary import channel, extended, tier

SCHEMA: Final = "freshdesk.v1"
WINDOW_S: Final = 120
"""Two equal bodies this close together are one webhook sent twice; further apart they are two events."""

STATUSES: Final[Mapping[str, Status]] = {
    "2": Status.OPEN,
    "3": Status.PENDING,
    "4": Status.SOLVED,
    "5": Status.CLOSED,
    "open": Status.OPEN,
    "pending": Status.PENDING,
    "resolved": Status.SOLVED,
    "closed": Status.CLOSED,
    "waiting on customer": Status.PENDING,
    "waiting on third party": Status.ON_HOLD,
}
"""Codes from 6 on differ between accounts, so there the name counts."""

PRIORITIES: Final[Mapping[str, Priority]] = {
    "1": Priority.LOW,
    "2": Priority.NORMAL,
    "3": Priority.HIGH,
    "4": Priority.URGENT,
    **SHARED,
}
RATINGS: Final[Mapping[str, int]] = {
    "103": 3,
    "102": 2,
    "101": 1,
    "100": 0,
    "-101": -1,
    "-102": -2,
    "-103": -3,
    "extremely happy": 3,
    "very happy": 2,
    "happy": 1,
    "neutral": 0,
    "unhappy": -1,
    "very unhappy": -2,
    "extremely unhappy": -3,
}
"""https://developers.freshdesk.com/api/#satisfaction-ratings"""

EVENTS: Final[Mapping[str, Kind]] = {
    "created": Kind.CREATED,
    "updated": Kind.UPDATED,
    "status_changed": Kind.STATUS_CHANGED,
    "priority_changed": Kind.PRIORITY_CHANGED,
    "assignment_changed": Kind.ASSIGNMENT_CHANGED,
    "reply_agent": Kind.MESSAGE_ADDED,
    "reply_customer": Kind.MESSAGE_ADDED,
    "note_public": Kind.MESSAGE_ADDED,
    "note_private": Kind.MESSAGE_ADDED,
    "csat": Kind.CSAT_RECEIVED,
}
FIELDS: Final = (
    *("event", "triggered_event", "ticket_id", "ticket_status", "ticket_priority", "ticket_tags", "ticket_source"),
    *("ticket_agent_id", "ticket_agent_email", "ticket_group_name", "ticket_product", "ticket_company"),
    *("ticket_requester_email", "requester_email", "ticket_created_at", "csat_rating"),
)
"""Every field that is read; ``ticket_id`` and one of ``event`` and ``triggered_event`` must be there."""

_CHANNELS: Final[Mapping[str, str]] = {
    "1": "email",
    "2": "web",
    "3": "voice",
    "7": "chat",
    "9": "web",
    "10": "email",
    "portal": "web",
    "phone": "voice",
    "feedback_widget": "web",
    "outbound_email": "email",
}
_ACTIONS: Final[Mapping[tuple[str, str], str]] = {
    ("ticket_action", "created"): "created",
    ("note_type", "public"): "note_public",
    ("note_type", "private"): "note_private",
    ("reply_sent", "sent"): "reply_agent",
}
_AGENTS: Final = ("agent_id", "responder_id")
_CHANGES: Final[Mapping[str, str]] = {
    "status": "status_changed",
    "priority": "priority_changed",
    "agent_id": "assignment_changed",
    "responder_id": "assignment_changed",
    "group_id": "assignment_changed",
    "ticket_type": "updated",
    "type": "updated",
    "source": "updated",
    "product_id": "updated",
    "due_by": "updated",
}
_CHANGE = re.compile(r"\{*\s*(\w+)\s*:\s*\{\s*from\s*:\s*([^,{}]*),\s*to\s*:\s*([^,{}]*)\}*")
_ACTION = re.compile(r"\{*\s*(\w+)\s*:\s*(\w+)\s*\}*")
_NOBODY: Final = frozenset({"", "nil", "null", "none", "-", "*", "any", "0"})
_DATE: Final = "%b %d, %Y at %I:%M %p"


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``options`` of a Freshdesk source.

    ``statuses`` and ``priorities``: own statuses and your language's words, by name or by code, each with ours.
    ``ratings``: the answers of your survey, each from -3 (worst) to 3. ``timezone``: the account's, in which
    ``ticket_created_at`` is rendered. ``agents``: address → the id to show for this agent, in place of a pseudonym.
    ``tiers``: tag → tier, the first that the ticket has counts.
    """

    teams: dict[str, str] = {}
    statuses: dict[str, Status] = {}
    priorities: dict[str, Priority] = {}
    ratings: dict[str, int] = {}
    timezone: str | None = None
    agents: dict[str, str] = {}
    tiers: dict[str, str] = {}

    def __post_init__(self) -> None:
        if self.timezone is not None:
            zone_of(self.timezone)
        if not all(-3 <= answer <= 3 for answer in self.ratings.values()):
            raise ValueError("ratings go from -3 (worst) to 3 (best)")


class _Change(msgspec.Struct, frozen=True):
    """What ``triggered_event`` tells: which of our events, the property, and its codes before and after."""

    event: str
    name: str = ""
    previous: str = ""
    to: str = ""


def normalise(delivery: Delivery, settings: SourceSettings) -> list[TicketEvent]:
    """The event of one rule's webhook; none for a change that changed nothing. Raises :class:`Invalid`."""
    body = json_object(delivery, settings, "a Freshdesk webhook")
    return stated(_events(body, delivery, settings), body, delivery.vendor, settings.keep)


def _events(body: Object, delivery: Delivery, settings: SourceSettings) -> list[TicketEvent]:
    options = options_of(settings, Options)
    fields = _fields(body)
    change = _change(fields)
    happening = Happening(
        delivery,
        required(fields.get("ticket_id"), "ticket_id"),
        delivery.received_at,
        _identity(delivery),
        ticket=_attributes(fields, settings.hash_key, options),
    )
    found = _parts(change, fields, happening.ticket, options)
    return [] if found is None else [happening.tells(EVENTS[change.event], **found)]


def _fields(body: Object) -> Object:
    if "freshdesk_webhook" in body:
        fields = obj(body, "freshdesk_webhook", "freshdesk_webhook")
    elif body.get("schema") == SCHEMA:
        fields = body
    else:
        raise Invalid(
            Reason.UNSUPPORTED_FORMAT,
            f"neither a rule's simple body (freshdesk_webhook) nor our template (schema {SCHEMA}): paste the template "
            "of docs/guides/connect-freshdesk.md into the rule's webhook",
        )
    return rendered(fields, FIELDS)


def _identity(delivery: Delivery) -> tuple[str, str]:
    return delivery.digest, str(from_datetime(delivery.received_at) // (WINDOW_S * SECOND_US))


def _change(fields: Object) -> _Change:
    given = str(fields.get("event") or "").strip().lower().removeprefix("ticket.")
    triggered = str(fields.get("triggered_event") or "").strip()
    if given and given not in EVENTS:
        raise Invalid(Reason.UNKNOWN_TYPE, f"event is none of: {', '.join(EVENTS)}")
    if not triggered:
        if not given:
            raise Invalid(
                Reason.MISSING_FIELD,
                "nothing says what happened: add the constant event to the rule's webhook (one of "
                f"{', '.join(EVENTS)}) or the placeholder triggered_event",
            )
        return _Change(given)
    if given in ("", "updated"):
        return _triggered(triggered)
    try:
        read = _triggered(triggered)
    except Invalid:
        return _Change(given)
    return read if read.event == given else _Change(given)


def _triggered(text: str) -> _Change:
    """``{status:{from:4,to:6}}`` and ``{note_type:private}``, which look like JSON and are not."""
    if (changed := _CHANGE.fullmatch(text)) and (event := _CHANGES.get(changed[1].lower())):
        return _Change(event, changed[1].lower(), _code(changed[2]), _code(changed[3]))
    if (action := _ACTION.fullmatch(text)) and (event := _ACTIONS.get((action[1].lower(), action[2].lower()))):
        return _Change(event)
    raise Invalid(
        Reason.UNKNOWN_TYPE,
        "triggered_event tells of something that this version does not know: give the rule's webhook a constant "
        f"event, one of {', '.join(EVENTS)}",
    )


def _code(text: str) -> str:
    plain = text.strip().strip("\"'")
    return "" if plain.lower() in _NOBODY else plain


def _parts(change: _Change, fields: Object, ticket: Attributes, options: Options) -> dict[str, Any] | None:
    """What the event of ``change`` carries beside what all have; ``None`` when nothing changed."""
    if change.name and change.previous == change.to:
        return None
    match change.event:
        case "status_changed":
            moved = _status_change(change, ticket, options)
            stated = structs.replace(ticket, status=moved.to)
            return None if moved.to is moved.previous else {"status": moved, "ticket": stated}
        case "priority_changed":
            raised = _priority_change(change, ticket, options)
            stated = structs.replace(ticket, priority=raised.to)
            return None if raised.to is raised.previous else {"priority": raised, "ticket": stated}
        case "assignment_changed":
            assignment = _assignment(change, ticket)
            held = {name: value for name in ("agent", "team") if (value := getattr(assignment, name)) is not UNSET}
            return {"assignment": assignment, "ticket": structs.replace(ticket, **held)}
        case "reply_customer":
            return {"actor": _requester(ticket), "message": Message(author=ActorKind.CUSTOMER)}
        case "reply_agent" | "note_public" | "note_private":
            shown = Visibility.PRIVATE if change.event == "note_private" else Visibility.PUBLIC
            return {"actor": Actor(ActorKind.AGENT), "message": Message(visibility=shown, author=ActorKind.AGENT)}
        case "csat":
            return {"actor": _requester(ticket), "rating": _rating(fields, options)}
        case _:
            return {}


def _requester(ticket: Attributes) -> Actor:
    return Actor(ActorKind.CUSTOMER, ticket.requester if isinstance(ticket.requester, str) else None)


def _status_change(change: _Change, ticket: Attributes, options: Options) -> StatusChange:
    known = extended(STATUSES, options.statuses)
    to = known.get(change.to) or ticket.status
    if isinstance(to, UnsetType):
        raise Invalid(Reason.MISSING_FIELD, "ticket_status is missing, and the event is status_changed")
    return StatusChange(to, known.get(change.previous))


def _priority_change(change: _Change, ticket: Attributes, options: Options) -> PriorityChange:
    known = extended(PRIORITIES, options.priorities)
    to = known.get(change.to) or ticket.priority
    if isinstance(to, UnsetType):
        raise Invalid(Reason.MISSING_FIELD, "ticket_priority is missing, and the event is priority_changed")
    return PriorityChange(to, known.get(change.previous))


def _assignment(change: _Change, ticket: Attributes) -> Assignment:
    """The template names holders better than a code does; the code tells that there is none."""
    if change.name in _AGENTS:
        named = ticket.agent if isinstance(ticket.agent, str) else change.to or None
        return Assignment(agent=named if change.to else None)
    if change.name == "group_id":
        named = ticket.team if isinstance(ticket.team, str) else change.to or None
        return Assignment(team=named if change.to else None)
    if isinstance(ticket.agent, UnsetType) and isinstance(ticket.team, UnsetType):
        raise Invalid(
            Reason.MISSING_FIELD,
            "ticket_agent_email or ticket_group_name is missing, and the event is assignment_changed",
        )
    return Assignment(ticket.agent, ticket.team)


def _rating(fields: Object, options: Options) -> Rating:
    answer = word(
        str(fields.get("csat_rating") or ""),
        extended(RATINGS, options.ratings),
        "csat_rating (add your survey's answers to options.ratings)",
    )
    return Rating(float(answer), best=3.0, worst=-3.0, positive=answer > 0)


def _attributes(fields: Object, hash_key: bytes, options: Options) -> Attributes:
    def given(name: str, read: Callable[[Any], Any]) -> Any:
        return read(fields[name]) if name in fields else UNSET

    tags: tuple[str, ...] | UnsetType = given("ticket_tags", _tags)
    return Attributes(
        status=status(fields["ticket_status"], STATUSES, options.statuses, "ticket_status")
        if fields.get("ticket_status")
        else UNSET,
        priority=given(
            "ticket_priority", lambda value: priority(value, PRIORITIES, options.priorities, "ticket_priority")
        ),
        channel=given("ticket_source", lambda value: channel(str(value or ""), _CHANNELS)),
        team=_named(fields, "ticket_group_name"),
        agent=_agent(fields, hash_key, options),
        brand=_named(fields, "ticket_product"),
        tier=UNSET if isinstance(tags, UnsetType) else tier(tags, options.tiers),
        tags=tags,
        requester=_customer(fields, hash_key),
        organisation=_named(fields, "ticket_company"),
        created_at=_created_at(fields["ticket_created_at"], options) if fields.get("ticket_created_at") else UNSET,
    )


def _named(fields: Object, name: str) -> str | UnsetType | None:
    return _known(identifier(fields[name], name)) if name in fields else UNSET


def _known(text: str | None) -> str | None:
    return None if text is None or text.lower() in _NOBODY else text


def _tags(value: Any) -> tuple[str, ...]:
    return tuple(sorted({tag.strip() for tag in str(value or "").split(",")} - {""}))


def _agent(fields: Object, hash_key: bytes, options: Options) -> str | UnsetType | None:
    """An agent's id. Where only the address is known, what the site calls this agent, else a pseudonym."""
    if "ticket_agent_id" in fields:
        return _named(fields, "ticket_agent_id")
    address = _named(fields, "ticket_agent_email")
    if not isinstance(address, str):
        return address
    shown = {text.lower(): name for text, name in options.agents.items()}.get(address.lower())
    return shown or pseudonym(hash_key, f"agent:{address.lower()}")


def _customer(fields: Object, hash_key: bytes) -> str | UnsetType | None:
    name = "ticket_requester_email" if "ticket_requester_email" in fields else "requester_email"
    address = _named(fields, name)
    return customer(address.lower(), hash_key).id if isinstance(address, str) else address


def _created_at(value: Any, options: Options) -> datetime:
    text = str(value).strip()
    try:
        local = datetime.strptime(text, _DATE)  # noqa: DTZ007  # the account's zone is given below
    except ValueError:
        return instant(text, "ticket_created_at")
    if options.timezone is None:
        raise Invalid(
            Reason.BAD_VALUE,
            "ticket_created_at has no offset from UTC: set options.timezone to the zone of the Freshdesk account",
        )
    return local.replace(tzinfo=ZoneInfo(options.timezone)).astimezone(UTC)
