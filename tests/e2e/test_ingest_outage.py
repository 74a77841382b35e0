"""Kafka is away under load, ingest is killed meanwhile, both come back: what was answered 2xx is in the topic.

``DESKPULSE_OUTAGE_S`` is how long Kafka is away; 120 is the full proof, and the numbers of a run are logged:
``DESKPULSE_OUTAGE_S=120 pytest tests/e2e/test_ingest_outage.py -o log_cli=true --log-cli-level=INFO``.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from schemas.codec import decode_ticket
from schemas.ticket import event_id
from schemas.topics import TICKETS
from services.embedded import Unavailable
from services.embedded.port import free_port
from services.embedded.redis import EmbeddedRedis
from services.stream.producer import Connection
from tests.support import signing
from tests.support.apache_kafka import ApacheKafka
from tests.support.choice import real_required
from tests.support.service import Service
from tests.support.topics import held, renewed
from tests.support.wait import until

OUTAGE_S = int(os.environ.get("DESKPULSE_OUTAGE_S") or 8)

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(240 + 3 * OUTAGE_S)]

KEY = b"a key of thirty-two bytes, nearly"
SECRET = "outage-secret"
CONFIG = f"""
sources:
  generic: {{vendor: generic, secrets: ["whsec_{base64.b64encode(KEY).decode()}"]}}
  zendesk: {{vendor: zendesk, secrets: ["{SECRET}"]}}
"""
SPOOLS, REFUSES = "generic", "zendesk"
POSTERS = {SPOOLS: 8, REFUSES: 2}
EACH_PER_S = 5
TICKETS_EACH = 3

log = logging.getLogger(__name__)

Webhook = tuple[str, bytes, signing.Headers]
"""The id of the one event that it becomes, its body and its headers."""


def generic(ticket: str, number: int) -> Webhook:
    """A new event; ``number`` is its place in the order of its ticket."""
    event = {
        "event_id": str(uuid4()),
        "kind": "ticket.updated",
        "ticket_id": ticket,
        "occurred_at": datetime.now(UTC).isoformat(),
        "sequence": number,
    }
    body = json.dumps(event).encode()
    return event["event_id"], body, signing.standard(body, KEY, event["event_id"])


def zendesk(ticket: str, _number: int) -> Webhook:
    """As :func:`generic`; Zendesk's own id is not yet the event's."""
    theirs = str(uuid4())
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
    content = json.loads(signing.status_changed(theirs, ticket)) | {"time": now}
    body = json.dumps(content).encode()
    return event_id(REFUSES, "zendesk", "4242", theirs), body, signing.zendesk(body, SECRET)


class Load:
    """Posters that go on whatever they are told, each with tickets of its own and one webhook after the other.

    No webhook is posted a second time, so every copy in the topic is one that Deskpulse made.
    """

    def __init__(self, url: str) -> None:
        self.sent: set[str] = set()
        self.taken: dict[str, list[str]] = {source: [] for source in POSTERS}
        """Ids of the events of webhooks that were answered 2xx, by source."""
        self.answers: Counter[tuple[str, int]] = Counter()
        self.unanswered = 0
        self._url = url
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._client = httpx.Client(timeout=30, trust_env=False)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Posts for as long as the block runs; afterwards nothing is under way."""
        makes: dict[str, Callable[[str, int], Webhook]] = {SPOOLS: generic, REFUSES: zendesk}
        threads = [
            threading.Thread(target=self._post, args=(source, makes[source], poster))
            for source, number in POSTERS.items()
            for poster in range(number)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join(60)
            self._client.close()
        assert not any(thread.is_alive() for thread in threads)

    def _post(self, source: str, make: Callable[[str, int], Webhook], poster: int) -> None:
        number = 0
        # The pause is the load's rate: one poster never gets more than EACH_PER_S answers in a second.
        while not self._over.wait(1 / EACH_PER_S):
            number += 1
            name, body, headers = make(f"{poster}-{number % TICKETS_EACH}", number)
            with self._lock:
                self.sent.add(name)
            try:
                answer = self._client.post(f"{self._url}/webhooks/{source}", content=body, headers=headers)
            except httpx.TransportError:
                with self._lock:
                    self.unanswered += 1
                continue
            with self._lock:
                self.answers[source, answer.status_code] += 1
                if answer.is_success:
                    self.taken[source].append(name)

    def goes_on(self, source: str, more: int, *, timeout_s: float) -> None:
        """Returns when ``more`` webhooks of ``source`` were answered 2xx since the call."""
        enough = len(self.taken[source]) + more
        until(lambda: len(self.taken[source]) >= enough, f"{more} more from {source} are taken", timeout_s=timeout_s)


class Ingest:
    """``deskpulse ingest`` on one port and with one spool, over kills."""

    def __init__(self, folder: Path, bootstrap: str, redis_url: str) -> None:
        folder.mkdir()
        self._log = folder / "ingest.log"
        (folder / "deskpulse.yaml").write_text(CONFIG)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._environment = {
            "DESKPULSE_CONFIG": str(folder / "deskpulse.yaml"),
            "DESKPULSE_DATA_DIR": str(folder / "data"),
            "DESKPULSE_SPOOL_DIR": str(folder / "spool"),
            "DESKPULSE_KAFKA_BOOTSTRAP": bootstrap,
            "DESKPULSE_REDIS_URL": redis_url,
            "DESKPULSE_INGEST_PORT": str(port),
        }
        self._service: Service | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """From its first start on; afterwards no process is left."""
        try:
            self.start()
            yield
        finally:
            self.kill()

    def start(self) -> None:
        self._service = Service("ingest", self._environment, self._log)
        until(self._ready, "ingest is ready", timeout_s=60)

    def kill(self) -> None:
        if self._service is not None:
            self._service.kill()

    def stop(self) -> None:
        assert self._service is not None
        code = self._service.stop()
        assert code == 0, self._service.said()[-2000:]

    def measured(self, metric: str) -> float:
        """The value of a metric without labels."""
        text = httpx.get(f"{self.url}/metrics", timeout=10, trust_env=False).text
        found = re.search(rf"^{metric} (\S+)$", text, re.MULTILINE)
        assert found is not None, metric
        return float(found[1])

    def drained(self) -> bool:
        return self.measured("deskpulse_spool_records") == 0 and self._ready()

    def _ready(self) -> bool:
        assert self._service is not None
        assert self._service.running, self._service.said()[-2000:]
        try:
            return httpx.get(f"{self.url}/readyz", timeout=10, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[ApacheKafka]:
    try:
        found = ApacheKafka(tmp_path / "kafka")
        found.start()
    except Unavailable as reason:
        if real_required():
            raise
        pytest.skip(str(reason))
    yield found
    found.stop()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    try:
        found = EmbeddedRedis(tmp_path / "redis")
        found.start()
    except Unavailable as reason:
        if real_required():
            raise
        pytest.skip(str(reason))
    yield found
    found.stop()


def test_what_was_answered_2xx_is_in_the_topic_after_an_outage_of_kafka_and_a_kill_of_ingest(
    tmp_path: Path, kafka: ApacheKafka, redis: EmbeddedRedis
) -> None:
    connection = Connection(kafka.bootstrap)
    asyncio.run(renewed(connection))
    ingest = Ingest(tmp_path / "ingest", kafka.bootstrap, redis.url)
    load = Load(ingest.url)
    with ingest.running():
        with load.running():
            for source in POSTERS:
                load.goes_on(source, 20, timeout_s=30)

            before = len(load.taken[SPOOLS])
            kafka.kill()
            began = time.monotonic()
            load.goes_on(SPOOLS, POSTERS[SPOOLS] * EACH_PER_S * OUTAGE_S, timeout_s=60 + 3 * OUTAGE_S)
            away_s = time.monotonic() - began
            assert away_s >= OUTAGE_S - 1
            spooled = ingest.measured("deskpulse_spool_records")
            during = len(load.taken[SPOOLS]) - before

            ingest.kill()
            missed = load.unanswered
            until(lambda: load.unanswered >= missed + 20, "webhooks come while nobody listens", timeout_s=30)
            kafka.start()
            ingest.start()
            recovered = ingest.measured("deskpulse_spool_recovered_total")
            for source in POSTERS:
                load.goes_on(source, 20, timeout_s=90)
        until(ingest.drained, "the spool is drained", timeout_s=90)
        ingest.stop()

    records = asyncio.run(held(connection.bootstrap, TICKETS))
    events = [decode_ticket(record.value or b"") for record in records]
    contents: dict[str, set[bytes | None]] = {}
    for event, record in zip(events, records, strict=True):
        contents.setdefault(event.event_id, set()).add(record.value)
    taken = {source: set(ids) for source, ids in load.taken.items()}
    log.info(
        "Kafka away for %.1f s; 2xx: %s, %d of generic's in the outage; other answers: %s; no answer: %d; "
        "in the spool before the kill: %d, recovered after it: %d; "
        "records in the topic: %d, distinct ids: %d, copies: %d, 2xx missing: %d, there without a 2xx: %d",
        *(away_s, {source: len(ids) for source, ids in taken.items()}, during),
        *({f"{source} {code}": n for (source, code), n in load.answers.items() if code != 200}, load.unanswered),
        *(spooled, recovered, len(records), len(contents), len(records) - len(contents)),
        *(len(set.union(*taken.values()) - contents.keys()), len(contents.keys() - set.union(*taken.values()))),
    )

    for source, ids in taken.items():
        assert not ids - contents.keys(), f"of {source}: answered 2xx and not in the topic"
    assert contents.keys() <= load.sent
    assert all(len(values) == 1 for values in contents.values()), "copies are copies"

    firsts: dict[str, dict[str, int]] = {}
    for event in events:
        if event.source == SPOOLS:
            firsts.setdefault(event.ticket_id, {}).setdefault(event.event_id, event.sequence)
    assert len(firsts) == POSTERS[SPOOLS] * TICKETS_EACH
    for ticket, order in firsts.items():
        assert list(order.values()) == sorted(order.values()), f"{ticket} is out of order"

    # The test has tested what it says.
    assert {code for source, code in load.answers if source == SPOOLS} == {200}
    assert {code for source, code in load.answers if source == REFUSES} == {200, 503}
    assert spooled > 0
    assert recovered > 0
