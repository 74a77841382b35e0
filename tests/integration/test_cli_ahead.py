"""``deskpulse forecast`` and ``deskpulse report`` as a user runs them, over a real Redis."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from schemas.instant import from_datetime
from services import clock
from services.alerts.forecast.forecaster import hours
from services.cli.app import app
from services.config.document import parse
from services.state import client
from tests.support.counting import Counting
from tests.support.weeks import weeks

pytestmark = [pytest.mark.redis, pytest.mark.timeout(120)]

Run = Callable[..., tuple[int, str, str]]
DOCUMENT = """
segments: [[team]]
windows: [1h, 7d]
receivers:
  leads: {webhook: {url: "https://hooks.example/", secrets: ["whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]}}
people: {ana: {receivers: [leads]}}
forecast: {handle_time: {"team:billing": 12m}, occupancy: 80%}
reports:
  - {name: morning, leader: ana, when: daily 08:30, focus: [csat]}
"""


@pytest.fixture
def run(tmp_path: Path, redis_db: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    path = tmp_path / "deskpulse.yaml"
    path.write_text(DOCUMENT)
    monkeypatch.setenv("DESKPULSE_REDIS_URL", redis_db)
    monkeypatch.setenv("DESKPULSE_CONFIG", str(path))

    def invoke(*arguments: str) -> tuple[int, str, str]:
        told = CliRunner().invoke(app, [*arguments])
        assert told.exception is None or isinstance(told.exception, SystemExit), told.exception
        return told.exit_code, told.stdout, told.stderr

    return invoke


async def _filled(url: str) -> None:
    document, redis, now_us = parse(DOCUMENT, {}), client.writer(url), clock.now_us()
    counting = Counting(redis, document)
    events = weeks(now_us, 24, hours(document)[0], a_day=40, alike=True)
    for first in range(0, len(events), 1000):
        part = events[first : first + 1000]
        await counting.count(part, from_datetime(part[-1].occurred_at))
    await counting.count(events[-1:], now_us)
    await redis.aclose()


def test_a_forecast_tells_its_days_its_hours_and_its_worth(run: Run, redis_db: str) -> None:
    asyncio.run(_filled(redis_db))
    code, out, _ = run("forecast", "--segment", "team:billing", "--backtest")
    assert code == 0
    assert "team:billing: About " in out
    assert "Assumed: 12 min of work for each ticket and 80 % of presence at work, as configured" in out
    assert "last week  " in out
    code, out, _ = run("forecast", "--days", "2", "--json")
    found = json.loads(out)
    assert (code, len(found["days"]), found["work"]["basis"]) == (0, 2, "pace")


def test_a_report_is_shown_and_nothing_is_sent(run: Run, redis_db: str) -> None:
    asyncio.run(_filled(redis_db))
    code, out, _ = run("report", "morning")
    assert code == 0
    assert out.startswith("# Digest of all tickets, ")
    assert "## Operations, seven days" in out
    code, out, _ = run("report", "morning", "--at", "2d", "--json")
    assert (code, json.loads(out)["name"]) == (0, "morning")

    async def waiting() -> int:
        redis = client.reader(redis_db)
        try:
            return int(await redis.zcard("deskpulse:{alerts}:pending"))
        finally:
            await redis.aclose()

    assert asyncio.run(waiting()) == 0


def test_what_there_is_not_is_refused_with_what_there_is(run: Run) -> None:
    code, _, err = run("forecast", "--segment", "brand:x")
    assert (code, err.startswith("--segment: 'brand:x' is no configured segment (there is: all; team:…)")) == (1, True)
    code, _, err = run("report", "evening")
    assert (code, err) == (1, "no report evening (there is: morning)\n")


def test_without_a_ticket_there_is_no_forecast_and_it_says_so(run: Run) -> None:
    code, out, _ = run("forecast", "--backtest")
    assert code == 0
    assert "Less than a week is known: nothing can be said yet." in out
    assert "no backtest" in out
