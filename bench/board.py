"""How soon a lead sees the live board: from the address to everything drawn, in a real Chromium.

Beside it the same board of a helpdesk at rest: what the browser, the page and the way to the API take by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.breach import TARGET_S
from bench.lives import created
from bench.table import Budget, Findings, Line, Sense, percentile
from bench.world import Process, World
from schemas.instant import SECOND_US
from schemas.ticket import TicketEvent
from services import clock
from services.embedded import Unavailable
from tests.support import browser
from tests.support.browser import Chromium
from tests.support.wait import until

BUDGET = Budget(Sense.AT_MOST, 1000, "ms")
_CONFIG = f"""
sla_policies:
  - {{name: everyone, warn_at: ["50%"], targets: {{first_response: {{"*": {TARGET_S}s}}}}}}
segments: [[channel], [team], [priority]]
windows: [15m, 1h, 24h]
"""
_SECTIONS = ("about", "timers", "alerts", "kpis", "workload")
_DRAWN = """async (sections) => {
  const whole = () => sections.every((one) => (document.body.dataset.drawn ?? "").split(" ").includes(one));
  while (!whole()) await new Promise((seen) => {
    const watching = new MutationObserver(() => { watching.disconnect(); seen(); });
    watching.observe(document.body, {attributes: true, attributeFilter: ["data-drawn"]});
    if (whole()) { watching.disconnect(); seen(); }
  });
  await new Promise((painted) => requestAnimationFrame(() => setTimeout(painted)));
  return performance.now();
}"""
"""The ms from the start of the navigation to the first picture with all sections in it."""
_WHOLE = """async (alerts) => {
  const listed = () => document.querySelectorAll("#alert-list > li").length;
  while (listed() < alerts) await new Promise((then) => setTimeout(then, 10));
  return performance.now();
}"""
"""The same until the last alert stands in its list, below what a screen shows."""
_KPIS = ("csat", "backlog", "reopen_rate", "tickets_solved", "tickets_created", "one_touch_rate", "sla_attainment")


def measure(world: World) -> Findings:
    """10,000 open timers and 200 alerts, half of them of promises at risk and half of broken ones (quick: a tenth).
    Each opening is a new browser profile with nothing cached; half open a board that the API has never drawn."""
    if browser.executable() is None:
        raise Unavailable("no Chromium on this machine (Debian: apt install chromium)")
    timers, alerts = (1_000, 20) if world.quick else (10_000, 200)
    world.fresh()
    with (
        world.service("metrics", config=_CONFIG),
        world.service("alerts", config=_CONFIG),
        world.service("api", config=_CONFIG) as api,
    ):
        world.settled(world.fill(_tickets("rest", 10, at_risk=0, broken=0)))
        rest, _ = _opened(api, 0)
        world.say(f"board: {timers:,} open timers, {alerts} alerts")
        world.settled(world.fill(_tickets("busy", timers, at_risk=alerts // 2, broken=alerts // 2)))
        until(lambda: _firing(api, alerts), f"{alerts} alerts are firing", timeout_s=120)
        busy, whole = _opened(api, alerts)
    found = Findings()
    for what, after, before in zip(("never drawn", "drawn before"), busy, rest, strict=True):
        worst, middle = max(after), percentile(after, 0.5)
        found.lines.append(
            Line(
                f"board open, {timers:,} timers, {alerts} alerts, {what}",
                f"p50 {middle:.0f}, longest {worst:.0f} ms",
                f"p50 {percentile(before, 0.5):.0f}, longest {max(before):.0f} ms at rest",
                middle / percentile(before, 0.5),
                middle,
                BUDGET,
            )
        )
    found.notes.append(
        f"board: {len(busy[0])} openings of each kind, from the start of the navigation to the first picture with "
        "timers, alerts, tiles and workload in it; nothing is cached by the browser. What lies below the first "
        f"screenful of a list comes when nothing else waits: the last alert is there after p50 "
        f"{percentile(whole, 0.5):.0f}, longest {max(whole):.0f} ms"
    )
    return found


def _firing(api: Process, alerts: int) -> bool:
    return len(api.json(f"/v1/alerts?state=firing&limit={alerts}")["alerts"]) >= alerts


def _opened(api: Process, alerts: int) -> tuple[tuple[list[float], list[float]], list[float]]:
    """The ms of openings of boards that nobody has looked at, and of the one that was looked at just before; and until
    every alert was in its list."""
    with browser.chromium() as chromium:
        _opening(chromium, api, "/", alerts)  # the first page starts the browser's own processes
        never = [_opening(chromium, api, f"/?kpi={kpi}", alerts) for kpi in _KPIS]
        _opening(chromium, api, "/", alerts)
        before = [_opening(chromium, api, "/", alerts) for _ in _KPIS]
    return ([one for one, _ in never], [one for one, _ in before]), [whole for _, whole in never + before]


def _opening(chromium: Chromium, api: Process, path: str, alerts: int) -> tuple[float, float]:
    with chromium.page(api.url, path) as (page, seen):
        taken: float = page.evaluate(_DRAWN, _SECTIONS)
        whole: float = page.evaluate(_WHOLE, alerts)
        if seen.complaints:
            raise Unavailable(f"the board complains: {seen.complaints[:3]}")
    return taken, whole


def _tickets(word: str, open_timers: int, *, at_risk: int, broken: int) -> Iterator[TicketEvent]:
    """Tickets of one promise each, which is broken, at risk, or neither. They come in the order of their times."""
    now_us, target_us = clock.now_us(), TARGET_S * SECOND_US
    ages_us = [
        *(target_us + SECOND_US * (1 + number % 60) for number in range(broken)),
        *(target_us * 9 // 10 - SECOND_US * (number % 600) for number in range(at_risk)),
        *(SECOND_US * (number % 600) for number in range(open_timers - at_risk - broken)),
    ]
    for number, age_us in enumerate(sorted(ages_us, reverse=True)):
        yield created(f"{word}-{number}", now_us - age_us, team=f"team-{number % 8}", channel="email")
