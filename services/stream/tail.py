"""The last records of a topic, without reading the rest: what came in of late, and how the brokers' clock stands."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.failure import NotNow
from services.stream.consumer import record_of
from services.stream.producer import Connection
from services.stream.record import Record

_WITHIN_S: Final = 10.0
_WAIT_MS: Final = 250


@dataclass(frozen=True, slots=True)
class Tail:
    """``held`` is how many offsets the topic spans; ``whole`` says that ``records`` are all there is."""

    records: tuple[Record, ...]
    held: int
    whole: bool


async def tail(connection: Connection, topic: str, partitions: int, most: int = 500) -> Tail:
    """At most ``most`` records of each of the topic's ``partitions``; it must be there. Raises :class:`NotNow`."""
    places = [TopicPartition(topic, number) for number in range(partitions)]
    client = AIOKafkaConsumer(
        **connection.arguments(), client_id="deskpulse-doctor", group_id=None, enable_auto_commit=False
    )
    try:
        async with asyncio.timeout(_WITHIN_S):
            await client.start()
            client.assign(places)
            first, end = await client.beginning_offsets(places), await client.end_offsets(places)
            begin = {place: max(first[place], end[place] - most) for place in places}
            for place in places:
                client.seek(place, begin[place])
            records = await _read(client, {place: end[place] for place in places if begin[place] < end[place]})
    except (KafkaError, OSError, TimeoutError):
        raise NotNow(f"Kafka does not hand out {topic}") from None
    finally:
        await client.stop()
    held = sum(end[place] - first[place] for place in places)
    return Tail(tuple(records), held, all(begin[place] == first[place] for place in places))


async def _read(client: Any, ends: Mapping[TopicPartition, int]) -> list[Record]:
    records: list[Record] = []
    left = dict(ends)
    while left:
        found: Mapping[TopicPartition, Iterable[Any]] = await client.getmany(*left, timeout_ms=_WAIT_MS)
        records += [record_of(message) for messages in found.values() for message in messages]
        # Positions, and not the last record's offset: markers of transactions are passed too.
        left = {place: end for place, end in left.items() if await client.position(place) < end}
    return records
