"""Salesforce Change Data Capture, as a relay posts it: one change of one or several records.

https://developer.salesforce.com/docs/atlas.en-us.change_data_capture.meta/change_data_capture/. Of an update only
``changedFields`` mean something: other fields may be listed as null without being so. A relay that cuts
``commitTimestamp`` or ``transactionKey`` off is taken by the time of receipt and by the bytes of the body.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import structs

from schemas.failure import Invalid, Reason
from schemas.ticket import (
    Actor,
    ActorKind,
    Assignment,
    Escalation,
    Kind,
    PriorityChange,
    StatusChange,
    TicketEvent,
)
from services.ingest.normalise.epoch import from_milliseconds
from services.ingest.normalise.fields import Object, identifier
from services.ingest.normalise.happening import Happening
from services.ingest.normalise.salesforce_case import message
from services.ingest.normalise.salesforce_record import (
    READ,
    Context,
    attributes,
    flag,
    holder,
    needed_id,
    priority_of,
    ratings,
    status_of,
)

HEADER: Final = "ChangeEventHeader"
_MESSAGES: Final = frozenset({"EmailMessage", "CaseComment"})


def changes(record: Object, replay: Any, context: Context) -> list[TicketEvent]:
    """The events of one change event; none for objects other than cases and their messages. Raises :class:`Invalid`."""
    header = record[HEADER]
    if not isinstance(header, dict):
        raise Invalid(Reason.BAD_VALUE, f"{HEADER} must be an object")
    entity, change = str(header.get("entityName")), str(header.get("changeType")).upper()
    if entity not in _MESSAGES and entity != "Case":
        return []
    if change.startswith("GAP_"):
        raise Invalid(
            Reason.UNSUPPORTED_FORMAT,
            "a gap event says only that something changed: read the case from Salesforce and send it as case_updated",
        )
    ids = header.get("recordIds")
    if not isinstance(ids, list) or not ids:
        raise Invalid(Reason.MISSING_FIELD, f"{HEADER}.recordIds is missing")
    names = [needed_id(one, f"{HEADER}.recordIds[]") for one in ids]
    if entity in _MESSAGES:
        if change != "CREATE":
            return []
        return [one for name in names for one in message(entity == "EmailMessage", {**record, "Id": name}, context)]
    return [one for name in names for one in _case(name, change, header, record, replay, context)]


def _case(case: str, change: str, header: Object, record: Object, replay: Any, context: Context) -> list[TicketEvent]:
    stamp = header.get("commitTimestamp")
    happening = Happening(
        delivery=context.delivery,
        ticket_id=case,
        at=context.delivery.received_at if stamp is None else from_milliseconds(stamp, f"{HEADER}.commitTimestamp"),
        identity=(case, *_identity(header, replay, context)),
    )
    match change:
        case "CREATE":
            given = {name: value for name, value in record.items() if value is not None}
            return [happening.tells(Kind.CREATED, case, ticket=attributes(given, context))]
        case "UPDATE":
            return _updated(happening, _changed(header, record, context), context)
        case "DELETE":
            return [happening.tells(Kind.DELETED)]
        case "UNDELETE":
            return [happening.tells(Kind.RESTORED)]
        case _:
            raise Invalid(Reason.UNKNOWN_TYPE, f"{HEADER}.changeType is none of: CREATE, UPDATE, DELETE, UNDELETE")


def _identity(header: Object, replay: Any, context: Context) -> tuple[str, ...]:
    transaction = identifier(header.get("transactionKey"), f"{HEADER}.transactionKey")
    if transaction is not None:
        return transaction, str(header.get("sequenceNumber"))
    return (identifier(replay, "event.replayId") or context.delivery.digest,)


def _changed(header: Object, record: Object, context: Context) -> dict[str, Any]:
    """The changed fields, with null where one was emptied."""
    names = header.get("changedFields")
    if not isinstance(names, list):
        raise Invalid(Reason.MISSING_FIELD, f"{HEADER}.changedFields is missing: without it nulls cannot be understood")
    if any(isinstance(name, str) and name.startswith("0x") for name in names):
        raise Invalid(
            Reason.UNSUPPORTED_FORMAT, f"{HEADER}.changedFields is a bitmap: let the relay decode it to field names"
        )
    read = READ | context.options.csat.keys()
    return {name: record.get(name) for name in names if isinstance(name, str) and name in read}


def _updated(happening: Happening, changed: Object, context: Context) -> list[TicketEvent]:
    stated = attributes(changed, context)
    found: list[tuple[Kind, dict[str, Any]]] = []
    rated: list[TicketEvent] = []
    if changed.get("Status"):
        to = status_of(changed, context.options)
        found.append((Kind.STATUS_CHANGED, {"status": StatusChange(to)}))  # type: ignore[arg-type]  # it is there
    if "Priority" in changed:
        change = PriorityChange(priority_of(changed["Priority"], context.options))
        found.append((Kind.PRIORITY_CHANGED, {"priority": change}))
    if "OwnerId" in changed:
        found.append((Kind.ASSIGNMENT_CHANGED, {"assignment": Assignment(**holder(changed["OwnerId"]))}))
    if changed.get("IsEscalated") is not None:
        raised = flag(changed["IsEscalated"], "IsEscalated")
        kind = Kind.ESCALATION_RAISED if raised else Kind.ESCALATION_CLEARED
        found.append((kind, {"escalation": Escalation("IsEscalated")}))
    for name, rating in ratings(changed, context.options):
        who = Actor(ActorKind.CUSTOMER, stated.requester if isinstance(stated.requester, str) else None)
        identity = (*happening.identity, name)
        told = happening.tells(Kind.CSAT_RECEIVED, *identity, actor=who, rating=rating, ticket=stated)
        rated.append(told)
    if not found and not rated and changed.keys() & {"Origin", "AccountId", "ContactId"}:
        found.append((Kind.UPDATED, {}))
    return [*(structs.replace(happening.tells(kind, **parts), ticket=stated) for kind, parts in found), *rated]
