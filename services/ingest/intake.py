"""From a verified delivery to records that Kafka has acknowledged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol

from schemas import topics
from schemas.codec import encode
from schemas.envelope import ticket_headers
from schemas.failure import Invalid, NotNow, Reason
from schemas.instant import from_datetime
from schemas.ticket import TicketEvent
from services.ingest.dedupe import Dedupe, InTurn
from services.ingest.delivery import Delivery
from services.ingest.measures import Fate, Measures
from services.ingest.normalise import normalise
from services.ingest.normalise.batch import PartlyInvalid
from services.ingest.raw import headers_of
from services.ingest.source import Ready
from services.ingest.spool import Spool
from services.stream import dead_letter
from services.stream.record import Outgoing

STAGE: Final = "ingest"
MAX_IN_FLIGHT: Final = 256
"""Deliveries that may wait for Kafka at a time: at most this many bodies of 1 MiB are held."""
SPOOL_AFTER_S: Final = 2.0
"""How long a delivery that can be spooled waits for Kafka at most: the strictest senders give up after 5 seconds."""


class Sender(Protocol):
    """What intake needs of a producer; see ``services.stream.producer.Producer``."""

    async def send(self, records: Sequence[Outgoing], deadline_s: float) -> None:
        """Returns when every record is acknowledged; raises :class:`NotNow` otherwise."""
        ...


@dataclass(frozen=True, slots=True)
class TopicNames:
    """Where intake writes; the defaults are the contract."""

    tickets: str = topics.TICKETS
    webhooks: str = topics.WEBHOOKS
    dead_letters: str = topics.TICKETS_DLQ


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of an accepted delivery. ``failure`` says why it was dead-lettered."""

    fate: Fate
    accepted: int = 0
    duplicates: int = 0
    failure: Invalid | None = None


class Busy(NotNow):
    """As many deliveries as allowed wait for Kafka already."""


class Intake:
    """Normalises, deduplicates and produces. Holds at most ``max_in_flight`` deliveries at a time, so that a
    Kafka that is away costs a bounded amount of memory and an answer at once.

    Deliveries of sources that spool go to the ``spool``'s end when Kafka does not acknowledge them in time, and
    without asking Kafka for as long as the spool holds anything: they reach Kafka in the order in which they came.
    """

    def __init__(
        self,
        sender: Sender,
        dedupe: Dedupe,
        measures: Measures,
        now: Callable[[], datetime],
        deadline_s: float,
        names: TopicNames,
        max_in_flight: int = MAX_IN_FLIGHT,
        spool: Spool | None = None,
    ) -> None:
        self._sender = sender
        self._spool = spool
        self._dedupe = dedupe
        self._measures = measures
        self._now = now
        self._deadline_s = deadline_s
        self._names = names
        self._max_in_flight = max_in_flight
        self._in_flight = 0
        self._in_turn = InTurn()
        measures.in_flight.set_function(lambda: self._in_flight)

    async def take(self, delivery: Delivery, source: Ready) -> Receipt:
        """Returns once Kafka or the spool has the delivery. Raises :class:`Invalid` only for NOT_JSON, and writes
        nothing then; anything else that cannot be understood goes to the dead letters. Raises :class:`NotNow`."""
        if self._in_flight >= self._max_in_flight and self._spool_of(source) is None:
            raise Busy("Too many deliveries wait for Kafka", retry_after_s=5.0)
        self._in_flight += 1
        try:
            return await self._taken(delivery, source)
        finally:
            self._in_flight -= 1

    async def _taken(self, delivery: Delivery, source: Ready) -> Receipt:
        try:
            events = normalise(delivery, source.settings)
        except PartlyInvalid as failure:
            # The events first: when the letter then has to wait, the sender comes again and they are duplicates.
            receipt = await self._events(delivery, source, _each_once(failure.events))
            letter = await self._dead_letter(delivery, source, failure)
            return replace(receipt, failure=letter.failure)
        except Invalid as failure:
            if failure.reason is Reason.NOT_JSON:
                raise
            return await self._dead_letter(delivery, source, failure)
        if not events:
            return await self._only_raw(delivery, source)
        return await self._events(delivery, source, _each_once(events))

    async def _events(self, delivery: Delivery, source: Ready, events: list[TicketEvent]) -> Receipt:
        ids = [f"{delivery.source}:{event.event_id}" for event in events]
        async with self._in_turn.of(ids[0], self._deadline_s):
            seen = await self._dedupe.seen(ids)
            fresh = [event for event, old in zip(events, seen, strict=True) if not old]
            if not fresh:
                return Receipt(Fate.DUPLICATE, duplicates=len(events))
            records = [self._event(event) for event in fresh]
            if source.keep_raw:
                records.append(self._raw(delivery, source))
            fate = await self._keep(records, source)
            await self._dedupe.mark(ids)
        for event in fresh:
            self._measures.event(delivery.source, event.kind).inc()
        return Receipt(fate, accepted=len(fresh), duplicates=len(events) - len(fresh))

    async def _only_raw(self, delivery: Delivery, source: Ready) -> Receipt:
        """Nothing to say today; a later version may read more out of it, so the raw copy is kept."""
        records = [self._raw(delivery, source)] if source.keep_raw else []
        return await self._once(delivery, source, records, Receipt(Fate.NOTHING_TO_SAY))

    async def _dead_letter(self, delivery: Delivery, source: Ready, failure: Invalid) -> Receipt:
        """Kept whatever ``keep_raw`` says: without its bytes it could not be replayed."""
        at_us = from_datetime(self._now())
        letter = dead_letter.from_delivery(
            delivery.body, headers_of(delivery), _key(delivery), failure, self._names.dead_letters, STAGE, at_us
        )
        receipt = await self._once(delivery, source, [letter], Receipt(Fate.DEAD_LETTERED, failure=failure))
        if receipt.fate is Fate.DEAD_LETTERED:
            self._measures.dead_letters.labels(delivery.source, failure.reason.value).inc()
        return receipt

    async def _once(self, delivery: Delivery, source: Ready, records: list[Outgoing], receipt: Receipt) -> Receipt:
        if not records:
            return receipt
        one = f"{delivery.source}:body:{delivery.digest}"
        async with self._in_turn.of(one, self._deadline_s):
            if (await self._dedupe.seen([one]))[0]:
                return Receipt(Fate.DUPLICATE, duplicates=1)
            await self._keep(records, source)
            await self._dedupe.mark([one])
        return receipt

    async def _keep(self, records: list[Outgoing], source: Ready) -> Fate:
        """Returns when Kafka has the records, or the disk. Raises :class:`NotNow`."""
        spool = self._spool_of(source)
        if spool is None:
            await self._sender.send(records, self._deadline_s)
            return Fate.ACCEPTED
        if spool.empty and self._in_flight <= self._max_in_flight:
            try:
                await self._sender.send(records, min(self._deadline_s, SPOOL_AFTER_S))
            except NotNow:
                pass  # some of them may reach Kafka all the same: a copy with the same id
            else:
                return Fate.ACCEPTED
        await spool.append(records)
        return Fate.SPOOLED

    def _spool_of(self, source: Ready) -> Spool | None:
        return self._spool if source.spools else None

    def _event(self, event: TicketEvent) -> Outgoing:
        return Outgoing(self._names.tickets, event.key.encode(), encode(event), ticket_headers(event))

    def _raw(self, delivery: Delivery, source: Ready) -> Outgoing:
        topic = topics.apart(self._names.webhooks, source.name) if source.raw_apart else self._names.webhooks
        return Outgoing(topic, _key(delivery), delivery.body, headers_of(delivery), anywhere=True)


def _each_once(events: Sequence[TicketEvent]) -> list[TicketEvent]:
    return list({event.event_id: event for event in events}.values())


def _key(delivery: Delivery) -> bytes:
    return f"{delivery.source}:{delivery.id}".encode()
