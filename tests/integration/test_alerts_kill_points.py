"""The alerts worker is killed at every line between an alert and its message: nothing is lost, and nothing is new that
was told before.

What is guaranteed is at least once, under an id that stays the same. The receiver here counts both ways: every request,
and every id. Only between the receiver's yes and our writing it down can a request come twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer

from schemas import codec
from schemas.alert import AlertEvent
from schemas.envelope import sla_headers
from schemas.sla import SlaEvent, SlaKind
from schemas.topics import ALERTS, SLA
from services import clock
from services.alerts import keys
from services.config.document import parse
from services.embedded.port import free_port
from services.state import client
from services.stream.producer import Connection, Producer
from services.stream.record import Outgoing
from tests.support.counting import Counting, created, solved
from tests.support.kafka import Kafka
from tests.support.receiver import SECRET, Receiver
from tests.support.service import Service
from tests.support.sla import DUE, announcement
from tests.support.topics import renewed
from tests.support.wait import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.redis, pytest.mark.anyio, pytest.mark.timeout(900)]

PROMISES = (
    "Announcements.__call__:before",  # read from Kafka
    "RedisStore.apply:before",
    "RedisStore.apply:after",  # stored, with its message and its entry in the outbox
    "Producer.send:before",
    "Producer.send:after",  # published, and still in the outbox
    "RedisStore.relayed:after",
    "RedisStore.claim:after",  # taken, and not sent
    "Webhook.send:before",
    "Webhook.send:after",  # sent, and not written down
    "RedisStore.settle:before",
    "RedisStore.settle:after",
    "Announcements.__call__:after",  # all is done but the committed offset
)
"""From an SLA event to its message."""
RULES = ("Memories.put:before", "Memories.put:after", "RedisStore.apply:before", "RedisStore.apply:after")
"""From the look at a KPI to what is stored; from there on the way is the same."""
TWICE = frozenset({"Webhook.send:after", "RedisStore.settle:before"})
"""Where the receiver has it and nobody has written that down."""
ONCE = frozenset(
    {
        *("Announcements.__call__:before", "RedisStore.apply:before", "RedisStore.claim:after"),
        *("Webhook.send:before", "RedisStore.settle:after"),
    }
)
"""Where it was not sent, or is written down. At the others the message may just be on its way: that is done beside."""
SEGMENTS = "segments: [[team]]\n"
HELD_S = 90
"""A lease of ten seconds and the start of a process, on a machine that is shared."""


class Line:
    """One worker at a time, a receiver, SLA events and KPIs of ours."""

    def __init__(self, folder: Path, kafka: Kafka, redis_db: str, receiver: Receiver) -> None:
        self.receiver = receiver
        hook = f'webhook: {{url: "{receiver.url}", secrets: ["{SECRET}"], allow_private: true}}'
        (folder / "deskpulse.yaml").write_text(
            f"{SEGMENTS}rules:\n  - {{name: full, type: threshold, kpi: backlog, above: 5, by: [team], every: 1s}}\n"
            f"receivers:\n  hook: {{{hook}}}\nroutes: [{{receiver: hook}}]\n"
        )
        self._environment = {
            "DESKPULSE_CONFIG": str(folder / "deskpulse.yaml"),
            "DESKPULSE_KAFKA_BOOTSTRAP": kafka.bootstrap,
            "DESKPULSE_REDIS_URL": redis_db,
            "DESKPULSE_KAFKA_SESSION_TIMEOUT_S": "6",
            "DESKPULSE_INSTANCE_ID": "one",
            "DESKPULSE_ALERTS_PORT": str(free_port()),
        }
        self._log = folder / "alerts.log"
        self._bootstrap = kafka.bootstrap
        self.redis = client.writer(redis_db)
        self.producer = Producer(Connection(kafka.bootstrap), "test")
        self.worker: Service | None = None
        self._counting = Counting(self.redis, parse(SEGMENTS, {}))

    def start(self, *program: str) -> Service:
        self.worker = Service("alerts", self._environment, self._log, program or ("services.cli",))
        return self.worker

    async def announce(self, *events: SlaEvent) -> None:
        records = [Outgoing(SLA, e.key.encode(), codec.encode(e), sla_headers(e)) for e in events]
        await self.producer.send(records, deadline_s=60)

    async def come(self, team: str) -> None:
        now_us = clock.now_us()
        await self._counting.count([created(f"{team}-{n}", now_us, team=team) for n in range(8)], now_us)

    async def go(self, team: str) -> None:
        now_us = clock.now_us()
        await self._counting.count([solved(f"{team}-{n}", now_us) for n in range(8)], now_us)

    async def told(self, word: str, transition: str) -> None:
        """Returns once the receiver knows, and nothing waits any more."""

        async def done() -> bool:
            left = await self.redis.zcard(keys.PENDING) + await self.redis.xlen(keys.OUTBOX)
            return left == 0 and (word, transition) in self.once()

        await eventually(done, f"{word} is {transition}, and all is written down", timeout_s=HELD_S)

    def once(self) -> Counter[tuple[str, str]]:
        """What the receiver was told of, each id once."""
        return Counter(_subject(event) for event in {got.message_id: got.event for got in self.receiver.got}.values())

    def always(self) -> Counter[tuple[str, str]]:
        """What it was told of, each request."""
        return Counter(_subject(got.event) for got in self.receiver.got)

    async def published(self) -> set[tuple[str, str]]:
        """What is on the topic of alerts."""
        found: set[tuple[str, str]] = set()
        consumer = AIOKafkaConsumer(ALERTS, bootstrap_servers=self._bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        try:
            while batch := await consumer.getmany(timeout_ms=2000):
                for records in batch.values():
                    found |= {_subject(codec.decode_alert(record.value)) for record in records}
        finally:
            await consumer.stop()
        return found


def _subject(event: AlertEvent) -> tuple[str, str]:
    alert = event.alert
    return alert.evidence[0].ticket_id if alert.evidence else alert.labels["team"], event.transition.value


@pytest.fixture
async def line(kafka: Kafka, redis_db: str, tmp_path: Path) -> AsyncIterator[Line]:
    if not kafka.can_create_topics:
        pytest.skip(f"{kafka.kind} cannot create topics")
    await renewed(Connection(kafka.bootstrap))
    receiver = Receiver()
    await receiver.server.start()
    found = Line(tmp_path, kafka, redis_db, receiver)
    await found.producer.start()
    yield found
    if found.worker is not None:
        found.worker.kill()
    await found.producer.stop()
    await found.redis.aclose()
    await receiver.server.stop()


async def test_a_worker_that_is_killed_anywhere_loses_nothing_and_repeats_only_under_the_same_id(line: Line) -> None:
    promised: dict[str, str] = {}
    ruled: dict[str, str] = {}
    left: tuple[str, str] | None = None
    for number, point in enumerate((*PROMISES, *RULES)):
        word, is_rule = f"kp{number:02}", number >= len(PROMISES)
        mortal = line.start("tests.support.mortal", point, word)
        if left is not None:
            await line.told(*left)  # what the one before it left
        if is_rule:
            ruled[word], left = point, (word, "fired")
            await line.come(word)
        else:
            promised[word], left = point, (word, "breached")
            await line.announce(announcement(SlaKind.BREACHED, ticket_id=word))
        await eventually(lambda worker=mortal: not worker.running, f"it dies at {point}", timeout_s=60)  # type: ignore[misc]
    survivor = line.start()
    assert left is not None
    await line.told(*left)
    now = datetime.now(UTC)
    await line.announce(
        *(announcement(SlaKind.FULFILLED, 2, ticket_id=word, breached_at=DUE, fulfilled_at=now) for word in promised)
    )
    for word in ruled:
        await line.go(word)
    for word in promised:
        await line.told(word, "fulfilled_late")
    for word in ruled:
        await line.told(word, "cleared")
    assert survivor.stop() == 0

    expected = {(word, transition) for word in promised for transition in ("breached", "fulfilled_late")}
    expected |= {(word, transition) for word in ruled for transition in ("fired", "cleared")}
    assert line.once() == Counter(expected), "each message once, by its id"
    repeated = {promised.get(word) for (word, _), number in line.always().items() if number > 1}
    assert repeated >= TWICE, "without the ids: twice, where the receiver's yes was not written down"
    assert not repeated & ONCE, "and not elsewhere"
    assert max(line.always().values()) == 2
    assert await line.published() == expected, "and all of it is on the topic"
    assert line.receiver.forged == []
