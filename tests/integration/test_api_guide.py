"""Every example of docs/guides/query-the-api.md is run as it stands, against an API with tokens, and says what the page
says it does."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from schemas.instant import SECOND_US, from_datetime
from schemas.sla import SlaKind
from services import clock
from services.alerts import app as api
from services.alerts import delivery, state
from services.alerts.feed import Feed
from services.alerts.store import RedisStore
from services.config.document import parse
from services.operate.health import Health
from services.state import client
from tests.contract.house import ROOT
from tests.support.counting import Counting, created
from tests.support.in_a_thread import Made, served
from tests.support.sla import announcement

pytestmark = [pytest.mark.redis, pytest.mark.timeout(120)]

GUIDE = ROOT / "docs/guides/query-the-api.md"
TOKENS = {"TOKEN": "t-admin", "LEAD_TOKEN": "t-lead", "VIEWER_TOKEN": "t-viewer"}
CONFIG = """
sources:
  zendesk: {vendor: zendesk, secrets: [s3cret]}
sla_policies:
  - {name: vip, match: {tier: [vip]}, targets: {first_response: {urgent: 15m, "*": 4h}}}
segments: [[channel], [team], [priority]]
receivers:
  oncall: {webhook: {url: "https://hooks.example/", secrets: ["whsec_c2VjcmV0"]}}
reports:
  - {name: morning, receiver: oncall, when: "daily 08:30", timezone: UTC}
api_tokens:
  - {token: t-admin, name: Ana, role: admin}
  - {token: t-lead, name: Kim, role: lead}
  - {token: t-viewer, name: grafana, role: viewer}
"""
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)


def examples() -> Iterator[tuple[str, str, str, str]]:
    """Language and text of every example, with the language and the text of what it answers."""
    blocks = BLOCK.findall(GUIDE.read_text())
    for (language, text), (after, answer) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if language in ("bash", "python") and "export API=" not in text:
            yield (language, text, after, answer) if after in ("json", "text") else (language, text, "", "")


async def filled(redis_url: str) -> None:
    """Three tickets of this hour whose promises run, and an alert whose message waits."""
    redis, reader = client.writer(redis_url), client.reader(redis_url)
    at_us = clock.now_us()
    tickets = [
        created(ticket_id, at_us - 60 * SECOND_US, team="billing", channel="email", priority="urgent", tier="vip")
        for ticket_id in ("5158", "5159", "5160")
    ]
    await Counting(redis, parse(CONFIG, {})).count(tickets, at_us)
    now = clock.now()
    step = state.decide(None, announcement(SlaKind.BREACHED, breached_at=now, due_at=now, detected_at=now), now)
    assert step is not None
    assert step.event is not None
    message = delivery.first(step.event, "oncall", from_datetime(now))
    assert await RedisStore(redis, reader).apply(step, [message])
    await redis.aclose()
    await reader.aclose()


def made(redis_url: str) -> Made:
    writer, reader, blocking = (
        client.writer(redis_url),
        client.reader(redis_url),
        client.blocking(redis_url, connections=2),
    )
    feed, stop = Feed(blocking, reader), asyncio.Event()
    health, registry = Health(), CollectorRegistry()
    app = api.build(parse(CONFIG, {}), writer=writer, reader=reader, feed=feed, health=health, registry=registry)
    following = asyncio.get_running_loop().create_task(feed.run(stop, health))

    async def close() -> None:
        feed.end()
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        for one in (writer, reader, blocking):
            await one.aclose()

    return app, close


def ran(language: str, text: str, url: str, folder: Path) -> str:
    """What the example prints; it must end well and say nothing on the side."""
    command = ["bash", "-euo", "pipefail", "-c", text] if language == "bash" else [sys.executable, "-c", text]
    environment = {"PATH": os.environ["PATH"], "API": url, **TOKENS}
    found = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=60)
    assert (found.returncode, found.stderr) == (0, ""), text + found.stdout + found.stderr
    return found.stdout


def has(real: Any, shown: Any, where: str) -> None:
    """Everything that the page shows is there: every key, of the same form; words that tell states are the same."""
    if isinstance(shown, dict):
        assert isinstance(real, dict), where
        for name, one in shown.items():
            assert name in real, f"{where}.{name} is not in the answer: {sorted(real)}"
            has(real[name], one, f"{where}.{name}")
    elif isinstance(shown, list) and isinstance(real, list):
        assert real or not shown, f"{where} is empty"
        for one in shown:
            has(real[0], one, f"{where}[]") if isinstance(one, dict) else None
    elif isinstance(shown, str) and isinstance(real, str):
        fixed = where.rpartition(".")[2] in (
            "type",
            "title",
            "state",
            "detail",
            "acknowledged_by",
            "window",
            "kpi",
            "by",
        )
        if fixed and "…" not in shown:
            assert real == shown, where
    elif isinstance(shown, int | float) and real is not None:
        assert isinstance(real, int | float), where


def test_every_example_of_the_guide_does_what_the_page_says(redis_db: str, tmp_path: Path) -> None:
    asyncio.run(filled(redis_db))
    done = {"bash": 0, "python": 0}
    with served(lambda: made(redis_db)) as url:
        for language, text, after, answer in examples():
            said = ran(language, text, url, tmp_path)
            done[language] += 1
            if after == "json":
                has(json.loads(said), json.loads(answer), text)
            elif after == "text":
                shape = re.sub(r"\d+", r"\\d+", "\n".join(re.escape(line) for line in answer.splitlines()))
                for line in shape.splitlines():
                    assert re.search(line.rstrip("\r"), said), f"{line} is not in: {said}"
            else:
                answered = json.loads(said)
                assert "urn:deskpulse:problem" not in str(answered.get("type")), said
    assert done["bash"] >= 20
    assert done["python"] >= 2


PLACES = {"kpi": "first_response_time", "source": "zendesk", "ticket_id": "5158", "name": "full"}
NEEDED = {"/v1/kpis/{kpi}": "?by=team", "/v1/kpis/{kpi}/series": "?window=24h&step=1h"}


def test_examples_of_the_openapi_document_show_what_is_answered(redis_db: str) -> None:
    asyncio.run(filled(redis_db))
    seen = 0
    with served(lambda: made(redis_db)) as url, httpx.Client(base_url=url) as http:
        http.headers["authorization"] = f"Bearer {TOKENS['TOKEN']}"
        http.put("/v1/rules/full", json={"type": "threshold", "kpi": "backlog", "above": 40}).raise_for_status()
        http.post("/v1/policies/recompute", json={}).raise_for_status()
        ids = {
            "alert_id": http.get("/v1/alerts").json()["alerts"][0]["alert_id"],
            "delivery_id": http.get("/v1/deliveries").json()["deliveries"][0]["delivery_id"],
        }
        for path, operations in http.get("/openapi.json").json()["paths"].items():
            content = operations.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
            example = content.get("application/json", {}).get("example")
            names = re.findall(r"{(\w+)}", path)
            if not isinstance(example, dict) or set(names) - {*PLACES, *ids} or path.startswith("/v1/reports"):
                continue
            answer = http.get(path.format(**PLACES, **ids) + NEEDED.get(path, ""))
            assert answer.status_code == 200, (path, answer.text)
            has(answer.json(), dict.fromkeys(example), path)
            _rows(answer.json(), example, path)
            seen += 1
    assert seen > 20


def _rows(real: dict[str, Any], shown: dict[str, Any], where: str) -> None:
    """The keys of the first thing of each list, where the answer has one."""
    for name, one in shown.items():
        if isinstance(one, list) and one and isinstance(one[0], dict) and real[name]:
            has(real[name][0], dict.fromkeys(one[0]), f"{where} {name}")


def test_an_example_that_says_something_else_is_found() -> None:
    with pytest.raises(AssertionError, match="is not in the answer"):
        has({"a": 1}, {"a": 1, "b": 2}, "answer")
    with pytest.raises(AssertionError):
        has({"state": "firing"}, {"state": "resolved"}, "answer")
    with pytest.raises(AssertionError, match="empty"):
        has({"rows": []}, {"rows": [{"a": 1}]}, "answer")
