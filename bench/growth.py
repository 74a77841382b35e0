"""What an event costs, and a ticket takes in Redis, as all grows: a ticket's history, open tickets, a segment's values.

The loop is the worker's own (``bench.fed``), and what is told is processor time. ``--full`` runs the whole curves, to
10,000,000 facts of one ticket, 1,000,000 open tickets and 10,000 values; without it they end where a minute or two do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from random import Random
from typing import Final

from msgspec import structs

from bench.configuration import CONFIG, SECRETS
from bench.fed import Cost, Fed, fed
from bench.lives import assigned, created, made_urgent, replied
from bench.memory import KB, used
from bench.table import Budget, Findings, Line, Sense
from bench.world import World
from schemas.instant import SECOND_US, to_datetime
from schemas.ticket import Actor, ActorKind, Message, TicketEvent, event_id
from services import clock
from services.config.document import parse
from services.operate import logs

GROWTH: Final = Budget(Sense.AT_MOST, 1.5, "×")
_CHUNK: Final = 20_000
_SAMPLES: Final = 3
"""How often a point is measured; what is told is the least, since everything else on the machine only adds."""
_DOCUMENT: Final = parse(CONFIG, SECRETS)
_MANY_VALUES: Final = parse(CONFIG + "segment_limit: 20000\n", SECRETS)
_DAY_US: Final = 86_400 * SECOND_US


def measure(world: World) -> Findings:
    """The curves, one after the other, each with an empty Redis."""
    found = Findings()
    logs.configure("metrics", "error")
    asyncio.run(_histories(world, found))
    asyncio.run(_open_tickets(world, found))
    asyncio.run(_values(world, found))
    return found


def _sizes(world: World, first: int, quick: int, short: int, full: int) -> list[int]:
    """Powers of ten from ``first``."""
    last, sizes = full if world.full else quick if world.quick else short, [first]
    while sizes[-1] < last:
        sizes.append(sizes[-1] * 10)
    return sizes


async def _histories(world: World, found: Findings) -> None:
    """The next 500 events, in order, of a ticket that has ever more behind it."""
    sizes, sample = _sizes(world, 10, 1_000, 10_000, 10_000_000), 500
    step_us = min(SECOND_US, 20 * _DAY_US // (sizes[-1] + _SAMPLES * sample * len(sizes)))
    story = _conversation(clock.now_us() - (sizes[-1] + _SAMPLES * sample * len(sizes)) * step_us, step_us)
    points: dict[int, Cost] = {}
    async with fed(world, _DOCUMENT) as worker:
        # A worker that has just begun has everything to learn; that is no matter of history.
        await worker.feed(_lives("warm", 400, clock.now_us() - 3600 * SECOND_US))
        length = 0
        for size in sizes:
            await _taken(worker, story, size - length)
            points[size] = await _least(worker, [_next(story, sample) for _ in range(_SAMPLES)])
            length = max(length, size) + _SAMPLES * sample
            world.say(f"growth: a ticket with {size:,} facts: {points[size]} an event")
    _told(found, "event of a ticket by facts it has", points, "facts")


async def _open_tickets(world: World, found: Findings) -> None:
    """What is loaded is created, assigned and made urgent; then 2,000 of them, at random, get another agent."""
    sizes = _sizes(world, 1_000, 1_000, 10_000, 1_000_000)
    rng, from_us, points, bytes_each, idle = Random(4), clock.now_us() - 1800 * SECOND_US, {}, {}, {}
    async with fed(world, _DOCUMENT) as worker:
        before, made = used(world), 0
        for size in sizes:
            loading = _tickets(made, size, sizes[-1], from_us)
            while some := _next(loading, _CHUNK):
                await worker.feed(some)
            made = size
            worker.unannounced()
            bytes_each[size] = (used(world) - before) / size
            points[size] = await _least(worker, [_changes(rng, size, turn) for turn in range(_SAMPLES)])
            idle[size] = await worker.idle(3)
            world.say(f"growth: {size:,} open tickets: {points[size]} an event, {bytes_each[size]:,.0f} bytes each")
    _told(found, "event by open tickets", points, "open")
    last = sizes[-1]
    found.lines.append(
        Line(
            f"growth: Redis memory per open ticket, of {last:,}",
            f"{bytes_each[last] / KB:.2f} KB",
            ", ".join(f"{bytes_each[size] / KB:.2f} of {size:,}" for size in sizes[:-1]),
            judged=bytes_each[last] / KB,
            budget=Budget(Sense.AT_MOST, 1.5, "KB"),
        )
    )
    told = "; ".join(
        f"{size:,}: {cost.worker_us / 1e3:.0f} + {cost.redis_us / 1e3:.0f} ms" for size, cost in idle.items()
    )
    found.notes.append(f"growth: a second in which nothing comes costs, by open tickets (worker + Redis): {told}")


async def _values(world: World, found: Findings) -> None:
    """2,000 tickets that are created, assigned to one of ever more agents, and answered."""
    sizes = _sizes(world, 1, 100, 1_000, 10_000)
    points: dict[int, Cost] = {}
    for size in sizes:
        async with fed(world, _MANY_VALUES) as worker:
            rng, now_us = Random(size), clock.now_us()
            # Each value comes once before, since the first time of a value is no matter of how many there are.
            names = [f"agent-{number}" for number in range(size)]
            await worker.feed(_handled("first", now_us, names))
            samples = [
                list(_handled(f"turn-{turn}", now_us, [rng.choice(names) for _ in range(2_000)]))
                for turn in range(_SAMPLES)
            ]
            points[size] = await _least(worker, samples)
            world.say(f"growth: {size:,} agents: {points[size]} an event")
    _told(found, "event by values of a segment", points, "agents", None)
    found.notes.append(
        "growth: the fewer values, the more of a batch is counted in the same bucket, which is changed once for all: "
        "so the curve rises until each event has a bucket of its own, and no further"
    )


async def _least(worker: Fed, samples: list[list[TicketEvent]]) -> Cost:
    return min([await worker.feed(sample) for sample in samples], key=lambda cost: cost.both_us)


async def _taken(worker: Fed, story: Iterator[TicketEvent], number: int) -> None:
    while number > 0:
        some = _next(story, min(number, _CHUNK))
        await worker.feed(some)
        number -= len(some)


def _next(events: Iterator[TicketEvent], number: int) -> list[TicketEvent]:
    return [event for event, _ in zip(events, range(number), strict=False)]


def _told(found: Findings, what: str, points: dict[int, Cost], noun: str, budget: Budget | None = GROWTH) -> None:
    """A line that compares the ends of a curve, and a note with all of it."""
    first, last = min(points), max(points)
    few, many = points[first], points[last]
    ratio = many.both_us / few.both_us
    found.lines.append(Line(f"growth: {what}, {last:,}", str(many), f"{few} with {first:,}", ratio, ratio, budget))
    told = "; ".join(f"{size:,} {noun}: {cost}" for size, cost in points.items())
    found.notes.append(f"growth: processor time of the worker + Redis for an {what}: {told}")


def _conversation(from_us: int, step_us: int) -> Iterator[TicketEvent]:
    """One ticket without an end: customer and agent write in turn."""
    at_us, number = from_us, 0
    yield created("long", at_us)
    while True:
        at_us, number = at_us + step_us, number + 1
        event = replied("long", at_us)
        author = ActorKind.CUSTOMER if number % 2 else ActorKind.AGENT
        message = Message(f"m{number}", event.message.visibility, author) if event.message is not None else None
        yield structs.replace(
            event, event_id=event_id("zendesk", "long", str(number)), actor=Actor(author, "7"), message=message
        )


def _lives(name: str, number: int, from_us: int) -> Iterator[TicketEvent]:
    for ticket in range(number):
        at_us = from_us + ticket * SECOND_US
        yield created(f"{name}-{ticket}", at_us, team=f"team-{ticket % 8}")
        yield assigned(f"{name}-{ticket}", at_us + SECOND_US, f"agent-{ticket % 50}")
        yield replied(f"{name}-{ticket}", at_us + 2 * SECOND_US)


def _tickets(first: int, end: int, tickets: int, from_us: int) -> Iterator[TicketEvent]:
    """As ``bench.memory`` has them."""
    step_us = 600 * SECOND_US / tickets
    for number in range(first, end):
        name, at_us = str(100_000 + number), from_us + round(number * step_us)
        yield created(name, at_us, team=f"team-{number % 8}", tags=("billing", "invoice"), requester=f"{number:032x}")
        yield assigned(name, at_us + SECOND_US, f"agent-{number % 50}")
        yield made_urgent(name, at_us + 2 * SECOND_US)


def _changes(rng: Random, size: int, turn: int) -> list[TicketEvent]:
    """Half of 1,000 tickets, or 1,000 of more, get another agent, now."""
    at_us, found = clock.now_us(), []
    for number in rng.sample(range(size), min(1_000, size // 2)):
        event = assigned(str(100_000 + number), at_us, f"agent-{(number + turn + 1) % 50}")
        again = event_id("zendesk", event.ticket_id, str(size), str(turn))
        found.append(structs.replace(event, event_id=again, received_at=to_datetime(at_us)))
    return found


def _handled(name: str, now_us: int, agents: list[str]) -> Iterator[TicketEvent]:
    """A ticket for each of ``agents``, in the hour before ``now_us``."""
    for number, agent in enumerate(agents):
        at_us = now_us - 3600 * SECOND_US + number * 3000 * SECOND_US // len(agents)
        ticket_id = f"{name}-{number}"
        yield created(ticket_id, at_us)
        yield assigned(ticket_id, at_us + SECOND_US, agent)
        yield replied(ticket_id, at_us + 2 * SECOND_US)
