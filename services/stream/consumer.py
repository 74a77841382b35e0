"""A consumer of one topic that hands out batches by partition and leaves offsets to its caller.

The caller keeps positions itself (in Redis, beside the state), so nothing is committed but as a courtesy to lag
tools. Rebalances are told through :meth:`BatchConsumer.newly_owned`: no lock is shared with the poll (A-5).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import IllegalStateError, KafkaError

from schemas.failure import NotNow
from services.stream import place
from services.stream.connection import Connection
from services.stream.diagnosis import unreachable
from services.stream.record import Record

LONG_POLL_MS: Final = 100
"""How long the broker may hold a fetch: the grain in which :meth:`BatchConsumer.caught_up_us` moves."""

HEARTBEAT_S: Final = 1.0
"""How soon a member hears that another one left or came: for so long the partitions of one that left stand still."""

log = structlog.get_logger("consumer")


class BatchConsumer:
    """Reads ``topic`` as a member of ``group``."""

    def __init__(
        self,
        connection: Connection,
        topic: str,
        group: str,
        *,
        session_timeout_s: float = 45.0,
        instance_id: str | None = None,
    ) -> None:
        self._topic = topic
        self._connection = connection
        self.problem: str | None = None
        """Why the last start failed, a sentence for people; ``None`` when it did not."""
        self._fresh: set[int] = set()
        self._fetches = 0
        self._served: dict[int, int] = {}
        self._made = partial(
            AIOKafkaConsumer,
            **connection.arguments(),
            client_id=group,
            group_id=group,
            group_instance_id=f"{group}-{instance_id}" if instance_id else None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=round(session_timeout_s * 1000),
            heartbeat_interval_ms=round(min(HEARTBEAT_S, session_timeout_s / 6) * 1000),
            max_poll_interval_ms=3_600_000,  # while Redis is away the batch waits; liveness watches the loop
            fetch_max_wait_ms=LONG_POLL_MS,
            max_partition_fetch_bytes=4 << 20,
            partition_assignment_strategy=(StickyPartitionAssignor,),
        )
        self._client = self._made()
        self._stopped = False

    async def start(self) -> None:
        """Connects and joins the group, also once more after :meth:`stop`. Raises :class:`NotNow` when no broker
        answers (A-2)."""
        if self._stopped:
            self._client, self._stopped = self._made(), False
            self._fresh.clear()
        try:
            await self._client.start()
        except (KafkaError, OSError):
            self.problem = await unreachable(self._connection)
            raise NotNow(self.problem) from None
        self.problem = None
        self._client.subscribe([self._topic], listener=_Listener(self._fresh))

    async def stop(self) -> None:
        """Leaves the group, where there are others (:mod:`services.stream.place`); bounded, since a vanished broker
        must not hold up a stop (A-6)."""
        self._stopped = True
        place.leave(self._client)
        try:
            await asyncio.wait_for(self._client.stop(), 10)
        except (KafkaError, OSError, TimeoutError):
            log.warning("consumer_stop_abandoned")

    @property
    def owned(self) -> frozenset[int]:
        """The partitions that the group gave to this member."""
        return frozenset(tp.partition for tp in self._client.assignment())

    def newly_owned(self) -> set[int]:
        """Partitions that were assigned since the last call; their position must be set before records count."""
        fresh = self._fresh & self.owned
        self._fresh.clear()
        return fresh

    async def fetch(self, each: int, most: int, timeout_ms: int = LONG_POLL_MS) -> dict[int, list[Record]]:
        """The next records, up to ``each`` of a partition and ``most`` in all, at once or within ``timeout_ms``; empty
        when there are none. Left to itself the client hands out one partition after the other, as far as its records
        go; here those that waited longest come first."""
        batches: dict[TopicPartition, list[Any]] = await self._client.getmany(timeout_ms=timeout_ms, max_records=each)
        number = sum(map(len, batches.values()))
        if number >= each:
            for tp in sorted(self._client.assignment(), key=lambda tp: self._served.get(tp.partition, 0)):
                left = min(each - len(batches.get(tp, ())), most - number)
                if left > 0:
                    more = await self._client.getmany(tp, timeout_ms=0, max_records=left)
                    for messages in more.values():
                        batches.setdefault(tp, []).extend(messages)
                        number += len(messages)
        self._fetches += 1
        self._served.update((tp.partition, self._fetches) for tp in batches)
        return {tp.partition: [record_of(message) for message in messages] for tp, messages in batches.items()}

    async def ends(self, partition: int) -> tuple[int, int]:
        """The first offset that is kept and the next one to be written. Raises :class:`NotNow`."""
        tp = TopicPartition(self._topic, partition)
        try:
            async with asyncio.timeout(10):
                first = await self._client.beginning_offsets([tp])
                last = await self._client.end_offsets([tp])
        except (KafkaError, OSError, TimeoutError):
            raise NotNow("Kafka does not answer") from None
        return int(first[tp]), int(last[tp])

    def seek(self, partition: int, offset: int) -> None:
        """Reads on from ``offset``. Does nothing when the partition was lost meanwhile."""
        try:
            self._client.seek(TopicPartition(self._topic, partition), offset)
        except IllegalStateError:
            log.info("seek_after_revocation", partition=partition)

    def caught_up_us(self, partition: int) -> int | None:
        """The instant at which the broker last said that there is nothing we have not handed out, in µs since the
        epoch; ``None`` while there is, or before it said anything."""
        tp = TopicPartition(self._topic, partition)
        try:
            polled_ms, end = self._client.last_poll_timestamp(tp), self._client.highwater(tp)
        except (AssertionError, AttributeError):  # lost in a rebalance since the caller looked
            return None
        if polled_ms is None or end is None:
            return None
        assignment = self._client._subscription.subscription.assignment
        state = assignment.state_value(tp) if assignment is not None else None
        if state is None or not state.has_valid_position or state.position < end:
            return None
        return int(polled_ms) * 1000

    def lag(self, partition: int) -> int:
        """Records that the broker has and we have not handed out; 0 while unknown."""
        tp = TopicPartition(self._topic, partition)
        try:
            end = self._client.highwater(tp)
            state = self._client._subscription.subscription.assignment.state_value(tp)
        except (AssertionError, AttributeError):
            return 0
        if end is None or state is None or not state.has_valid_position:
            return 0
        return max(0, int(end) - int(state.position))

    async def commit(self, offsets: Mapping[int, int]) -> None:
        """Tells lag tools where we are. Failing is harmless: the state has its own position (A-8)."""
        try:
            await self._client.commit({TopicPartition(self._topic, p): offset for p, offset in offsets.items()})
        except (KafkaError, IllegalStateError) as exc:
            log.info("commit_skipped", error=type(exc).__name__)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Only sets flags: awaiting anything that waits for the poll would deadlock (A-5)."""

    def __init__(self, fresh: set[int]) -> None:
        self._fresh = fresh

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self._fresh.difference_update(tp.partition for tp in revoked)

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._fresh.update(tp.partition for tp in assigned)


def record_of(message: Any) -> Record:
    """The record that the client handed out as ``message``."""
    return Record(
        message.topic,
        message.partition,
        message.offset,
        message.timestamp * 1000,
        message.key,
        message.value,
        message.headers,
    )
