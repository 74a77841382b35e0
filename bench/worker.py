"""The metrics worker with everything it does, against a stock Faust agent that only decodes and counts."""

from __future__ import annotations

import statistics
import threading
from dataclasses import dataclass
from pathlib import Path

from bench.lives import lives
from bench.profile import read
from bench.table import Budget, Findings, Line, Sense, median_ratio, ratios, spread
from bench.world import World, steady_s
from schemas.topics import TICKETS
from services.embedded import Unavailable

BUDGET = Budget(Sense.AT_LEAST, 4, "×", aim=7)
_LOOK_S = 0.02
_LONGEST_S = 180.0


@dataclass(frozen=True, slots=True)
class Run:
    """One pass over the topic; processor time per record of the worker and of Redis, in µs."""

    rate: float
    worker_us: float
    redis_us: float


def measure(world: World) -> Findings:
    """Pairs worker, Faust, in turn on the same records; and the plain consumer once for each pair."""
    number, pairs_wanted = (12_000, 2) if world.quick else (40_000, 3)
    world.say(f"worker: {number:,} records into 12 partitions")
    events = lives(number)
    world.fresh()
    world.fill(events)
    runs: list[Run] = []
    pairs: list[tuple[float, float]] = []
    plain: list[float] = []
    for pair in range(1, pairs_wanted + 1):
        run = worker(world, number)
        stock = counted(world, "bench.faust_counter", number)
        plain.append(counted(world, "bench.plain_counter", number))
        runs.append(run)
        pairs.append((run.rate, stock))
        world.say(f"worker: pair {pair}: {run.rate:,.0f} against {stock:,.0f} records/s, plain {plain[-1]:,.0f}")
    ratio = median_ratio(pairs)
    rate, stock = statistics.median(run.rate for run in runs), statistics.median(two for _, two in pairs)
    found = Findings()
    found.lines = [
        Line(
            "metrics worker, full work, one process",
            f"{rate:,.0f} records/s",
            f"{stock:,.0f} stock Faust",
            ratio,
            ratio,
            BUDGET,
        ),
        Line(
            "metrics worker, beside a plain consumer",
            f"{rate:,.0f} records/s",
            f"{statistics.median(plain):,.0f} getmany, orjson, count",
            rate / statistics.median(plain),
        ),
    ]
    middle = sorted(runs, key=lambda run: run.rate)[len(runs) // 2]
    cost = f"{middle.worker_us:.0f} µs of the worker's processor and {middle.redis_us:.0f} µs of Redis'"
    found.notes = [
        f"worker: ratios {spread(ratios(pairs))}",
        f"worker: a record costs {cost}, of {1e6 / middle.rate:.0f} µs in all; the rest is waiting for each other",
    ]
    if not world.profile:
        return found
    world.say("worker: once more under cProfile")
    file = world.folder / "worker.profile"
    worker(world, number, file)
    found.profiles["metrics worker"] = read(file, 12)
    return found


def worker(world: World, number: int, profile: Path | None = None) -> Run:
    """One pass of ``deskpulse metrics`` over the topic, from the first batch that is in the state to the last."""
    world.redis.empty()
    pause = threading.Event()
    with world.service("metrics", profile=profile, ready=False) as process:
        deadline_s = steady_s() + _LONGEST_S
        first, began_s, cpu_s, redis_s = 0, 0.0, 0.0, 0.0
        while (seen := world.applied()) < number:
            if seen and not first:
                first, began_s = seen, steady_s()
                cpu_s, redis_s = process.cpu_s, world.redis_cpu_s()
            if steady_s() > deadline_s:
                raise Unavailable(f"the worker applied {seen} of {number} records: {process.said[-5:]}")
            pause.wait(_LOOK_S)
        seconds, records = steady_s() - began_s, number - first
        if not first:
            raise Unavailable("the worker was done between two looks; give it more records")
        return Run(
            records / seconds,
            (process.cpu_s - cpu_s) / records * 1e6,
            (world.redis_cpu_s() - redis_s) / records * 1e6,
        )


def counted(world: World, module: str, number: int) -> float:
    """Records/s of a program that counts the topic; it says so in one line when it has all."""
    with world.program(module, world.kafka.bootstrap, TICKETS, number) as process:
        told = process.told(_LONGEST_S)
    return float(told["records"] / told["seconds"])
