"""Ingest wired together: :func:`build` makes the app of its parts, :func:`run` is the process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog
from prometheus_client import REGISTRY, CollectorRegistry

from schemas.failure import NotNow
from services import clock
from services.config.document import Document
from services.config.duration import seconds
from services.config.environment import Environment
from services.config.reload import Prepare, Reload, Take
from services.ingest import dedupe as memory
from services.ingest import routes
from services.ingest.address import networks
from services.ingest.dedupe import Dedupe
from services.ingest.direct import Direct
from services.ingest.door import Door
from services.ingest.intake import MAX_IN_FLIGHT, Intake, Sender, TopicNames
from services.ingest.measures import Measures
from services.ingest.source import ready
from services.ingest.spool import Spool, drain
from services.operate import garbage, logs, openapi, probes, problem
from services.operate.health import Health, Note
from services.operate.server import Server
from services.operate.stop import signalled
from services.state import client
from services.stream.producer import Producer

SERVICE = "ingest"
_LONGEST_PAUSE_S = 5.0

log = structlog.get_logger(SERVICE)


def build(
    document: Document,
    environment: Environment,
    sender: Sender,
    dedupe: Dedupe,
    *,
    health: Health,
    measures: Measures,
    names: TopicNames | None = None,
    registry: CollectorRegistry = REGISTRY,
    now: Callable[[], datetime] = clock.now,
    steady: Callable[[], float] = clock.steady_s,
    max_in_flight: int = MAX_IN_FLIGHT,
    read_deadline_s: float | None = None,
    spool: Spool | None = None,
) -> Direct:
    """The HTTP app. At most ``max_in_flight`` deliveries wait for Kafka at a time. Without a ``spool`` no source's
    webhooks are accepted while Kafka is away.

    Raises ``ConfigInvalid`` with a line for each source that cannot work.
    """
    intake = Intake(
        sender,
        dedupe,
        measures,
        now,
        environment.produce_deadline_s,
        TopicNames() if names is None else names,
        max_in_flight,
        spool,
    )
    door = Door(
        sources=ready(document),
        proxies=networks(environment.trusted_proxies.split(",")),
        intake=intake,
        measures=measures,
        now=now,
        steady=steady,
        max_body_bytes=environment.max_body_bytes,
        read_deadline_s=environment.body_deadline_s if read_deadline_s is None else read_deadline_s,
    )
    # No redirects: a helpdesk may not follow one, and its address would be made of whatever Host the sender wrote.
    app = Direct(title="Deskpulse ingest", docs_url=None, redoc_url=None, redirect_slashes=False)
    app.pass_webhooks_to(door)
    problem.install(app)
    app.include_router(routes.router(door))
    app.include_router(probes.router(health, registry))
    openapi.describe(app)
    return app


async def run(environment: Environment, document: Document) -> None:
    """The ingest process, until SIGINT or SIGTERM. Raises ``ConfigInvalid``, ``PortTaken`` or ``ValueError`` with
    one line for the operator when it cannot begin."""
    logs.configure(SERVICE, environment.log_level)
    with signalled() as stop:
        await serve(environment, document, stop)


async def serve(
    environment: Environment,
    document: Document,
    stop: asyncio.Event,
    started: Callable[[str], None] = lambda url: None,
    names: TopicNames | None = None,
    registry: CollectorRegistry = REGISTRY,
) -> None:
    """Serves until ``stop`` is set, then finishes the requests in flight and flushes. ``started`` hears the URL.

    Listens before Kafka answers, so that probes can say what is missing; ``/readyz`` is false until it does.
    """
    producer = Producer(environment.kafka(), client_id="deskpulse-ingest")
    redis = client.hasty(environment.redis())
    measures = Measures(registry)
    dedupe = memory.RedisDedupe(redis, measures.degraded.inc, horizon_s=seconds(environment.dedupe_horizon))
    health = Health()
    spool = await _spool(environment, document, measures)
    health.check("kafka", lambda: _kafka_problem(producer, spool))
    if spool is not None:
        health.check("spool", spool.readiness)
    try:
        app = build(
            document,
            environment,
            producer,
            dedupe,
            health=health,
            measures=measures,
            names=names,
            registry=registry,
            spool=spool,
        )
        server = Server(app, environment.bind_host, environment.ingest_port)
        await server.start()
        garbage.settle()
    except BaseException:
        if spool is not None:
            await spool.close()
        raise
    reload = Reload(
        environment.config,
        document,
        _prepared(app, spool is None and environment.spool_max_bytes > 0),
        registry,
        health,
    )
    connecting = asyncio.create_task(_connected(producer, stop), name="kafka-connect")
    reloading = asyncio.create_task(reload.run(stop), name="configuration")
    draining = None if spool is None else asyncio.create_task(drain(spool, producer), name="spool-drain")
    try:
        log.info("listening", url=server.url, sources=sorted(document.sources))
        started(server.url)
        await _stopped(stop, [task for task in (draining, reloading) if task is not None])
    finally:
        health.draining = True
        await server.drain(environment.drain_s)
        await server.stop()
        for task in filter(None, (connecting, draining, reloading)):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if spool is not None:
            await spool.close()
        await producer.stop()
        await dedupe.flushed()
        await redis.aclose()
        log.info("stopped")


async def _connected(producer: Producer, stop: asyncio.Event) -> None:
    """Tries until a broker answers, with growing pauses."""
    pause_s = 0.25
    while not stop.is_set():
        try:
            await producer.start()
        except NotNow as exc:
            log.warning("kafka_away", detail=exc.what, next_try_s=pause_s)
        else:
            log.info("kafka_connected")
            return
        try:
            await asyncio.wait_for(stop.wait(), pause_s)
        except TimeoutError:
            pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)


def _prepared(app: Direct, needs_spool: bool) -> Prepare:
    """Makes the sources of a changed document ready. A request that is being answered keeps the source that it began
    with. With ``needs_spool`` this process has opened no spool, since no source asked for one."""

    def prepare(changed: Document) -> Take:
        sources = ready(changed)

        def take() -> list[str]:
            app.follow(sources)
            return [f"sources.{name}.spool" for name, source in sources.items() if needs_spool and source.spools]

        return take

    return prepare


async def _spool(environment: Environment, document: Document, measures: Measures) -> Spool | None:
    """The spool where a source needs one, or where an earlier process left one to be drained."""
    folder, most = environment.spool(), environment.spool_max_bytes
    if most and (folder.exists() or any(source.spools for source in ready(document).values())):
        return await Spool.open(folder, most, measures)
    return None


def _kafka_problem(producer: Producer, spool: Spool | None) -> str | Note | None:
    if producer.ready:
        return None
    away = f"{producer.problem}." if producer.problem else "No broker has answered yet."
    return away if spool is None else Note(f"{away} Webhooks of sources that spool are taken.")


async def _stopped(stop: asyncio.Event, working: Sequence[asyncio.Task[None]]) -> None:
    """Returns when ``stop`` is set. The tasks never end before by themselves: what they raise is a bug, and raised
    here."""
    waiting = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({waiting, *working}, return_when=asyncio.FIRST_COMPLETED)
        for task in working:
            if task.done():
                task.result()
    finally:
        waiting.cancel()
