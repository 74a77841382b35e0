"""Reading what a topic holds now, once and to its end: for replays and for looking at dead letters.

No group, no commit: nobody else's position moves, and any number of readers may look at the same time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.failure import NotNow
from services import clock
from services.stream.consumer import record_of
from services.stream.producer import Connection
from services.stream.record import Record
from services.stream.survey import survey

BATCH: Final = 200
"""Most records handed out at a time: bodies may have a MiB each."""

_DEADLINE_S: Final = 10.0
_SILENCE_S: Final = 30.0
_WAIT_MS: Final = 250


class Reading:
    """What one topic holds from ``since_us`` to ``until_us``, as far as it is there when the reading begins.

    Times are those of the append. Records of a partition come in order; partitions in no order between them.
    """

    def __init__(
        self,
        client: Any,
        spans: Mapping[TopicPartition, tuple[int, int]],
        since_us: int | None,
        until_us: int | None,
    ) -> None:
        self._client = client
        self._spans = dict(spans)
        self._since_us = since_us
        self._until_us = until_us
        self._at = {partition: first for partition, (first, _) in spans.items()}
        self._moved_s = clock.steady_s()
        self.total = sum(end - first for first, end in spans.values())
        """Offsets between the beginnings and the ends: how long this will be."""

    @property
    def done(self) -> int:
        """How many of :attr:`total` are behind us."""
        return sum(min(self._at[partition], end) - first for partition, (first, end) in self._spans.items())

    async def batch(self) -> list[Record] | None:
        """The next records, at most :data:`BATCH`; none of them when none came yet, and ``None`` at the end.

        Raises :class:`NotNow` when Kafka has been silent for half a minute.
        """
        left = [partition for partition, (_, end) in self._spans.items() if self._at[partition] < end]
        if not left:
            return None
        self._client.pause(*(self._spans.keys() - left))
        try:
            found: Mapping[TopicPartition, Iterable[Any]]
            found = await self._client.getmany(*left, timeout_ms=_WAIT_MS, max_records=BATCH)
            # Not the last record's offset: markers of transactions and what was deleted meanwhile are passed too.
            positions = {partition: await self._client.position(partition) for partition in left}
        except (KafkaError, OSError):
            raise NotNow("Kafka stopped answering") from None
        if positions != {partition: self._at[partition] for partition in left}:
            self._moved_s = clock.steady_s()
        elif clock.steady_s() - self._moved_s > _SILENCE_S:
            raise NotNow("Kafka stopped answering")
        self._at.update(positions)
        return [record for partition, messages in found.items() for record in self._within(partition, messages)]

    def _within(self, partition: TopicPartition, messages: Iterable[Any]) -> Iterable[Record]:
        _, end = self._spans[partition]
        for message in messages:
            record = record_of(message)
            early = self._since_us is not None and record.appended_us < self._since_us
            late = self._until_us is not None and record.appended_us >= self._until_us
            if record.offset < end and not early and not late:
                yield record


@asynccontextmanager
async def reading(
    connection: Connection, topic: str, *, since_us: int | None = None, until_us: int | None = None
) -> AsyncIterator[Reading]:
    """A :class:`Reading` of ``topic``. Raises :class:`NotNow` when Kafka does not answer or has no such topic."""
    async with _assigned(connection, topic) as (client, partitions):
        try:
            async with asyncio.timeout(_DEADLINE_S):
                spans = await _spans(client, partitions, since_us, until_us)
        except (KafkaError, OSError, TimeoutError):
            raise NotNow("Kafka does not answer") from None
        for partition, (first, _) in spans.items():
            client.seek(partition, first)
        yield Reading(client, spans, since_us, until_us)


async def pick(
    connection: Connection, topic: str, places: Collection[tuple[int, int]]
) -> dict[tuple[int, int], Record]:
    """The records of ``topic`` at these partitions and offsets; what is no longer there, or never was, is left out.

    Raises :class:`NotNow` as :func:`reading` does.
    """
    found: dict[tuple[int, int], Record] = {}
    async with _assigned(connection, topic) as (client, partitions):
        try:
            async with asyncio.timeout(_DEADLINE_S):
                first, end = await client.beginning_offsets(partitions), await client.end_offsets(partitions)
            for number, offset in places:
                partition = TopicPartition(topic, number)
                if partition not in end or not first[partition] <= offset < end[partition]:
                    continue
                record = await asyncio.wait_for(_one(client, partition, offset), _SILENCE_S)
                if record is not None:
                    found[number, offset] = record
        except (KafkaError, OSError, TimeoutError):
            raise NotNow("Kafka does not answer") from None
    return found


@asynccontextmanager
async def _assigned(connection: Connection, topic: str) -> AsyncIterator[tuple[Any, list[TopicPartition]]]:
    # Asked by name, a broker that creates topics by itself would create this one.
    number = (await survey(connection)).partitions.get(topic)
    if number is None:
        raise NotNow(f"there is no topic {topic}; `deskpulse topics apply` creates it")
    client = AIOKafkaConsumer(
        **connection.arguments(),
        client_id="deskpulse-reader",
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",  # what retention deletes under a slow reader is passed over
        max_partition_fetch_bytes=4 << 20,
    )
    try:
        try:
            await asyncio.wait_for(client.start(), _DEADLINE_S)
        except (KafkaError, OSError, TimeoutError):
            raise NotNow("Kafka does not answer") from None
        partitions = [TopicPartition(topic, one) for one in range(number)]
        client.assign(partitions)
        yield client, partitions
    finally:
        with suppress(KafkaError, OSError, TimeoutError):
            await asyncio.wait_for(client.stop(), _DEADLINE_S)


async def _spans(
    client: Any, partitions: list[TopicPartition], since_us: int | None, until_us: int | None
) -> dict[TopicPartition, tuple[int, int]]:
    firsts, ends = await client.beginning_offsets(partitions), await client.end_offsets(partitions)
    since = await _offsets_at(client, partitions, since_us, ends, firsts)
    until = await _offsets_at(client, partitions, until_us, ends, ends)
    return {
        partition: (min(max(firsts[partition], since[partition]), until[partition]), until[partition])
        for partition in partitions
    }


async def _offsets_at(
    client: Any,
    partitions: list[TopicPartition],
    at_us: int | None,
    ends: Mapping[TopicPartition, int],
    unknown: Mapping[TopicPartition, int],
) -> dict[TopicPartition, int]:
    """Where ``at_us`` lies in each partition: its end when nothing is as new. ``unknown`` is taken without a time,
    and on a broker that keeps no index of times (the embedded one); every record's own time is looked at as well."""
    if at_us is None:
        return dict(unknown)
    at = await client.offsets_for_times(dict.fromkeys(partitions, at_us // 1000))
    indexed = await client.offsets_for_times(dict.fromkeys(partitions, 0))
    places = {}
    for partition in partitions:
        if at[partition] is not None:
            places[partition] = int(at[partition].offset)
        else:
            places[partition] = ends[partition] if indexed[partition] is not None else unknown[partition]
    return places


async def _one(client: Any, partition: TopicPartition, offset: int) -> Record | None:
    client.seek(partition, offset)
    while True:
        found = await client.getmany(partition, timeout_ms=_WAIT_MS, max_records=1)
        for message in found.get(partition, ()):
            return record_of(message) if message.offset == offset else None
