"""Topics come into being on a real broker as they are declared, and nothing that exists is altered."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from schemas.failure import NotNow
from schemas.topics import ALERTS, SLA, TICKETS, TOPICS, Topic
from services.embedded.broker import PARTITIONS, EmbeddedBroker
from services.embedded.port import free_port
from services.stream.admin import IN_ORDER, Outcome, TopicChange, apply, ensure_exist
from services.stream.producer import Connection
from tests.support.kafka import Kafka

pytestmark = [pytest.mark.kafka, pytest.mark.anyio]

Unique = Callable[[str], str]


@pytest.fixture
def connection(kafka: Kafka) -> Connection:
    if not kafka.can_create_topics:
        pytest.skip(f"{kafka.kind} cannot create topics")
    return Connection(kafka.bootstrap)


@pytest.fixture
def declared(kafka: Kafka, unique_name: Unique) -> list[Topic]:
    """Every topic as declared, under names of this test's own."""
    topics = [renamed(topic, unique_name("apply")) for topic in TOPICS.values()]
    kafka.created.extend(topic.name for topic in topics)
    return topics


def renamed(topic: Topic, name: str) -> Topic:
    return msgspec.structs.replace(topic, name=name, examples=topic.examples and f"{name}/v1")


def outcomes(rows: list[TopicChange]) -> list[Outcome]:
    return [row.outcome for row in rows]


async def test_missing_topics_are_created_as_declared_and_then_left_alone(
    connection: Connection, declared: list[Topic]
) -> None:
    first = await apply(connection, 1, declared)
    assert outcomes(first) == [Outcome.CREATED] * 5
    assert [row.topic for row in first] == [topic.name for topic in declared]
    assert [row.partitions for row in first] == [topic.partitions for topic in declared]

    # Settings are compared with what the broker says, so this also proves that they were set.
    second = await apply(connection, 1, declared)
    assert outcomes(second) == [Outcome.UNCHANGED] * 5
    assert {row.outcome for row in (*first, *second)} <= IN_ORDER


async def test_only_what_is_missing_is_created(connection: Connection, declared: list[Topic]) -> None:
    await apply(connection, 1, declared[:2])
    rows = await apply(connection, 1, declared)
    assert outcomes(rows) == [Outcome.UNCHANGED] * 2 + [Outcome.CREATED] * 3


async def test_two_that_apply_at_once_agree(connection: Connection, declared: list[Topic]) -> None:
    async with asyncio.TaskGroup() as group:
        both = [group.create_task(apply(connection, 1, declared)) for _ in range(2)]
    for one, other in zip(both[0].result(), both[1].result(), strict=True):
        assert sorted((one.outcome, other.outcome)) == [Outcome.CREATED, Outcome.UNCHANGED]


async def test_a_small_cluster_gets_as_many_copies_as_it_has_brokers(
    connection: Connection, declared: list[Topic]
) -> None:
    wish = msgspec.structs.replace(declared[0], replication_factor=10)
    (created,) = await apply(connection, None, [wish])
    assert created.outcome is Outcome.CREATED
    (again,) = await apply(connection, None, [wish])
    assert again.outcome is Outcome.UNCHANGED


@pytest.mark.parametrize("others", [3, 24])
async def test_another_number_of_partitions_is_reported_and_never_altered(
    connection: Connection, declared: list[Topic], others: int
) -> None:
    tickets = msgspec.structs.replace(declared[0], partitions=12)
    await apply(connection, 1, [msgspec.structs.replace(tickets, partitions=others)])
    for _ in range(2):
        (row,) = await apply(connection, 1, [tickets])
        assert (row.outcome, row.partitions) == (Outcome.PARTITIONS_DIFFER, others)
        assert f"has {others} partitions, 12 are declared" in row.detail
        assert "replay" in row.detail


async def test_other_settings_are_reported_and_never_altered(connection: Connection, declared: list[Topic]) -> None:
    topic = declared[0]
    admin = AIOKafkaAdminClient(bootstrap_servers=connection.bootstrap)
    await admin.start()
    try:
        await admin.create_topics(
            [NewTopic(topic.name, topic.partitions, 1, topic_configs={"retention.ms": "1000000"})]
        )
    finally:
        await admin.close()
    for _ in range(2):
        (row,) = await apply(connection, 1, [topic])
        assert row.outcome is Outcome.SETTINGS_DIFFER
        assert f"retention.ms is 1000000, declared is {topic.config.retention_ms}" in row.detail
        assert "message.timestamp.type is CreateTime, declared is LogAppendTime" in row.detail


async def test_what_the_broker_refuses_is_a_row_with_its_words(connection: Connection, declared: list[Topic]) -> None:
    refused, created = await apply(connection, 1, [renamed(declared[0], "not a topic name"), declared[1]])
    assert (refused.outcome, refused.partitions) == (Outcome.REFUSED, 0)
    assert refused.detail
    assert created.outcome is Outcome.CREATED


async def test_too_many_copies_are_refused_and_said(connection: Connection, declared: list[Topic]) -> None:
    (row,) = await apply(connection, 99, declared[:1])
    assert (row.outcome, row.partitions) == (Outcome.REFUSED, 0)
    assert "eplication" in row.detail


async def test_a_broker_that_cannot_create_topics_is_an_outcome() -> None:
    with EmbeddedBroker() as broker:
        connection = Connection(broker.bootstrap)
        rows = await apply(connection)
        assert [(row.topic, row.outcome, row.partitions) for row in rows] == [
            (name, Outcome.NOT_SUPPORTED, 0) for name in TOPICS
        ]

        assert await ensure_exist(connection, [TICKETS, SLA]) == {TICKETS: PARTITIONS, SLA: PARTITIONS}
        present = {row.topic: row.partitions for row in await apply(connection)}
        assert (present[TICKETS], present[SLA], present[ALERTS]) == (PARTITIONS, PARTITIONS, 0)

        assert set(await ensure_exist(connection)) == set(TOPICS)


async def test_a_broker_that_is_away_is_a_reason_to_come_back() -> None:
    nobody = Connection(f"127.0.0.1:{free_port()}")
    with pytest.raises(NotNow):
        await apply(nobody, deadline_s=5)
    with pytest.raises(NotNow):
        await ensure_exist(nobody, deadline_s=5)
