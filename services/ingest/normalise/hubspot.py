"""HubSpot: arrays of thin items, each of which tells one new value of one property.

https://developers.hubspot.com/docs/api-reference/webhooks-webhooks-v3/guide. An item holds neither the old value nor
the rest of the ticket, so an event states what its item says and nothing else. Tickets are told as ``ticket.*`` or,
with ``objectTypeId`` 0-5, as ``object.*``; both together make one event of each change. Threads of the conversations
inbox are tickets of their own here, ``thread-<id>``: their ids are not those of CRM tickets.

An item that cannot be read does not cost the others, see :mod:`services.ingest.normalise.batch`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from schemas.failure import Invalid, Reason
from schemas.ticket import (
    Actor,
    ActorKind,
    Assignment,
    Attributes,
    Kind,
    Merge,
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
from services.ingest.normalise.batch import each
from services.ingest.normalise.epoch import from_milliseconds
from services.ingest.normalise.fields import Object, identifier, required
from services.ingest.normalise.happening import Happening
from services.ingest.normalise.own_words import PRIORITIES
from services.ingest.normalise.reading import json_value, options_of
from services.ingest.normalise.scale import Scale, answer

STAGES: Final[Mapping[str, Status]] = {
    "1": Status.NEW,
    "2": Status.PENDING,
    "3": Status.OPEN,
    "4": Status.CLOSED,
}
"""The stages of HubSpot's own support pipeline: new, waiting on contact, waiting on us, closed."""

_THREADS: Final[Mapping[str, Status]] = {"open": Status.OPEN, "closed": Status.CLOSED}
_TICKET: Final = "0-5"
_KINDS: Final[Mapping[str, Kind]] = {
    "creation": Kind.CREATED,
    "deletion": Kind.DELETED,
    "privacydeletion": Kind.DELETED,
    "restore": Kind.RESTORED,
}
_SOURCES: Final[Mapping[str, ActorKind]] = {
    "CRM_UI": ActorKind.AGENT,
    "CRM_UI_BULK_ACTION": ActorKind.AGENT,
    "MOBILE_IOS": ActorKind.AGENT,
    "MOBILE_ANDROID": ActorKind.AGENT,
    "FORM": ActorKind.CUSTOMER,
    "API": ActorKind.SYSTEM,
    "INTEGRATION": ActorKind.SYSTEM,
    "AUTOMATION_PLATFORM": ActorKind.SYSTEM,
    "WORKFLOWS": ActorKind.SYSTEM,
    "CALCULATED": ActorKind.SYSTEM,
    "IMPORT": ActorKind.SYSTEM,
}
"""``changeSource`` where it tells who acted; of the others nothing is said."""

_OTHER_OBJECTS: Final = frozenset({"contact", "company", "deal", "product", "line_item", "quote"})


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``options`` of a HubSpot source.

    ``stages``: the ids of your pipelines' stages, each with our status. ``priorities``: your own priorities.
    ``csat``: ticket properties that hold the answer of a satisfaction survey, each with its scale.
    """

    teams: dict[str, str] = {}
    stages: dict[str, Status] = {}
    priorities: dict[str, Priority] = {}
    csat: dict[str, Scale] = {}


def normalise(delivery: Delivery, settings: SourceSettings) -> list[TicketEvent]:
    """The events of every item. Raises :class:`Invalid`, or its kind :class:`PartlyInvalid`."""
    body = json_value(delivery, settings)
    if not isinstance(body, list):
        raise Invalid(
            Reason.UNSUPPORTED_FORMAT,
            "a HubSpot app posts a JSON array of changes; the webhook of a workflow is another format: subscribe an "
            "app's webhooks to tickets instead, see docs/guides/connect-hubspot.md",
        )
    options = options_of(settings, Options)
    return each(body, lambda item: _events(item, delivery, options))


def _events(item: Any, delivery: Delivery, options: Options) -> list[TicketEvent]:
    if not isinstance(item, dict):
        raise Invalid(Reason.NOT_AN_EVENT, "a change is a JSON object")
    given = item.get("subscriptionType", item.get("eventType"))
    if not isinstance(given, str):
        raise Invalid(Reason.MISSING_FIELD, "subscriptionType is missing")
    subject, _, change = given.lower().partition(".")
    if subject == "object":
        if not isinstance(item.get("objectTypeId"), str):
            raise Invalid(Reason.MISSING_FIELD, "objectTypeId is missing")
        if item["objectTypeId"] != _TICKET:
            return []
        subject = "ticket"
    if subject in _OTHER_OBJECTS:
        return []
    if subject not in ("ticket", "conversation"):
        raise Invalid(Reason.UNKNOWN_TYPE, "subscriptionType is of an object that this version does not know")
    return _changed(subject, change, item, delivery, options)


def _changed(subject: str, change: str, item: Object, delivery: Delivery, options: Options) -> list[TicketEvent]:
    name = str(item.get("propertyName") or "").strip().lower()
    match subject, change:
        case _, "propertychange":
            return _property(subject, name, item, delivery, options)
        case _, "creation" | "deletion" | "privacydeletion" | "restore":
            return [_happening(subject, change, item, delivery).tells(_KINDS[change])]
        case "ticket", "merge":
            return _merged(item, delivery)
        case "ticket", "associationchange":
            return []
        case "conversation", "newmessage":
            return [_message(item, delivery)]
        case _:
            raise Invalid(Reason.UNKNOWN_TYPE, "subscriptionType is one that this version does not know")


def _happening(subject: str, change: str, item: Object, delivery: Delivery, value: str = "") -> Happening:
    """Named by the change itself: HubSpot does not promise that ``eventId`` is unique, and two subscriptions may
    tell of one change."""
    at = from_milliseconds(item.get("occurredAt"), "occurredAt")
    thing = required(item.get("objectId"), "objectId")
    portal = identifier(item.get("portalId"), "portalId") or ""
    return Happening(
        delivery=delivery,
        ticket_id=thing if subject == "ticket" else f"thread-{thing}",
        at=at,
        identity=(portal, subject, thing, change, value, at.isoformat()),
        actor=_actor(item),
    )


def _actor(item: Object) -> Actor | None:
    kind = _SOURCES.get(str(item.get("changeSource")).upper())
    if kind is None:
        return None
    _, _, user = str(item.get("sourceId") or "").partition("userId:")
    return Actor(kind, identifier(user, "sourceId") if kind is ActorKind.AGENT else None)


def _property(subject: str, name: str, item: Object, delivery: Delivery, options: Options) -> list[TicketEvent]:
    if not name:
        raise Invalid(Reason.MISSING_FIELD, "propertyName is missing")
    reader = {
        ("ticket", "hs_pipeline_stage"): _stage,
        ("ticket", "hs_ticket_priority"): _priority,
        ("ticket", "hubspot_owner_id"): _owner,
        ("ticket", "hubspot_team_id"): _team,
        ("conversation", "status"): _thread_status,
        ("conversation", "assignedto"): _thread_owner,
    }.get((subject, name))
    if reader is None and subject == "ticket" and name in {own.lower() for own in options.csat}:
        reader = _csat
    if reader is None:
        return []
    if "propertyValue" not in item:
        raise Invalid(Reason.MISSING_FIELD, "propertyValue is missing (an empty text would say: none)")
    kind, parts = reader(item, options)
    happening = _happening(subject, name, item, delivery, str(item["propertyValue"]))
    return [] if kind is None else [happening.tells(kind, **parts)]


_Read = tuple[Kind | None, dict[str, Any]]


def _status(status: Status) -> _Read:
    return Kind.STATUS_CHANGED, {"status": StatusChange(status), "ticket": Attributes(status=status)}


def _stage(item: Object, options: Options) -> _Read:
    stage = required(item["propertyValue"], "propertyValue")
    stages = {**STAGES, **options.stages}
    if stage not in stages:
        raise Invalid(
            Reason.BAD_VALUE,
            "propertyValue is the id of a pipeline stage that is not known: add it to options.stages",
        )
    return _status(stages[stage])


def _thread_status(item: Object, _: Options) -> _Read:
    return _status(own_words.status(item["propertyValue"], _THREADS, {}, "propertyValue"))


def _priority(item: Object, options: Options) -> _Read:
    to = own_words.priority(item["propertyValue"], PRIORITIES, options.priorities, "propertyValue")
    return Kind.PRIORITY_CHANGED, {"priority": PriorityChange(to), "ticket": Attributes(priority=to)}


def _owner(item: Object, _: Options) -> _Read:
    agent = identifier(item["propertyValue"], "propertyValue")
    return Kind.ASSIGNMENT_CHANGED, {"assignment": Assignment(agent=agent), "ticket": Attributes(agent=agent)}


def _thread_owner(item: Object, options: Options) -> _Read:
    return _owner({"propertyValue": str(item["propertyValue"] or "").removeprefix("A-")}, options)


def _team(item: Object, _: Options) -> _Read:
    team = identifier(item["propertyValue"], "propertyValue")
    return Kind.ASSIGNMENT_CHANGED, {"assignment": Assignment(team=team), "ticket": Attributes(team=team)}


def _csat(item: Object, options: Options) -> _Read:
    name = str(item["propertyName"]).strip().lower()
    scale = next(scale for own, scale in options.csat.items() if own.lower() == name)
    rating = answer(item["propertyValue"], scale, "propertyValue")
    if rating is None:
        return None, {}
    return Kind.CSAT_RECEIVED, {"rating": rating, "actor": Actor(ActorKind.CUSTOMER)}


def _merged(item: Object, delivery: Delivery) -> list[TicketEvent]:
    """``objectId`` is the ticket that is left, or ``newObjectId`` where the merge made a new one."""
    gone = item.get("mergedObjectIds")
    if not isinstance(gone, list) or not gone:
        raise Invalid(Reason.MISSING_FIELD, "mergedObjectIds is missing")
    left = item.get("newObjectId") or item.get("primaryObjectId") or item.get("objectId")
    into = required(left, "primaryObjectId")
    names = sorted({required(one, "mergedObjectIds[]") for one in gone} - {into})
    return [
        _happening("ticket", "merge", {**item, "objectId": name}, delivery).tells(Kind.MERGED, merge=Merge(into))
        for name in names
    ]


def _message(item: Object, delivery: Delivery) -> TicketEvent:
    message = required(item.get("messageId"), "messageId")
    happening = _happening("conversation", "message", item, delivery, message)
    if str(item.get("messageType")).upper() == "COMMENT":
        note = Message(message, Visibility.PRIVATE, ActorKind.AGENT)
        return happening.tells(Kind.MESSAGE_ADDED, message=note, actor=Actor(ActorKind.AGENT))
    direction = str(item.get("messageDirection", item.get("direction")) or "").upper()
    author = {"INCOMING": ActorKind.CUSTOMER, "OUTGOING": ActorKind.AGENT}.get(direction)
    if author is None:
        raise Invalid(
            Reason.UNSUPPORTED_FORMAT,
            "HubSpot does not say whether a customer or an agent wrote this message: unsubscribe conversation."
            "newMessage, or let your app add messageDirection (INCOMING or OUTGOING), see "
            "docs/guides/connect-hubspot.md",
        )
    return happening.tells(Kind.MESSAGE_ADDED, message=Message(message, author=author), actor=Actor(author))
