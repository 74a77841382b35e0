"""Readiness and liveness, and what the probes answer."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter

from services.operate import probes, problem
from services.operate.health import Finding, Health, Note


class Steady:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def client(health: Health, registry: CollectorRegistry | None = None) -> httpx.AsyncClient:
    app = FastAPI()
    problem.install(app)
    app.include_router(probes.router(health, registry or CollectorRegistry()))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://probe")


async def test_a_process_without_checks_is_ready_and_alive() -> None:
    async with client(Health()) as http:
        assert (await http.get("/livez")).status_code == 200
        answer = await http.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_a_failing_check_makes_it_unready_with_its_sentence_and_leaves_it_alive() -> None:
    health = Health()
    health.check("kafka", lambda: "No broker has answered yet.")
    async with client(health) as http:
        answer = await http.get("/readyz")
        assert (await http.get("/livez")).status_code == 200
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "kafka: No broker has answered yet."


async def test_verbose_names_every_check_good_or_bad() -> None:
    health = Health()

    async def fine() -> str | None:
        return None

    health.check("redis", fine)
    health.check("kafka", lambda: "Away.")
    async with client(health) as http:
        answer = await http.get("/readyz?verbose")
    assert answer.json()["checks"] == [
        {"name": "draining", "ok": True, "problem": None},
        {"name": "kafka", "ok": False, "problem": "Away."},
        {"name": "redis", "ok": True, "problem": None},
    ]


async def test_a_note_is_told_and_leaves_it_ready() -> None:
    health = Health()
    health.check("spool", lambda: Note("The spool is 83% full."))
    async with client(health) as http:
        answer = await http.get("/readyz")
        assert (answer.status_code, answer.json()) == (
            200,
            {"status": "ok", "notes": ["spool: The spool is 83% full."]},
        )
        health.check("kafka", lambda: "Away.")
        answer = await http.get("/readyz")
        assert (answer.status_code, answer.json()["detail"]) == (503, "kafka: Away.")
        assert answer.json()["notes"] == ["spool: The spool is 83% full."]


async def test_a_check_that_raises_or_hangs_fails_without_breaking_the_probe_or_quoting_the_exception() -> None:
    health = Health(check_deadline_s=0.01)

    def broken() -> str | None:
        raise ValueError("redis://:hunter2@host")

    async def hanging() -> str | None:
        await asyncio.Event().wait()
        return None

    health.check("broken", broken)
    health.check("hanging", hanging)
    assert await health.readiness() == [
        Finding("draining", None),
        Finding("broken", "The check failed with ValueError."),
        Finding("hanging", "No answer within 0.01 s."),
    ]


async def test_draining_makes_it_unready() -> None:
    health = Health()
    health.draining = True
    async with client(health) as http:
        assert (await http.get("/readyz")).status_code == 503
        assert (await http.get("/livez")).status_code == 200


async def test_liveness_fails_only_when_a_heartbeat_is_older_than_its_bound() -> None:
    steady = Steady()
    health = Health(steady)
    health.beat("consume", bound_s=30)
    async with client(health) as http:
        steady.now_s += 30
        assert (await http.get("/livez")).status_code == 200
        steady.now_s += 1
        late = await http.get("/livez")
        health.beat("consume", bound_s=30)
        assert (await http.get("/livez")).status_code == 200
    assert late.status_code == 503
    assert "consume: No sign of life for 31 s (30 s allowed)." in late.json()["detail"]


def test_a_loop_that_ended_on_purpose_is_no_longer_expected_to_beat() -> None:
    steady = Steady()
    health = Health(steady)
    health.beat("consume", bound_s=1)
    health.rest("consume")
    steady.now_s += 100
    assert health.liveness() == []


@pytest.mark.parametrize(
    ("accept", "content_type", "end"),
    [
        (None, "text/plain", b"1.0\n"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text", b"# EOF\n"),
        ("application/openmetrics-text; version=abc", "text/plain", b"1.0\n"),
    ],
)
async def test_metrics_come_in_the_format_that_is_accepted(accept: str | None, content_type: str, end: bytes) -> None:
    registry = CollectorRegistry()
    Counter("deskpulse_test", "A test.", registry=registry).inc()
    async with client(Health(), registry) as http:
        answer = await http.get("/metrics", headers={} if accept is None else {"accept": accept})
    assert answer.headers["content-type"].startswith(content_type)
    assert answer.content.endswith(end)
    assert b"_created" not in answer.content
