"""What a record-triggered flow or an outbound message tells by name: one happening to a case, or a message of it.

The names are in :data:`services.ingest.normalise.salesforce_record.EVENTS`. The record says the new values; a flow may
add ``previousStatus`` and its kin.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import UnsetType, structs

from schemas.failure import Invalid, Reason
from schemas.ticket import (
    Actor,
    ActorKind,
    Assignment,
    Attributes,
    Escalation,
    Kind,
    Merge,
    Message,
    PriorityChange,
    StatusChange,
    TicketEvent,
    Visibility,
)
from services.ingest.normalise.fields import Object, identifier
from services.ingest.normalise.happening import Happening
from services.ingest.normalise.people import customer, staff
from services.ingest.normalise.salesforce_record import (
    EVENTS,
    Context,
    attributes,
    flag,
    holder,
    needed_id,
    priority_of,
    ratings,
    record_id,
    status_of,
    time_of,
)

_DRAFT: Final = "5"
_OUTSIDE: Final = ("csp", "customer", "powercustomer", "highvolume", "guest", "powerpartner", "partner")
_PROGRAM: Final = ("automatedprocess", "cloudintegrationuser")


def told(name: str, before: Object, record: Object, context: Context) -> list[TicketEvent]:
    """The event called ``name`` of ``record``. ``before`` has ``previousStatus``, ``previousPriority`` and
    ``previousOwnerId`` where the sender gives them. Raises :class:`Invalid`."""
    kind = EVENTS[name]
    if kind is Kind.MESSAGE_ADDED:
        return message(name == "email_message_created", record, context)
    happening = _happening(kind, record, context)
    parts = _parts(kind, before, record, happening.ticket, context)
    found = [] if parts is None else [happening.tells(kind, **parts)]
    return found if kind is Kind.DELETED else [*found, *_rated(happening, record, context)]


def _rated(happening: Happening, record: Object, context: Context) -> list[TicketEvent]:
    """An answer stays in its field, so it comes with every later snapshot: named by itself, it is one event."""
    who = Actor(ActorKind.CUSTOMER, _text(happening.ticket.requester))
    return [
        happening.tells(Kind.CSAT_RECEIVED, happening.ticket_id, name, str(rating.score), actor=who, rating=rating)
        for name, rating in ratings(record, context.options)
    ]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _happening(kind: Kind, record: Object, context: Context) -> Happening:
    case = needed_id(record.get("Id"), "record.Id")
    field = "CreatedDate" if kind is Kind.CREATED else "LastModifiedDate"
    at = time_of(record, field) or time_of(record, "LastModifiedDate")
    if at is None:
        raise Invalid(Reason.MISSING_FIELD, f"record.{field} is missing: when it happened")
    identity = (case,) if kind is Kind.CREATED else (case, at.isoformat())
    return Happening(context.delivery, case, at, identity, ticket=attributes(record, context))


def _parts(kind: Kind, before: Object, record: Object, ticket: Attributes, context: Context) -> dict[str, Any] | None:
    """The object that the kind needs; ``None`` when nothing changed."""
    options = context.options
    match kind:
        case Kind.STATUS_CHANGED:
            to = status_of({"Status": before.get("newStatus"), **record}, options)
            if isinstance(to, UnsetType):
                raise Invalid(Reason.MISSING_FIELD, "record.Status is missing, and the event is about it")
            previous = status_of({"Status": before.get("previousStatus")}, options)
            if to is previous:
                return None
            change = StatusChange(to, None if isinstance(previous, UnsetType) else previous)
            return {"status": change, "ticket": structs.replace(ticket, status=to)}
        case Kind.PRIORITY_CHANGED:
            if "Priority" not in record:
                raise Invalid(Reason.MISSING_FIELD, "record.Priority is missing, and the event is about it")
            now = priority_of(record["Priority"], options)
            was = priority_of(before.get("previousPriority"), options)
            return None if "previousPriority" in before and now is was else {"priority": PriorityChange(now, was)}
        case Kind.ASSIGNMENT_CHANGED:
            if "OwnerId" not in record:
                raise Invalid(Reason.MISSING_FIELD, "record.OwnerId is missing, and the event is about it")
            owner = record_id(record["OwnerId"], "record.OwnerId")
            same = "previousOwnerId" in before and record_id(before["previousOwnerId"], "previousOwnerId") == owner
            return None if same else {"assignment": Assignment(**holder(owner))}
        case Kind.MERGED:
            return {"merge": Merge(needed_id(record.get("MasterRecordId"), "record.MasterRecordId"))}
        case Kind.ESCALATION_RAISED | Kind.ESCALATION_CLEARED:
            return {"escalation": Escalation("IsEscalated")}
        case _:
            return {}


def message(is_email: bool, record: Object, context: Context) -> list[TicketEvent]:
    """An e-mail, or a comment, of a case; nothing for a draft and for mail that belongs to something else."""
    case = record_id(record.get("ParentId"), "record.ParentId")
    if case is None or (is_email and str(record.get("Status")) == _DRAFT):
        return []
    name = needed_id(record.get("Id"), "record.Id")
    at = time_of(record, "CreatedDate")
    if at is None:
        raise Invalid(Reason.MISSING_FIELD, "record.CreatedDate is missing: when it was written")
    public = is_email or _required_flag(record, "IsPublished")
    who = _email_writer(record, context) if is_email else _comment_writer(record, public, context)
    shown = Visibility.PUBLIC if public else Visibility.PRIVATE
    happening = Happening(context.delivery, case, at, (name,), actor=who)
    return [happening.tells(Kind.MESSAGE_ADDED, message=Message(name, shown, who.kind))]


def _required_flag(record: Object, field: str) -> bool:
    if record.get(field) is None:
        raise Invalid(Reason.MISSING_FIELD, f"record.{field} is missing")
    return flag(record[field], f"record.{field}")


def _email_writer(record: Object, context: Context) -> Actor:
    if _required_flag(record, "Incoming"):
        return customer(record_id(record.get("FromId"), "record.FromId"), context.hash_key)
    return _user(record, context) or staff(_creator(record), context.options.bots)


def _comment_writer(record: Object, public: bool, context: Context) -> Actor:
    who = _user(record, context)
    if who is None and public:
        raise Invalid(
            Reason.MISSING_FIELD,
            "record.CreatedBy.UserType is missing: whether a customer or an agent wrote this comment cannot be known",
        )
    return who or staff(_creator(record), context.options.bots)


def _creator(record: Object) -> str | None:
    return record_id(record.get("CreatedById"), "record.CreatedById")


def _user(record: Object, context: Context) -> Actor | None:
    """By the type of the user's licence; nothing where the record does not have it."""
    creator = record.get("CreatedBy")
    given = creator.get("UserType") if isinstance(creator, dict) else record.get("CreatedBy.UserType")
    kind = (identifier(given, "record.CreatedBy.UserType") or "").lower()
    if not kind:
        return None
    if kind.startswith(_OUTSIDE):
        return customer(_creator(record), context.hash_key)
    return Actor(ActorKind.BOT) if kind in _PROGRAM else staff(_creator(record), context.options.bots)
