"""The process ``deskpulse metrics``: everything is wired here, and runs inside the Faust application runtime."""

from __future__ import annotations

import asyncio
import os

import structlog
from fastapi import FastAPI
from structlog.stdlib import BoundLogger

from schemas.topics import SLA, TICKETS
from services.config.document import Document
from services.config.environment import Environment
from services.config.reload import Reload, Take
from services.kpi.reader import KpiReader
from services.metrics.exporter import Exporter
from services.metrics.meters import Meters
from services.metrics.outbox import Outbox
from services.metrics.plan import planned
from services.metrics.store import RedisStore
from services.metrics.worker import Worker
from services.operate import garbage, probes, problem
from services.operate.health import Health
from services.operate.registry import process_registry
from services.operate.server import Server
from services.state import client
from services.state.forms import Forms
from services.state.partitions import Partitions
from services.state.recompute import Recomputes
from services.stream import runtime
from services.stream.consumer import BatchConsumer
from services.stream.producer import Producer

GROUP = "deskpulse-metrics"


async def run(document: Document, environment: Environment, stop: asyncio.Event) -> None:
    """Works until ``stop``. Raises ``ConfigInvalid`` for rules that make no sense and ``PortTaken`` at once."""
    log: BoundLogger = structlog.get_logger("metrics")
    plan = planned(document)
    connection, registry, health = environment.kafka(), process_registry(), Health()
    writer, reader = client.writer(environment.redis()), client.reader(environment.redis())
    producer = Producer(connection, f"{GROUP}-{os.getpid()}")
    meters = Meters(registry)
    outbox = Outbox(writer, producer, SLA, meters.outbox, log)
    consumer = BatchConsumer(
        connection,
        TICKETS,
        GROUP,
        session_timeout_s=environment.kafka_session_timeout_s,
        instance_id=environment.instance_id,
    )
    forms = Forms(writer, "metrics", health)
    store, recomputes = RedisStore(writer), Recomputes(writer, writer)
    worker = Worker(consumer, store, plan, producer, outbox, meters, health, recomputes, forms)
    kpis = KpiReader(reader, Partitions(reader), plan.kept)
    exporter = Exporter(kpis, document.windows_s, document.segments, registry, lambda: forms.refusal)

    def prepared(changed: Document) -> Take:
        following = planned(changed)

        def take() -> list[str]:
            worker.follow(following)
            kpis.kept = following.kept
            exporter.follow(changed.windows_s, changed.segments)
            return []

        return take

    reload = Reload(environment.config, document, prepared, registry, health)
    health.check("partitions", worker.problem)
    app = FastAPI(title="Deskpulse metrics worker")
    problem.install(app)
    app.include_router(probes.router(health, registry))
    server = Server(app, environment.bind_host, environment.metrics_port)
    faust = runtime.create_app(GROUP, connection, consumes=False)
    runtime.background(faust, "outbox", outbox.run)
    runtime.background(faust, "exporter", exporter.run)
    runtime.background(faust, "worker", worker.run)
    runtime.background(faust, "configuration", reload.run)
    await server.start()
    garbage.settle()
    log.info("started", port=server.port)
    try:
        await runtime.run(faust, stop)
    finally:
        health.draining = True
        await producer.stop()
        await server.stop()
        await forms.leave()
        await writer.aclose()
        await reader.aclose()
        log.info("stopped")
