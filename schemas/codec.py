"""JSON in and out for the records. Decoding checks everything and says which field is wrong."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

import msgspec

from schemas.alert import AlertEvent
from schemas.failure import Invalid, Reason
from schemas.sla import SlaEvent
from schemas.ticket import OBJECT_OF, TicketEvent

Record = TypeVar("Record")

_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_AHEAD: Final = timedelta(days=1)

_encoder: Final = msgspec.json.Encoder()
_ticket: Final = msgspec.json.Decoder(TicketEvent)
_sla: Final = msgspec.json.Decoder(SlaEvent)
_alert: Final = msgspec.json.Decoder(AlertEvent)


def encode(record: TicketEvent | SlaEvent | AlertEvent) -> bytes:
    """The record as compact JSON; times as RFC 3339 with ``Z``."""
    return _encoder.encode(record)


def decode_ticket(value: bytes) -> TicketEvent:
    """Raises :class:`Invalid` naming the field when ``value`` is not a TicketEvent v1."""
    return checked(_decoded(_ticket, value))


def decode_sla(value: bytes) -> SlaEvent:
    """Raises :class:`Invalid` naming the field when ``value`` is not an SlaEvent v1."""
    return _decoded(_sla, value)


def decode_alert(value: bytes) -> AlertEvent:
    """Raises :class:`Invalid` naming the field when ``value`` is not an AlertEvent v1."""
    return _decoded(_alert, value)


def checked(event: TicketEvent) -> TicketEvent:
    """What types alone cannot say: aware times that can be true, ids, and the object that the kind needs."""
    if event.received_at.tzinfo is None:
        raise Invalid(Reason.BAD_VALUE, "received_at needs an offset from UTC, such as Z")
    _plausible("occurred_at", event.occurred_at, event.received_at)
    if event.ticket.created_at is not msgspec.UNSET:
        _plausible("ticket.created_at", event.ticket.created_at, event.received_at)
    if not event.source or not event.ticket_id:
        raise Invalid(Reason.MISSING_FIELD, "source and ticket_id must not be empty")
    if not _UUID.match(event.event_id):
        raise Invalid(Reason.BAD_VALUE, "event_id must be a UUID in lower case")
    needed = OBJECT_OF.get(event.kind)
    if needed is not None and getattr(event, needed) is None:
        raise Invalid(Reason.MISSING_FIELD, f"kind {event.kind.value} needs the object '{needed}'")
    if event.rating is not None and event.rating.best <= event.rating.worst:
        raise Invalid(Reason.BAD_VALUE, "rating.best must be greater than rating.worst")
    if event.rating is not None and not event.rating.worst <= event.rating.score <= event.rating.best:
        raise Invalid(Reason.BAD_VALUE, "rating.score must lie between rating.worst and rating.best")
    return event


def _plausible(field: str, at: datetime, received_at: datetime) -> None:
    """A helpdesk's clock may run ahead of ours; a date years off is a mistake that would poison windows and timers."""
    if at.tzinfo is None:
        raise Invalid(Reason.BAD_VALUE, f"{field} needs an offset from UTC, such as Z")
    if at < _EARLIEST or at > received_at + _AHEAD:
        raise Invalid(Reason.BAD_VALUE, f"{field} lies before 2000 or more than a day after it was received")


def _decoded(decoder: msgspec.json.Decoder[Record], value: bytes) -> Record:
    try:
        return decoder.decode(value)
    except msgspec.ValidationError as exc:
        raise Invalid(Reason.BAD_VALUE, str(exc)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Invalid(Reason.NOT_JSON, "the value is not JSON") from None
