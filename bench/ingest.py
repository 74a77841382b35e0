"""Ingest with signature, normalising, deduplication and durable acknowledgement, against a route that does nothing."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from bench.ingest_stages import InProcess, Pure, in_process, least, least_in_process, pure, stages, vendors
from bench.profile import read, read_whole
from bench.requests import bodies, signed, written
from bench.table import Budget, Findings, Line, Sense, median_ratio, ratios, spread
from bench.world import Process, World
from services.embedded import Unavailable
from services.embedded.port import free_port
from tests.support.wait import until

BUDGET = Budget(Sense.AT_LEAST, 0.6, "×")
CONCURRENCY = 32
_LONGEST_S = 120.0


@dataclass(frozen=True, slots=True)
class Burst:
    """One burst of requests at one server; processor time per request in µs."""

    rate: float
    p50_ms: float
    p99_ms: float
    server_us: float
    redis_us: float


def measure(world: World) -> Findings:
    """Bursts at ingest and at the bare route in turn; both run all the time, the other one idle."""
    number, pairs_wanted = (1_500, 2) if world.quick else (4_000, 4)
    made = bodies(number)
    world.fresh()
    bursts: list[tuple[Burst, Burst]] = []
    with ExitStack() as stack:
        ingest = stack.enter_context(world.service("ingest"))
        bare = stack.enter_context(_beside(world, "bench.bare_route"))
        alone = stack.enter_context(_beside(world, "bench.ingest_parts", "-"))
        without_kafka = stack.enter_context(_beside(world, "bench.ingest_parts", world.redis.url))
        parts: dict[str, list[Burst]] = {"alone": [], "without_kafka": []}
        apps: list[InProcess] = []
        pures: list[Pure] = []
        for server in (ingest, bare, alone, without_kafka):
            burst(world, server, bodies(500, seed=21))  # the first requests of a process are slower than all others
        for pair in range(1, pairs_wanted + 1):
            world.redis.empty()  # else every body is a copy
            bursts.append((burst(world, ingest, made), burst(world, bare, made)))
            one, two = bursts[-1]
            world.say(f"ingest: pair {pair}: {one.rate:,.0f} against {two.rate:,.0f} requests/s")
            parts["alone"].append(burst(world, alone, made))
            world.redis.empty()
            parts["without_kafka"].append(burst(world, without_kafka, made))
            apps.append(in_process(made[:1000], 100))
            pures.append(pure(made[:1000]))
    pairs = [(one.rate, two.rate) for one, two in bursts]
    ours, theirs = (sorted(half, key=lambda b: b.rate)[len(half) // 2] for half in zip(*bursts, strict=True))
    ratio = median_ratio(pairs)
    found = Findings()
    found.lines = [
        Line(
            f"ingest, durable ack, {CONCURRENCY} connections",
            f"{ours.rate:,.0f} requests/s",
            f"{theirs.rate:,.0f} bare FastAPI",
            ratio,
            ratio,
            BUDGET,
        ),
        Line(
            "ingest: answer time p50, p99",
            f"{ours.p50_ms:.1f}, {ours.p99_ms:.1f} ms",
            f"{theirs.p50_ms:.1f}, {theirs.p99_ms:.1f} ms bare",
            ours.p50_ms / theirs.p50_ms,
        ),
    ]
    cost = statistics.median(one.server_us / two.server_us for one, two in bursts)
    found.notes = [
        f"ingest: ratios {spread(ratios(pairs))}",
        (
            f"ingest: a request costs {ours.server_us:.0f} µs of ingest's processor and {ours.redis_us:.0f} µs of "
            f"Redis', of {1e6 / ours.rate:.0f} µs in all; the bare route {theirs.server_us:.0f} of "
            f"{1e6 / theirs.rate:.0f} µs ({cost:.1f} × its processor time). Kafka, Redis and the sender share the cores"
        ),
    ]
    whole_us, bare_us, alone_us, without_kafka_us = (
        min(one.server_us for one in some)
        for some in ([one for one, _ in bursts], [two for _, two in bursts], parts["alone"], parts["without_kafka"])
    )
    app = least_in_process(apps)
    found.profiles["ingest, stage by stage, processor time of a webhook"] = stages(
        whole_us, without_kafka_us, alone_us, app, least(pures)
    )
    found.profiles["ingest, vendor by vendor, without Kafka and Redis"] = vendors(app, alone_us, bare_us)
    if not world.profile:
        return found
    world.say("ingest: once more under cProfile")
    world.redis.empty()
    file = world.folder / "ingest.profile"
    with world.service("ingest", profile=file) as process:
        burst(world, process, made)
    found.profiles[f"ingest, {number:,} requests"] = read(file, 15)
    found.profiles[f"ingest, {number:,} requests, calls with all that they call"] = read_whole(file, 25)
    return found


@contextmanager
def _beside(world: World, module: str, *arguments: str) -> Iterator[Process]:
    """``python -m MODULE PORT ARGUMENTS`` that answers."""
    port = free_port()
    with world.program(module, port, *arguments, port=port) as process:
        until(lambda: process.answers("/readyz"), f"{module} answers", timeout_s=20)
        yield process


def burst(world: World, server: Process, made: tuple[bytes, ...]) -> Burst:
    """All of ``made``, signed now, as fast as ``CONCURRENCY`` connections take them."""
    file = written(signed(made), world.folder / "requests")
    server_s, redis_s = server.cpu_s, world.redis_cpu_s()
    with world.program("bench.sender", server.port, file, CONCURRENCY, 0) as sender:
        told = sender.told(_LONGEST_S)
    if told["statuses"] != {"200": len(made)}:
        raise Unavailable(f"{server.name} answered {told['statuses']} to {len(made)} requests")
    return Burst(
        rate=told["rate"],
        p50_ms=told["p50_ms"],
        p99_ms=told["p99_ms"],
        server_us=(server.cpu_s - server_s) / len(made) * 1e6,
        redis_us=(world.redis_cpu_s() - redis_s) / len(made) * 1e6,
    )
