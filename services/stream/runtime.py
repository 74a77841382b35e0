"""The application runtime of the workers: one Faust app with raw-bytes agents and background services.

Faust supervises; it keeps no state and decodes nothing here. Each setting below names the trap that it avoids.
The app runs inside our event loop and our signal handling: nothing hijacks logging or signals.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import structlog
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from faust.app.base import BootStrategy
from faust.auth import SASLCredentials, SSLCredentials
from mode import Service
from structlog.stdlib import BoundLogger

from schemas.failure import Invalid, NotNow
from services import clock
from services.stream.consumer import HEARTBEAT_S
from services.stream.dead_letter import from_record
from services.stream.diagnosis import unreachable
from services.stream.faust_app import App
from services.stream.producer import Connection, Producer
from services.stream.record import Record

LONGEST_WAIT_S: Final = 30.0
"""The longest pause between two attempts at the same record. The record waits; nothing is skipped."""

SILENCE_S: Final = 120.0
"""A consumer that asks its broker nothing for so long is stuck (A-3): the process ends, to be started again."""

_BEAT_S: Final = 60.0

log: BoundLogger = structlog.get_logger("runtime")

Handler = Callable[[Record], Awaitable[None]]
"""What an agent does with one record. Must be idempotent: a record comes again after a crash or a rebalance.
Raises ``Invalid`` (dead-lettered, then passed), ``NotNow`` (tried again); anything else ends the process."""

Work = Callable[[asyncio.Event], Awaitable[None]]
"""A background service. Runs until the event is set, then finishes what it holds and returns."""


class Stop(Protocol):
    """What says that the process should end: an ``asyncio.Event``, or anything that can be waited for."""

    async def wait(self) -> object:
        """Returns when the process should end."""


class Pulse(Protocol):
    """Where loops show that they turn; ``services.operate.health.Health`` is one."""

    def beat(self, name: str, bound_s: float) -> None:
        """The loop turned, and turns again within ``bound_s``."""

    def rest(self, name: str) -> None:
        """The loop waits for work: no beat is expected."""


def create_app(
    name: str,
    connection: Connection,
    *,
    consumes: bool = True,
    session_timeout_s: float = 45.0,
    instance_id: str | None = None,
) -> App:
    """A Faust app whose consumer group is ``name``.

    With ``consumes=False`` it connects to nothing: it only supervises background services, which bring their own
    clients. Agents are refused then. After ``session_timeout_s`` without a heartbeat the group gives this member's
    partitions away; the embedded broker also makes a new member wait for it, so there 6 s is right.
    ``instance_id`` is a name that this replica keeps over restarts: it then gets its partitions back at once.
    """
    app = App(
        name,
        broker=[f"kafka://{address}" for address in connection.bootstrap.split(",")],
        broker_credentials=_credentials(connection),
        broker_client_id=name,
        autodiscover=False,
        table_standby_replicas=0,  # without tables Kafka's own round robin divides evenly (F-10)
        store="memory://",  # F-4, F-6: no tables, so no changelog and no recovery
        web_enabled=False,  # F-19: its pages expose data
        topic_allow_declare=False,  # a command creates topics; the embedded broker has no CreateTopics
        topic_disable_leader=True,
        key_serializer="raw",  # F-3: a decode error inside Faust ends an agent in silence
        value_serializer="raw",
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=instance_id,
        processing_guarantee="at_least_once",  # F-7
        stream_wait_empty=False,  # F-12; safe, since handlers are idempotent
        broker_max_poll_records=500,  # F-12
        broker_session_timeout=session_timeout_s,
        broker_heartbeat_interval=min(HEARTBEAT_S, session_timeout_s / 3),
        broker_rebalance_timeout=max(session_timeout_s, 10.0),
        broker_commit_interval=1.0,
    )
    app.connection = connection
    app.consumes = consumes
    app.producer_only = not consumes
    app.boot_strategy = BootStrategy(app, enable_kafka_consumer=consumes, enable_kafka_producer=False, enable_web=False)
    return app


def agent(app: App, topic: str, handler: Handler, *, producer: Producer, dead_letters: str, pulse: Pulse) -> None:
    """Feeds every record of ``topic`` to ``handler``, one at a time, in order within a partition.

    What ``handler`` calls ``Invalid`` goes to the topic ``dead_letters`` through ``producer`` before it is passed.
    An offset is committed only after ``handler`` returned or the dead letter is in Kafka. ``pulse`` hears from
    every attempt, under the topic's name.
    """
    if not app.consumes:
        raise ValueError("this app was created with consumes=False")

    async def settle(record: Record) -> None:
        attempt = 0
        while True:
            pulse.beat(topic, _BEAT_S + LONGEST_WAIT_S)
            try:
                try:
                    return await handler(record)
                except Invalid as failure:
                    letter = from_record(record, failure, dead_letters, app.conf.id, clock.now_us())
                    return await producer.send([letter])
            except NotNow as wait:
                attempt += 1
                await asyncio.sleep(_pause_s(wait.retry_after_s, attempt))

    async def body(stream: Any) -> None:
        async for event in stream.events():
            message = event.message
            # F-2: Faust acks in a `finally`, also when the body raised or was cancelled. This reference of ours
            # keeps the message unacknowledged until it is settled.
            message.incref()
            app.busy += 1
            try:
                await settle(_record(message))
            except Exception as bug:
                app.fail(bug)
                await asyncio.Event().wait()  # takes no further record; the stop that follows cancels it
            app.busy -= 1
            pulse.rest(topic)
            await stream.ack(event)

    source = app.topic(topic, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
    app.agent(source, name=f"{app.conf.id}-{topic}", concurrency=1)(body)  # F-9: one, or commits have gaps


def background(app: App, name: str, work: Work, *, grace_s: float = 10.0) -> None:
    """Runs ``work`` beside the agents, from when the app has started. One that raises or returns unasked ends
    the process. At a stop its event is set; it is cancelled when it has not returned ``grace_s`` later."""
    app.works.append(_Background(app, name, work, grace_s))


async def run(app: App, stop: Stop, *, grace_s: float = 20.0) -> None:
    """Runs ``app`` until ``stop``; a stop takes at most ``grace_s``.

    Raises what ended the app when that was not ``stop``. Waits, and does not fail, while no broker answers at
    the start (A-2).
    """
    stopping: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
    try:
        if app.consumes and not await _before(stopping, _reachable(app)):
            return
        try:
            if await _before(stopping, app.start()):
                await _watch(app, stopping)
        finally:
            await _bounded_stop(app, grace_s)
    finally:
        stopping.cancel()
    reason: BaseException | None = app.failure or app.crash_reason
    if reason is not None:
        raise reason


class _Background(Service):  # type: ignore[misc]
    """One piece of background work under Faust's supervision."""

    def __init__(self, app: App, name: str, work: Work, grace_s: float) -> None:
        self._app = app
        self._name = name
        self._work = work
        self._grace_s = grace_s
        self._ending = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        super().__init__()

    def _repr_name(self) -> str:
        return self._name

    async def on_start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def on_stop(self) -> None:
        self._ending.set()
        if self._task is None:
            return
        await asyncio.wait({self._task}, timeout=self._grace_s)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            await self._work(self._ending)
        except Exception as bug:
            self._app.fail(bug)
        else:
            if not self._ending.is_set():
                self._app.fail(RuntimeError(f"{self._name} ended by itself"))


async def _watch(app: App, stopping: asyncio.Future[Any]) -> None:
    """Returns when ``stopping`` is done or the app failed; raises when its consumer is stuck.

    Looks every second: Faust sets its crash event from the consumer's thread, which need not wake this loop.
    """
    failed: asyncio.Future[Any] = asyncio.ensure_future(app.failed.wait())
    quiet_since_s = clock.steady_s()
    try:
        while not stopping.done() and not failed.done() and not app.should_stop:
            await asyncio.wait({stopping, failed}, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
            if app.busy or not app.owned or clock.now_us() - app.last_poll_us() < SILENCE_S * 1e6:
                quiet_since_s = clock.steady_s()
            elif clock.steady_s() - quiet_since_s > SILENCE_S:
                raise RuntimeError(f"the consumer has heard nothing from its broker for {SILENCE_S:.0f} s")
    finally:
        failed.cancel()


async def _bounded_stop(app: App, grace_s: float) -> None:
    """A-6: a vanished broker must not hold up a stop. What is abandoned dies with the process."""
    if not app.started:
        return
    stop = asyncio.ensure_future(app.stop())
    await asyncio.wait({stop}, timeout=grace_s)
    if not stop.done():
        stop.cancel()
    await asyncio.gather(stop, return_exceptions=True)


async def _before(stopping: asyncio.Future[Any], step: Any) -> bool:
    """Whether ``step`` was done before ``stopping``; it is cancelled when not."""
    task = asyncio.ensure_future(step)
    await asyncio.wait({stopping, task}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        await task
        return True
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return False


async def _reachable(app: App) -> None:
    attempt = 0
    while True:
        client = AIOKafkaClient(**app.connection.arguments(), client_id="deskpulse-probe")
        try:
            await asyncio.wait_for(client.bootstrap(), 10)
        except (KafkaError, OSError, TimeoutError):
            attempt += 1
            app.problem = await unreachable(app.connection)
            log.warning("kafka_unreachable", why=app.problem, attempt=attempt)
            await asyncio.sleep(_pause_s(0.5, attempt))
        else:
            app.problem = None
            return
        finally:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(client.close(), 5)


def _pause_s(first_s: float, attempt: int) -> float:
    longest: float = min(LONGEST_WAIT_S, first_s * 2 ** min(attempt - 1, 10))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries, guards nothing


def _record(message: Any) -> Record:
    return Record(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        appended_us=round(message.timestamp * 1000) * 1000,
        key=message.key,
        value=message.value,
        headers=[(name, value) for name, value in message.headers or ()],
    )


def _credentials(connection: Connection) -> Any:
    chosen = connection.arguments()
    context = chosen.get("ssl_context")
    if connection.security_protocol.startswith("SASL"):
        return SASLCredentials(
            username=connection.sasl_username,
            password=connection.sasl_password,
            mechanism=connection.sasl_mechanism,
            ssl_context=context,
        )
    return SSLCredentials(context=context) if context is not None else None
