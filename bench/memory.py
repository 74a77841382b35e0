"""What an open ticket with its timers costs in Redis: created, assigned and made urgent, three facts in all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.lives import assigned, created, made_urgent
from bench.table import Budget, Findings, Line, Sense
from bench.world import World
from schemas.instant import SECOND_US
from schemas.state import facts_key, ticket_key
from schemas.ticket import TicketEvent
from schemas.topics import TICKETS, TOPICS
from services import clock

BUDGET = Budget(Sense.AT_MOST, 1.5, "KB")
KB = 1000.0
_SAMPLE = 200


def measure(world: World) -> Findings:
    """The growth of Redis' used memory over so many tickets; counters of KPIs included, for they come with them. And
    what a record costs when there are few tickets, more and many."""
    sizes = (500, 3_000) if world.quick else (1_000, 5_000, 20_000)
    world.say(f"memory: {sizes[-1]:,} open tickets, two changes each")
    world.fresh()
    stages: list[str] = []
    with world.service("metrics") as process:
        before, from_us = used(world), clock.now_us() - 1800 * SECOND_US
        made = number = 0
        for size in sizes:
            worker_s, redis_s = process.cpu_s, world.redis_cpu_s()
            records = world.fill(_tickets(made, size, sizes[-1], from_us))
            number += records
            world.settled(number)
            worker_us = (process.cpu_s - worker_s) / records * 1e6
            redis_us = (world.redis_cpu_s() - redis_s) / records * 1e6
            bytes_each = (used(world) - before) / size
            stages.append(f"{size:,}: {worker_us:.0f} + {redis_us:.0f} µs, {bytes_each / KB:.2f} KB")
            made = size
        total = (used(world) - before) / sizes[-1]
        entry, facts = _sampled(world, sizes[-1])
    found = Findings()
    found.lines.append(
        Line("Redis memory per open ticket with timers", f"{total / KB:.2f} KB", judged=total / KB, budget=BUDGET)
    )
    found.notes.append(
        f"memory: of it {entry:.0f} bytes the ticket and {facts:.0f} its three facts (with their keys; a sample); "
        f"the rest is the table of keys, the schedule, the lists of timers, and the KPI counters of all tickets"
    )
    found.notes.append(
        "memory: by open tickets, processor time of the worker and of Redis per record on the way there, and memory "
        f"per ticket: {'; '.join(stages)}"
    )
    return found


def used(world: World) -> int:
    """Bytes in use, without the buffers of connections and of the append-only file."""
    told: Any = world.state.info("memory")
    return int(told["used_memory"] - told["mem_clients_normal"] - told.get("mem_aof_buffer", 0))


def _tickets(first: int, end: int, tickets: int, from_us: int) -> Iterator[TicketEvent]:
    step_us = 600 * SECOND_US // tickets
    for number in range(first, end):
        name, at_us = str(100_000 + number), from_us + number * step_us
        yield created(name, at_us, team=f"team-{number % 8}", tags=("billing", "invoice"), requester=f"{number:032x}")
        yield assigned(name, at_us + SECOND_US, f"agent-{number % 50}")
        yield made_urgent(name, at_us + 2 * SECOND_US)


def _sampled(world: World, tickets: int) -> tuple[float, float]:
    """Mean bytes of a stored ticket and of its stored facts."""
    pipeline = world.state.pipeline(transaction=False)
    for number in range(0, tickets, tickets // _SAMPLE):
        for key in (ticket_key, facts_key):
            # The partition of a ticket is Kafka's to know; asking all of them is quick enough.
            for partition in range(TOPICS[TICKETS].partitions):
                pipeline.memory_usage(key(partition, "zendesk", str(100_000 + number)))
    sizes = pipeline.execute()
    width = TOPICS[TICKETS].partitions
    rows = [sum(size or 0 for size in sizes[at : at + width]) for at in range(0, len(sizes), width)]
    return sum(rows[::2]) / len(rows[::2]), sum(rows[1::2]) / len(rows[1::2])
