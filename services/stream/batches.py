"""Records of many senders, gathered into one batch for each partition and handed to the client whole.

The client's own ``send`` takes records one by one and spends more on each than the rest of ingest does on a webhook.
Here a record waits with the others of its topic for a moment, and costs an append. What must not change by it:

- A partition has one batch under way at a time, and what waits for it keeps its order: the order of a key is that in
  which its records were sent.
- A record whose sender gave up before its batch left does not leave. So while Kafka is away, what waits is what
  somebody waits for, and one batch for each partition.
- A batch that fails fails those who have a record in it, and nobody else.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.partitioner import murmur2

from services.stream.record import Outgoing

LINGER_S: Final = 0.002
"""How long a record waits for company."""
PACE_S: Final = 0.005
"""Under load, batches of a topic leave this far apart at least: each costs a request, whatever is in it. Measured at 32
connections: 7 % less processor time for a webhook, and shorter answers."""
BATCH_BYTES: Final = 128 << 10
"""A batch is at most this large, or one record: far below what any topic takes, so that only a record that is itself
too large can be refused for its size."""
RECORD_OVERHEAD_BYTES: Final = 100
"""What a record has around its bytes at most, without its headers."""
HEADER_OVERHEAD_BYTES: Final = 10

_hash = lru_cache(maxsize=1 << 14)(murmur2)  # in pure Python; the keys of tickets come again and again


class Sent:
    """Records that were sent together: settled when all are acknowledged, or with the first failure."""

    __slots__ = ("left", "settled")

    def __init__(self, number: int, settled: asyncio.Future[None]) -> None:
        self.left = number
        self.settled = settled

    def acknowledged(self) -> None:
        self.left -= 1
        if not self.left and not self.settled.done():
            self.settled.set_result(None)

    def failed(self, reason: BaseException) -> None:
        if not self.settled.done():
            self.settled.set_exception(reason)


Parcel = tuple[Outgoing, Sent]


class Batches:
    """All topics of one client."""

    def __init__(self, client: AIOKafkaProducer) -> None:
        self.client = client
        self._topics: dict[str, _Topic] = {}
        self._open: set[asyncio.Future[None]] = set()

    def send(self, records: Sequence[Outgoing]) -> asyncio.Future[None]:
        """Done when every record is acknowledged; carries the first failure. Cancel it to give up."""
        settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not records:
            settled.set_result(None)
            return settled
        sent = Sent(len(records), settled)
        for record in records:
            topic = self._topics.get(record.topic)
            if topic is None:
                topic = self._topics[record.topic] = _Topic(self.client, record.topic)
            topic.add((record, sent))
        self._open.add(settled)
        settled.add_done_callback(self._closed)
        return settled

    def _closed(self, settled: asyncio.Future[None]) -> None:
        self._open.discard(settled)
        if settled.cancelled():
            for topic in self._topics.values():
                topic.forget_the_settled()

    async def flushed(self, deadline_s: float) -> None:
        """Returns when nobody waits any more, or when time is up."""
        if self._open:
            await asyncio.wait(tuple(self._open), timeout=deadline_s)


class _Topic:
    """What waits for one topic."""

    def __init__(self, client: AIOKafkaProducer, name: str) -> None:
        self._client = client
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._arrived: list[Parcel] = []
        self._anywhere: deque[Parcel] = deque()
        self._lanes: dict[int, _Lane] = {}
        self._turn = 0
        self._left_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._leaving: asyncio.Task[None] | None = None
        self._again = False

    def add(self, parcel: Parcel) -> None:
        self._arrived.append(parcel)
        if self._timer is None:
            self._leave_in(LINGER_S)

    def forget_the_settled(self) -> None:
        """Lets go of what nobody waits for any more: Kafka may be away for hours."""
        self._arrived = [parcel for parcel in self._arrived if not parcel[1].settled.done()]
        for waiting in (self._anywhere, *(lane.waiting for lane in self._lanes.values())):
            if waiting:
                wanted = [parcel for parcel in waiting if not parcel[1].settled.done()]
                waiting.clear()
                waiting.extend(wanted)

    def _leave_in(self, seconds: float) -> None:
        if self._leaving is not None:
            self._again = True
        elif self._timer is None:
            paced_s = self._left_s + PACE_S - self._loop.time()
            self._timer = self._loop.call_later(max(seconds, paced_s), self._leave)

    def _leave(self) -> None:
        self._timer = None
        self._left_s = self._loop.time()
        self._leaving = self._loop.create_task(self._left())
        self._leaving.add_done_callback(self._gone)

    def _gone(self, leaving: asyncio.Task[None]) -> None:
        self._leaving = None
        if self._again:
            self._again = False
            self._leave_in(LINGER_S)
        if not leaving.cancelled():
            leaving.result()

    async def _left(self) -> None:
        """Sends off what can leave."""
        try:
            partitions = sorted(await self._client.partitions_for(self._name))
        except Exception as reason:
            # Nobody else would tell those who wait; they decide what the reason means.
            self._fail_all(reason)
            return
        arrived, self._arrived = self._arrived, []
        for parcel in arrived:
            record, _ = parcel
            if record.anywhere or record.key is None:
                self._anywhere.append(parcel)
            else:
                self._lane(partitions[(_hash(record.key) & 0x7FFFFFFF) % len(partitions)]).waiting.append(parcel)
        if self._anywhere and (lane := self._idle(partitions)) is not None:
            lane.waiting.extend(self._anywhere)
            self._anywhere.clear()
        for number, lane in tuple(self._lanes.items()):
            if lane.waiting and not lane.busy:
                await self._sent_off(number, lane)

    async def _sent_off(self, number: int, lane: _Lane) -> None:
        batch = self._client.create_batch()
        inside: list[Parcel] = []
        try:
            while lane.waiting and not (lane.alone and inside):
                parcel = lane.waiting.popleft()
                record, sent = parcel
                if sent.settled.done():
                    continue
                inside.append(parcel)
                headers = list(record.headers)  # the client takes nothing else
                if batch.append(timestamp=None, key=record.key, value=record.value, headers=headers) is None:
                    lane.waiting.appendleft(inside.pop())  # full: the rest leaves when this has landed
                    break
            if not inside:
                return
            batch.close()
            landing = await self._client.send_batch(batch, self._name, partition=number)
        except BaseException as reason:
            for _, sent in inside:
                sent.failed(reason)
            if not isinstance(reason, Exception):
                raise
        else:
            lane.busy = True
            lane.alone = max(0, lane.alone - len(inside))
            landing.add_done_callback(lambda landed: self._landed(lane, inside, landed))

    def _landed(self, lane: _Lane, inside: Sequence[Parcel], landed: asyncio.Future[Any]) -> None:
        lane.busy = False
        reason = asyncio.CancelledError() if landed.cancelled() else landed.exception()
        if isinstance(reason, MessageSizeTooLargeError) and len(inside) > 1:
            # One of them is too large for this topic, or all together: each has to be told for itself.
            lane.waiting.extendleft(reversed(inside))
            lane.alone = len(inside)
        else:
            for _, sent in inside:
                if reason is None:
                    sent.acknowledged()
                else:
                    sent.failed(reason)
        if lane.waiting or self._anywhere:
            self._leave_in(0)

    def _fail_all(self, reason: Exception) -> None:
        waiting = [
            *self._arrived,
            *self._anywhere,
            *(parcel for lane in self._lanes.values() for parcel in lane.waiting),
        ]
        for _, sent in waiting:
            sent.failed(reason)
        self._arrived = []
        self._anywhere.clear()
        for lane in self._lanes.values():
            lane.waiting.clear()

    def _lane(self, number: int) -> _Lane:
        found = self._lanes.get(number)
        if found is None:
            found = self._lanes[number] = _Lane()
        return found

    def _idle(self, partitions: Sequence[int]) -> _Lane | None:
        """The next partition in turn that has nothing under way: one whose leader is away is passed over."""
        for _ in partitions:
            self._turn += 1
            lane = self._lane(partitions[self._turn % len(partitions)])
            if not lane.busy and not lane.waiting:
                return lane
        return None


class _Lane:
    """One partition: what waits for it, whether a batch is under way, and how many of those that wait must go alone."""

    __slots__ = ("alone", "busy", "waiting")

    def __init__(self) -> None:
        self.alone = 0
        self.busy = False
        self.waiting: deque[Parcel] = deque()


def size_of(record: Outgoing) -> int:
    """The size of the record in a batch, at most."""
    headers = sum(len(name.encode()) + len(value) + HEADER_OVERHEAD_BYTES for name, value in record.headers)
    return len(record.key or b"") + len(record.value) + headers + RECORD_OVERHEAD_BYTES
