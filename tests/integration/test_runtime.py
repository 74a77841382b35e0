"""The Faust runtime against a real Kafka and against the embedded broker: nothing lost, nothing silent."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.failure import Invalid, NotNow, Reason
from services.embedded.broker import PARTITIONS, BrokerProcess
from services.operate.health import Health
from services.stream import runtime
from services.stream.producer import Connection, Producer
from services.stream.record import Outgoing, Record
from tests.support.kafka import Kafka, KafkaKind

pytestmark = [pytest.mark.kafka, pytest.mark.anyio, pytest.mark.timeout(120)]

DEADLINE_S = 30


@pytest.fixture(scope="module", params=["kafka", "embedded"])
def broker(request: pytest.FixtureRequest) -> Iterator[Kafka]:
    if request.param == "kafka":
        yield request.getfixturevalue("kafka")
        return
    with BrokerProcess() as embedded:
        yield Kafka(embedded.bootstrap, KafkaKind.EMBEDDED, embedded.version, False, 1)


@asynccontextmanager
async def producing(connection: Connection) -> AsyncIterator[Producer]:
    producer = Producer(connection, "test")
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def created(broker: Kafka, noun: str) -> str:
    topic = f"test.{noun}.{uuid.uuid4().hex[:8]}"
    await broker.create_topic(topic)
    return topic


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            answer = condition()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.02)


async def committed(broker: Kafka, group: str, topic: str) -> int:
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        offsets = [await consumer.committed(TopicPartition(topic, p)) for p in range(PARTITIONS)]
    finally:
        await consumer.stop()
    return sum(offset or 0 for offset in offsets)


def numbered(topic: str, count: int) -> list[Outgoing]:
    return [Outgoing(topic, str(n).encode(), str(n).encode(), [("n", b"1")]) for n in range(count)]


async def test_every_record_is_handled_and_committed_and_a_restart_repeats_none(broker: Kafka) -> None:
    connection = Connection(broker.bootstrap)
    topic, group = await created(broker, "in"), f"test-{uuid.uuid4().hex[:8]}"
    seen: list[Record] = []

    async def keep(record: Record) -> None:
        seen.append(record)

    async with producing(connection) as producer:

        async def run_until(condition: Callable[[], bool]) -> None:
            app = runtime.create_app(group, connection, session_timeout_s=6)
            runtime.agent(app, topic, keep, producer=producer, dead_letters="never", pulse=Health())
            stop = asyncio.Event()
            running = asyncio.create_task(runtime.run(app, stop))
            await until(lambda: condition() or running.done())
            assert len(app.owned) == PARTITIONS
            stop.set()
            await asyncio.wait_for(running, 30)

        await producer.send(numbered(topic, 50))
        await run_until(lambda: len(seen) >= 50)
        assert sorted(int(r.value or b"") for r in seen) == list(range(50))
        assert seen[0].headers == [("n", b"1")]
        assert seen[0].appended_us > 1_600_000_000_000_000
        await producer.send([Outgoing(topic, b"last", b"50")])
        await run_until(lambda: any(r.value == b"50" for r in seen))
        assert len(seen) == 51
        assert await committed(broker, group, topic) == 51


async def test_an_invalid_record_becomes_a_dead_letter_and_the_rest_goes_on(broker: Kafka) -> None:
    connection = Connection(broker.bootstrap)
    topic, letters, group = await created(broker, "in"), await created(broker, "dlq"), f"t-{uuid.uuid4().hex[:8]}"
    good: list[bytes | None] = []

    async def picky(record: Record) -> None:
        if record.value == b"bad":
            raise Invalid(Reason.NOT_JSON, "the value is not JSON")
        good.append(record.value)

    async with producing(connection) as producer:
        app = runtime.create_app(group, connection, session_timeout_s=6)
        runtime.agent(app, topic, picky, producer=producer, dead_letters=letters, pulse=Health())
        stop = asyncio.Event()
        running = asyncio.create_task(runtime.run(app, stop))
        await producer.send([Outgoing(topic, b"k", b"bad"), Outgoing(topic, b"k", b"good")])
        await until(lambda: bool(good) or running.done())
        stop.set()
        await asyncio.wait_for(running, 30)
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(letters, p) for p in range(PARTITIONS)])
        letter = await asyncio.wait_for(consumer.getone(), 15)
    finally:
        await consumer.stop()
    headers = dict(letter.headers)
    assert letter.value == b"bad"
    assert headers["dlq-reason"] == b"not_json"
    assert headers["dlq-topic"] == topic.encode()
    assert headers["dlq-stage"] == group.encode()


async def test_a_record_that_cannot_be_handled_now_waits_and_comes_before_the_next(broker: Kafka) -> None:
    connection = Connection(broker.bootstrap)
    topic, group = await created(broker, "in"), f"t-{uuid.uuid4().hex[:8]}"
    attempts: list[bytes | None] = []

    async def at_third_attempt(record: Record) -> None:
        attempts.append(record.value)
        if record.value == b"1" and attempts.count(b"1") < 3:
            raise NotNow("Redis does not answer", retry_after_s=0.05)

    async with producing(connection) as producer:
        app = runtime.create_app(group, connection, session_timeout_s=6)
        runtime.agent(app, topic, at_third_attempt, producer=producer, dead_letters="never", pulse=Health())
        stop = asyncio.Event()
        running = asyncio.create_task(runtime.run(app, stop))
        await producer.send([Outgoing(topic, b"k", b"1"), Outgoing(topic, b"k", b"2")])
        await until(lambda: b"2" in attempts or running.done())
        stop.set()
        await asyncio.wait_for(running, 30)
    assert attempts == [b"1", b"1", b"1", b"2"]


async def test_a_bug_ends_the_process_and_the_record_is_not_committed(broker: Kafka) -> None:
    connection = Connection(broker.bootstrap)
    topic, group = await created(broker, "in"), f"t-{uuid.uuid4().hex[:8]}"
    seen: list[bytes | None] = []

    async def buggy(record: Record) -> None:
        seen.append(record.value)
        if record.value == b"2":
            raise ZeroDivisionError("a bug")

    async with producing(connection) as producer:
        await producer.send([Outgoing(topic, b"k", value) for value in (b"1", b"2", b"3")])
        app = runtime.create_app(group, connection, session_timeout_s=6)
        runtime.agent(app, topic, buggy, producer=producer, dead_letters="never", pulse=Health())
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(runtime.run(app, asyncio.Event()), DEADLINE_S)
    assert seen == [b"1", b"2"]
    assert await committed(broker, group, topic) == 1


async def test_a_stop_while_a_record_waits_does_not_commit_it(broker: Kafka) -> None:
    connection = Connection(broker.bootstrap)
    topic, group = await created(broker, "in"), f"t-{uuid.uuid4().hex[:8]}"
    waiting = asyncio.Event()

    async def never(record: Record) -> None:
        waiting.set()
        raise NotNow("Redis does not answer", retry_after_s=30)

    async with producing(connection) as producer:
        await producer.send([Outgoing(topic, b"k", b"1")])
        app = runtime.create_app(group, connection, session_timeout_s=6)
        runtime.agent(app, topic, never, producer=producer, dead_letters="never", pulse=Health())
        stop = asyncio.Event()
        running = asyncio.create_task(runtime.run(app, stop))
        await asyncio.wait_for(waiting.wait(), DEADLINE_S)
        stop.set()
        await asyncio.wait_for(running, 30)
    assert await committed(broker, group, topic) == 0


async def test_an_app_without_agents_runs_its_service_and_connects_to_no_broker() -> None:
    app = runtime.create_app("t-idle", Connection("127.0.0.1:1"), consumes=False)
    did: list[str] = []
    started = asyncio.Event()

    async def work(stop: asyncio.Event) -> None:
        started.set()
        await stop.wait()
        did.append("finished what it held")

    runtime.background(app, "batch", work)
    stop = asyncio.Event()
    running = asyncio.create_task(runtime.run(app, stop))
    await asyncio.wait_for(started.wait(), 10)
    stop.set()
    await asyncio.wait_for(running, 10)
    assert did == ["finished what it held"]
    assert app.owned == frozenset()


async def test_a_background_service_that_fails_ends_the_process() -> None:
    app = runtime.create_app("t-idle", Connection("127.0.0.1:1"), consumes=False)

    async def work(stop: asyncio.Event) -> None:
        raise ZeroDivisionError("a bug")

    runtime.background(app, "batch", work)
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(runtime.run(app, asyncio.Event()), 10)


async def test_a_background_service_that_returns_unasked_ends_the_process() -> None:
    app = runtime.create_app("t-idle", Connection("127.0.0.1:1"), consumes=False)

    async def work(stop: asyncio.Event) -> None:
        return

    runtime.background(app, "batch", work)
    with pytest.raises(RuntimeError, match="batch ended by itself"):
        await asyncio.wait_for(runtime.run(app, asyncio.Event()), 10)


async def test_a_worker_waits_for_a_broker_that_is_away_and_can_be_stopped_meanwhile() -> None:
    app = runtime.create_app("t-away", Connection("127.0.0.1:1"))
    stop = asyncio.Event()
    running = asyncio.create_task(runtime.run(app, stop))
    await asyncio.sleep(0)
    stop.set()
    await asyncio.wait_for(running, 10)
    assert not app.started
