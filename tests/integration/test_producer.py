"""The producer on a real Kafka: where records lie, in which order, and what becomes of those that are too large."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka.partitioner import DefaultPartitioner

from schemas.failure import Invalid, NotNow, Reason
from services.stream.producer import Connection, Producer
from services.stream.reader import reading
from services.stream.record import Outgoing, Record
from tests.support.kafka import PARTITIONS, Kafka

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]


async def created(kafka: Kafka, **config: str) -> str:
    topic = f"test.producer.{uuid.uuid4().hex[:8]}"
    await kafka.create_topic(topic, config=config)
    return topic


@asynccontextmanager
async def producing(kafka: Kafka) -> AsyncIterator[Producer]:
    producer = Producer(Connection(kafka.bootstrap), "test")
    try:
        yield producer
    finally:
        await producer.stop()


async def all_of(kafka: Kafka, topic: str) -> list[Record]:
    found: list[Record] = []
    async with reading(Connection(kafka.bootstrap), topic) as one:
        while (batch := await one.batch()) is not None:
            found += batch
    return found


async def test_keys_lie_where_every_client_puts_them_in_the_order_in_which_they_were_sent(kafka: Kafka) -> None:
    topic = await created(kafka)
    keys = [b"zendesk:%d" % number for number in range(40)]
    async with producing(kafka) as producer:

        async def sender(key: bytes) -> None:
            for number in range(25):
                raw = Outgoing(topic, key, b"raw", [("http-x", b"1")], anywhere=True)
                await producer.send([Outgoing(topic, key, b"%d" % number, (("n", b"1"),)), raw], 30)

        await asyncio.gather(*map(sender, keys))
    by_key: dict[bytes | None, list[tuple[int, bytes | None]]] = defaultdict(list)
    records = await all_of(kafka, topic)
    for record in records:
        if record.value != b"raw":
            by_key[record.key].append((record.partition, record.value))
    numbers = list(range(PARTITIONS))
    partitioner = DefaultPartitioner()
    assert by_key == {key: [(partitioner(key, numbers, numbers), b"%d" % n) for n in range(25)] for key in keys}
    assert sum(record.value == b"raw" for record in records) == 25 * len(keys)


async def test_only_the_record_that_is_too_large_is_refused_and_the_producer_goes_on(kafka: Kafka) -> None:
    if not kafka.can_create_topics:
        pytest.skip(f"{kafka.kind} gives topics no limits")
    topic = await created(kafka, **{"max.message.bytes": "4000"})

    def record(size: int) -> Outgoing:
        return Outgoing(topic, b"same key", os.urandom(size))

    async with producing(kafka) as producer:
        with pytest.raises(Invalid) as too_large_for_all:
            await producer.send([record(5 << 20)], 30)
        assert too_large_for_all.value.reason is Reason.TOO_LARGE
        await producer.send([record(10)], 30)

        async def sent(size: int) -> str:
            while True:
                try:
                    await producer.send([record(size)], 30)
                except Invalid:
                    return "too large"
                except NotNow:
                    continue  # the client that was left behind a gap is replaced; "send the same again"
                return "sent"

        assert await asyncio.gather(*map(sent, (100, 9000, 200))) == ["sent", "too large", "sent"]
    sizes = [len(record.value or b"") for record in await all_of(kafka, topic)]
    assert sorted(set(sizes)) == [10, 100, 200]
