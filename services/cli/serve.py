"""``deskpulse ingest | metrics | alerts | api``: one service each, until SIGINT or SIGTERM."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from services.cli import settings
from services.cli.settings import Config
from services.config.document import ConfigInvalid, Document
from services.config.environment import Environment

Run = Callable[[Document, Environment, asyncio.Event], Awaitable[None]]


def ingest(config: Config = None) -> None:
    """Take signed webhooks on POST /webhooks/{source} and write their events to Kafka.

    Needs DESKPULSE_KAFKA_BOOTSTRAP and DESKPULSE_REDIS_URL. Listens on DESKPULSE_BIND_HOST:DESKPULSE_INGEST_PORT
    (127.0.0.1:8080). Run as many as you like.

    \b
    Example:
      DESKPULSE_KAFKA_BOOTSTRAP=kafka:9092 DESKPULSE_REDIS_URL=redis://redis:6379/0 \\
      DESKPULSE_BIND_HOST=0.0.0.0 deskpulse ingest --config /etc/deskpulse.yaml
    """
    from services.ingest import app

    async def run(document: Document, environment: Environment, stop: asyncio.Event) -> None:
        await app.serve(environment, document, stop)

    _serve("ingest", config, run)


def metrics(config: Config = None) -> None:
    """Compute KPIs and SLA timers from the ticket events; /metrics on DESKPULSE_METRICS_PORT (8081).

    Needs DESKPULSE_KAFKA_BOOTSTRAP and DESKPULSE_REDIS_URL. Run up to one for each partition of
    helpdesk.tickets.v1; they share the partitions.

    \b
    Example:
      deskpulse metrics --config /etc/deskpulse.yaml
    """
    from services.metrics import main

    _serve("metrics", config, main.run)


def alerts(config: Config = None) -> None:
    """Turn SLA events into alerts and send them to the receivers; probes on DESKPULSE_ALERTS_PORT (8082).

    Needs DESKPULSE_KAFKA_BOOTSTRAP and DESKPULSE_REDIS_URL. Run two for safety; they share the partitions.

    \b
    Example:
      deskpulse alerts --config /etc/deskpulse.yaml
    """
    from services.alerts import worker

    _serve("alerts", config, worker.run)


def api(config: Config = None) -> None:
    """Serve the query API and the live board on DESKPULSE_API_PORT (8090).

    Needs DESKPULSE_REDIS_URL. Run as many as you like.

    \b
    Example:
      deskpulse api --config /etc/deskpulse.yaml
    """
    from services.alerts import app

    _serve("api", config, app.run, kafka=False)


def _serve(service: str, config: Config, run: Run, *, kafka: bool = True) -> None:
    from services.operate import logs
    from services.operate.server import PortTaken
    from services.operate.stop import signalled
    from services.state.forms import Refused

    environment = settings.environment(kafka=kafka)
    file = settings.config_file(config, environment)
    environment = environment.model_copy(update={"config": file})  # what the service follows while it runs
    document = settings.document(file)
    try:
        if kafka:
            environment.kafka()
        environment.redis()
    except ValueError as exc:
        settings.fail(str(exc))

    logs.configure(service, environment.log_level)

    async def until_signalled() -> None:
        with signalled() as stop:
            await run(document, environment, stop)

    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(until_signalled())
    except ConfigInvalid as exc:
        settings.fail(settings.problem_lines(file, exc.problems))
    except Refused as exc:  # what is started in its place waits until it may
        settings.fail(f"{exc}.")
    except PortTaken as exc:
        settings.fail(f"{exc} The variable is DESKPULSE_{service.upper()}_PORT.")


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None  # Windows, or a Python that it has no wheel for
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
