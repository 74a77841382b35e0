"""What gathering records into batches must not change: order, who hears of a failure, and what is kept for nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.producer.message_accumulator import BatchBuilder

from services.stream.batches import Batches
from services.stream.record import Outgoing

PARTITIONS = 4


class Batch:
    """A builder that takes ``room`` records."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.values: list[bytes] = []

    def append(self, *, timestamp: int | None, key: bytes | None, value: bytes, headers: Any) -> object | None:
        if len(self.values) == self.room:
            return None
        self.values.append(value)
        return self

    def close(self) -> None:
        pass


class Client:
    """A client whose batches land when the test says so."""

    def __init__(self, room: int = 100) -> None:
        self.room = room
        self.under_way: list[tuple[int, list[bytes], asyncio.Future[None]]] = []
        self.left: list[tuple[int, list[bytes]]] = []
        self.known: Exception | None = None
        self.refused: Exception | None = None

    async def partitions_for(self, topic: str) -> set[int]:
        if self.known is not None:
            raise self.known
        return set(range(PARTITIONS))

    def create_batch(self) -> Batch:
        return Batch(self.room)

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> asyncio.Future[None]:
        if self.refused is not None:
            raise self.refused
        assert partition not in [number for number, _, _ in self.under_way], "two batches of a partition under way"
        landing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.under_way.append((partition, batch.values, landing))
        self.left.append((partition, batch.values))
        return landing

    def land(self, reason: Exception | None = None) -> None:
        """The oldest batch under way arrives, or fails."""
        _, _, landing = self.under_way.pop(0)
        if reason is None:
            landing.set_result(None)
        else:
            landing.set_exception(reason)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


def key_of(partition: int) -> bytes:
    """A key that belongs to ``partition``."""
    numbers = list(range(PARTITIONS))
    partitioner = DefaultPartitioner()
    return next(key for key in (b"k%d" % n for n in range(1000)) if partitioner(key, numbers, numbers) == partition)


def record(value: bytes, partition: int = 0, topic: str = "t") -> Outgoing:
    return Outgoing(topic, key_of(partition), value)


def batches(client: Client) -> Batches:
    made: Any = client
    return Batches(made)


async def test_records_of_many_senders_leave_in_one_batch_for_each_partition_of_the_default_partitioner() -> None:
    client = Client()
    sending = batches(client)
    done = [sending.send([record(b"a", 1), record(b"b", 3)]), sending.send([record(b"c", 1)])]
    await until(lambda: len(client.under_way) == 2)
    assert sorted(client.left) == [(1, [b"a", b"c"]), (3, [b"b"])]
    client.land()
    await until(done[1].done)
    assert not done[0].done(), "its other record is still under way"
    client.land()
    await asyncio.gather(*done)


async def test_a_partition_has_one_batch_under_way_and_what_waits_keeps_its_order() -> None:
    client = Client(room=2)
    sending = batches(client)
    done = [sending.send([record(b"%d" % number)]) for number in range(5)]
    for expected in ([b"0", b"1"], [b"2", b"3"], [b"4"]):
        await until(lambda: client.under_way)
        assert [values for _, values, _ in client.under_way] == [expected]
        client.land()
    await asyncio.gather(*done)


async def test_a_failed_batch_fails_those_who_are_in_it_and_nobody_else() -> None:
    client = Client()
    sending = batches(client)
    inside, both, outside = (
        sending.send([record(b"a", 1)]),
        sending.send([record(b"b", 1), record(b"c", 2)]),
        sending.send([record(b"d", 2)]),
    )
    await until(lambda: len(client.under_way) == 2)
    client.land(KafkaConnectionError())
    client.land()
    await outside
    for lost in (inside, both):
        with pytest.raises(KafkaConnectionError):
            await lost


async def test_what_its_sender_gave_up_before_it_left_never_leaves_and_is_not_kept() -> None:
    client = Client()
    sending = batches(client)
    first = sending.send([record(b"under way")])
    await until(lambda: client.under_way)
    given_up = sending.send([record(b"given up"), record(b"elsewhere", 2, "other")])
    waits = sending.send([record(b"waits")])
    given_up.cancel()
    await asyncio.sleep(0)
    assert all(parcel[0].value != b"given up" for parcel in sending._topics["t"]._arrived)
    client.land()
    await until(lambda: client.under_way)
    client.land()
    await asyncio.gather(first, waits)
    assert client.left == [(0, [b"under way"]), (0, [b"waits"])]


async def test_a_record_that_may_lie_anywhere_passes_over_a_partition_that_is_stuck() -> None:
    client = Client()
    sending = batches(client)
    for number in range(PARTITIONS):
        sending.send([Outgoing("t", b"k", b"%d" % number, anywhere=True)])
        await until(lambda wanted=number + 1: len(client.under_way) == wanted)
    assert sorted(partition for partition, _ in client.left) == list(range(PARTITIONS))
    last = sending.send([Outgoing("t", b"k", b"last", anywhere=True)])
    free = client.under_way[2][0]
    client.under_way.insert(0, client.under_way.pop(2))
    client.land()
    await until(lambda: len(client.left) == PARTITIONS + 1)
    assert client.left[-1] == (free, [b"last"])
    while client.under_way:
        client.land()
    await last


async def test_when_a_batch_is_too_large_each_of_its_records_is_told_for_itself() -> None:
    client = Client()
    sending = batches(client)
    small, large, later = (sending.send([record(value)]) for value in (b"small", b"large", b"later"))
    await until(lambda: client.under_way)
    client.land(MessageSizeTooLargeError())
    for reason in (None, MessageSizeTooLargeError(), None):
        await until(lambda: client.under_way)
        client.land(reason)
    await asyncio.gather(small, later)
    with pytest.raises(MessageSizeTooLargeError):
        await large
    assert client.left[1:] == [(0, [b"small"]), (0, [b"large"]), (0, [b"later"])]


async def test_a_topic_that_cannot_be_found_and_a_batch_that_cannot_leave_are_told_to_those_who_wait() -> None:
    client = Client()
    sending = batches(client)
    client.known = KafkaConnectionError()
    with pytest.raises(KafkaConnectionError):
        await sending.send([record(b"a"), record(b"b", 2)])
    client.known, client.refused = None, RuntimeError("a bug")
    with pytest.raises(RuntimeError):
        await sending.send([record(b"c")])
    client.refused = None
    last = sending.send([record(b"d")])
    await until(lambda: client.under_way)
    client.land()
    await last
    assert client.left == [(0, [b"d"])]


async def test_nothing_to_send_is_done_and_flushing_waits_for_all() -> None:
    client = Client()
    sending = batches(client)
    await sending.send([])
    sent = sending.send([record(b"a")])
    flushing = asyncio.ensure_future(sending.flushed(10))
    await until(lambda: client.under_way)
    assert not flushing.done()
    client.land()
    await flushing
    assert sent.done()
    waiting = sending.send([record(b"b")])
    await sending.flushed(0.001)
    assert not waiting.done()


def test_the_builder_of_the_client_takes_one_record_of_any_size_and_then_says_that_it_is_full() -> None:
    builder = BatchBuilder(1000, 0)
    assert builder.append(timestamp=None, key=b"k", value=b"x" * 5000, headers=[]) is not None
    assert builder.append(timestamp=None, key=b"k", value=b"y", headers=[]) is None
