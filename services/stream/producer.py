"""A producer whose word is kept: what :meth:`Producer.send` returned from is in Kafka on all in-sync replicas."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
)

from schemas.failure import Invalid, NotNow, Reason
from services.stream.batches import BATCH_BYTES, Batches, size_of
from services.stream.connection import Connection as Connection
from services.stream.diagnosis import refused, unreachable
from services.stream.record import Outgoing

_STOP_S: Final = 5.0
_TOO_LARGE: Final = "the record is larger than the topic takes"
_SPENT: Final = (OutOfOrderSequenceNumber, ProducerClosed, ProducerFenced)
"""What an idempotent client never recovers from: a batch that was refused leaves a gap in its numbers."""


class Producer:
    """An idempotent ``acks=all`` producer that reconnects by itself and never waits past a deadline."""

    def __init__(self, connection: Connection, client_id: str, max_record_bytes: int = 4 << 20) -> None:
        self._connection = connection
        self._client_id = client_id
        self._max_record_bytes = max_record_bytes
        self._batches: Batches | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._starting = asyncio.Lock()
        self.problem: str | None = None
        """Why the last start failed, a sentence for people; ``None`` when it did not."""

    @property
    def ready(self) -> bool:
        """Whether a broker has answered since the start."""
        return self._batches is not None

    async def start(self, deadline_s: float = 10.0) -> None:
        """Connects. Raises :class:`NotNow` when no broker answers within ``deadline_s``; may be called again."""
        async with self._starting:
            if self._batches is not None:
                return
            client = AIOKafkaProducer(
                **self._connection.arguments(),
                client_id=self._client_id,
                acks="all",
                enable_idempotence=True,
                linger_ms=0,  # what waits for company waits in Batches
                compression_type="lz4",
                max_batch_size=BATCH_BYTES,
                max_request_size=self._max_record_bytes,
                request_timeout_ms=10_000,
            )
            try:
                await asyncio.wait_for(client.start(), deadline_s)
            except (KafkaError, OSError, TimeoutError):
                await _closed(client)
                self.problem = await unreachable(self._connection)
                raise NotNow(self.problem) from None
            self.problem = None
            self._batches = Batches(client)

    async def send(self, records: Sequence[Outgoing], deadline_s: float = 5.0) -> None:
        """Returns when every record is acknowledged by all in-sync replicas.

        Raises :class:`Invalid` for a record that no broker will ever take, and :class:`NotNow` when the
        acknowledgement is not certain within ``deadline_s``: some records may be in Kafka all the same, so send
        the same again; deterministic ids make the copies harmless.
        """
        if any(size_of(record) > self._max_record_bytes for record in records):
            raise Invalid(Reason.TOO_LARGE, _TOO_LARGE)
        batches = None
        try:
            async with asyncio.timeout(deadline_s):
                if (batches := self._batches) is None:
                    await self.start(deadline_s)
                    batches = self._batches
                assert batches is not None
                await batches.send(records)
        except MessageSizeTooLargeError:
            raise Invalid(Reason.TOO_LARGE, _TOO_LARGE) from None
        except (KafkaError, OSError, TimeoutError) as exc:
            if isinstance(exc, _SPENT):
                self._replace(batches)
            raise NotNow(refused(exc) or "Kafka did not acknowledge in time") from None

    async def stop(self) -> None:
        """Flushes what is buffered and closes; bounded, since a vanished broker must not hold up a stop."""
        batches, self._batches = self._batches, None
        if batches is not None:
            await batches.flushed(_STOP_S)
            await _closed(batches.client)
        if self._closing:
            await asyncio.wait(self._closing)

    def _replace(self, spent: Batches | None) -> None:
        """The next send begins anew: brokers take nothing more from this client."""
        if spent is None or self._batches is not spent:
            return
        self._batches = None
        closing = asyncio.create_task(_closed(spent.client))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


async def _closed(client: AIOKafkaProducer) -> None:
    try:
        await asyncio.wait_for(client.stop(), _STOP_S)
    except (KafkaError, OSError, TimeoutError):
        return
