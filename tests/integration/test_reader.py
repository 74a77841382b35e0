"""Reading a topic to its present end, without a group: on the broker of this session and on the embedded one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaProducer

from schemas.failure import NotNow
from services import clock
from services.embedded.broker import BrokerProcess
from services.stream.admin import ensure_exist
from services.stream.producer import Connection
from services.stream.reader import pick, reading
from services.stream.record import Record
from tests.support.kafka import Kafka, unique
from tests.support.wait import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

PARTITIONS = 4


class Topic:
    """A topic with four partitions, and a producer for it."""

    def __init__(self, connection: Connection, name: str, producer: AIOKafkaProducer) -> None:
        self.connection = connection
        self.name = name
        self._producer = producer

    async def write(self, numbers: range, partition: int | None = None) -> None:
        """One record for each number."""
        sent = []
        for number in numbers:
            where = number % PARTITIONS if partition is None else partition
            sent.append(await self._producer.send(self.name, str(number).encode(), partition=where))
        for acknowledged in sent:
            await acknowledged

    async def read(self, since_us: int | None = None, until_us: int | None = None) -> list[Record]:
        found: list[Record] = []
        async with reading(self.connection, self.name, since_us=since_us, until_us=until_us) as records:
            while (batch := await records.batch()) is not None:
                found += batch
            assert records.done == records.total
        return found


def numbers(records: list[Record]) -> list[int]:
    return sorted(int(record.value or b"") for record in records)


@asynccontextmanager
async def _topic(connection: Connection, name: str) -> AsyncIterator[Topic]:
    producer = AIOKafkaProducer(bootstrap_servers=connection.bootstrap)
    await producer.start()
    try:
        yield Topic(connection, name, producer)
    finally:
        await producer.stop()


@pytest.fixture(params=["of this session", "embedded"])
async def topic(request: pytest.FixtureRequest) -> AsyncIterator[Topic]:
    name = unique("reader")
    if request.param == "embedded":
        with BrokerProcess() as broker:
            connection = Connection(broker.bootstrap)
            await ensure_exist(connection, [name])
            async with _topic(connection, name) as made:
                yield made
    else:
        kafka: Kafka = request.getfixturevalue("kafka")
        await kafka.create_topic(name, partitions=PARTITIONS)
        async with _topic(Connection(kafka.bootstrap), name) as made:
            yield made


async def test_everything_is_read_once_and_in_order_within_a_partition(topic: Topic) -> None:
    await topic.write(range(1000))
    found = await topic.read()
    assert numbers(found) == list(range(1000))
    for partition in range(PARTITIONS):
        offsets = [record.offset for record in found if record.partition == partition]
        assert offsets == sorted(offsets)
    assert numbers(await topic.read()) == list(range(1000)), "nobody's position has moved"


async def test_what_is_written_while_it_is_read_is_not_waited_for(topic: Topic) -> None:
    await topic.write(range(100))
    found: list[Record] = []
    async with reading(topic.connection, topic.name) as records:
        await topic.write(range(100, 200))
        while (batch := await records.batch()) is not None:
            found += batch
    assert numbers(found) == list(range(100))


async def test_an_empty_topic_ends_at_once(topic: Topic) -> None:
    assert await topic.read() == []


async def test_times_of_the_append_bound_what_is_read(topic: Topic) -> None:
    await topic.write(range(50), partition=1)
    at_us = max(record.appended_us for record in await topic.read()) + 1000
    await eventually(lambda: clock.now_us() > at_us, "another millisecond has begun")
    await topic.write(range(50, 100), partition=1)
    early, late = await topic.read(until_us=at_us), await topic.read(since_us=at_us)
    assert (numbers(early), numbers(late)) == (list(range(50)), list(range(50, 100)))
    assert await topic.read(since_us=at_us + 3_600_000_000) == []
    assert await topic.read(until_us=0) == []


async def test_records_are_picked_by_their_places_and_what_is_not_there_is_left_out(topic: Topic) -> None:
    await topic.write(range(20))
    found = await pick(topic.connection, topic.name, [(3, 2), (0, 4), (0, 5), (9, 0)])
    assert {place: record.value for place, record in found.items()} == {(3, 2): b"11", (0, 4): b"16"}


async def test_a_topic_that_is_not_there_is_no_dependency_to_wait_for_in_silence(
    topic: Topic, unique_name: Callable[[str], str]
) -> None:
    with pytest.raises(NotNow, match="there is no topic"):
        async with reading(topic.connection, unique_name("nothing")):
            pass
