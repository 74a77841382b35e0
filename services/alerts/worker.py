"""The process ``deskpulse alerts``: everything is wired here, and runs inside the Faust application runtime."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog
from fastapi import FastAPI
from structlog.stdlib import BoundLogger

from schemas import codec, topics
from schemas.alert import AlertEvent
from schemas.envelope import alert_headers
from schemas.failure import NotNow
from schemas.forms import ALERTS_FORM_KEY
from services import clock
from services.alerts import delivery
from services.alerts.alerting import Alerting
from services.alerts.calendars import CalendarMeasures, Calendars, over_the_network
from services.alerts.deliver import Deliverer
from services.alerts.evaluate import Evaluator
from services.alerts.explain.explainer import Explainer
from services.alerts.explain.reasons import Reasons
from services.alerts.forecast.forecaster import Forecaster
from services.alerts.lead import Lead
from services.alerts.measures import Measures, RuleMeasures, Transitions
from services.alerts.memories import Memories
from services.alerts.notify import channels as notify
from services.alerts.notify.alertmanager import Alertmanager
from services.alerts.report.composer import Composer
from services.alerts.report.reporter import Reporter
from services.alerts.report.shelf import ReportShelf
from services.alerts.repush import Repush
from services.alerts.rulebook import RuleBook
from services.alerts.sight import Sight
from services.alerts.silences import SilenceBook
from services.alerts.standing import Standing
from services.alerts.store import RedisStore, Store
from services.alerts.waiting import Waiting
from services.config.document import ConfigInvalid, Document
from services.config.environment import Environment
from services.config.reload import Reload, Take
from services.fold.rules import compiled
from services.kpi.reader import KpiReader
from services.kpi.window import resolutions
from services.operate import garbage, probes, problem
from services.operate.health import Health
from services.operate.registry import process_registry
from services.operate.server import Server
from services.state import client
from services.state.forms import Forms
from services.state.partitions import Partitions
from services.state.timers import TimerList
from services.stream import runtime
from services.stream.faust_app import App
from services.stream.producer import Producer
from services.stream.record import Outgoing, Record

GROUP: Final = "deskpulse-alerts"
_CHUNK: Final = 500
_LOOK_S: Final = 0.5
_PRUNE_S: Final = 60.0
_AT_THE_START: Final = ("receivers", "board_url", "runbooks_url", "links")
"""What of the document is set up at the start and stays as it was then."""

log: BoundLogger = structlog.get_logger("alerts")


async def run(
    document: Document,
    environment: Environment,
    stop: asyncio.Event,
    *,
    sla_topic: str = topics.SLA,
    alerts_topic: str = topics.ALERTS,
    dead_letters: str = topics.TICKETS_DLQ,
    group: str = GROUP,
    started: Callable[[str], None] = lambda url: None,
) -> None:
    """Works until ``stop``. Raises ``ConfigInvalid`` and ``PortTaken`` at once, and later whatever ended it: that is a
    bug.

    ``started`` hears the URL of the probes. The topics and the group have other names only in tests.
    """
    if problems := notify.problems(document):
        raise ConfigInvalid(problems)
    connection, registry, health = environment.kafka(), process_registry(), Health()
    writer, reader = client.writer(environment.redis()), client.reader(environment.redis())
    store, measures = RedisStore(writer, reader), Measures(registry)
    producer = Producer(connection, f"{group}-{os.getpid()}")
    channels = {name: notify.channel(document, name) for name in document.receivers}
    standing = Standing(reader, Partitions(reader))
    deliverers = {
        name: Deliverer(
            name,
            found,
            store,
            measures,
            clock.now_us,
            rate=delivery.rate(document.receivers[name].gathering),
            met=standing.met,
        )
        for name, found in channels.items()
    }
    news, counted = News([deliverer.wake for deliverer in deliverers.values()]), Transitions(registry)

    def heard(event: AlertEvent) -> None:
        counted(event)
        news.tell()

    silences = SilenceBook(document, writer, reader)
    alerting = Alerting(store, document, clock.now, heard, silences)

    app = runtime.create_app(
        group, connection, session_timeout_s=environment.kafka_session_timeout_s, instance_id=environment.instance_id
    )
    handler = Announcements(alerting, measures)
    runtime.agent(app, sla_topic, handler, producer=producer, dead_letters=dead_letters, pulse=health)
    runtime.background(app, "relay", Relay(store, producer, alerts_topic, health, news).run)
    kpis = KpiReader(reader, Partitions(reader), resolutions(document.windows_s.values()))
    rule_measures, lead = RuleMeasures(registry), Lead(writer)
    evaluator = Evaluator(
        document,
        RuleBook(document, writer, reader),
        Sight(kpis, Waiting(document, kpis, TimerList(reader, Partitions(reader)))),
        store,
        Memories(writer, reader),
        alerting,
        lead,
        rule_measures,
        health,
        clock.now_us,
        Reasons(Explainer(document, kpis, TimerList(reader, Partitions(reader))), rule_measures.explanations),
    )
    runtime.background(app, "rules", evaluator.run)
    calendars = Calendars(
        document,
        writer,
        reader,
        alerting.follow_calendars,
        clock.now_us,
        health,
        fetch=over_the_network,
        measures=CalendarMeasures(registry),
    )
    await calendars.begin()
    runtime.background(app, "calendars", calendars.run, grace_s=20.0)
    timers = TimerList(reader, Partitions(reader))
    composer = Composer(document, kpis, Explainer(document, kpis, timers), Forecaster(document, kpis), timers)
    shelf = ReportShelf(writer, reader)
    reporter = Reporter(
        document,
        composer,
        shelf,
        lambda: lead.fence,
        channels,
        rule_measures.reports,
        health,
        clock.now_us,
        news.tell,
    )
    runtime.background(app, "reports", reporter.run)
    runtime.background(app, "keeper", Keeper(alerting, silences, store, measures, health, sorted(channels)).run)
    for name, deliverer in deliverers.items():
        runtime.background(app, f"deliver-{name}", deliverer.run, grace_s=20.0)
    for name, found in channels.items():
        if isinstance(found, Alertmanager) and found.repush_s is not None:
            repush = Repush(name, found, store, lambda: alerting.routes, clock.now_us)
            runtime.background(app, f"repush-{name}", repush.run)

    def prepared(changed: Document) -> Take:
        compiled(changed)

        def take() -> list[str]:
            alerting.follow(changed)
            evaluator.follow(changed)
            calendars.follow(changed)
            reporter.follow(changed)
            kpis.kept = resolutions(changed.windows_s.values())
            return [name for name in _AT_THE_START if getattr(changed, name) != getattr(document, name)]

        return take

    runtime.background(app, "configuration", Reload(environment.config, document, prepared, registry, health).run)

    forms = Forms(writer, "alerts", health)
    runtime.background(app, "state", forms.run)
    health.check("partitions", lambda: _partitions_problem(app))
    health.check("redis", lambda: _redis_problem(store))
    probe = FastAPI(title="Deskpulse alerts worker", docs_url=None, redoc_url=None)
    problem.install(probe)
    probe.include_router(probes.router(health, registry))
    server = Server(probe, environment.bind_host, environment.alerts_port)
    await server.start()
    garbage.settle()
    try:
        log.info("started", url=server.url, receivers=sorted(channels))
        started(server.url)
        if await forms.begin(stop):
            await forms.settle(ALERTS_FORM_KEY)
            await runtime.run(app, stop, grace_s=30.0)
    finally:
        health.draining = True
        await producer.stop()
        await server.stop()
        for found in channels.values():
            await found.close()
        await forms.leave()
        await writer.aclose()
        await reader.aclose()
        log.info("stopped")


class News:
    """Wakes the loops that deal with a new transition: otherwise each looks by itself every half second."""

    def __init__(self, events: list[asyncio.Event]) -> None:
        self.relay = asyncio.Event()
        self._events = [*events, self.relay]

    def tell(self) -> None:
        """There is a new transition."""
        for event in self._events:
            event.set()


class Announcements:
    """The agent's handler: an SLA event becomes a step of an alert. Harmless to repeat."""

    def __init__(self, alerting: Alerting, measures: Measures) -> None:
        self._alerting = alerting
        self._measures = measures

    async def __call__(self, record: Record) -> None:
        event = codec.decode_sla(record.value or b"")
        step = await self._alerting.announced(event)
        if step is None:
            self._measures.sla_events.labels("old").inc()
            return
        self._measures.sla_events.labels("news").inc()
        if step.event is not None:
            self._measures.seconds.observe(max(clock.now_us() - record.appended_us, 0) / 1e6)


class Relay:
    """Outbox to Kafka, at least once, in order. An entry is deleted by its id after Kafka acknowledged it."""

    def __init__(self, store: Store, producer: Producer, topic: str, health: Health, news: News) -> None:
        self._store = store
        self._producer = producer
        self._topic = topic
        self._health = health
        self._news = news

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``, then once more, so that a graceful stop leaves nothing behind."""
        while not stop.is_set():
            self._health.beat("relay", 60.0)
            await self._relayed()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.relay.wait(), _LOOK_S)
            self._news.relay.clear()
        await self._relayed()

    async def _relayed(self) -> None:
        try:
            while True:
                found = await self._store.outgoing(_CHUNK)
                if found:
                    records = [
                        Outgoing(self._topic, event.alert.alert_id.encode(), codec.encode(event), alert_headers(event))
                        for _, event in found
                    ]
                    await self._producer.send(records)
                    await self._store.relayed([entry for entry, _ in found])
                if len(found) < _CHUNK:
                    return
        except NotNow as wait:
            log.warning("relay_waits", why=wait.what)


class Keeper:
    """What time alone brings: snoozes and silences that end, alerts to forget, gauges to refresh."""

    def __init__(
        self,
        alerting: Alerting,
        silences: SilenceBook,
        store: Store,
        measures: Measures,
        health: Health,
        receivers: list[str],
    ) -> None:
        self._alerting = alerting
        self._silences = silences
        self._store = store
        self._measures = measures
        self._health = health
        self._receivers = receivers

    async def run(self, stop: asyncio.Event) -> None:
        """A look every half second until ``stop``."""
        pruned_s = clock.steady_s()
        while not stop.is_set():
            self._health.beat("keeper", 60.0)
            try:
                await self._alerting.wake()
                self._measures.silences.set(await self._alerting.follow_silences())
                await self._measured()
                if clock.steady_s() - pruned_s > _PRUNE_S:
                    pruned_s = clock.steady_s()
                    await self._silences.tidied(clock.now_us())
                    while await self._store.prune(clock.now_us()):
                        pass
            except NotNow as wait:
                log.warning("keeper_waits", why=wait.what)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _LOOK_S)

    async def _measured(self) -> None:
        for (state, severity), number in (await self._store.counts()).items():
            self._measures.alerts.labels(state.value, severity.value).set(number)
        self._measures.pending.set(await self._store.pending())
        depth, oldest_us = await self._store.backlog()
        self._measures.outbox_records.set(depth)
        self._measures.outbox_age.set(0 if oldest_us is None else max(clock.now_us() - oldest_us, 0) / 1e6)
        disabled = await self._store.disabled()
        for name in self._receivers:
            self._measures.disabled.labels(name).set(name in disabled)


def _partitions_problem(app: App) -> str | None:
    if app.problem is not None:
        return f"{app.problem}."
    return None if app.owned else "No partition of the SLA topic is assigned yet."


async def _redis_problem(store: Store) -> str | None:
    try:
        await store.pending()
    except NotNow as wait:
        return f"{wait.what}."
    return None
