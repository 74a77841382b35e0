"""How long after its deadline a broken promise is on the stream, with many timers open that are not due."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from aiokafka import AIOKafkaConsumer

from bench.lives import created
from bench.table import Budget, Findings, Line, Sense, percentile
from bench.world import World
from schemas import codec
from schemas.instant import SECOND_US, from_datetime
from schemas.sla import SlaKind
from schemas.ticket import TicketEvent
from schemas.topics import SLA
from services import clock
from services.embedded import Unavailable

BUDGET = Budget(Sense.AT_MOST, 250, "ms")
TARGET_S = 3600
CONFIG = f"""
sla_policies:
  - {{name: everyone, warn_at: [], targets: {{first_response: {{"*": {TARGET_S}s}}}}}}
segments: [[channel], [team], [priority]]
windows: [15m, 1h, 24h]
"""


def measure(world: World) -> Findings:
    """One timer per ticket; 1 % of them fall due evenly over a minute (quick: 15 s), the rest in an hour or so."""
    timers, lasting_s = (10_000, 15) if world.quick else (100_000, 60)
    due = timers // 100
    world.say(f"breach: {timers:,} open timers, {due:,} due within {lasting_s} s")
    world.fresh()
    with world.service("metrics", config=CONFIG) as process:
        number = world.fill(later(timers - due))
        world.settled(number)
        world.say("breach: the timers are open")
        lead_us = 5 * SECOND_US
        soon_us = clock.now_us() + lead_us
        cpu_s, redis_s = process.cpu_s, world.redis_cpu_s()
        number += world.fill(soon(due, soon_us, lasting_s))
        world.settled(number)
        if clock.now_us() > soon_us:
            raise Unavailable("the first deadline had passed before its ticket was in the state")
        late_ms, detected_ms = asyncio.run(_heard(world, due, lasting_s + 60))
        worker_s, redis_s = process.cpu_s - cpu_s, world.redis_cpu_s() - redis_s
    p50, p99 = percentile(late_ms, 0.5), percentile(late_ms, 0.99)
    found = Findings()
    found.lines.append(
        Line(
            f"deadline to SLA event, {timers:,} open timers",
            f"p50 {p50:.0f}, p99 {p99:.0f} ms",
            f"{due:,} due in {lasting_s} s",
            judged=p99,
            budget=BUDGET,
        )
    )
    seconds = lasting_s + 5
    d50, d99 = percentile(detected_ms, 0.5), percentile(detected_ms, 0.99)
    found.notes.append(
        f"breach: from breached_at to the append of the record, whole ms, longest {max(late_ms):.0f}; "
        f"of it until detected_at p50 {d50:.0f}, p99 {d99:.0f} ms; "
        f"meanwhile the worker used {worker_s / seconds:.0%} and Redis {redis_s / seconds:.0%} of a core"
    )
    return found


def later(timers: int) -> Iterator[TicketEvent]:
    """Tickets of the last minute: due in an hour."""
    now_us = clock.now_us()
    for number in range(timers):
        yield created(f"later-{number}", now_us - number * 60 * SECOND_US // timers)


def soon(due: int, from_us: int, lasting_s: int) -> Iterator[TicketEvent]:
    """Tickets of an hour ago, which break their promise evenly from ``from_us`` on."""
    for number in range(due):
        yield created(f"soon-{number}", from_us - TARGET_S * SECOND_US + number * lasting_s * SECOND_US // due)


async def _heard(world: World, due: int, longest_s: float) -> tuple[list[float], list[float]]:
    """For every breach on the stream the ms from ``breached_at`` to the append, and to ``detected_at``."""
    consumer = AIOKafkaConsumer(SLA, bootstrap_servers=world.kafka.bootstrap, auto_offset_reset="earliest")
    late: dict[str, float] = {}
    detected: dict[str, float] = {}
    await consumer.start()
    try:
        async with asyncio.timeout(longest_s):
            while len(late) < due:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    for record in records:
                        event = codec.decode_sla(record.value)
                        if event.kind is SlaKind.BREACHED and event.breached_at is not None:
                            broke_us = from_datetime(event.breached_at)
                            late[event.key] = record.timestamp - broke_us / 1000
                            detected[event.key] = (from_datetime(event.detected_at) - broke_us) / 1000
    except TimeoutError:
        raise Unavailable(f"{len(late)} of {due} breaches were announced") from None
    finally:
        await consumer.stop()
    return list(late.values()), list(detected.values())
