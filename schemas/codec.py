"""JSON in and out for the records. Decoding checks everything and says which field is wrong."""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

from schemas.alert import AlertEvent
from schemas.failure import Invalid, Reason
from schemas.sla import SlaEvent
from schemas.ticket import OBJECT_OF, TicketEvent

Record = TypeVar("Record")

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
    """What types alone cannot say: aware times, no empty ids, and the object that the kind needs."""
    if event.occurred_at.tzinfo is None or event.received_at.tzinfo is None:
        raise Invalid(Reason.BAD_VALUE, "occurred_at and received_at need an offset from UTC, such as Z")
    created_at = event.ticket.created_at
    if created_at is not msgspec.UNSET and created_at.tzinfo is None:
        raise Invalid(Reason.BAD_VALUE, "ticket.created_at needs an offset from UTC, such as Z")
    if not event.source or not event.ticket_id or not event.event_id:
        raise Invalid(Reason.MISSING_FIELD, "source, ticket_id and event_id must not be empty")
    needed = OBJECT_OF.get(event.kind)
    if needed is not None and getattr(event, needed) is None:
        raise Invalid(Reason.MISSING_FIELD, f"kind {event.kind.value} needs the object '{needed}'")
    if event.rating is not None and event.rating.best <= event.rating.worst:
        raise Invalid(Reason.BAD_VALUE, "rating.best must be greater than rating.worst")
    return event


def _decoded(decoder: msgspec.json.Decoder[Record], value: bytes) -> Record:
    try:
        return decoder.decode(value)
    except msgspec.ValidationError as exc:
        raise Invalid(Reason.BAD_VALUE, str(exc)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Invalid(Reason.NOT_JSON, "the value is not JSON") from None
