"""What a question costs the API, after some events and after ten times as many."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from itertools import cycle, islice
from random import Random

from bench.lives import assigned, created, replied
from bench.table import Budget, Findings, Line, Sense, percentile
from bench.world import World, steady_s
from schemas.instant import SECOND_US
from schemas.ticket import TicketEvent
from services import clock
from services.embedded import Unavailable

BUDGET = Budget(Sense.AT_MOST, 20, "ms")
GROWTH = Budget(Sense.AT_MOST, 1.5, "×")
AGENTS = 500
_OVER_S = 3600


def measure(world: World) -> Findings:
    """p50 and p99 of one client that asks without pause: all KPIs of a segment, and one KPI for all 500 agents."""
    tickets, asks = (500, 100) if world.quick else (2_500, 300)
    world.fresh()
    taken: dict[int, tuple[list[float], list[float]]] = {}
    with world.service("metrics"), world.service("api") as api:
        number = 0
        for times in (1, 10):
            wanted = tickets * times - number // 3
            number += world.fill(_tickets(number // 3, wanted))
            world.settled(number)
            world.say(f"reads: {number:,} events are in the state")
            one = [f"/v1/kpis?window=1h&segment=agent:agent-{agent}" for agent in range(AGENTS)]
            some = [path for pair in zip(one, cycle(["/v1/kpis?window=1h"]), strict=False) for path in pair]
            rows = ["/v1/kpis/first_response_time?window=1h&by=agent"]
            asked(api.port, list(islice(cycle(some), 50)))
            taken[times] = asked(api.port, list(islice(cycle(some), asks))), asked(api.port, rows * (asks // 50))
    found = Findings()
    few, many = taken[1], taken[10]
    events = f"{number // 10:,}", f"{number:,}"
    for at, (what, budget) in enumerate(
        [
            ("GET /v1/kpis, 12 partitions, 500 agents", BUDGET),
            ("GET /v1/kpis/{kpi}?by=agent, 500 rows", None),
        ]
    ):
        p50, p99 = percentile(many[at], 0.5), percentile(many[at], 0.99)
        beside = f"p50 {percentile(few[at], 0.5):.1f}, p99 {percentile(few[at], 0.99):.1f} ms after {events[0]}"
        said = f"p50 {p50:.1f}, p99 {p99:.1f} ms after {events[1]}"
        found.lines.append(Line(what, said, beside, p99 / percentile(few[at], 0.99), p99, budget))
    growth = percentile(many[0], 0.5) / percentile(few[0], 0.5)
    found.lines.append(Line("GET /v1/kpis: p50 after 10 × the events", f"{growth:.2f} ×", "", growth, growth, GROWTH))
    found.notes.append(
        f"reads: {asks} questions, one connection, window of 1h filled evenly; every second one about `all`, the "
        "others about an agent. More events mean more buckets to read only "
        "until every bucket of the window has been counted in"
    )
    return found


def _tickets(first: int, number: int) -> Iterator[TicketEvent]:
    """Tickets of the last hour, in random order of time, with 500 agents; each is answered."""
    rng, now_us = Random(first), clock.now_us()
    for ticket in range(first, first + number):
        at_us = now_us - rng.randrange(60 * SECOND_US, _OVER_S * SECOND_US)
        yield created(str(ticket), at_us, team=f"team-{ticket % 8}")
        yield assigned(str(ticket), at_us + SECOND_US, f"agent-{ticket % AGENTS}")
        yield replied(str(ticket), at_us + rng.randrange(2 * SECOND_US, 60 * SECOND_US))


def asked(port: int, paths: list[str]) -> list[float]:
    """The ms that each of ``paths`` took, one after the other on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    taken = []
    try:
        for path in paths:
            began_s = steady_s()
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            taken.append((steady_s() - began_s) * 1e3)
            if answer.status != 200:
                raise Unavailable(f"{path} was answered {answer.status}: {body[:300]!r}")
    finally:
        connection.close()
    return taken
