"""Looking at a cluster without changing it: what `deskpulse doctor` asks."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from schemas.failure import NotNow
from services.stream.connection import Connection
from services.stream.diagnosis import unreachable


@dataclass(frozen=True, slots=True)
class Survey:
    """How many brokers there are, and how many partitions each topic has."""

    brokers: int
    partitions: dict[str, int]


async def survey(connection: Connection, deadline_s: float = 5.0) -> Survey:
    """Asks about no topic by name, so none comes into being. Raises :class:`NotNow` when no broker answers within
    ``deadline_s``."""
    client = AIOKafkaAdminClient(**connection.arguments(), request_timeout_ms=int(deadline_s * 1000))
    try:
        async with asyncio.timeout(deadline_s):
            await client.start()
            cluster = await client.describe_cluster()
            topics = await client.describe_topics()
    except (KafkaError, OSError, TimeoutError):
        raise NotNow(await unreachable(connection)) from None
    finally:
        await client.close()
    return Survey(len(cluster["brokers"]), {topic["topic"]: len(topic["partitions"]) for topic in topics})
