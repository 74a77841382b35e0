"""What tests of whole services share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.state import client
from services.stream.producer import Connection
from tests.support.kafka import Kafka
from tests.support.topics import renewed


@pytest.fixture
async def connection(kafka: Kafka) -> Connection:
    """A broker on which the topics of Deskpulse are empty."""
    if not kafka.can_create_topics:
        pytest.skip(f"{kafka.kind} cannot create topics")
    found = Connection(kafka.bootstrap)
    await renewed(found)
    return found


@pytest.fixture
async def redis(redis_db: str) -> AsyncIterator[Any]:
    """A client that looks at an empty Redis."""
    found = client.reader(redis_db)
    yield found
    await found.aclose()
