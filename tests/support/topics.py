"""The real topics, empty: tests that run whole services share one broker, whose topics are made anew for each."""

from __future__ import annotations

from aiokafka.admin import AIOKafkaAdminClient

from schemas.topics import TOPICS
from services.stream.admin import IN_ORDER, apply
from services.stream.producer import Connection
from tests.support.wait import eventually


async def renewed(connection: Connection) -> None:
    """Deletes the topics of Deskpulse and creates them again, as declared."""
    admin = AIOKafkaAdminClient(**connection.arguments())
    await admin.start()
    try:

        async def left() -> set[str]:
            return set(await admin.list_topics()) & set(TOPICS)

        if names := await left():
            await admin.delete_topics(sorted(names))
            await eventually(lambda: gone(left), "the old topics are gone", timeout_s=30)
    finally:
        await admin.close()
    assert {row.outcome for row in await apply(connection)} <= IN_ORDER


async def gone(left: object) -> bool:
    return not await left()  # type: ignore[operator]
