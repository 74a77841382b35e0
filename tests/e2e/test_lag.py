"""Ten minutes behind: no promise that was kept is called broken, and a reply that comes late takes an alarm back.

The topic takes the times of its producer here, so that a log of the last ten minutes can be written in a moment; to the
worker it is the log of a cluster in which it stood still for ten minutes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from schemas import codec
from schemas.envelope import ticket_headers
from schemas.sla import SlaEvent, SlaKind
from schemas.ticket import Actor, ActorKind, Kind, Message, TicketEvent, Visibility
from schemas.topics import SLA, TICKETS
from services import clock
from tests.support.kafka import Kafka
from tests.support.line import Line
from tests.support.redis import RedisServer
from tests.support.topics import held
from tests.support.wait import until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

CONFIG = """
sources:
  desk: {vendor: generic, secrets: ["${GENERIC_SECRET}"]}
  slow: {vendor: generic, secrets: ["${GENERIC_SECRET}"], delivery_delay: 1h}
sla_policies:
  - {name: everyone, warn_at: [], targets: {first_response: {"*": 2m}}}
segments: []
windows: [15m]
"""
TICKETS_HELD = 9000
"""More than two of the worker's batches on each side of their replies, so that its clock stands between them."""
ANSWERED_AFTER = timedelta(seconds=60)
FORGOTTEN = {str(number) for number in range(0, TICKETS_HELD, 900)}
"""Tickets whose reply is not in the log: nobody gave it, or it is still on its way."""


@pytest.fixture
def line(kafka: Kafka, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    if not kafka.can_create_topics:
        pytest.skip(f"{kafka.kind} cannot create topics")
    redis_server.empty()
    secret = {"GENERIC_SECRET": "whsec_c2VjcmV0"}
    found = Line(tmp_path_factory.mktemp("lag"), CONFIG, kafka.bootstrap, redis_server.url, secret)
    yield found
    found.stop()


def event(source: str, ticket_id: str, number: int, kind: Kind, at: datetime, **what: Any) -> TicketEvent:
    identity = str(UUID(int=int.from_bytes(f"{source}{ticket_id}".encode(), "big") * 10 + number))
    return TicketEvent(
        event_id=identity,
        source=source,
        vendor="generic",
        ticket_id=ticket_id,
        kind=kind,
        occurred_at=at,
        received_at=at,
        **what,
    )


def created(ticket_id: str, at: datetime, source: str = "desk") -> TicketEvent:
    return event(source, ticket_id, 1, Kind.CREATED, at, actor=Actor(kind=ActorKind.CUSTOMER))


def replied(ticket_id: str, at: datetime, source: str = "desk") -> TicketEvent:
    message = Message(id=f"m{ticket_id}", visibility=Visibility.PUBLIC, author=ActorKind.AGENT)
    return event(source, ticket_id, 2, Kind.MESSAGE_ADDED, at, message=message)


async def appended(bootstrap: str, events: list[TicketEvent], at: datetime | None = None) -> None:
    """The records, stamped with the times of their events, or all with ``at``."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    settings = {"message.timestamp.type": "CreateTime", "retention.ms": "-1"}
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, TICKETS, configs=settings)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=20)
    await producer.start()
    try:
        sent = [
            await producer.send(
                TICKETS,
                codec.encode(told),
                key=told.key.encode(),
                headers=[(name, value) for name, value in ticket_headers(told)],
                timestamp_ms=int((at or told.occurred_at).timestamp() * 1000),
            )
            for told in events
        ]
        for acknowledged in sent:
            await acknowledged
    finally:
        await producer.stop()


def said(bootstrap: str) -> list[SlaEvent]:
    return [codec.decode_sla(record.value) for record in asyncio.run(held(bootstrap, SLA)) if record.value is not None]


def alert_about(line: Line, ticket_id: str) -> dict[str, Any]:
    found = line.get("/v1/alerts", limit=500)["alerts"]
    return next(alert for alert in found if alert["evidence"][0]["ticket_id"] == ticket_id)


def test_ten_minutes_of_lag_break_no_promise_and_a_late_reply_takes_the_alarm_back(line: Line, kafka: Kafka) -> None:
    assert line.services["metrics"].stop() == 0
    began = clock.now() - timedelta(minutes=10)
    apart = (timedelta(minutes=10) - ANSWERED_AFTER - timedelta(minutes=3)) / TICKETS_HELD
    opened = {str(number): began + number * apart for number in range(TICKETS_HELD)}
    log = [created(ticket_id, at) for ticket_id, at in opened.items()]
    log += [replied(ticket_id, at + ANSWERED_AFTER) for ticket_id, at in opened.items() if ticket_id not in FORGOTTEN]
    log.append(created("patient", began, "slow"))
    asyncio.run(appended(kafka.bootstrap, sorted(log, key=lambda told: told.occurred_at)))
    line.start("metrics")

    def announced() -> set[str]:
        return {told.ticket_id for told in said(kafka.bootstrap) if told.kind is SlaKind.BREACHED}

    until(lambda: announced() >= FORGOTTEN, "every promise that was broken is announced", timeout_s=60)
    until(lambda: line.get("/v1/kpis", window="15m")["kpis"]["tickets_created"]["count"] == len(opened) + 1, "all read")
    assert announced() == FORGOTTEN, "and no promise that was kept, nor one of the source that may deliver late"
    for told in said(kafka.bootstrap):
        assert told.breached_at == opened[told.ticket_id] + timedelta(minutes=2)
        assert told.detected_at > told.breached_at

    late, lost = sorted(FORGOTTEN)[:2]
    until(lambda: alert_about(line, late)["state"] == "firing", "the alarm rings")
    asyncio.run(appended(kafka.bootstrap, [replied(late, opened[late] + ANSWERED_AFTER)], at=clock.now()))
    until(lambda: alert_about(line, late)["state"] == "resolved", "the alarm is taken back", timeout_s=30)
    alert = alert_about(line, late)
    came = (opened[late] + ANSWERED_AFTER).strftime("%H:%M UTC")
    assert alert["reason"] == "retracted"
    assert "alert taken back" in alert["title"]
    assert alert["detail"].startswith("This should not have been an alert. News that came late shows that the answer")
    assert f"{came}, in time" in alert["detail"]
    assert alert_about(line, lost)["state"] == "firing"

    told = line.get(f"/v1/tickets/desk/{late}/explain", metric="first_response")
    assert told["timers"][0]["summary"].startswith("First response: kept: the first public human reply came at")
    missing = line.client.get(f"{line.url('api')}/v1/tickets/nowhere/1/explain")
    assert (missing.status_code, missing.json()["sources"]) == (404, ["desk", "slow"])
