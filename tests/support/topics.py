"""The real topics, empty, and what lies in them.

Tests that run whole services or commands share one broker, whose topics are made anew for each.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from schemas.topics import TOPICS, WEBHOOKS, apart
from services.stream.admin import IN_ORDER, apply
from services.stream.producer import Connection, Producer
from services.stream.reader import reading
from services.stream.record import Outgoing, Record
from tests.support.kafka import Kafka
from tests.support.wait import eventually


async def renewed(connection: Connection) -> None:
    """Deletes the topics of Deskpulse and creates them again, as declared."""
    admin = AIOKafkaAdminClient(**connection.arguments())
    await admin.start()
    try:

        async def left() -> set[str]:
            there = set(await admin.list_topics())
            return {name for name in there if name in TOPICS or name.startswith(apart(WEBHOOKS, ""))}

        if names := await left():
            await admin.delete_topics(sorted(names))
            await eventually(lambda: gone(left), "the old topics are gone", timeout_s=30)
    finally:
        await admin.close()
    assert {row.outcome for row in await apply(connection)} <= IN_ORDER


async def configured(kafka: Kafka, folder: Path, config: str) -> dict[str, str]:
    """The environment of commands: the topics are empty, ``config`` is the configuration."""
    if not kafka.can_create_topics:
        pytest.skip(f"{kafka.kind} cannot create topics")
    await renewed(Connection(kafka.bootstrap))
    file = folder / "deskpulse.yaml"
    file.write_text(config)
    return {"DESKPULSE_KAFKA_BOOTSTRAP": kafka.bootstrap, "DESKPULSE_CONFIG": str(file)}


async def held(bootstrap: str, topic: str) -> list[Record]:
    """Everything in ``topic``."""
    found: list[Record] = []
    async with reading(Connection(bootstrap), topic) as records:
        while (batch := await records.batch()) is not None:
            found += batch
    return found


async def send(bootstrap: str, *records: Outgoing) -> None:
    """Returns when Kafka has acknowledged the records."""
    producer = Producer(Connection(bootstrap), "test-send")
    await producer.send(records, 30)
    await producer.stop()


async def gone(left: object) -> bool:
    return not await left()  # type: ignore[operator]
