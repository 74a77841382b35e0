"""Faust, adjusted: what its settings do not reach."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import faust
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from mode import Service
from mode.threads import WorkerThread

from services.stream import place
from services.stream.producer import Connection

FETCH_WAIT_MS: Final = 100
"""How long a fetch may wait for a first record. Faust fixes 1,500 ms; the embedded broker always waits that long,
which made an alert 1.2 to 1.5 s late there (measured). Ten requests a second cost an idle broker nothing."""


class App(faust.App):  # type: ignore[misc]
    """A Faust app that writes no folder, runs our background services and knows how to reach its brokers.

    ``busy`` counts the records that an agent holds now.
    """

    connection: Connection
    consumes: bool
    busy: int = 0
    problem: str | None = None
    """Why no broker has answered yet, a sentence for people."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.works: list[Service] = []
        self.failed = asyncio.Event()
        self.failure: BaseException | None = None
        super().__init__(*args, **kwargs)

    def fail(self, bug: BaseException) -> None:
        """Asks for a stop because of ``bug``. Unlike Faust's ``crash`` this leaves the consumer's thread running, so
        that what was settled before can still be committed."""
        self.failure = self.failure or bug
        self.failed.set()

    @property
    def owned(self) -> frozenset[tuple[str, int]]:
        """The partitions that the agents read now; empty before the consumer group has agreed."""
        if not self.consumes or self._consumer is None:
            return frozenset()
        try:
            return frozenset((tp.topic, tp.partition) for tp in self._consumer.assignment())
        except faust.exceptions.ConsumerNotStarted:
            return frozenset()

    def last_poll_us(self) -> int:
        """When the brokers last answered a fetch, in microseconds since the epoch; 0 when they have not."""
        consumer: Any = self.consumer._thread._ensure_consumer()
        polled: list[int | None] = [consumer.last_poll_timestamp(tp) for tp in consumer.assignment()]
        return max((at_ms for at_ms in polled if at_ms is not None), default=0) * 1000

    def _create_directories(self) -> None:
        """Faust's data folder is for tables: there are none, and a container's disk may be read-only."""

    def _new_transport(self) -> Any:
        return _Transport(self.conf.broker_consumer, self)

    async def on_start(self) -> None:
        if self.consumes:
            await super().on_start()
        else:
            self.finalize()  # the original also makes a consumer, with a loop that nobody closes

    async def on_started_init_extra_services(self) -> None:
        for work in self.works:
            await self.add_runtime_dependency(work)


class _Daemon(WorkerThread):  # type: ignore[misc]
    """A consumer thread that hangs in a vanished broker must not keep the process from ending (A-6)."""

    def __init__(self, service: Any, **kwargs: Any) -> None:
        super().__init__(service, **kwargs)
        self.daemon = True


class _Thread(AIOKafkaConsumerThread):  # type: ignore[misc]
    Worker = _Daemon

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        stopped = consumer.stop

        async def stop() -> None:
            place.leave(consumer)
            await stopped()

        consumer.stop = stop
        return consumer


class _Consumer(Consumer):  # type: ignore[misc]
    def _new_consumer_thread(self) -> Any:
        return _Thread(self, loop=self.loop, beacon=self.beacon)


class _Transport(Transport):  # type: ignore[misc]
    Consumer = _Consumer
