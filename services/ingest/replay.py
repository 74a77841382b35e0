"""What was kept, normalised again: raw deliveries, dead letters. Nothing is read or written here.

A replay brings what was missing. Its events carry the same ids as before, and of an id the fold keeps what came
first: an event that was counted already is not counted again, and not corrected either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from schemas import topics
from schemas.codec import decode_alert, decode_sla, decode_ticket, encode
from schemas.envelope import ticket_headers
from schemas.failure import Invalid, Reason
from schemas.ticket import TicketEvent
from services.ingest.delivery import Delivery
from services.ingest.intake import STAGE
from services.ingest.normalise import VENDORS, normalise
from services.ingest.normalise.batch import PartlyInvalid
from services.ingest.normalise.personal import filtered
from services.ingest.raw import delivery_of
from services.ingest.source import Ready
from services.stream.dead_letter import Letter
from services.stream.record import Outgoing, Record

Sources = Callable[[], Mapping[str, Ready]]
"""The configured sources; asked for only where there is no doing without."""


class Hurdle(StrEnum):
    """Why something cannot be replayed that is none of the reasons for a dead letter."""

    SOURCE_NOT_CONFIGURED = "source_not_configured"
    VENDOR_CHANGED = "vendor_changed"
    UNKNOWN_STAGE = "unknown_stage"
    NO_SOURCE_GIVEN = "no_source_given"
    NOT_THERE = "not_there"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something was not replayed, or not all of it."""

    reason: Reason | Hurdle
    detail: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """The records that something became. Both may be empty: it was understood, and says nothing that is counted.

    ``events`` are the ticket events among ``records``.
    """

    records: tuple[Outgoing, ...] = ()
    events: tuple[TicketEvent, ...] = ()
    refusal: Refusal | None = None


def outgoing(event: TicketEvent) -> Outgoing:
    """The event as a record of the topic of tickets, as ingest writes it."""
    return Outgoing(topics.TICKETS, event.key.encode(), encode(event), ticket_headers(event))


def allowed(event: TicketEvent, sources: Sources) -> TicketEvent:
    """The event with no more of a person than its source keeps; a source that is not configured keeps nothing."""
    if event.personal is None:
        return event
    source = sources().get(event.source)
    [found] = filtered([event], source.settings.keep if source is not None else ())
    return found


def of_events(events: Sequence[TicketEvent], refusal: Refusal | None = None) -> Replayed:
    """Events and their records, each id once."""
    unique = tuple({event.event_id: event for event in events}.values())
    return Replayed(tuple(map(outgoing, unique)), unique, refusal)


def of_delivery(delivery: Delivery, sources: Mapping[str, Ready]) -> Replayed:
    """A delivery read as its source is configured now. A batch that is readable in part gives that part, and the
    refusal of the rest."""
    source = sources.get(delivery.source)
    if source is None:
        detail = f"no source '{delivery.source}' is configured"
        return Replayed(refusal=Refusal(Hurdle.SOURCE_NOT_CONFIGURED, detail))
    if source.vendor != delivery.vendor or delivery.vendor not in VENDORS:
        detail = f"received as {delivery.vendor}, but the source '{source.name}' is of vendor {source.vendor} now"
        return Replayed(refusal=Refusal(Hurdle.VENDOR_CHANGED, detail))
    try:
        return of_events(normalise(delivery, source.settings))
    except PartlyInvalid as partly:
        return of_events(partly.events, Refusal(partly.reason, partly.detail))
    except Invalid as failure:
        return Replayed(refusal=Refusal(failure.reason, failure.detail))


def of_raw(record: Record, sources: Mapping[str, Ready]) -> Replayed:
    """A record of the topic of raw webhooks."""
    try:
        delivery = delivery_of(record.headers, record.value or b"")
    except Invalid as failure:
        return Replayed(refusal=Refusal(failure.reason, failure.detail))
    return of_delivery(delivery, sources)


def of_letter(letter: Letter, sources: Mapping[str, Ready]) -> Replayed:
    """A dead letter: a webhook is normalised again; a record goes back to where it lay, if it can be read now."""
    record = letter.record
    if letter.stage == STAGE:
        return of_raw(record, sources)
    value = record.value or b""
    try:
        match letter.topic:
            case topics.TICKETS:
                return of_events([allowed(decode_ticket(value), lambda: sources)])
            case topics.SLA:
                decode_sla(value)
            case topics.ALERTS:
                decode_alert(value)
            case _:
                detail = f"stage '{letter.stage}', topic '{letter.topic}': nothing of ours goes back there"
                return Replayed(refusal=Refusal(Hurdle.UNKNOWN_STAGE, detail))
    except Invalid as failure:
        return Replayed(refusal=Refusal(failure.reason, failure.detail))
    return Replayed((Outgoing(letter.topic, record.key, value, letter.headers),))
