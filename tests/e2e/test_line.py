"""The main job, end to end: Zendesk's own payloads, signed, become KPIs, timers, and a breach on the stream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.conformance.cases import MISSING, folder
from tests.support import signing
from tests.support.kafka import Kafka
from tests.support.line import Line
from tests.support.redis import RedisServer
from tests.support.wait import until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

SECRET = "end-to-end-secret"
CONFIG = """
sources:
  zendesk: {vendor: zendesk, secrets: ["${ZENDESK_SECRET}"], ticket_url: "https://acme.zendesk.com/agent/tickets/{ticket_id}"}
  slow: {vendor: zendesk, secrets: ["${ZENDESK_SECRET}"]}
sla_policies:
  - {name: quick, match: {source: [zendesk]}, warn_at: ["50%"],
     targets: {first_response: {"*": 3s}, resolution: {"*": 1h}}}
segments: [[channel], [team], [priority], [agent], [team, priority], [source]]
windows: [15m, 1h, 24h]
"""


@pytest.fixture(scope="module")
def line(kafka: Kafka, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    if not kafka.can_create_topics:
        pytest.skip(f"{kafka.kind} cannot create topics")
    redis_server.empty()
    found = Line(tmp_path_factory.mktemp("line"), CONFIG, kafka.bootstrap, redis_server.url, {"ZENDESK_SECRET": SECRET})
    yield found
    found.stop()


def payload(name: str, at: datetime, ticket_id: str, created_at: datetime, **detail: Any) -> bytes:
    """A payload of the acceptance cases as if it had been sent at ``at`` about ``ticket_id``."""
    cases = folder()
    if cases is None:
        pytest.skip(MISSING)
    body = json.loads(next(cases.glob(f"webhooks/**/zendesk/{name}.json")).read_text())
    body["id"] = str(uuid4())
    body["time"] = at.strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
    body["subject"] = f"zen:ticket:{ticket_id}"
    body["detail"] |= {
        "id": ticket_id,
        "created_at": created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "updated_at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        **detail,
    }
    return json.dumps(body).encode()


def send(line: Line, body: bytes, source: str = "zendesk") -> dict[str, Any]:
    answer = line.post(source, body, signing.zendesk(body, SECRET))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_promise_breaks_on_the_stream_is_kept_late_and_every_number_moves(line: Line) -> None:
    now = datetime.now(UTC)
    made = now.replace(microsecond=0)
    started = now + timedelta(milliseconds=1)
    with line.stream() as seen:
        assert send(line, payload("ticket.created", started, "5158", made, status="NEW"))["accepted"] == 1
        until(lambda: [e for e in seen if e.get("event") == "breached"], "the breach is on the stream", timeout_s=30)
        breach = next(e["data"] for e in seen if e.get("event") == "breached")
        assert breach["alert"]["state"] == "firing"
        assert breach["alert"]["severity"] == "critical"
        assert "5158" in breach["alert"]["title"]
        assert breach["alert"]["evidence"][0]["url"] == "https://acme.zendesk.com/agent/tickets/5158"
        breached = datetime.fromisoformat(breach["alert"]["breached_at"])
        assert breached == made + timedelta(seconds=3)
        detected = datetime.fromisoformat(breach["alert"]["detected_at"])
        assert breached < detected < breached + timedelta(seconds=5)

        broken = line.get("/v1/sla/timers", state="breached", metric="", team="", cursor="")["timers"]
        [timer] = [t for t in broken if t["ticket_id"] == "5158"]
        assert timer["metric"] == "first_response"
        alert = line.get(f"/v1/alerts/{breach['alert']['alert_id']}")
        assert alert["state"] == "firing"

        def at() -> datetime:
            return datetime.now(UTC)

        send(line, payload("ticket.agent_assignment_changed", at(), "5158", made, priority="URGENT"))
        reply = json.loads(payload("ticket.comment_added_min", at(), "5158", made, priority="URGENT", status="OPEN"))
        reply["event"]["comment"]["author"]["is_staff"] = True
        send(line, json.dumps(reply).encode())
        send(line, payload("ticket.comment_added_private_agent", at(), "5158", made, priority="URGENT", status="OPEN"))
        send(line, payload("ticket.tags_changed", at(), "5158", made, priority="URGENT", status="OPEN"))
        send(line, payload("ticket.status_changed_min", at(), "5158", made, priority="URGENT"))
        until(lambda: [e for e in seen if e.get("event") == "fulfilled_late"], "it is kept late", timeout_s=30)

    def kpis(segment: str = "all") -> Any:
        return line.get("/v1/kpis", window="15m", segment=segment)["kpis"]

    until(lambda: kpis("source:zendesk")["tickets_solved"]["count"] == 1, "the solve is counted")
    found = kpis("source:zendesk")
    assert found["tickets_created"]["count"] == 1
    assert found["backlog"]["count"] == 0
    assert found["first_response_time"]["count"] == 1
    assert found["first_response_time"]["mean_s"] > 3
    assert found["resolution_time"]["full"]["count"] == 1
    assert kpis("priority:urgent")["tickets_solved"]["count"] == 1
    rows = line.get("/v1/kpis/tickets_solved", window="15m", by="agent")["rows"]
    assert [row["values"]["agent"] for row in rows if row["count"]] == ["8447388090494"]
    points = line.get("/v1/kpis/tickets_created/series", window="15m", step="1m", segment="source:zendesk")["points"]
    assert sum(point["count"] for point in points) == 1

    ticket = line.get("/v1/tickets/zendesk/5158")
    assert ticket["status"] == "solved"
    assert ticket["timeline"][0]["kind"] == "ticket.created"
    assert {t["metric"]: t["state"] for t in ticket["timers"]}["first_response"] == "met"
    assert line.get(f"/v1/alerts/{breach['alert']['alert_id']}")["reason"] == "fulfilled_late"


def test_a_redelivery_changes_nothing_and_every_payload_is_answered(line: Line) -> None:
    cases = folder()
    if cases is None:
        pytest.skip(MISSING)
    now = datetime.now(UTC)
    body = payload("ticket.created", now, "7001", now)
    assert send(line, body, "slow")["accepted"] == 1
    assert send(line, body, "slow")["accepted"] == 0
    for file in sorted(cases.glob("webhooks/**/zendesk/*.json")):
        send(line, file.read_bytes(), "slow")
    until(
        lambda: line.get("/v1/kpis", window="15m", segment="source:slow")["kpis"]["tickets_created"]["count"] == 1,
        "the ticket is counted once",
    )


def test_a_killed_service_comes_back_and_nothing_is_lost_or_counted_twice(line: Line) -> None:
    now = datetime.now(UTC)

    def created() -> Any:
        return line.get("/v1/kpis", window="15m", segment="source:slow")["kpis"]["tickets_created"]["count"]

    before = created()
    for number in range(40):
        send(line, payload("ticket.created", datetime.now(UTC), f"80{number}", now), "slow")
        if number in (10, 20, 30):
            line.restart({10: "metrics", 20: "alerts", 30: "api"}[number])
    until(lambda: created() == before + 40, "all forty are counted, once", timeout_s=60)


def test_what_is_not_ours_changes_nothing(line: Line) -> None:
    now = datetime.now(UTC)
    body = payload("ticket.created", now, "9001", now)
    good = signing.zendesk(body, SECRET)
    refused = [
        ("zendesk", body, signing.zendesk(body, "another secret"), 401),
        ("zendesk", body + b" ", good, 401),
        ("zendesk", body, signing.zendesk(body, SECRET, now - timedelta(hours=1)), 401),
        ("zendesk", body, {"content-type": "application/json"}, 401),
        ("zendesk", b"not json", signing.zendesk(b"not json", SECRET), 400),
        ("zendesk", b"x" * 1_200_000, signing.zendesk(b"x" * 1_200_000, SECRET), 413),
        ("nobody", body, good, 404),
    ]
    for source, content, headers, status in refused:
        answer = line.post(source, content, headers)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
    assert line.client.get(f"{line.url('api')}/v1/tickets/zendesk/9001").status_code == 404


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/v1/kpis?window=2h", 400, "15m, 1h, 24h"),
        ("/v1/kpis?segment=planet:mars", 400, "team:…,priority:…"),
        ("/v1/kpis?windw=1h", 400, "window"),
        ("/v1/kpis/happiness?by=team", 404, "first_response_time"),
        ("/v1/kpis/backlog?by=moon", 400, "team,priority"),
        ("/v1/kpis/backlog/series?step=1s", 400, "at least 60s"),
        ("/v1/sla/timers?state=sleepy", 422, "running"),
        ("/v1/sla/timers?cursor=x", 400, "next_cursor"),
        ("/v1/tickets/zendesk/none", 404, "none"),
    ],
)
def test_a_question_that_makes_no_sense_is_answered_with_what_there_is(
    line: Line, path: str, status: int, said: str
) -> None:
    answer = line.client.get(line.url("api") + path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert said in answer.text


def test_every_service_shows_its_metrics(line: Line) -> None:
    send(line, signing.status_changed(str(uuid4())), "slow")
    wanted = {
        "ingest": 'deskpulse_webhooks_total{outcome="accepted",source="slow"}',
        "metrics": 'deskpulse_metrics_events_total{outcome="folded"}',
        "alerts": "deskpulse_alerts_transitions_total",
    }
    exported = 'helpdesk_tickets_created{dimension="all",value="",window="15m"}'

    def shown(name: str) -> str:
        return line.client.get(f"{line.url(name)}/metrics").text

    for name, sample in wanted.items():
        until(lambda n=name, s=sample: s in shown(n), f"{name} shows {sample}")
    until(lambda: exported in shown("metrics"), "the KPIs are exported", timeout_s=20)
    assert line.client.get(f"{line.url('api')}/metrics").status_code == 200


def test_no_log_holds_a_secret_or_a_message(line: Line) -> None:
    said = "".join(service.said() for service in line.services.values())
    assert SECRET not in said
    for text in ("hey paul", "internal: check logs", "ticket_info_desc", "ringo"):
        assert text not in said
