"""What a consumer hands out when there is more than it may: a bounded part of it, and in the end everything."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from services.stream.consumer import BatchConsumer
from services.stream.producer import Connection

TOPIC, PARTITIONS, EACH = "t", 12, 10_000


class Client:
    """Hands out one partition after the other, as far as its records go, like the real one."""

    def __init__(self) -> None:
        self.left = {TopicPartition(TOPIC, number): list(range(EACH)) for number in range(PARTITIONS)}

    def assignment(self) -> set[TopicPartition]:
        return set(self.left)

    async def getmany(self, *wanted: TopicPartition, timeout_ms: int, max_records: int) -> dict[Any, list[Any]]:
        found: dict[Any, list[Any]] = {}
        for tp in wanted or self.left:
            taken, self.left[tp] = self.left[tp][:max_records], self.left[tp][max_records:]
            max_records -= len(taken)
            if taken:
                found[tp] = [
                    SimpleNamespace(
                        topic=TOPIC, partition=tp.partition, offset=at, timestamp=0, key=None, value=b"", headers=()
                    )
                    for at in taken
                ]
        return found


@pytest.fixture
def behind(monkeypatch: pytest.MonkeyPatch) -> BatchConsumer:
    """A consumer with all of its partitions full."""
    monkeypatch.setattr("services.stream.consumer.AIOKafkaConsumer", lambda **_: Client())
    return BatchConsumer(Connection("127.0.0.1:9"), TOPIC, "g")


async def test_a_fetch_is_bounded_for_each_partition_and_in_all_and_nothing_is_left_out(behind: BatchConsumer) -> None:
    seen: dict[int, list[int]] = {}
    while batches := await behind.fetch(300, 1000):
        assert max(map(len, batches.values())) <= 300
        assert sum(map(len, batches.values())) <= 1000
        for number, records in batches.items():
            seen.setdefault(number, []).extend(record.offset for record in records)
    assert seen == {number: list(range(EACH)) for number in range(PARTITIONS)}


async def test_while_all_are_behind_no_partition_waits_for_more_than_a_turn_of_the_others(
    behind: BatchConsumer,
) -> None:
    waited, longest = dict.fromkeys(range(PARTITIONS), 0), 0
    for _ in range(20):
        batches = await behind.fetch(300, 1000)
        for number in waited:
            waited[number] = 0 if number in batches else waited[number] + 1
            longest = max(longest, waited[number])
    assert longest <= PARTITIONS // 3
