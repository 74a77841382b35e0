"""From the answer to a webhook until the API shows what it changed, under load: ingest, Kafka, worker, Redis, API.

The processes are those of ``tests.support.line``, started by the bench's own means, which also end when it is killed.
"""

from __future__ import annotations

import http.client
import threading
from dataclasses import dataclass

import orjson

from bench.configuration import SECRETS
from bench.requests import bodies, signed, written
from bench.table import Budget, Findings, Line, Sense, percentile
from bench.world import World, steady_s
from schemas import standard_webhook
from services import clock
from services.embedded import Unavailable

BUDGET = Budget(Sense.AT_MOST, 500, "ms")
WANTED = 500
CONNECTIONS = 64
_POLL_S = 0.005
_PAUSE_S = 0.05
_LONGEST_S = 15.0
_SLOWEST_MS = 1000.0


@dataclass(frozen=True, slots=True)
class Probed:
    """One stretch of load: what the sender saw, and ms from answer to visible of the probes meanwhile."""

    rate: float
    p50_ms: float
    p99_ms: float
    visible_ms: list[float]


def measure(world: World) -> Findings:
    """Tries 500 webhooks/s and halves until the line carries it; then measures at that rate."""
    trial_s, lasting_s = (3, 8) if world.quick else (5, 30)
    world.fresh()
    with (
        world.service("ingest") as ingest,
        world.service("metrics"),
        world.service("alerts"),
        world.service("api") as api,
    ):
        wanted, sent = WANTED, 0
        while True:
            tried = stretch(world, ingest.port, api.port, wanted, trial_s, sent)
            sent += wanted * trial_s
            world.say(f"latency: {wanted} webhooks/s wanted, {tried.rate:.0f} sent, answers p99 {tried.p99_ms:.0f} ms")
            if (tried.rate > 0.95 * wanted and tried.p99_ms < _SLOWEST_MS) or wanted < 60:
                break
            wanted //= 2
        probed = stretch(world, ingest.port, api.port, wanted, lasting_s, sent)
    p50, p99 = percentile(probed.visible_ms, 0.5), percentile(probed.visible_ms, 0.99)
    found = Findings()
    found.lines.append(
        Line(
            f"webhook answered to KPI in the API, {wanted} webhooks/s",
            f"p50 {p50:.0f}, p99 {p99:.0f} ms",
            f"answered in p50 {probed.p50_ms:.0f}, p99 {probed.p99_ms:.0f} ms",
            judged=p99,
            budget=BUDGET,
        )
    )
    if wanted < WANTED:
        found.notes.append(
            f"latency: the budget is at {WANTED}/s; this machine, with everything and the sender on it, "
            f"carries {wanted}/s"
        )
    found.notes.append(
        f"latency: {len(probed.visible_ms)} probes, one at a time, asking every {_POLL_S * 1e3:.0f} ms and more; "
        f"longest {max(probed.visible_ms):.0f} ms"
    )
    return found


def stretch(world: World, ingest: int, api: int, rate: int, lasting_s: int, skip: int) -> Probed:
    """``rate`` webhooks a second for ``lasting_s``, none of them among the first ``skip``, with probes meanwhile."""
    made = bodies(skip + rate * lasting_s)[skip:]
    file = written(signed(made), world.folder / "load")
    visible: list[float] = []
    with world.program("bench.sender", ingest, file, CONNECTIONS, rate) as sender:
        pause = threading.Event()
        number = 0
        ends_s = steady_s() + lasting_s
        while steady_s() < ends_s:
            visible.append(probe(ingest, api, f"probe-{skip}-{number}"))
            number += 1
            pause.wait(_PAUSE_S)
        told = sender.told(_LONGEST_S + lasting_s)
    if told["statuses"].keys() != {"200"}:
        raise Unavailable(f"ingest answered {told['statuses']}")
    return Probed(told["rate"], told["p50_ms"], told["p99_ms"], visible)


def probe(ingest: int, api: int, name: str) -> float:
    """ms from the answer to a webhook about a ticket of a team of its own until the API counts that ticket."""
    at = clock.now().isoformat()
    event = {
        "kind": "ticket.created",
        "ticket_id": name,
        "occurred_at": at,
        "ticket": {"status": "new", "team": name, "created_at": at},
    }
    body = orjson.dumps(event)
    headers = standard_webhook.headers([SECRETS["GENERIC_SECRET"]], name, clock.now_us() // 1_000_000, body)
    sender = http.client.HTTPConnection("127.0.0.1", ingest, timeout=10)
    reader = http.client.HTTPConnection("127.0.0.1", api, timeout=10)
    try:
        reader.connect()
        sender.request("POST", "/webhooks/generic", body, {"content-type": "application/json", **headers})
        answer = sender.getresponse()
        answer.read()
        if answer.status != 200:
            raise Unavailable(f"ingest answered a probe with {answer.status}")
        answered_s = steady_s()

        def shown() -> bool:
            reader.request("GET", f"/v1/kpis?window=15m&segment=team:{name}")
            found = orjson.loads(reader.getresponse().read())
            return bool(found["kpis"]["tickets_created"]["count"])

        pause = threading.Event()
        while not shown():
            if steady_s() - answered_s > _LONGEST_S:
                raise Unavailable(f"{name} was not counted within {_LONGEST_S:.0f} s")
            pause.wait(_POLL_S)
        return (steady_s() - answered_s) * 1e3
    finally:
        sender.close()
        reader.close()
