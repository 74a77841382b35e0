"""A real Prometheus scrapes the whole line: every rule is healthy, and every panel of every dashboard has data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI

from tests.support import signing
from tests.support.in_a_thread import served
from tests.support.kafka import Kafka
from tests.support.line import Line
from tests.support.prometheus import ROOT, Prometheus, missing, prometheus, queries, variables
from tests.support.redis import RedisServer
from tests.support.wait import until

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.timeout(300),
    pytest.mark.skipif(missing() is not None, reason=missing() or ""),
]

SECRET = "a-secret-for-prometheus"
CONFIG = """
sources:
  desk: {{vendor: generic, secrets: ["${{DESK_SECRET}}"]}}
sla_policies:
  - {{name: quick, warn_at: ["50%"], targets: {{first_response: {{"*": 2s}}, resolution: {{"*": 1h}}}}}}
segments: [[channel], [team], [priority]]
windows: [15m, 1h, 24h]
receivers: {{oncall: {{webhook: {{url: "{url}", secrets: ["${{DESK_SECRET}}"], allow_private: true}}}}}}
routes: [{{receiver: oncall}}]
"""
DASHBOARDS = sorted((ROOT / "deploy/grafana/dashboards").glob("*.json"))


@pytest.fixture(scope="module")
def seen(kafka: Kafka, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus over a line in which everything happened that a panel shows."""
    if not kafka.can_create_topics:
        pytest.skip(f"{kafka.kind} cannot create topics")
    redis_server.empty()
    folder = tmp_path_factory.mktemp("prometheus")
    with served(lambda: (receiver(), done)) as hook:
        config = CONFIG.format(url=f"{hook}/hook")
        line = Line(folder, config, kafka.bootstrap, redis_server.url, {"DESK_SECRET": SECRET})
        try:
            targets = {name: f"127.0.0.1:{port}" for name, port in line.ports.items()}
            with prometheus(folder, targets) as found:
                until(lambda: len(found.asked("up == 1")) == len(targets), "all services are scraped", timeout_s=60)
                lives(line)
                for expression in TOLD:
                    until(lambda e=expression: found.asked(e), f"{expression} is there", timeout_s=60)
                # A rate needs a series that was there before.
                post(line, "p-later", "ticket.created", datetime.now(UTC), team="billing", channel="chat")
                yield found
        finally:
            line.stop()


def receiver() -> FastAPI:
    """Takes every message."""
    app = FastAPI()

    @app.post("/hook", status_code=204)
    async def hook() -> None:
        return None

    return app


async def done() -> None:
    """Nothing is to be closed."""


TOLD = (
    'deskpulse_alerts_transitions_total{transition="breached"} > 0',
    'deskpulse_deliveries_total{outcome="delivered"} > 0',
    "deskpulse_sla_breach_delay_seconds_count > 0",
    'helpdesk_csat_ratio{dimension="all"}',
    'helpdesk_sla_breach_rate{dimension="all", metric="first_response"}',
)


def lives(line: Line) -> None:
    """Tickets that are created, answered, solved, reopened, rated, and one whose promise breaks."""
    began = datetime.now(UTC) - timedelta(seconds=30)
    for number in range(6):
        ticket, team = f"p-{number}", ("billing", "technical")[number % 2]
        at = began + timedelta(seconds=number)
        post(line, ticket, "ticket.created", at, team=team, channel="email", priority="high")
        if number == 0:
            continue  # nobody answers this one
        message = {"actor": {"id": "a1", "kind": "agent"}, "message": {"visibility": "public"}}
        post(line, ticket, "message.added", at + timedelta(milliseconds=500), **{"+": message})
        post(line, ticket, "status.changed", at + timedelta(seconds=1), **{"+": {"status": {"to": "solved"}}})
        post(
            line,
            ticket,
            "csat.received",
            at + timedelta(seconds=2),
            **{"+": {"rating": {"score": 1, "worst": 0, "best": 1}}},
        )
    post(line, "p-5", "status.changed", began + timedelta(seconds=12), **{"+": {"status": {"to": "open"}}})
    post(line, "p-now", "ticket.created", datetime.now(UTC), team="billing", channel="chat")


def post(line: Line, ticket: str, kind: str, at: datetime, **stated: Any) -> None:
    more = stated.pop("+", {})
    event = {"kind": kind, "ticket_id": ticket, "occurred_at": at.isoformat().replace("+00:00", "Z"), "ticket": stated}
    body = json.dumps(event | more).encode()
    answer = line.post("desk", body, signing.standard(body, SECRET.encode(), str(uuid4())))
    assert answer.json() == {"accepted": 1, "duplicates": 0, "dead_lettered": 0}


def test_every_rule_is_healthy(seen: Prometheus) -> None:
    until(lambda: all(rule["health"] == "ok" for rule in seen.rules()), "every rule was evaluated", timeout_s=30)
    assert len(seen.rules()) >= 20
    recorded = [rule["name"] for rule in seen.rules() if rule["type"] == "recording"]
    for name in recorded:
        until(lambda n=name: seen.asked(n), f"{name} has a value", timeout_s=30)


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_panel_of_every_dashboard_has_data(seen: Prometheus, path: Path) -> None:
    chosen = {"window": "15m", "team": ".+"}
    for name, query in variables(path).items():
        series, _, label = query.removeprefix("label_values(").removesuffix(")").rpartition(", ")
        offered = seen.values(label, series)
        assert offered, f"${name} has nothing to choose"
        if name == "window":
            assert chosen["window"] in offered
    for title, expression in queries(path):
        asked = re.sub(r"\$(\w+)", lambda found: chosen[found[1]], expression)
        until(lambda a=asked: seen.drawn(a), f"'{title}' has data: {asked}", timeout_s=30)
