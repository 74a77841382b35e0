"""The sample in Kafka: finding its records, and writing for vendors that have no webhook for something."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from schemas import topics
from schemas.codec import encode
from schemas.envelope import ticket_headers
from schemas.ticket import TicketEvent
from services import clock
from services.stream.producer import Connection, Producer
from services.stream.reader import reading
from services.stream.record import Outgoing

_AGAIN_S: Final = 0.2
_LEEWAY_US: Final = 5_000_000
"""The broker's clock may be behind ours by so much without a record being overlooked."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record is, and what it says."""

    partition: int
    offset: int
    value: dict[str, Any]


async def find(
    connection: Connection, topic: str, since_us: int, wait_s: float, ticket_id: str, ids: Collection[str] = ()
) -> list[Place]:
    """The records about ``ticket_id`` since then: as soon as each of ``ids`` is there, or without ids the first; what
    there is after ``wait_s``. Raises :class:`NotNow`."""
    end_s = clock.steady_s() + wait_s
    while True:
        found = await _once(connection, topic, since_us - _LEEWAY_US, ticket_id)
        there = {place.value.get("event_id") for place in found}
        if (found and there.issuperset(ids)) or clock.steady_s() > end_s:
            return found
        await asyncio.sleep(_AGAIN_S)


async def _once(connection: Connection, topic: str, since_us: int, ticket_id: str) -> list[Place]:
    found: list[Place] = []
    needle = ticket_id.encode()
    async with reading(connection, topic, since_us=since_us) as records:
        while (batch := await records.batch()) is not None:
            for record in batch:
                if record.value is None or needle not in record.value:
                    continue
                value = orjson.loads(record.value)
                if value.get("ticket_id") == ticket_id:
                    found.append(Place(record.partition, record.offset, value))
    return sorted(found, key=lambda place: (place.partition, place.offset))


async def write(connection: Connection, events: Sequence[TicketEvent]) -> None:
    """As ingest writes them. Raises :class:`NotNow`."""
    producer = Producer(connection, "deskpulse-send-test")
    try:
        await producer.send(
            [Outgoing(topics.TICKETS, event.key.encode(), encode(event), ticket_headers(event)) for event in events],
            10.0,
        )
    finally:
        await producer.stop()
