"""The outbox: SLA events that were written in a batch's atomic step go to Kafka at least once, in order."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from prometheus_client import Gauge
from redis.asyncio import Redis
from structlog.stdlib import BoundLogger

from schemas import codec
from schemas.envelope import sla_headers
from schemas.failure import NotNow
from schemas.state import outbox_key
from services.state.client import away
from services.stream.producer import Producer
from services.stream.record import Outgoing

_CHUNK: Final = 500
_LOOK_S: Final = 1.0


class Outbox:
    """Relays the outboxes of the partitions that this worker owns.

    An event is deleted by its stream id after Kafka acknowledged it, never by count: so a worker that lost the
    partition meanwhile cannot delete what its successor has not sent. Copies carry the same event id.
    """

    def __init__(self, redis: Redis, producer: Producer, topic: str, depth: Gauge, log: BoundLogger) -> None:
        self._redis: Any = redis  # its stubs return unions of everything that any option could make it return
        self._producer = producer
        self._topic = topic
        self._depth = depth
        self._log = log
        self._news = asyncio.Event()
        self.partitions: set[int] = set()

    def notify(self) -> None:
        """There is something to relay."""
        self._news.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Relays until ``stop``, then once more, so that a graceful stop leaves nothing behind."""
        stopping = asyncio.ensure_future(stop.wait())
        try:
            while not stop.is_set():
                news = asyncio.ensure_future(self._news.wait())
                await asyncio.wait({news, stopping}, timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
                news.cancel()
                self._news.clear()
                await self._relay_all()
            await self._relay_all()
        finally:
            stopping.cancel()

    async def _relay_all(self) -> None:
        for partition in sorted(self.partitions):
            try:
                while await self._relay(partition) == _CHUNK:
                    pass
            except NotNow as wait:
                self._log.warning("outbox_waits", partition=partition, why=wait.what)
                await asyncio.sleep(min(wait.retry_after_s, 1.0))
        await self._measure()

    async def _measure(self) -> None:
        try:
            with away():
                self._depth.set(sum([await self._redis.xlen(outbox_key(number)) for number in self.partitions]))
        except NotNow:
            return  # the gauge keeps what was last seen; that Redis is away is told elsewhere

    async def _relay(self, partition: int) -> int:
        key = outbox_key(partition)
        with away():
            found = await self._redis.xrange(key, count=_CHUNK)
        if not found:
            return 0
        records = []
        for _, fields in found:
            event = codec.decode_sla(fields[b"value"])
            records.append(Outgoing(self._topic, fields[b"key"], fields[b"value"], sla_headers(event)))
        await self._producer.send(records)
        with away():
            await self._redis.xdel(key, *(entry_id for entry_id, _ in found))
        return len(found)
