"""Zendesk event subscriptions: one envelope, one happening.

https://developer.zendesk.com/api-reference/webhooks/event-types/ticket-events/ (versions 2022-06-20, 2022-11-06).
Ids are texts, words are upper case, ``detail`` is the ticket after the change, ``event`` is the change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
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
    Merge,
    Message,
    Priority,
    PriorityChange,
    Rating,
    Status,
    StatusChange,
    TagsChange,
    TicketEvent,
    Visibility,
    event_id,
)
from services.ingest.delivery import Delivery
from services.ingest.normalise.fields import (
    Object,
    boolean,
    identifier,
    instant,
    obj,
    pseudonym,
    required,
    word,
    words,
)
from services.ingest.normalise.people import customer, staff
from services.ingest.normalise.vocabulary import channel, tier
from services.ingest.normalise.zendesk_ticket import (
    CHANNELS,
    NOT_STATUSES,
    PRIORITIES,
    STATUSES,
    Options,
    actor,
)

PREFIX: Final = "zen:event-type:"
OPENING: Final = timedelta(seconds=2)
"""A comment this close to the ticket's creation is the one it was created with; observed gaps are below 1 s."""

_SEQUENCE_LIMIT: Final = 2**31


@dataclass(frozen=True, slots=True)
class _Envelope:
    """What every type has in common, read and checked once."""

    event: Object
    detail: Object
    at: datetime
    requester: str | None
    options: Options
    hash_key: bytes
    base: TicketEvent


def events(body: Object, delivery: Delivery, hash_key: bytes, options: Options) -> list[TicketEvent]:
    """The events of one envelope: one, or none for what no KPI is made of. Raises :class:`Invalid`."""
    name = str(body["type"]).removeprefix(PREFIX)
    if name in _SILENT or name.startswith(_OTHER_SUBJECTS):
        return []
    reader = _READERS.get(name)
    if reader is None:
        raise Invalid(Reason.UNKNOWN_TYPE, "type is a Zendesk event type that this version does not know")
    found = reader(_opened(body, delivery, hash_key, options))
    return [] if found is None else [found]


def _opened(body: Object, delivery: Delivery, hash_key: bytes, options: Options) -> _Envelope:
    detail, event = obj(body, "detail", "detail"), obj(body, "event", "event")
    at = instant(body.get("time"), "time")
    requester = identifier(detail.get("requester_id"), "detail.requester_id")
    account = required(body.get("account_id"), "account_id")
    base = TicketEvent(
        event_id=event_id(delivery.source, "zendesk", account, required(body.get("id"), "id")),
        source=delivery.source,
        vendor=delivery.vendor,
        ticket_id=_ticket_id(body, detail),
        kind=Kind.UPDATED,
        occurred_at=at,
        received_at=delivery.received_at,
        sequence=_sequence(event),
        actor=actor(identifier(detail.get("actor_id"), "detail.actor_id"), requester, options, hash_key),
        ticket=_attributes(detail, requester, options, hash_key),
    )
    return _Envelope(event, detail, at, requester, options, hash_key, base)


def _ticket_id(body: Object, detail: Object) -> str:
    found = identifier(detail.get("id"), "detail.id")
    if found is not None:
        return found
    subject = body.get("subject")
    if isinstance(subject, str) and subject.startswith("zen:ticket:"):
        return required(subject.removeprefix("zen:ticket:"), "subject")
    raise Invalid(Reason.MISSING_FIELD, "detail.id is missing")


def _sequence(event: Object) -> int:
    """The place among the events of one action. The id of the action is not needed, and may exceed 64 bits."""
    meta = event.get("meta")
    sequence = meta.get("sequence") if isinstance(meta, dict) else None
    position = sequence.get("position") if isinstance(sequence, dict) else None
    fits = isinstance(position, int) and not isinstance(position, bool) and 0 <= position < _SEQUENCE_LIMIT
    return position if fits else 0  # type: ignore[return-value]


def _attributes(detail: Object, requester: str | None, options: Options, hash_key: bytes) -> Attributes:
    """What the snapshot states. A field that is absent (messaging events have only the id) states nothing."""

    def named(field: str) -> str | UnsetType | None:
        return identifier(detail[field], f"detail.{field}") if field in detail else UNSET

    tags = words(detail["tags"], "detail.tags") if "tags" in detail else UNSET
    via = detail.get("via")
    via_channel = via.get("channel", UNSET) if isinstance(via, dict) else UNSET
    return Attributes(
        status=_status(detail.get("status"), "detail.status") or UNSET,
        priority=_priority(detail["priority"], "detail.priority") if "priority" in detail else UNSET,
        channel=UNSET
        if via_channel is UNSET
        else channel(via_channel if isinstance(via_channel, str) else None, CHANNELS),
        team=named("group_id"),
        agent=named("assignee_id"),
        brand=named("brand_id"),
        tier=UNSET if isinstance(tags, UnsetType) else tier(tags, options.tiers),
        tags=tags,
        requester=(pseudonym(hash_key, requester) if requester else None) if "requester_id" in detail else UNSET,
        organisation=named("organization_id"),
        created_at=instant(detail["created_at"], "detail.created_at") if detail.get("created_at") else UNSET,
    )


def _status(value: Any, path: str) -> Status | None:
    if value is None or value == "" or (isinstance(value, str) and value.lower() in NOT_STATUSES):
        return None
    return word(value, STATUSES, path)


def _priority(value: Any, path: str) -> Priority | None:
    return None if value is None or value == "" else word(value, PRIORITIES, path)


def _created(envelope: _Envelope) -> TicketEvent:
    return msgspec.structs.replace(envelope.base, kind=Kind.CREATED)


def _snapshot(envelope: _Envelope) -> TicketEvent | None:
    """Changes that only the snapshot tells of, such as brand, organisation or a custom status."""
    event = envelope.event
    if "current" in event and event["current"] == event.get("previous"):
        return None
    return envelope.base


def _status_changed(envelope: _Envelope) -> TicketEvent | None:
    to = _status(envelope.event.get("current"), "event.current")
    previous = _status(envelope.event.get("previous"), "event.previous")
    if to is None:
        if envelope.event.get("current") is None:
            raise Invalid(Reason.MISSING_FIELD, "event.current is missing")
        return None  # deleted or archived: other events say so in words that are meant
    if to == previous:
        return None
    return msgspec.structs.replace(envelope.base, kind=Kind.STATUS_CHANGED, status=StatusChange(to, previous))


def _priority_changed(envelope: _Envelope) -> TicketEvent | None:
    _must_have_current(envelope)
    to = _priority(envelope.event["current"], "event.current")
    previous = _priority(envelope.event.get("previous"), "event.previous")
    if to == previous:
        return None
    return msgspec.structs.replace(envelope.base, kind=Kind.PRIORITY_CHANGED, priority=PriorityChange(to, previous))


def _agent_changed(envelope: _Envelope) -> TicketEvent | None:
    to, changed = _holder(envelope)
    return _assigned(envelope, Assignment(agent=to)) if changed else None


def _group_changed(envelope: _Envelope) -> TicketEvent | None:
    to, changed = _holder(envelope)
    return _assigned(envelope, Assignment(team=to)) if changed else None


def _holder(envelope: _Envelope) -> tuple[str | None, bool]:
    _must_have_current(envelope)
    to = identifier(envelope.event["current"], "event.current")
    return to, to != identifier(envelope.event.get("previous"), "event.previous")


def _assigned(envelope: _Envelope, assignment: Assignment) -> TicketEvent:
    return msgspec.structs.replace(envelope.base, kind=Kind.ASSIGNMENT_CHANGED, assignment=assignment)


def _must_have_current(envelope: _Envelope) -> None:
    if "current" not in envelope.event:
        raise Invalid(Reason.MISSING_FIELD, "event.current is missing (null would say: none)")


def _comment_added(envelope: _Envelope) -> TicketEvent:
    comment = obj(envelope.event, "comment", "event.comment")
    author = obj(comment, "author", "event.comment.author")
    who = _author(author, envelope)
    public = boolean(comment, "is_public", "event.comment.is_public")
    message = Message(
        id=identifier(comment.get("id"), "event.comment.id"),
        visibility=Visibility.PUBLIC if public else Visibility.PRIVATE,
        author=who.kind,
        opening=_opening(comment, envelope),
    )
    return msgspec.structs.replace(envelope.base, kind=Kind.MESSAGE_ADDED, actor=who, message=message)


def _author(author: Object, envelope: _Envelope) -> Actor:
    user = required(author.get("id"), "event.comment.author.id")
    if boolean(author, "is_staff", "event.comment.author.is_staff"):
        return actor(user, None, envelope.options, envelope.hash_key)
    return customer(user, envelope.hash_key)


def _opening(comment: Object, envelope: _Envelope) -> bool:
    created = envelope.base.ticket.created_at
    if isinstance(created, datetime) and abs(envelope.at - created) <= OPENING:
        return True
    body, description = comment.get("body"), envelope.detail.get("description")
    return isinstance(body, str) and isinstance(description, str) and body.strip() == description.strip() != ""


def _comment_made_private(envelope: _Envelope) -> TicketEvent:
    comment = obj(envelope.event, "comment", "event.comment")
    message = Message(id=required(comment.get("id"), "event.comment.id"), visibility=Visibility.PRIVATE)
    return msgspec.structs.replace(envelope.base, kind=Kind.MESSAGE_RETRACTED, message=message)


def _tags_changed(envelope: _Envelope) -> TicketEvent | None:
    added = words(envelope.event.get("tags_added"), "event.tags_added")
    removed = words(envelope.event.get("tags_removed"), "event.tags_removed")
    if added == removed:
        return None
    return msgspec.structs.replace(envelope.base, kind=Kind.TAGS_CHANGED, tags=TagsChange(added, removed))


def _merged(envelope: _Envelope) -> TicketEvent:
    into = required(envelope.event.get("target_ticket_id"), "event.target_ticket_id")
    if into == envelope.base.ticket_id:
        raise Invalid(Reason.BAD_VALUE, "event.target_ticket_id is the ticket itself")
    return msgspec.structs.replace(envelope.base, kind=Kind.MERGED, merge=Merge(into))


def _deleted(envelope: _Envelope) -> TicketEvent:
    return msgspec.structs.replace(envelope.base, kind=Kind.DELETED)


def _restored(envelope: _Envelope) -> TicketEvent:
    return msgspec.structs.replace(envelope.base, kind=Kind.RESTORED)


def _csat_received(envelope: _Envelope) -> TicketEvent | None:
    """The payload is not documented well: good and bad (with or without comment) and 1 to 5 have been seen."""
    answer = obj(envelope.event, "satisfaction_score", "event.satisfaction_score").get("score")
    if isinstance(answer, str) and answer.strip().lower() in ("offered", "unoffered"):
        return None
    rating = _rating(answer)
    who = envelope.base.actor if envelope.requester is None else customer(envelope.requester, envelope.hash_key)
    return msgspec.structs.replace(envelope.base, kind=Kind.CSAT_RECEIVED, actor=who, rating=rating)


def _rating(answer: Any) -> Rating:
    if isinstance(answer, str):
        text = answer.strip().lower()
        if text.isascii() and text.isdigit() and 1 <= int(text[:3]) <= 5:
            return Rating(float(text), best=5.0, worst=1.0)
        good = word(text.partition("_")[0], {"good": True, "bad": False}, "event.satisfaction_score.score")
        return Rating(1.0 if good else 0.0, best=1.0, positive=good)
    if isinstance(answer, int | float) and not isinstance(answer, bool) and 1 <= answer <= 5:
        return Rating(float(answer), best=5.0, worst=1.0)
    raise Invalid(Reason.BAD_VALUE, "event.satisfaction_score.score must be good, bad or a number from 1 to 5")


def _messaging_added(envelope: _Envelope) -> TicketEvent:
    author = obj(envelope.event, "actor", "event.actor")
    message = obj(envelope.event, "message", "event.message")
    user = identifier(author.get("id"), "event.actor.id")
    match str(author.get("type")).lower():
        case "agent" if user is not None:
            who = staff(user, envelope.options.bots)
        case "end_user" | "end-user" | "user" | "customer":
            who = Actor(ActorKind.CUSTOMER) if user is None else customer(user, envelope.hash_key)
        case "bot" | "system":
            who = Actor(ActorKind.BOT, user)  # Zendesk's own bots speak as "system"; neither kind is a reply
        case _:
            raise Invalid(Reason.BAD_VALUE, "event.actor.type does not say whether a customer or an agent wrote")
    added = Message(id=identifier(message.get("id"), "event.message.id"), author=who.kind)
    return msgspec.structs.replace(envelope.base, kind=Kind.MESSAGE_ADDED, actor=who, message=added)


_READERS: Final[Mapping[str, Callable[[_Envelope], TicketEvent | None]]] = {
    "ticket.created": _created,
    "ticket.status_changed": _status_changed,
    "ticket.custom_status_changed": _snapshot,
    "ticket.priority_changed": _priority_changed,
    "ticket.agent_assignment_changed": _agent_changed,
    "ticket.group_assignment_changed": _group_changed,
    "ticket.comment_added": _comment_added,
    "ticket.comment_made_private": _comment_made_private,
    "ticket.tags_changed": _tags_changed,
    "ticket.merged": _merged,
    "ticket.marked_as_spam": _deleted,
    "ticket.soft_deleted": _deleted,
    "ticket.permanently_deleted": _deleted,
    "ticket.undeleted": _restored,
    "ticket.csat_received": _csat_received,
    "ticket.brand_changed": _snapshot,
    "ticket.organization_changed": _snapshot,
    "ticket.requester_changed": _snapshot,
    "ticket.custom_field_changed": _snapshot,
    "ticket.form_changed": _snapshot,
    "messaging_ticket.message_added": _messaging_added,
}

_OTHER_SUBJECTS: Final = ("user.", "organization.")
_SILENT: Final = frozenset(
    {
        "ticket.type_changed",
        "ticket.subject_changed",
        "ticket.description_changed",
        "ticket.submitter_changed",
        "ticket.external_id_changed",
        "ticket.email_ccs_changed",
        "ticket.followers_changed",
        "ticket.problem_link_changed",
        "ticket.task_due_at_changed",
        "ticket.comment_redacted",
        "ticket.attachment_linked_to_comment",
        "ticket.attachment_redacted_from_comment",
        "ticket.sla_policy_changed",
        "ticket.schedule_changed",
        "ticket.ola_policy_changed",
        "ticket.next_sla_breach_changed",
        "ticket.csat_requested",
    }
)
"""Known, and of no consequence for any number: accepted and kept raw."""
