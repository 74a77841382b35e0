"""The alerts worker and the query API against a real Kafka and Redis, from an SLA event to a signed webhook."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas import codec
from schemas.envelope import sla_headers
from schemas.sla import SlaEvent, SlaKind
from services.alerts import app as api
from services.alerts import worker
from services.config import document
from services.config.environment import Environment
from services.stream.producer import Connection, Producer
from services.stream.record import Outgoing
from tests.conftest import NewTopic
from tests.support.kafka import Kafka
from tests.support.receiver import SECRET, Receiver
from tests.support.sla import announcement

pytestmark = [pytest.mark.kafka, pytest.mark.redis, pytest.mark.anyio, pytest.mark.timeout(120)]

DEADLINE_S = 40
TOKEN = "a-token-of-the-board"


@dataclass
class System:
    """Worker and API, running."""

    producer: Producer
    receiver: Receiver
    http: httpx.AsyncClient
    topics: dict[str, str]
    bootstrap: str
    metrics: str
    restart: Callable[[], Awaitable[None]]

    async def announce(self, *events: SlaEvent) -> None:
        await self.producer.send(
            [Outgoing(self.topics["sla"], e.key.encode(), codec.encode(e), sla_headers(e)) for e in events]
        )

    async def alerts(self, **query: Any) -> list[dict[str, Any]]:
        answer = await self.http.get("/v1/alerts", params=query)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["alerts"]
        return found

    async def alert(self, ticket_id: str) -> dict[str, Any] | None:
        fitting = [a for a in await self.alerts() if a["evidence"][0]["ticket_id"] == ticket_id]
        return fitting[0] if fitting else None

    async def until_alert(self, ticket_id: str, **wanted: Any) -> dict[str, Any]:
        found: list[dict[str, Any]] = []

        async def stands() -> bool:
            alert = await self.alert(ticket_id)
            found[:] = [alert] if alert is not None else []
            return alert is not None and all(alert.get(name) == value for name, value in wanted.items())

        await until(stands)
        return found[0]


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            answer = condition()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.02)


@pytest.fixture
async def system(
    kafka: Kafka, redis_db: str, new_topic: NewTopic, unique_name: Callable[[str], str]
) -> AsyncIterator[System]:
    receiver = Receiver()
    await receiver.server.start()
    configuration = document.parse(
        f"""
sources:
  zendesk: {{vendor: zendesk, secrets: [s3cret], ticket_url: "https://desk.example/tickets/{{ticket_id}}"}}
receivers:
  hook: {{webhook: {{url: "{receiver.url}", secrets: ["{SECRET}"], allow_private: true}}}}
people:
  ana: {{receivers: [hook]}}
schedules:
  support: {{timezone: Europe/Paris, rotations: [{{people: [ana], start: 2020-01-06}}]}}
routes:
  - {{schedule: support}}
api_tokens: ["{TOKEN}"]
""",
        {},
    )
    environment = Environment(
        kafka_bootstrap=kafka.bootstrap, kafka_session_timeout_s=6, redis_url=redis_db, alerts_port=0, api_port=0
    )
    topics = {noun: await new_topic(noun) for noun in ("sla", "alerts", "dlq")}
    group = unique_name("alerts")
    urls: dict[str, str] = {}
    running: list[tuple[asyncio.Event, asyncio.Task[None]]] = []

    async def start_worker() -> None:
        stop = asyncio.Event()
        work = worker.run(
            configuration,
            environment,
            stop,
            sla_topic=topics["sla"],
            alerts_topic=topics["alerts"],
            dead_letters=topics["dlq"],
            group=group,
            started=lambda url: urls.__setitem__("worker", url),
        )
        task = asyncio.create_task(work)
        running.append((stop, task))
        await until(lambda: "worker" in urls or task.done())
        async with httpx.AsyncClient() as http:

            async def ready() -> bool:
                return task.done() or (await http.get(f"{urls['worker']}/readyz")).status_code == 200

            await until(ready)

    async def restart() -> None:
        stop, task = running.pop()
        stop.set()
        await asyncio.wait_for(task, 40)
        urls.pop("worker")
        await start_worker()

    api_stop = asyncio.Event()
    serving = asyncio.create_task(
        api.run(configuration, environment, api_stop, started=lambda url: urls.__setitem__("api", url))
    )
    producer = Producer(Connection(kafka.bootstrap), "test")
    await producer.start()
    await start_worker()
    await until(lambda: "api" in urls)
    headers = {"authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=urls["api"], headers=headers, timeout=20) as http:
        yield System(producer, receiver, http, topics, kafka.bootstrap, urls["worker"], restart)
    stop, task = running.pop()
    stop.set()
    api_stop.set()
    await asyncio.wait_for(asyncio.gather(task, serving), 60)
    await producer.stop()
    await receiver.server.stop()


async def test_a_breach_is_in_the_api_on_the_stream_in_kafka_and_at_the_receiver(system: System) -> None:
    opened = asyncio.Event()
    stream = asyncio.create_task(events(system.http, 1, opened))
    await asyncio.wait_for(opened.wait(), DEADLINE_S)
    await system.announce(announcement(SlaKind.BREACHED))
    alert = await system.until_alert("5158", state="firing")
    assert alert["severity"] == "critical"
    assert alert["evidence"] == [{"source": "zendesk", "ticket_id": "5158", "url": "https://desk.example/tickets/5158"}]
    await until(lambda: bool(system.receiver.got))
    assert system.receiver.got[0].event.alert.alert_id == alert["alert_id"]
    assert system.receiver.forged == []
    ((name, _, data),) = await asyncio.wait_for(stream, DEADLINE_S)
    assert name == "breached"
    assert data["alert"]["alert_id"] == alert["alert_id"]
    consumer = AIOKafkaConsumer(bootstrap_servers=system.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(system.topics["alerts"], p) for p in range(4)])
        record = await asyncio.wait_for(consumer.getone(), DEADLINE_S)
    finally:
        await consumer.stop()
    assert record.key == alert["alert_id"].encode()
    assert codec.decode_alert(record.value) == system.receiver.got[0].event
    assert dict(record.headers)["ce_type"] == b"deskpulse.helpdesk.alert.breached.v1"

    one = (await system.http.get(f"/v1/alerts/{alert['alert_id']}")).json()
    assert [t["transition"] for t in one["transitions"]] == ["breached"]


async def test_the_api_says_who_is_on_call_and_that_person_is_told(system: System) -> None:
    answer = (await system.http.get("/v1/oncall", params={"at": "2026-03-02T10:00:00Z", "schedule": "support"})).json()
    assert answer["as_of"] == "2026-03-02T10:00:00Z"
    (found,) = answer["schedules"]
    assert (found["person"], found["source"], found["receivers"]) == ("ana", "rotation", ["hook"])
    assert (await system.http.get("/v1/oncall", params={"schedule": "nights"})).status_code == 404
    assert (await system.http.get("/v1/oncall", params={"at": "1850-01-01T00:00:00Z"})).status_code == 400
    await system.announce(announcement(SlaKind.BREACHED))
    await until(lambda: "breached" in system.receiver.transitions("5158"))


async def test_copies_do_nothing_and_a_retraction_resolves_and_is_told(system: System) -> None:
    warning, breach = announcement(SlaKind.WARNING, 1), announcement(SlaKind.BREACHED, 2)
    await system.announce(warning, warning, breach, warning, breach)
    await system.until_alert("5158", severity="critical")
    await until(lambda: "breached" in system.receiver.transitions("5158"))
    retracted = announcement(SlaKind.RETRACTED, 3, fulfilled_at=breach.detected_at - timedelta(minutes=1))
    await system.announce(breach, retracted, retracted, breach)
    alert = await system.until_alert("5158", state="resolved")
    assert alert["reason"] == "retracted"
    assert "in time" in alert["detail"]
    assert len(await system.alerts()) == 1
    one = (await system.http.get(f"/v1/alerts/{alert['alert_id']}")).json()
    assert [t["transition"] for t in one["transitions"]] == ["warned", "breached", "retracted"]
    await until(lambda: system.receiver.transitions("5158")[-1] == "retracted")
    assert system.receiver.transitions("5158") in (["breached", "retracted"], ["warned", "breached", "retracted"])
    again = announcement(SlaKind.BREACHED, 4, detected_at=breach.detected_at + timedelta(minutes=9))
    await system.announce(again)
    new = await system.until_alert("5158", state="firing")
    assert new["alert_id"] != alert["alert_id"]
    assert new["fingerprint"] == alert["fingerprint"]


async def test_a_receiver_that_fails_gets_the_same_message_again(system: System) -> None:
    system.receiver.answers = lambda number: 500 if number == 0 else 204
    await system.announce(announcement(SlaKind.BREACHED))
    await until(lambda: len(system.receiver.got) >= 2)
    first, second = system.receiver.got[:2]
    assert first.answered == 500
    assert first.message_id == second.message_id
    assert first.event == second.event

    async def delivered() -> bool:
        answer = (await system.http.get("/v1/deliveries", params={"state": "delivered"})).json()
        return [message["attempts"] for message in answer["deliveries"]] == [2]

    await until(delivered)


async def test_a_message_that_waited_is_not_sent_when_its_alert_was_resolved_meanwhile(system: System) -> None:
    system.receiver.answers = lambda number: 500 if number == 0 else 204
    await system.announce(announcement(SlaKind.BREACHED))
    await until(lambda: len(system.receiver.got) == 1)
    alert = await system.until_alert("5158", state="firing")
    answer = await system.http.post(f"/v1/alerts/{alert['alert_id']}/resolve", json={"by": "ana"})
    assert answer.status_code == 200

    async def settled() -> dict[str, str]:
        found = (await system.http.get("/v1/deliveries")).json()["deliveries"]
        return {message["transition"]: message["state"] for message in found}

    async def both() -> bool:
        return await settled() == {"breached": "overtaken", "resolved_by_hand": "unneeded"}

    await until(both)
    assert len(system.receiver.got) == 1


async def test_a_receiver_that_is_gone_is_switched_off_and_that_can_be_seen(system: System) -> None:
    system.receiver.answers = lambda _: 410
    await system.announce(announcement(SlaKind.BREACHED))

    async def off() -> bool:
        return list((await system.http.get("/v1/deliveries")).json()["disabled_receivers"]) == ["hook"]

    await until(off)
    await system.announce(announcement(SlaKind.BREACHED, ticket_id="9"))

    async def disabled() -> bool:
        found = (await system.http.get("/v1/deliveries", params={"state": "disabled"})).json()["deliveries"]
        return len(found) == 1

    await until(disabled)
    assert len(system.receiver.got) == 1
    async with httpx.AsyncClient() as http:

        async def shown() -> bool:
            text = (await http.get(f"{system.metrics}/metrics")).text
            return 'deskpulse_receiver_disabled{receiver="hook"} 1.0' in text

        await until(shown)


async def test_a_receiver_is_enabled_tested_and_its_dead_messages_are_sent_again_by_the_api(system: System) -> None:
    listed = (await system.http.get("/v1/receivers")).json()["receivers"]
    assert listed == [{"name": "hook", "kind": "webhook", "digest": None, "disabled": None}]
    system.receiver.answers = lambda _: 410
    await system.announce(announcement(SlaKind.BREACHED))

    async def dead() -> list[dict[str, Any]]:
        found = (await system.http.get("/v1/deliveries", params={"state": "dead", "receiver": "hook"})).json()
        deliveries: list[dict[str, Any]] = found["deliveries"]
        return deliveries

    async def is_dead() -> bool:
        return len(await dead()) == 1

    await until(is_dead)
    (message,) = await dead()
    path = f"/v1/deliveries/{message['delivery_id']}"
    assert (await system.http.get(path)).json() == message
    assert (await system.http.get("/v1/receivers")).json()["receivers"][0]["disabled"]["why"] == "HTTP 410"
    system.receiver.answers = lambda _: 204
    assert (await system.http.post("/v1/receivers/hook/enable")).json() == {"name": "hook", "was_disabled": True}
    again = await system.http.post(f"{path}/resend")
    assert (again.status_code, again.json()["state"]) == (202, "pending")

    async def delivered() -> bool:
        return (await system.http.get(path)).json()["state"] == "delivered"

    await until(delivered)
    assert [got.message_id for got in system.receiver.got] == [message["delivery_id"]] * 2
    assert (await system.http.post(f"{path}/resend")).json()["type"] == "urn:deskpulse:problem:not-dead"
    assert (await system.http.post("/v1/deliveries/nothing/resend")).status_code == 404
    trial = await system.http.post("/v1/receivers/hook/test")
    assert (trial.status_code, trial.json()["kind"]) == (202, "test")
    await until(lambda: bool(system.receiver.trials))
    assert system.receiver.trials == [trial.json()["delivery_id"]]
    assert (await system.http.post("/v1/receivers/nobody/test")).json()["detail"].endswith("There is: hook.")
    assert (await system.http.get("/v1/deliveries", params={"state": "odd"})).status_code == 422


async def test_a_silence_of_the_api_keeps_the_worker_quiet_until_somebody_ends_it(system: System) -> None:
    what = {"match": {"team": ["billing"]}}
    wish = {**what, "for": "1h", "by": "ana", "comment": "The invoice run is repeated."}
    made = await system.http.post("/v1/silences", json=wish)
    assert (made.status_code, made.json()["state"], made.json()["covers"]["count"]) == (201, "active", 0)
    silence_id = made.json()["silence_id"]
    await system.announce(announcement(SlaKind.BREACHED, team="billing"))
    await system.announce(announcement(SlaKind.BREACHED, ticket_id="9", team="sales"))
    alert = await system.until_alert("5158", state="firing")
    assert alert["silenced_by"] == silence_id
    await until(lambda: system.receiver.transitions("9") == ["breached"])
    assert system.receiver.transitions("5158") == []
    assert (await system.http.post("/v1/silences/preview", json=what)).json()["covers"]["count"] == 1
    ended = await system.http.delete(f"/v1/silences/{silence_id}", params={"by": "ben"})
    assert (ended.json()["state"], ended.json()["ended_by"] is not None) == ("ended_by_hand", True)
    await until(lambda: system.receiver.transitions("5158") == ["silence_ended"])
    assert "silenced_by" not in (await system.until_alert("5158", state="firing"))
    listed = (await system.http.get("/v1/silences", params={"state": "ended_by_hand"})).json()["silences"]
    assert [one["silence_id"] for one in listed] == [silence_id]
    assert (await system.http.get(f"/v1/silences/{silence_id}")).json()["covers"]["count"] == 1
    assert (await system.http.delete("/v1/silences/nothing")).status_code == 404


async def test_what_operators_do_is_kept_and_wrong_steps_are_refused_by_name(system: System) -> None:
    await system.announce(announcement(SlaKind.WARNING))
    alert = await system.until_alert("5158", state="firing")
    path = f"/v1/alerts/{alert['alert_id']}"
    taken = (await system.http.post(f"{path}/acknowledge", json={"by": "ana"})).json()
    assert (taken["state"], taken["acknowledged_by"]) == ("acknowledged", "ana")
    other = await system.http.post(f"{path}/acknowledge", json={"by": "ben"})
    assert (other.status_code, other.json()["type"]) == (409, "urn:deskpulse:problem:already-acknowledged")
    until_ = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    quiet = (await system.http.post(f"{path}/snooze", json={"by": "ana", "until": until_})).json()
    assert quiet["state"] == "snoozed"
    woken = await system.until_alert("5158", state="firing")
    assert woken["reason"] == "snooze_ended"
    snoozed = (await system.http.post(f"{path}/snooze", json={"by": "ana", "for": "1h"})).json()
    assert snoozed["state"] == "snoozed"
    assert (await system.http.post(f"{path}/snooze", json={"by": "ana", "for": "soon"})).status_code == 422
    both = {"by": "ana", "for": "1h", "until": until_}
    assert (await system.http.post(f"{path}/snooze", json=both)).status_code == 422
    unsaid = (await system.http.post(f"{path}/snooze")).json()
    assert (unsaid["state"], unsaid["snoozed_until"] > snoozed["snoozed_until"]) == ("snoozed", True)
    await system.announce(announcement(SlaKind.BREACHED, 2))
    await system.until_alert("5158", state="firing", severity="critical")
    assert (await system.http.post(f"{path}/resolve", json={"by": "ana"})).json()["state"] == "resolved"
    final = await system.http.post(f"{path}/snooze", json={"by": "ana", "for": "1h"})
    assert (final.status_code, final.json()["type"]) == (409, "urn:deskpulse:problem:already-resolved")
    missing = await system.http.post("/v1/alerts/none/resolve", json={"by": "ana"})
    assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")


async def test_a_stream_resumes_behind_the_last_event_and_loses_nothing(system: System) -> None:
    since = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    await system.announce(*(announcement(SlaKind.BREACHED, ticket_id=str(n)) for n in range(6)))
    await until(lambda: has_alerts(system, 6))
    begun = await events(system.http, 2, params={"since": since})
    await system.announce(*(announcement(SlaKind.BREACHED, ticket_id=str(n)) for n in range(6, 10)))
    resumed = await events(system.http, 8, headers={"last-event-id": begun[-1][1]})
    told = [data["alert"]["evidence"][0]["ticket_id"] for _, _, data in [*begun, *resumed]]
    assert sorted(told, key=int) == [str(n) for n in range(10)]
    only = await events(system.http, 1, params={"since": since, "severity": "critical", "state": "firing"})
    assert only[0][1] == begun[0][1]


async def test_a_client_that_leaves_in_a_burst_is_no_error(
    system: System, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    since = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    await system.announce(*(announcement(SlaKind.BREACHED, ticket_id=str(n)) for n in range(300)))
    await until(lambda: has_alerts(system, 300))
    for _ in range(5):
        await events(system.http, 1, params={"since": since})
    assert len(await events(system.http, 300, params={"since": since})) == 300
    assert "unexpected_error" not in capsys.readouterr().out + caplog.text


@pytest.mark.parametrize("unknown", ["1-1", "99999999999999-0", "nonsense"])
async def test_a_stream_that_cannot_be_resumed_says_so_and_goes_on(system: System, unknown: str) -> None:
    await system.announce(announcement(SlaKind.BREACHED))
    await until(lambda: has_alerts(system, 1))
    ((name, entry_id, _),) = await events(system.http, 1, headers={"last-event-id": unknown})
    assert name == "reset"
    await system.announce(announcement(SlaKind.BREACHED, ticket_id="9"))
    ((name, _, data),) = await events(system.http, 1, headers={"last-event-id": entry_id})
    assert (name, data["alert"]["evidence"][0]["ticket_id"]) == ("breached", "9")


async def test_a_restart_loses_nothing_and_repeats_nothing(system: System) -> None:
    await system.announce(*(announcement(SlaKind.BREACHED, ticket_id=str(n)) for n in range(5)))
    await until(lambda: has_alerts(system, 5))
    await until(lambda: len(system.receiver.got) == 5)
    await system.restart()
    await system.announce(*(announcement(SlaKind.BREACHED, ticket_id=str(n)) for n in range(5, 8)))
    await until(lambda: has_alerts(system, 8))
    await until(lambda: len(system.receiver.got) == 8)
    assert len({got.message_id for got in system.receiver.got}) == 8


async def test_the_api_asks_for_a_token_and_answers_only_what_it_has(system: System) -> None:
    for authorization in ("", "Bearer wrong", "Basic abc", f"Bearer {TOKEN}x"):
        answer = await system.http.get("/v1/alerts", headers={"authorization": authorization})
        assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert (await system.http.get("/v1/alerts/stream", headers={"authorization": ""})).status_code == 401
    misspelt = await system.http.get("/v1/alerts", params={"stat": "firing"})
    assert misspelt.status_code == 400
    assert misspelt.json()["known"] == ["cursor", "limit", "severity", "state"]
    assert (await system.http.get("/v1/alerts", params={"state": "burning"})).status_code == 422
    assert (await system.http.get("/v1/alerts", params={"cursor": "zz"})).status_code == 400
    sources = await system.http.get("/v1/sources")
    assert sources.json()["sources"][0]["secrets"] == 1
    assert "s3cret" not in sources.text
    assert (await system.http.get("/v1/policies")).json() == {"policies": []}
    assert (await system.http.get("/readyz")).status_code == 200
    assert (await system.http.get("/livez")).status_code == 200
    described = (await system.http.get("/openapi.json")).json()
    assert "/v1/alerts/stream" in described["paths"]
    landing = await system.http.get("/")
    assert 'src="/static/board.js"' in landing.text  # the board asks for the token itself
    assert "script-src 'self'" in landing.headers["content-security-policy"]


async def test_an_sla_event_that_cannot_be_read_is_kept_and_the_rest_goes_on(system: System) -> None:
    await system.producer.send([Outgoing(system.topics["sla"], b"zendesk:5158", b"{nonsense")])
    await system.announce(announcement(SlaKind.BREACHED))
    await system.until_alert("5158", state="firing")
    consumer = AIOKafkaConsumer(bootstrap_servers=system.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(system.topics["dlq"], p) for p in range(4)])
        letter = await asyncio.wait_for(consumer.getone(), DEADLINE_S)
    finally:
        await consumer.stop()
    assert letter.value == b"{nonsense"
    assert dict(letter.headers)["dlq-reason"] == b"not_json"


async def test_the_worker_measures_what_it_did(system: System) -> None:
    await system.announce(announcement(SlaKind.BREACHED))
    await until(lambda: bool(system.receiver.transitions("5158")))
    async with httpx.AsyncClient() as http:

        async def shown() -> bool:
            text = (await http.get(f"{system.metrics}/metrics")).text
            return all(
                line in text
                for line in (
                    'deskpulse_alerts_transitions_total{transition="breached"} 1.0',
                    'deskpulse_deliveries_total{outcome="delivered",receiver="hook"} 1.0',
                    'deskpulse_alerts{severity="critical",state="firing"} 1.0',
                    "deskpulse_alerts_outbox_records 0.0",
                    "deskpulse_alert_seconds_count 1.0",
                )
            )

        await until(shown)


async def has_alerts(system: System, count: int) -> bool:
    return len(await system.alerts(limit=500)) == count


async def events(
    http: httpx.AsyncClient, count: int, opened: asyncio.Event | None = None, **request: Any
) -> list[tuple[str, str, dict[str, Any]]]:
    """The first ``count`` events of a stream: name, id, data."""
    found: list[tuple[str, str, dict[str, Any]]] = []
    fields: dict[str, str] = {}
    async with asyncio.timeout(DEADLINE_S), http.stream("GET", "/v1/alerts/stream", **request) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            if opened is not None:
                opened.set()  # the first line comes when the stream's place is known
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif fields.get("data"):
                found.append((fields["event"], fields["id"], json.loads(fields["data"])))
                fields = {}
                if len(found) == count:
                    break
            else:
                fields = {}
    return found
