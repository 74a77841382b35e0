"""Ingest without a port: the real application before a real Kafka, asked in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from prometheus_client import CollectorRegistry

from services.config.document import parse
from services.config.environment import Environment
from services.ingest.app import build
from services.ingest.dedupe import MemoryDedupe
from services.ingest.measures import Measures
from services.operate.health import Health
from services.stream.producer import Connection, Producer


@asynccontextmanager
async def doorway(bootstrap: str, config: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of ingest, which writes to the real topics."""
    registry = CollectorRegistry()
    producer = Producer(Connection(bootstrap), "test-doorway")
    settings = Environment(kafka_bootstrap=bootstrap, produce_deadline_s=30)
    app = build(
        parse(config, {}),
        settings,
        producer,
        MemoryDedupe(),
        health=Health(),
        measures=Measures(registry),
        registry=registry,
    )
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://ingest") as client:
            yield client
    finally:
        await producer.stop()
