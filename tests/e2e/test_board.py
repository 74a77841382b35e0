"""The live board in a real Chromium, against the whole line: what a lead sees, without a reload and without a mouse."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from services.embedded.port import free_port
from tests.support import browser, signing
from tests.support.browser import Chromium, Seen, Theme
from tests.support.kafka import Kafka
from tests.support.line import Line
from tests.support.redis import RedisServer
from tests.support.service import Service
from tests.support.wait import until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

SECRET = "board-secret"
CONFIG = """
sources:
  desk: {vendor: generic, secrets: ["${DESK_SECRET}"], ticket_url: "https://desk.example/tickets/{ticket_id}"}
sla_policies:
  - {name: slow, match: {tier: [slow]}, warn_at: [], targets: {resolution: {"*": 1h}}}
  - {name: quick, match: {tier: [quick]}, warn_at: ["10%"], targets: {first_response: {"*": 6s}}}
  - {name: risky, match: {tier: [risky]}, warn_at: ["1%"], targets: {first_response: {"*": 5m}}}
segments: [[channel], [team], [priority], [agent], [team, priority]]
windows: [15m, 1h, 24h]
board: {title: Support of Acme, kpis: [first_response_time, sla_attainment, tickets_created, backlog], window: 15m}
"""
CHOSEN = "document.activeElement.matches('.alert') && document.activeElement.textContent.includes('k-1')"
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def line(kafka: Kafka, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    if not kafka.can_create_topics:
        pytest.skip(f"{kafka.kind} cannot create topics")
    redis_server.empty()
    folder = tmp_path_factory.mktemp("board")
    found = Line(folder, CONFIG, kafka.bootstrap, redis_server.url, {"DESK_SECRET": SECRET})
    at = datetime.now(UTC) - timedelta(seconds=20)
    for number in range(12):
        team = ("billing", "technical", "onboarding")[number % 3]
        happened(found, f"old-{number}", "ticket.created", at, team=team, channel="email", tier="slow", priority="high")
        if number % 2:
            answered(found, f"old-{number}", at + timedelta(seconds=number))
    until(lambda: count(found) >= 12, "the first tickets are counted", timeout_s=60)
    yield found
    found.stop()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    if browser.executable() is None:
        pytest.skip("no Chromium on this machine (Debian: apt install chromium)")
    with browser.chromium() as found:
        yield found


@pytest.fixture
def looking(line: Line, chromium: Chromium) -> Iterator[Callable[..., tuple[Page, Seen]]]:
    """Opens pages. At the end nothing was complained of, and no request left the machine."""
    open_pages = []

    def look(path: str = "/", *, cut: bool = False, **how: Any) -> tuple[Page, Seen]:
        opened = chromium.page(line.url("api"), path, **how)
        page, seen = opened.__enter__()
        open_pages.append((opened, seen, cut))
        return page, seen

    yield look
    for opened, _, _ in open_pages:
        opened.__exit__(None, None, None)
    for _, seen, cut in open_pages:
        assert seen.outside == []
        # What a browser says of a connection that was cut is its own affair.
        assert [said for said in seen.complaints if not (cut and "ERR_" in said)] == []


def happened(line: Line, ticket: str, kind: str, at: datetime | None = None, **ticket_part: Any) -> None:
    """A webhook of the generic helpdesk."""
    event = {
        "kind": kind,
        "ticket_id": ticket,
        "occurred_at": (at or datetime.now(UTC)).isoformat().replace("+00:00", "Z"),
        "ticket": ticket_part,
    }
    if kind == "message.added":
        event |= {"actor": {"id": "a1", "kind": "agent"}, "message": {"visibility": "public"}}
    body = json.dumps(event).encode()
    answer = line.post("desk", body, signing.standard(body, SECRET.encode(), str(uuid4())))
    assert answer.status_code == 200, answer.text


def answered(line: Line, ticket: str, at: datetime | None = None) -> None:
    happened(line, ticket, "message.added", at)


def count(line: Line) -> int:
    found: int = line.get("/v1/kpis", window="15m")["kpis"]["tickets_created"]["count"]
    return found


def drawn(page: Page, sections: str = "about timers alerts kpis workload") -> None:
    """Waits until the page has drawn these."""
    for section in sections.split():
        page.wait_for_function("name => (document.body.dataset.drawn ?? '').split(' ').includes(name)", arg=section)


def seconds(shown: str) -> int:
    """``in 1:05`` as a number."""
    found = re.search(r"(\d+):(\d\d)", shown)
    assert found is not None, shown
    return int(found[1]) * 60 + int(found[2])


def test_a_promise_in_danger_appears_without_a_reload_counts_down_and_breaks(line: Line, looking: Any) -> None:
    page, _ = looking()
    drawn(page)
    assert page.locator("#title").inner_text() == "Support of Acme"
    made = datetime.now(UTC)
    happened(line, "d-1", "ticket.created", made, team="billing", tier="risky", channel="chat")
    at_risk = page.locator("#risk-list .timer", has_text="d-1")
    expect(at_risk).to_be_visible(timeout=20_000)
    left = seconds(at_risk.locator(".left").inner_text())
    due = (made + timedelta(minutes=5) - datetime.now(UTC)).total_seconds()
    assert abs(left - due) < 3
    page.wait_for_function(
        "([row, was]) => document.querySelector(row).textContent !== was",
        arg=["#risk-list .timer .left", at_risk.locator(".left").inner_text()],
    )

    happened(line, "d-2", "ticket.created", team="billing", tier="quick", channel="chat")
    broken = page.locator("#broken-list .timer", has_text="d-2")
    expect(broken).to_be_visible(timeout=30_000)
    assert "over" in broken.locator(".left").inner_text()
    assert broken.locator("a").first.get_attribute("href") == "https://desk.example/tickets/d-2"
    expect(page.locator("#alert-list .alert.critical", has_text="d-2")).to_be_visible()
    expect(page.locator("#said")).to_contain_text("d-2")

    answered(line, "d-2")
    expect(broken).to_have_count(0, timeout=20_000)
    answered(line, "d-1")
    expect(at_risk).to_have_count(0, timeout=20_000)


def test_an_alert_is_acknowledged_and_snoozed_from_the_keyboard(line: Line, looking: Any) -> None:
    page, _ = looking()
    drawn(page)
    page.keyboard.press("?")
    page.locator("#name").fill("Kim")
    page.keyboard.press("Escape")
    happened(line, "k-1", "ticket.created", team="billing", tier="quick")
    alert = page.locator("#alert-list .alert.critical", has_text="k-1")
    expect(alert).to_be_visible(timeout=30_000)
    for _ in range(page.locator(".item").count()):
        page.keyboard.press("j")
        if page.evaluate(CHOSEN):
            break
    page.keyboard.press("a")
    expect(alert.locator(".state")).to_contain_text("Acknowledged by Kim")
    expect(alert.get_by_role("button", name="Acknowledge")).to_be_hidden()
    assert page.evaluate(CHOSEN), "the focus stays where it was"
    page.keyboard.press("s")
    expect(alert.locator(".state")).to_contain_text("Quiet until")
    known = line.get("/v1/alerts", state="snoozed")["alerts"]
    assert any("k-1" in alert["title"] for alert in known)
    alert.get_by_label("Snooze:").select_option("4h")
    expect(page.locator("#said")).to_contain_text("Snoozed for 4 hours")
    known = line.get("/v1/alerts", state="snoozed")["alerts"]
    ends = next(datetime.fromisoformat(alert["snoozed_until"]) for alert in known if "k-1" in alert["title"])
    assert timedelta(hours=3, minutes=55) < ends - datetime.now(UTC) <= timedelta(hours=4)
    answered(line, "k-1")
    expect(alert).to_have_count(0, timeout=20_000)


def test_the_link_of_a_message_leads_to_its_alert_and_says_what_became_of_it(line: Line, looking: Any) -> None:
    happened(line, "s-1", "ticket.created", team="billing", tier="quick")

    def known(state: str) -> list[str]:
        found = line.get("/v1/alerts", state=state)["alerts"]
        return [one["alert_id"] for one in found if "s-1" in one["title"] and one["severity"] == "critical"]

    until(lambda: known("firing"), "the promise is broken", timeout_s=30)
    [alert_id] = known("firing")
    page, _ = looking(f"/?alert={alert_id}")
    drawn(page)
    expect(page.locator(".alert.sought", has_text="s-1")).to_be_focused()
    answered(line, "s-1")
    until(lambda: known("resolved"), "the alert is over", timeout_s=30)
    expect(page.locator(".alert.sought")).to_have_count(0, timeout=20_000)
    page.reload()
    expect(page.locator("#sought")).to_contain_text("Over since")
    expect(page.locator("#sought")).to_contain_text("s-1")


def test_a_cut_line_says_since_when_the_board_is_old_and_recovers_by_itself(line: Line, looking: Any) -> None:
    page, _ = looking(cut=True)
    drawn(page)
    expect(page.locator("#line")).to_have_text("Live")
    line.services["api"].kill()
    expect(page.locator("#line")).to_contain_text("Stale since", timeout=20_000)
    assert page.locator("body").evaluate("body => body.classList.contains('stale')")
    happened(line, "c-1", "ticket.created", team="billing", tier="risky")
    line.start("api")
    expect(page.locator("#line")).to_have_text("Live", timeout=30_000)
    expect(page.locator("#risk-list .timer", has_text="c-1")).to_be_visible(timeout=20_000)
    answered(line, "c-1")


def test_a_board_of_one_team_shows_that_team_and_is_kept_in_the_address(line: Line, looking: Any) -> None:
    happened(line, "t-1", "ticket.created", team="technical", tier="risky")
    happened(line, "t-2", "ticket.created", team="billing", tier="risky")
    page, _ = looking()
    drawn(page)
    expect(page.locator("#risk-list .timer", has_text="t-2")).to_be_visible(timeout=20_000)
    page.locator("#team").select_option("technical")
    expect(page.locator("#risk-list .timer", has_text="t-2")).to_have_count(0, timeout=20_000)
    expect(page.locator("#risk-list .timer", has_text="t-1")).to_be_visible()
    assert page.url.endswith("?team=technical")
    page.reload()
    drawn(page)
    assert page.locator("#team").input_value() == "technical"
    expect(page.locator("#risk-list .timer", has_text="t-1")).to_be_visible()
    for ticket in ("t-1", "t-2"):
        answered(line, ticket)


def test_tiles_lead_to_the_chart_and_tickets_to_their_reason(line: Line, looking: Any) -> None:
    page, _ = looking()
    drawn(page)
    tile = page.locator(".tile", has_text="First response time")
    expect(tile.locator(".value")).not_to_have_text("No case")
    tile.locator("a").click()
    drawn(page, "kpi")
    expect(page.locator("#chart canvas")).to_be_visible()
    expect(page.locator("#definition")).to_contain_text("first public reply")
    expect(page.locator("#by tbody tr")).not_to_have_count(0)
    page.goto(f"{line.url('api')}/tickets/desk/old-1")
    drawn(page, "ticket")
    expect(page.locator("#timers li")).not_to_have_count(0)
    expect(page.locator("#timeline svg")).to_be_visible()
    expect(page.locator("#steps li").first).to_contain_text("created")


PAGES = {"board": "/", "kpi": "/kpis/first_response_time?window=15m", "ticket": "/tickets/desk/old-1"}
SECTIONS = {"board": "about timers alerts kpis workload", "kpi": "kpi", "ticket": "ticket"}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_accessible_in_both_themes(
    looking: Any, name: str, theme: Theme, line: Line, tmp_path: Path
) -> None:
    ticket = f"x-{name}-{theme}"
    happened(line, ticket, "ticket.created", team="billing", tier="risky", channel="chat", priority="urgent")
    until(lambda: line.get("/v1/sla/timers", state="at_risk")["timers"], "a promise is at risk", timeout_s=20)
    if name == "board":
        happened(line, f"{ticket}-late", "ticket.created", team="technical", tier="quick", channel="email")
        until(lambda: line.get("/v1/sla/timers", state="breached")["timers"], "a promise is broken", timeout_s=30)
    page, _ = looking(PAGES[name], theme=theme)
    drawn(page, SECTIONS[name])
    browser.picture(page, f"{name}-{theme}", tmp_path)
    assert browser.faults(page) == []
    answered(line, ticket)
    if name == "board":
        answered(line, f"{ticket}-late")


@pytest.mark.parametrize("size", [(390, 844), (2560, 1440)], ids=["phone", "wall"])
def test_the_board_fits_a_phone_and_a_wall(looking: Any, size: tuple[int, int], tmp_path: Path) -> None:
    page, _ = looking(size=size)
    drawn(page)
    browser.picture(page, f"board-{size[0]}", tmp_path)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_an_hour_of_updates_does_not_grow_its_memory(looking: Any) -> None:
    page, _ = looking()
    drawn(page)
    # An hour has 1800 looks at timers and alerts and 360 at the numbers; each of these brings other tickets.
    hour = """async (looks) => {
      const { heard } = await import("/static/board.js");
      const at = Date.now();
      for (let look = 0; look < looks; look++) {
        const made = (n) => ({source: "desk", ticket_id: `m-${look}-${n}`, url: null, metric: "first_response",
          cycle: 1, policy: "p", target_s: 60, due_at: new Date(at + n * 1000).toISOString(), breach_after: null,
          broken_at: null, priority: "high", team: "billing", channel: "email", tier: null, assigned: true});
        const timers = Array.from({length: 100}, (_, n) => made(n));
        heard("timers", {at_risk: {timers, more: true}, breached: {timers: [], more: false}});
        heard("alerts", {more: false, wins: [], alerts: timers.slice(0, 50).map((t, n) => ({alert_id: t.ticket_id,
          state: "firing", severity: "warning", title: t.ticket_id, detail: "d", labels: {}, starts_at: t.due_at,
          evidence: [t], runbook: null, why: null, version: look}))});
      }
    }"""
    session = page.context.new_cdp_session(page)

    def used() -> float:
        session.send("HeapProfiler.collectGarbage")
        found: float = session.send("Runtime.getHeapUsage")["usedSize"]
        return found

    page.evaluate(hour, 100)
    before = used()
    page.evaluate(hour, 1800)
    assert used() - before < 2_000_000
    assert page.locator("#risk-list > li").count() <= 100


def test_what_helpdesks_send_is_shown_as_text(line: Line, looking: Any) -> None:
    happened(line, "h-1", "ticket.created", team=HOSTILE, channel="email")
    page, _ = looking()
    drawn(page)
    expect(page.locator("#workload-rows th", has_text=HOSTILE)).to_be_visible(timeout=30_000)
    assert page.locator("main img").count() == 0


def test_a_board_with_tokens_asks_for_one_and_refuses_a_wrong_one(
    line: Line, chromium: Chromium, tmp_path: Path
) -> None:
    file = tmp_path / "deskpulse.yaml"
    file.write_text(CONFIG + 'api_tokens: ["${BOARD_TOKEN}"]\n')
    port = free_port()
    environment = line.environment | {
        "DESKPULSE_CONFIG": str(file),
        "DESKPULSE_API_PORT": str(port),
        "BOARD_TOKEN": "a-token-of-some-length",
    }
    service, origin = Service("api", environment, tmp_path / "api.log"), f"http://127.0.0.1:{port}"
    try:
        until(lambda: service.started, f"the API is up: {service.said()[-500:]}", timeout_s=30)
        with chromium.page(origin) as (page, seen):
            expect(page.locator("#sign-in-title")).to_have_text("Sign in")
            page.locator("#token").fill("wrong")
            page.keyboard.press("Enter")
            expect(page.locator("form .problem")).to_contain_text("not accepted")
            page.locator("#token").fill("a-token-of-some-length")
            page.keyboard.press("Enter")
            drawn(page)
            expect(page.locator("#line")).to_have_text("Live")
            assert "a-token-of-some-length" not in service.said()
            assert page.url == f"{origin}/"
            assert seen.outside == []
    finally:
        service.stop()
