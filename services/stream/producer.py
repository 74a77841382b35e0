"""A producer whose word is kept: what :meth:`Producer.send` returned from is in Kafka on all in-sync replicas."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from schemas.failure import Invalid, NotNow, Reason
from services import clock
from services.stream.record import Outgoing


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach the brokers; the same for producers, consumers and admin clients."""

    bootstrap: str
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = "PLAIN"
    sasl_username: str | None = None
    sasl_password: str | None = None
    ssl_cafile: str | None = None

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of every aiokafka client."""
        chosen: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap.split(","),
            "security_protocol": self.security_protocol,
        }
        if self.security_protocol.startswith("SASL"):
            chosen |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.sasl_username,
                "sasl_plain_password": self.sasl_password,
            }
        if self.security_protocol.endswith("SSL"):
            chosen["ssl_context"] = ssl.create_default_context(cafile=self.ssl_cafile)
        return chosen


class Producer:
    """An idempotent ``acks=all`` producer that reconnects by itself and never waits past a deadline."""

    def __init__(self, connection: Connection, client_id: str, max_record_bytes: int = 4 << 20) -> None:
        self._connection = connection
        self._client_id = client_id
        self._max_record_bytes = max_record_bytes
        self._client: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    @property
    def ready(self) -> bool:
        """Whether a broker has answered since the start."""
        return self._client is not None

    async def start(self, deadline_s: float = 10.0) -> None:
        """Connects. Raises :class:`NotNow` when no broker answers within ``deadline_s``; may be called again."""
        async with self._starting:
            if self._client is not None:
                return
            client = AIOKafkaProducer(
                **self._connection.arguments(),
                client_id=self._client_id,
                acks="all",
                enable_idempotence=True,
                linger_ms=2,
                compression_type="lz4",
                max_request_size=self._max_record_bytes,
                request_timeout_ms=10_000,
            )
            try:
                await asyncio.wait_for(client.start(), deadline_s)
            except (KafkaError, OSError, TimeoutError):
                await _closed(client)
                raise NotNow("Kafka does not answer") from None
            self._client = client

    async def send(self, records: Sequence[Outgoing], deadline_s: float = 5.0) -> None:
        """Returns when every record is acknowledged by all in-sync replicas.

        Raises :class:`Invalid` for a record that no broker will ever take, and :class:`NotNow` when the
        acknowledgement is not certain within ``deadline_s``: some records may be in Kafka all the same, so send
        the same again; deterministic ids make the copies harmless.
        """
        ends_s = clock.steady_s() + deadline_s
        try:
            async with asyncio.timeout(deadline_s):
                if self._client is None:
                    await self.start(deadline_s)
                assert self._client is not None
                futures = [
                    await self._client.send(r.topic, value=r.value, key=r.key, headers=list(r.headers)) for r in records
                ]
            await _settled(futures, ends_s - clock.steady_s())
        except MessageSizeTooLargeError:
            raise Invalid(Reason.TOO_LARGE, "the record is larger than the topic takes") from None
        except (KafkaError, OSError, TimeoutError):
            raise NotNow("Kafka did not acknowledge in time") from None

    async def stop(self) -> None:
        """Flushes what is buffered and closes; bounded, since a vanished broker must not hold up a stop."""
        client, self._client = self._client, None
        if client is not None:
            await _closed(client)


async def _settled(futures: Sequence[asyncio.Future[object]], deadline_s: float) -> None:
    """Returns when every record is acknowledged; raises what went wrong, or ``TimeoutError``.

    The futures are left alone when time is up: they belong to the client, which may still settle them.
    """
    if not futures:
        return
    _, pending = await asyncio.wait(futures, timeout=deadline_s)
    for future in futures:
        future.add_done_callback(_heard)
    if pending:
        raise TimeoutError
    for future in futures:
        future.result()


def _heard(future: asyncio.Future[object]) -> None:
    """Takes note of how a record ended after its sender stopped waiting, or asyncio would report it as forgotten."""
    if not future.cancelled():
        future.exception()


async def _closed(client: AIOKafkaProducer) -> None:
    try:
        await asyncio.wait_for(client.stop(), 5)
    except (KafkaError, OSError, TimeoutError):
        return
