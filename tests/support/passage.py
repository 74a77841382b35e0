"""The way of ticket events from the log into the state: put in at one end, counted at the other."""

from __future__ import annotations

from typing import Any

from schemas import codec
from schemas.envelope import ticket_headers
from schemas.state import position_key
from schemas.ticket import TicketEvent
from schemas.topics import TICKETS, TOPICS
from services.stream.producer import Connection, Producer
from services.stream.record import Outgoing


async def produced(connection: Connection, events: list[TicketEvent]) -> None:
    """Writes the events to the topic as ingest would."""
    producer = Producer(connection, "test")
    await producer.start()
    for at in range(0, len(events), 500):
        chunk = events[at : at + 500]
        await producer.send(
            [Outgoing(TICKETS, e.key.encode(), codec.encode(e), ticket_headers(e)) for e in chunk], deadline_s=30
        )
    await producer.stop()


async def applied(redis: Any) -> int:
    """Records that are in the state, over all partitions."""
    found = [await redis.hget(position_key(number), "next") for number in range(TOPICS[TICKETS].partitions)]
    return sum(int(offset or 0) for offset in found)
