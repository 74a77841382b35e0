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
    """The growth of Redis' used memory over so many tickets; counters of KPIs included, for they come with them."""
    tickets = 3_000 if world.quick else 20_000
    world.say(f"memory: {tickets:,} open tickets, two changes each")
    world.fresh()
    with world.service("metrics"):
        before = used(world)
        number = world.fill(_tickets(tickets, clock.now_us() - 1800 * SECOND_US))
        world.settled(number)
        total = (used(world) - before) / tickets
        entry, facts = _sampled(world, tickets)
    found = Findings()
    found.lines.append(
        Line("Redis memory per open ticket with timers", f"{total / KB:.2f} KB", judged=total / KB, budget=BUDGET)
    )
    found.notes.append(
        f"memory: of it {entry:.0f} bytes the ticket and {facts:.0f} its three facts (with their keys; a sample); "
        f"the rest is the table of keys, the schedule, the lists of timers, and the KPI counters of all tickets"
    )
    return found


def used(world: World) -> int:
    """Bytes in use, without the buffers of connections and of the append-only file."""
    told: Any = world.state.info("memory")
    return int(told["used_memory"] - told["mem_clients_normal"] - told.get("mem_aof_buffer", 0))


def _tickets(tickets: int, from_us: int) -> Iterator[TicketEvent]:
    step_us = 600 * SECOND_US // tickets
    for number in range(tickets):
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
