"""The query API: :func:`build` makes the app of its parts, :func:`run` is the process ``deskpulse api``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

import structlog
from fastapi import FastAPI, Request
from fastapi.responses import Response
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from structlog.stdlib import BoundLogger

from schemas.failure import NotNow
from services import clock
from services.alerts.access import table
from services.alerts.access.access import Access
from services.alerts.access.gate import Gate
from services.alerts.access.key_set import Fetch
from services.alerts.alerting import Alerting
from services.alerts.api import (
    alerts,
    board,
    configuration,
    definitions,
    deliveries,
    description,
    docs,
    explain,
    forecast,
    kpis,
    links,
    oncall,
    receivers,
    recompute,
    reports,
    rules,
    silences,
    stream,
    tickets,
    timers,
)
from services.alerts.api.dependencies import GUARDS, Context, Streams
from services.alerts.board import pages
from services.alerts.board.live import Live
from services.alerts.board.panel import Panel
from services.alerts.calendars import Calendars
from services.alerts.explain.explainer import Explainer
from services.alerts.feed import Feed
from services.alerts.forecast.forecaster import Forecaster
from services.alerts.measures import LinkMeasures, Transitions
from services.alerts.memories import Memories
from services.alerts.report.composer import Composer
from services.alerts.report.shelf import ReportShelf
from services.alerts.rulebook import RuleBook
from services.alerts.sight import Sight
from services.alerts.silences import SilenceBook
from services.alerts.store import RedisStore
from services.alerts.waiting import Waiting
from services.config.document import Document
from services.config.environment import Environment
from services.config.reload import Reload, Take
from services.fold.rules import compiled
from services.kpi.reader import KpiReader
from services.kpi.window import resolutions
from services.operate import garbage, openapi, probes, problem
from services.operate.health import Health
from services.operate.problem import Problem
from services.operate.registry import process_registry
from services.operate.server import Server
from services.state import client
from services.state.client import away
from services.state.forms import Forms
from services.state.partitions import Partitions
from services.state.recompute import Recomputes
from services.state.tickets import Tickets
from services.state.timers import TimerList

log: BoundLogger = structlog.get_logger("api")

_DESCRIPTION = """Support KPIs, SLA timers and alerts of your helpdesks, as they are now.

Times are RFC 3339 in UTC, durations are seconds unless a name says otherwise. Errors are
`application/problem+json` with a stable `type`. A parameter that does not exist is refused with the list of those
that do."""


_EVERYWHERE = {
    400: "A parameter is unknown, or asks for what is not configured; the answer says what there is.",
    503: "Redis does not answer; see Retry-After.",
}


def build(
    document: Document,
    *,
    writer: Redis,
    reader: Redis,
    feed: Feed,
    health: Health,
    registry: CollectorRegistry,
    now: Callable[[], datetime] = clock.now,
    keys_from: Fetch | None = None,
) -> FastAPI:
    """The HTTP app. ``keys_from`` fetches the issuer's documents, by default over the network."""
    store, partitions = RedisStore(writer, reader), Partitions(reader)
    found = KpiReader(reader, partitions, resolutions(document.windows_s.values()))
    promises, forecaster = TimerList(reader, partitions), Forecaster(document, found)
    book = SilenceBook(document, writer, reader)
    app = FastAPI(title="Deskpulse", version="1", description=_DESCRIPTION, docs_url=None, redoc_url=None)
    app.state.refusal = lambda: None
    app.state.access = access = Access(document, now, clock.steady_s, registry, keys_from)
    app.state.context = Context(
        document=document,
        redis=reader,
        store=store,
        alerting=Alerting(store, document, now, Transitions(registry), book),
        feed=feed,
        now=now,
        kpis=found,
        rules=RuleBook(document, writer, reader),
        silences=book,
        link_uses=LinkMeasures(registry).uses,
        memories=Memories(writer, reader),
        sight=Sight(found, Waiting(document, found, TimerList(reader, partitions))),
        recomputes=Recomputes(writer, reader),
        forecasts=forecaster,
        composer=Composer(document, found, Explainer(document, found, promises), forecaster, promises),
        reports=ReportShelf(writer, reader),
        timers=TimerList(reader, partitions),
        tickets=Tickets(reader, partitions),
        streams=Streams(most=stream.MAX_STREAMS),
        live=Live(lambda: _panel(app), feed, now),
    )
    app.add_middleware(Gate, access=access, steady=clock.steady_s)
    problem.install(app)
    app.add_exception_handler(NotNow, _not_now)
    app.include_router(kpis.router, dependencies=GUARDS)
    app.include_router(timers.router, dependencies=GUARDS)
    app.include_router(tickets.router, dependencies=GUARDS)
    app.include_router(explain.router, dependencies=GUARDS)
    # The stream first: its path would otherwise be taken for the id of an alert.
    app.include_router(stream.router, dependencies=GUARDS)
    app.include_router(alerts.router, dependencies=GUARDS)
    app.include_router(silences.router, dependencies=GUARDS)
    app.include_router(links.router)
    app.include_router(deliveries.router, dependencies=GUARDS)
    app.include_router(receivers.router, dependencies=GUARDS)
    app.include_router(oncall.router, dependencies=GUARDS)
    app.include_router(forecast.router, dependencies=GUARDS)
    app.include_router(reports.router, dependencies=GUARDS)
    app.include_router(rules.router, dependencies=GUARDS)
    app.include_router(recompute.router, dependencies=GUARDS)
    app.include_router(configuration.router, dependencies=GUARDS)
    app.include_router(definitions.router, dependencies=GUARDS)
    app.include_router(board.router, dependencies=GUARDS)
    app.include_router(probes.router(health, registry))
    openapi.describe(app, _EVERYWHERE, "/v1/")
    app.include_router(pages.router())
    app.include_router(docs.router)
    table.complete(app)
    description.complete(app)
    return app


def follow(app: FastAPI, document: Document) -> None:
    """Answers by ``document`` from the next request on. Raises nothing: it was valid before it came here."""
    parts: Context = app.state.context
    parts.alerting.follow(document)
    parts.rules.follow(document)
    parts.sight.follow(document)
    parts.composer.follow(document)
    app.state.access.follow(document)
    parts.kpis.kept = resolutions(document.windows_s.values())
    app.state.context = replace(parts, document=document)


async def run(
    document: Document,
    environment: Environment,
    stop: asyncio.Event,
    *,
    started: Callable[[str], None] = lambda url: None,
) -> None:
    """Serves until ``stop``. Raises ``PortTaken`` when it cannot begin. ``started`` hears the URL."""
    url = environment.redis()
    writer, reader, blocking = client.writer(url), client.reader(url), client.blocking(url, connections=2)
    health, registry, feed = Health(), process_registry(), Feed(blocking, reader)
    health.check("redis", lambda: _redis_problem(reader))
    forms = Forms(writer, "api", health)
    app = build(document, writer=writer, reader=reader, feed=feed, health=health, registry=registry)
    app.state.refusal = lambda: forms.refusal

    def prepared(changed: Document) -> Take:
        compiled(changed)

        def take() -> list[str]:
            follow(app, changed)
            calendars.follow(changed)
            return ["receivers"] if changed.receivers != document.receivers else []

        return take

    parts: Context = app.state.context
    calendars = Calendars(document, writer, reader, parts.alerting.follow_calendars, clock.now_us, health)
    await calendars.begin()
    reload = Reload(environment.config, document, prepared, registry, health)
    server = Server(app, environment.bind_host, environment.api_port)
    with suppress(NotNow):
        await forms.look()
    await server.start()
    garbage.settle()
    reloading = asyncio.create_task(reload.run(stop), name="configuration")
    following = asyncio.create_task(feed.run(stop, health), name="feed")
    shifts = asyncio.create_task(calendars.run(stop), name="calendars")
    watching = asyncio.create_task(forms.watch(stop), name="state")
    stopping = asyncio.create_task(stop.wait())
    try:
        log.info("started", url=server.url)
        if not app.state.access.protected:
            log.warning("open_to_everybody", fix="configure api_tokens or api.oidc before others can reach this port")
        started(server.url)
        tasks = (following, reloading, shifts, watching)
        await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            await next(task for task in tasks if task.done())
            raise RuntimeError("the feed, the reload, the calendars or the look at the state ended by itself")
    finally:
        health.draining = True
        await server.drain(environment.drain_s)
        feed.end()
        following.cancel()
        reloading.cancel()
        shifts.cancel()
        watching.cancel()
        await asyncio.gather(following, reloading, shifts, watching, return_exceptions=True)
        stopping.cancel()
        await server.stop()
        await forms.leave()
        for redis in (writer, reader, blocking):
            await redis.aclose()
        log.info("stopped")


async def _not_now(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, NotNow)
    return Problem(503, "unavailable", "Unavailable", f"{exc.what}.", headers={"Retry-After": "2"}).response()


async def _redis_problem(reader: Redis) -> str | None:
    try:
        with away():
            await reader.ping()
    except NotNow as wait:
        return f"{wait.what}."
    return None


def _panel(app: FastAPI) -> Panel:
    """What boards are made by, as configured now."""
    parts: Context = app.state.context
    return Panel(parts.document, parts.kpis, parts.timers, parts.store)
