"""What a question costs the API, after some events and after ten times as many."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle, islice
from random import Random
from typing import Any

from bench.lives import assigned, created, replied
from bench.table import Budget, Findings, Line, Sense, percentile
from bench.world import Process, World, steady_s
from schemas.instant import SECOND_US
from schemas.ticket import TicketEvent
from services import clock
from services.embedded import Unavailable

BUDGET = Budget(Sense.AT_MOST, 20, "ms")
WARM = Budget(Sense.AT_MOST, 200, "ms")
COLD = Budget(Sense.AT_MOST, 300, "ms")
HELD = Budget(Sense.AT_MOST, 10, "ms")
GROWTH = Budget(Sense.AT_MOST, 1.5, "×")
AGENTS = 500
_OVER_S = 3600
_COLD = ("first_response_time", "tickets_created", "one_touch_rate", "agent_replies", "sla_attainment")
"""KPIs that are asked for by agent once, before anything of them is kept."""
_LEAST_US = 500


@dataclass(slots=True)
class _Taken:
    """What questions took, in ms; ``held_ms`` is the longest call of the reader in Redis, and the others are the
    processor time that the API and Redis used for one question by agent."""

    one: list[float] = field(default_factory=list)
    cold: list[float] = field(default_factory=list)
    warm: list[float] = field(default_factory=list)
    held_ms: float = 0.0
    api_ms: float = 0.0
    redis_ms: float = 0.0


def measure(world: World) -> Findings:
    """One client that asks without pause: all KPIs of a segment, and one KPI for all 500 agents, which the API has
    never read or has read just before."""
    tickets, asks = (500, 100) if world.quick else (2_500, 300)
    world.fresh()
    taken: dict[int, _Taken] = {}
    with world.service("metrics"):
        number = 0
        for times in (1, 10):
            wanted = tickets * times - number // 3
            number += world.fill(_tickets(number // 3, wanted))
            world.settled(number)
            world.say(f"reads: {number:,} events are in the state")
            with world.service("api") as api:
                taken[times] = _asked(world, api, asks)
    found = Findings()
    few, many = taken[1], taken[10]
    events = f"{number // 10:,}", f"{number:,}"
    rows: list[tuple[str, list[float], list[float], Budget]] = [
        ("GET /v1/kpis, 12 partitions, 500 agents", few.one, many.one, BUDGET),
        ("GET /v1/kpis/{kpi}?by=agent, 500 rows, again", few.warm, many.warm, WARM),
        ("GET /v1/kpis/{kpi}?by=agent, 500 rows, never read", few.cold, many.cold, COLD),
    ]
    for what, before, after, budget in rows:
        p50, p99 = percentile(after, 0.5), percentile(after, 0.99)
        beside = f"p50 {percentile(before, 0.5):.1f}, p99 {percentile(before, 0.99):.1f} ms after {events[0]}"
        said = f"p50 {p50:.1f}, p99 {p99:.1f} ms after {events[1]}"
        found.lines.append(Line(what, said, beside, p99 / percentile(before, 0.99), p99, budget))
    growth = percentile(many.one, 0.5) / percentile(few.one, 0.5)
    found.lines.append(Line("GET /v1/kpis: p50 after 10 × the events", f"{growth:.2f} ×", "", growth, growth, GROWTH))
    held = f"{many.held_ms:.1f} ms", f"{few.held_ms:.1f} ms after {events[0]}"
    found.lines.append(Line("longest call of a reader in Redis", *held, None, many.held_ms, HELD))
    found.notes.append(
        f"reads: {asks} questions, one connection, window of 1h filled evenly; every second one about `all`, the "
        "others about an agent. More events mean more buckets to read only "
        "until every bucket of the window has been counted in"
    )
    found.notes.append(
        f"reads: a question by agent that was asked before takes {many.api_ms:.1f} ms of the API's and "
        f"{many.redis_ms:.1f} ms of Redis' processor time ({few.api_ms:.1f} and {few.redis_ms:.1f} after {events[0]}); "
        "Redis' has the worker's share in it, which is idle"
    )
    return found


def _asked(world: World, api: Process, asks: int) -> _Taken:
    """A fresh API is asked everything; its first answers are cold."""
    taken = _Taken()
    world.state.config_set("slowlog-log-slower-than", _LEAST_US)
    world.state.config_set("slowlog-max-len", 10_000)
    world.state.slowlog_reset()
    taken.cold = asked(api.port, [f"/v1/kpis/{kpi}?window=1h&by=agent" for kpi in _COLD])
    warm = [f"/v1/kpis/{_COLD[0]}?window=1h&by=agent"] * max(10, asks // 10)
    api_s, redis_s = api.cpu_s, world.redis_cpu_s()
    taken.warm = asked(api.port, warm)
    taken.api_ms = (api.cpu_s - api_s) / len(warm) * 1e3
    taken.redis_ms = (world.redis_cpu_s() - redis_s) / len(warm) * 1e3
    one = [f"/v1/kpis?window=1h&segment=agent:agent-{agent}" for agent in range(AGENTS)]
    some = [path for pair in zip(one, cycle(["/v1/kpis?window=1h"]), strict=False) for path in pair]
    asked(api.port, list(islice(cycle(some), 50)))
    taken.one = asked(api.port, list(islice(cycle(some), asks)))
    slow: Any = world.state.slowlog_get(10_000)
    read = [call["duration"] / 1e3 for call in slow if b":k: " in call["command"]]  # the prefix that readers name
    taken.held_ms = max(read, default=_LEAST_US / 1e3)
    return taken


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
