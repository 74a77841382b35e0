"""A Salesforce record as every kind of callout carries it: its ids, its words, and what it states about a case."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from schemas.failure import Invalid, Reason
from schemas.ticket import Attributes, Kind, Priority, Rating, Status
from services.ingest.normalise import own_words, reading
from services.ingest.normalise.fields import Object, identifier, instant, pseudonym, required
from services.ingest.normalise.own_words import PRIORITIES
from services.ingest.normalise.scale import Scale, answer
from services.ingest.normalise.vocabulary import channel, extended

STATUSES: Final[Mapping[str, Status]] = {
    "new": Status.NEW,
    "working": Status.OPEN,
    "escalated": Status.OPEN,
    "on hold": Status.ON_HOLD,
    "closed": Status.CLOSED,
}
"""The values that Salesforce delivers; most organisations have their own."""

EVENTS: Final[Mapping[str, Kind]] = {
    "case_created": Kind.CREATED,
    "case_updated": Kind.UPDATED,
    "case_status_changed": Kind.STATUS_CHANGED,
    "case_priority_changed": Kind.PRIORITY_CHANGED,
    "case_owner_changed": Kind.ASSIGNMENT_CHANGED,
    "case_escalated": Kind.ESCALATION_RAISED,
    "case_deescalated": Kind.ESCALATION_CLEARED,
    "case_merged": Kind.MERGED,
    "case_deleted": Kind.DELETED,
    "case_undeleted": Kind.RESTORED,
    "email_message_created": Kind.MESSAGE_ADDED,
    "case_comment_created": Kind.MESSAGE_ADDED,
}
"""What a flow or an outbound message can tell, by name."""

READ: Final = frozenset(
    {"Status", "IsClosed", "Priority", "OwnerId", "Origin", "AccountId", "ContactId", "CreatedDate", "IsEscalated"}
)
"""Fields of a case that say something here."""

_CHANNELS: Final[Mapping[str, str]] = {"phone": "voice", "email-to-case": "email"}
_SHORT_ID: Final = 15
_QUEUE: Final = "00G"


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``options`` of a Salesforce source.

    ``statuses`` and ``priorities``: your organisation's picklist values, each with ours. ``actions``: the ActionId of
    an outbound message → what it tells, such as ``case_created``. ``csat``: fields of a case that hold the answer of a
    satisfaction survey (``CSAT__c``), each with its scale. ``bots``: ids of users that are programs.
    """

    teams: dict[str, str] = {}
    statuses: dict[str, Status] = {}
    priorities: dict[str, Priority] = {}
    actions: dict[str, str] = {}
    csat: dict[str, Scale] = {}
    bots: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not set(self.actions.values()) <= EVENTS.keys():
            raise ValueError(f"actions must each be one of: {', '.join(EVENTS)}")


Context = reading.Context[Options]
"""What reading any record needs."""


def record_id(value: Any, path: str) -> str | None:
    """A record's id in its 18 characters: the 15 of the classic form, and three that say which are upper case."""
    found = identifier(value, path)
    if found is None or len(found) != _SHORT_ID or not (found.isascii() and found.isalnum()):
        return found
    parts = (found[start : start + 5] for start in range(0, _SHORT_ID, 5))
    codes = (sum(1 << place for place, letter in enumerate(part) if letter.isupper()) for part in parts)
    return found + "".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[code] for code in codes)


def needed_id(value: Any, path: str) -> str:
    """A record's id that must be there."""
    return required(record_id(value, path), path)


def flag(value: Any, path: str) -> bool:
    """true or false, in JSON or as the text that XML has."""
    text = str(value).strip().lower() if isinstance(value, bool | str) else ""
    if text not in ("true", "false"):
        raise Invalid(Reason.BAD_VALUE, f"{path} must be true or false")
    return text == "true"


def time_of(record: Object, field: str) -> datetime | None:
    """A time of the record; Salesforce writes its offset as ``+0000``."""
    return instant(record[field], field) if record.get(field) else None


def status_of(record: Object, options: Options) -> Status | UnsetType:
    """By name; a value that is not known and is closed is ``closed``, which Salesforce says itself."""
    value = record.get("Status")
    if not value:
        return UNSET
    known = extended(STATUSES, options.statuses)
    closed = record.get("IsClosed") is not None and flag(record["IsClosed"], "IsClosed")
    if closed and not (isinstance(value, str) and value.strip().lower() in known):
        return Status.CLOSED
    return own_words.status(value, STATUSES, options.statuses, "Status")


def priority_of(value: Any, options: Options) -> Priority | None:
    """A value of the priority picklist."""
    return own_words.priority(value, PRIORITIES, options.priorities, "Priority")


def holder(owner: Any) -> dict[str, str | None]:
    """Who holds the case: a queue is a team, of which nobody in particular has it; a user is an agent."""
    found = record_id(owner, "OwnerId")
    if found is not None and found.startswith(_QUEUE):
        return {"agent": None, "team": found}
    return {"agent": found}


def ratings(record: Object, options: Options) -> list[tuple[str, Rating]]:
    """The answers of surveys that ``record`` holds, by field."""
    found = ((name, answer(record.get(name), scale, name)) for name, scale in sorted(options.csat.items()))
    return [(name, rating) for name, rating in found if rating is not None]


def attributes(record: Object, context: Context) -> Attributes:
    """What ``record``, a case, states. A field that is absent says nothing, one that is null says: none."""
    contact = record_id(record.get("ContactId"), "ContactId")
    origin = record.get("Origin")
    stated: dict[str, Any] = holder(record["OwnerId"]) if "OwnerId" in record else {}
    return Attributes(
        status=status_of(record, context.options),
        priority=priority_of(record["Priority"], context.options) if "Priority" in record else UNSET,
        channel=channel(origin, _CHANNELS) if isinstance(origin, str) else UNSET,
        requester=pseudonym(context.hash_key, contact) if contact else UNSET,
        organisation=record_id(record["AccountId"], "AccountId") if "AccountId" in record else UNSET,
        created_at=time_of(record, "CreatedDate") or UNSET,
        **stated,
    )
