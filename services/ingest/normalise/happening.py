"""One thing that a vendor tells of, and the canonical events of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from schemas.codec import checked
from schemas.ticket import Actor, Attributes, Kind, TicketEvent, event_id
from services.ingest.delivery import Delivery


class Happening(msgspec.Struct, frozen=True):
    """What all events of one happening have in common.

    ``identity`` says which happening it is in the vendor's own terms; with the kind it makes the event's id. Choose
    it from the change, not from the delivery, where the vendor gives the means: then a change that is told twice is
    one event.
    """

    delivery: Delivery
    ticket_id: str
    at: datetime
    identity: tuple[str, ...]
    actor: Actor | None = None
    ticket: Attributes = Attributes()
    sequence: int = 0

    def tells(self, kind: Kind, *identity: str, **parts: Any) -> TicketEvent:
        """The event of ``kind``. ``identity`` takes the place of the happening's own; ``parts`` are the kind's object,
        or replace what is common. Raises :class:`Invalid` for times that cannot be true."""
        source, vendor = self.delivery.source, self.delivery.vendor
        event = TicketEvent(
            event_id=event_id(source, vendor, *(identity or self.identity), kind.value),
            source=source,
            vendor=vendor,
            ticket_id=self.ticket_id,
            kind=kind,
            occurred_at=self.at,
            received_at=self.delivery.received_at,
            sequence=self.sequence,
            actor=self.actor,
            ticket=self.ticket,
        )
        return checked(msgspec.structs.replace(event, **parts))
