"""Every replica is replaced, one after the other, and nobody notices: no webhook is lost or has to wait, no breach is
missed, false or told twice, and the board's stream misses nothing."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from schemas import codec
from schemas.alert import Transition
from schemas.sla import SlaKind
from schemas.topics import ALERTS, SLA
from services import clock
from tests.support import signing
from tests.support.fleet import REPLICAS, ROLES, SERVICES, Balancer, Fleet, Listener
from tests.support.kafka import Kafka
from tests.support.redis import RedisServer
from tests.support.topics import held
from tests.support.wait import until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(400)]

CONFIG = """
sources:
  desk: {vendor: generic, secrets: ["${GENERIC_SECRET}"]}
sla_policies:
  - {name: everyone, warn_at: [], targets: {first_response: {"*": 6s}}}
segments: [[channel]]
windows: [15m]
"""
PROMISED = timedelta(seconds=6)
APART_S = 0.08
"""Between two tickets."""
REPLY_S = 1.0
"""After so long every second ticket is answered."""


@pytest.fixture
def fleet(kafka: Kafka, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    if not kafka.can_create_topics:
        pytest.skip(f"{kafka.kind} cannot create topics")
    redis_server.empty()
    environment = {"GENERIC_SECRET": "whsec_c2VjcmV0", "DESKPULSE_DRAIN_S": "1"}
    found = Fleet(tmp_path_factory.mktemp("fleet"), CONFIG, kafka.bootstrap, redis_server.url, environment)
    try:
        for role in ROLES:
            found.start(role)
        found.await_ready(*ROLES)
        yield found
    finally:
        found.stop()


@dataclass
class Desk:
    """A helpdesk: opens a ticket every :data:`APART_S`, answers every second one, and sends each webhook again, to the
    other replica, if it got no 2xx."""

    balancer: Balancer
    opened: dict[str, datetime] = field(default_factory=dict)
    answered: dict[str, datetime] = field(default_factory=dict)
    sent: int = 0
    again: int = 0
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        number, waiting = 0, list[str]()
        with httpx.Client(timeout=10, trust_env=False) as client:
            while not self._over.wait(APART_S):
                number += 1
                now = clock.now()
                ticket_id = f"{number}"
                self._post(client, {"kind": "ticket.created", "ticket_id": ticket_id}, now)
                self.opened[ticket_id] = now
                if number % 2 == 0:
                    waiting.append(ticket_id)
                while waiting and (now - self.opened[waiting[0]]).total_seconds() >= REPLY_S:
                    ticket_id = waiting.pop(0)
                    reply = {"id": f"m{ticket_id}", "visibility": "public", "author": "agent"}
                    event = {"kind": "message.added", "ticket_id": ticket_id, "message": reply}
                    self._post(client, event, now)
                    self.answered[ticket_id] = clock.now()

    def _post(self, client: httpx.Client, event: dict[str, Any], at: datetime) -> None:
        self.sent += 1
        body = json.dumps({**event, "occurred_at": at.isoformat()}).encode()
        headers = signing.standard(body, b"secret", f"msg_{self.sent}")

        def send(url: str) -> httpx.Response:
            return client.post(f"{url}/webhooks/desk", content=body, headers=headers)

        try:
            _, tried = self.balancer.ask(client, "ingest", send)
        except AssertionError as failure:
            self.failures.append(str(failure))
        else:
            self.again += tried - 1

    @property
    def broken(self) -> set[str]:
        """Tickets whose promise broke: no answer was on its way in time."""
        late = {t for t, at in self.answered.items() if at > self.opened[t] + PROMISED}
        return (self.opened.keys() - self.answered.keys()) | late

    def stop(self) -> None:
        self._over.set()
        self._thread.join(30)


@dataclass
class Leader:
    """Somebody who asks the API all the time."""

    balancer: Balancer
    asked: int = 0
    again: int = 0
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        with httpx.Client(timeout=10, trust_env=False) as client:
            while not self._over.wait(0.1):
                self.asked += 1
                try:
                    _, tried = self.balancer.ask(client, "api", lambda url: client.get(f"{url}/v1/kpis?window=15m"))
                except AssertionError as failure:
                    self.failures.append(str(failure))
                else:
                    self.again += tried - 1

    def stop(self) -> None:
        self._over.set()
        self._thread.join(30)


def test_every_replica_is_replaced_and_nobody_notices(fleet: Fleet, kafka: Kafka) -> None:
    balancer = Balancer(fleet)
    desk, leader, board = Desk(balancer), Leader(balancer), Listener(balancer)
    try:
        until(lambda: len(balancer.clocks.longest_s) == 12, "every partition's clock was seen", timeout_s=60)
        balancer.clocks.forgotten()
        with ThreadPoolExecutor(len(SERVICES)) as each:  # as `helm upgrade` does: all services, a replica at a time
            list(each.map(lambda name: replaced(fleet, name), SERVICES))
        until(lambda: len(desk.opened) % 2 == 1, "one more ticket")
    finally:
        desk.stop()
        leader.stop()

    tickets = desk.opened.keys()
    try:
        until(lambda: created(fleet) >= len(tickets), "every ticket is counted", timeout_s=120)
        until(lambda: heard(board) >= desk.broken | unanswered(desk), "every breach is on the board", timeout_s=120)
    finally:
        board.stop()
        balancer.stop()
    stood = balancer.clocks.forgotten()
    print(f"clocks stood still, at most, in seconds: { {number: round(s, 1) for number, s in stood.items()} }")
    print(f"webhooks: {desk.sent}, again: {desk.again}; questions: {leader.asked}, again: {leader.again}")
    print(f"streams: {board.streams}; nobody ready: {balancer.alone}")

    assert desk.failures == []
    assert leader.failures == []
    assert created(fleet) == len(tickets), "none lost, none counted twice"
    assert balancer.alone["api"] == balancer.alone["ingest"] == 0
    assert max(stood.values()) < 30

    said = [codec.decode_sla(record.value) for record in asyncio.run(held(kafka.bootstrap, SLA)) if record.value]
    events = {event.event_id: event for event in said}.values()
    breaches = Counter(event.ticket_id for event in events if event.kind is SlaKind.BREACHED)
    assert breaches.keys() == desk.broken, "each that broke, and no other"
    assert set(breaches.values()) == {1}, "each once"
    assert not [event for event in events if event.kind is SlaKind.RETRACTED]

    rung = [codec.decode_alert(record.value) for record in asyncio.run(held(kafka.bootstrap, ALERTS)) if record.value]
    once = {transition.event_id: transition for transition in rung}.values()
    fired = Counter(one.alert.fingerprint for one in once if one.transition is Transition.BREACHED)
    assert len(fired) == len(desk.broken)
    assert set(fired.values()) == {1}

    assert len({event["id"] for event in board.heard if "id" in event}) == len(board.heard), "nothing twice"
    assert heard(board) == desk.broken, "and nothing missed"
    assert board.streams >= 3, "its stream was cut off by each of both replicas"


def replaced(fleet: Fleet, name: str) -> None:
    for replica in REPLICAS:
        role = (name, replica)
        assert fleet.services[role].stop(30) == 0, role
        fleet.start(role)
        fleet.await_ready(role)


def created(fleet: Fleet) -> int:
    answer = fleet.client.get(f"{fleet.url(('api', 'a'))}/v1/kpis", params={"window": "15m"})
    return int(answer.json()["kpis"]["tickets_created"]["count"])


def unanswered(desk: Desk) -> set[str]:
    return desk.opened.keys() - desk.answered.keys()


def heard(board: Listener) -> set[str]:
    events = [event for event in board.heard if event.get("event") == "breached"]
    return {event["data"]["alert"]["evidence"][0]["ticket_id"] for event in events}
