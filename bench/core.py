"""What one event costs in the pure core, in µs, stage by stage: no server, no network, no other process.

Processor time, not time on the wall: what else the machine does is not counted.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from time import process_time
from typing import Final

import msgspec

from bench.configuration import DOCUMENT
from bench.lives import lives
from bench.profile import profiled
from bench.table import Budget, Findings, Line, Sense
from bench.world import World
from schemas import codec
from schemas.instant import to_datetime
from schemas.state import Fact
from schemas.ticket import Actor, ActorKind, Attributes, Kind, Message, Status, TicketEvent, Visibility, event_id
from services import clock
from services.fold.fact import fact
from services.fold.rules import compiled
from services.kpi.cuts import Cuts, named
from services.kpi.window import resolutions
from services.metrics.delta import Delta
from services.metrics.engine import Engine
from services.metrics.position import Position
from services.metrics.segments import Segments
from services.metrics.store import MemoryStore, _changes  # its form is what the real store sends, and costs time
from services.stream.record import Record

STAGES = ("decode", "fact", "load", "fold", "encode")
GROWTH = Budget(Sense.AT_MOST, 1.5, "×")
"""Promise 6 of the design: the cost of an event does not grow with history. The half is for noise."""

ENGINE: Final = Engine(compiled(DOCUMENT), resolutions(DOCUMENT.windows_s.values()))
"""One for all runs, as in a worker that has been up for a while: it remembers calendars and segments."""


@dataclass(slots=True)
class Spent:
    """Seconds by stage, over ``events``."""

    events: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))

    def us(self, stage: str) -> float:
        return self.seconds[stage] / self.events * 1e6

    @property
    def total_us(self) -> float:
        return sum(self.us(stage) for stage in STAGES)


def measure(world: World) -> Findings:
    """Stages at three sizes of batch, and the whole at three lengths of history."""
    number, repeats = (5_000, 2) if world.quick else (20_000, 5)
    found = Findings()
    values = [codec.encode(event) for event in lives(number)]
    through(values[:1000], 100)  # a first pass fills what the engine remembers
    for size in (50, 500, 2000):
        runs = [through(values, size) for _ in range(repeats)]
        middle = statistics.median(run.total_us for run in runs)
        spent = min(runs, key=lambda run: abs(run.total_us - middle))
        stages = ", ".join(f"{stage} {spent.us(stage):.1f}" for stage in STAGES)
        found.lines.append(
            Line(f"core: an event, in batches of {size}", f"{middle:.0f} µs", f"{1e6 / middle:,.0f} events/s a core")
        )
        lowest, highest = min(run.total_us for run in runs), max(run.total_us for run in runs)
        found.notes.append(
            f"core, batches of {size}: µs per event: {stages} ({lowest:.0f} to {highest:.0f} in {repeats} runs)"
        )
    _lengths(found, repeats)
    _segments(found, values[:2000], repeats)
    if world.profile:
        found.profiles["core, batches of 500"] = profiled(lambda: through(values, 500), 15)
    return found


def _lengths(found: Findings, repeats: int) -> None:
    _next_events(10)
    cost = {
        length: statistics.median(_next_events(length).total_us for _ in range(repeats)) for length in (10, 100, 1000)
    }
    late = {length: statistics.median(_late_event(length) for _ in range(repeats)) for length in (10, 100, 1000)}
    ratio = cost[1000] / cost[10]
    found.lines.append(
        Line(
            "core: an event of a ticket with 1,000 facts",
            f"{cost[1000]:.0f} µs",
            f"{cost[10]:.0f} µs with 10 facts",
            ratio,
            ratio,
            GROWTH,
        )
    )
    found.lines.append(
        Line(
            "core: one late event refolds 1,000 facts",
            f"{late[1000] / 1e3:.1f} ms",
            f"{late[10] / 1e3:.2f} ms with 10 facts",
            late[1000] / late[10],
        )
    )
    told = ", ".join(f"{length} facts {cost[length]:.0f}" for length in cost)
    found.notes.append(f"core, µs per event in order by length of history: {told}")
    told = ", ".join(f"{length} facts {us:.0f}" for length, us in late.items())
    found.notes.append(f"core, µs for one late event by length of history: {told}; this one grows, by design")


def _segments(found: Findings, values: Sequence[bytes], repeats: int) -> None:
    """What it costs to count in none, some and all of the configured cuts, whose values are many."""
    rules, costs = compiled(DOCUMENT), []
    for number in range(0, len(DOCUMENT.segments) + 1, 2):
        cuts = Cuts(0, {named(cut): 0 for cut in DOCUMENT.segments[:number]})
        engine = Engine(rules, resolutions(DOCUMENT.windows_s.values()), Segments(cuts))
        through(values, 500, engine=engine)
        cost = statistics.median(through(values, 500, engine=engine).total_us for _ in range(repeats))
        costs.append(f"{number} cuts {cost:.0f}")
    found.notes.append(f"core, µs per event by what is counted apart, beside all tickets: {', '.join(costs)}")


def through(values: Sequence[bytes], size: int, store: MemoryStore | None = None, engine: Engine = ENGINE) -> Spent:
    """All of ``values`` through the worker's stages in batches of ``size``; the memory store's own time is not
    counted, for the real one has another."""
    return asyncio.run(_through(values, size, store or MemoryStore(), engine))


async def _through(values: Sequence[bytes], size: int, store: MemoryStore, engine: Engine) -> Spent:
    spent = Spent()
    position = await store.claim(0)
    for batch in _batches(values, size):
        now_us = clock.now_us()
        at = [process_time()]
        events = [codec.decode_ticket(value) for value in batch]
        at.append(process_time())
        incoming: dict[str, list[Fact]] = {}
        for event in events:
            incoming.setdefault(event.key, []).append(fact(event))
        at.append(process_time())
        entries = await store.entries(0, list(incoming))
        needed = engine.histories(entries, incoming)
        history = await store.facts(0, needed) if needed else {}
        at.append(process_time())
        delta, _ = engine.batch(entries, incoming, history, now_us, now_us)
        at.append(process_time())
        after = position.after(Record("", 0, position.next_offset + len(batch) - 1, now_us, None, batch[-1]), now_us)
        _encoded(position, after, delta)
        at.append(process_time())
        await store.apply(0, position, after, delta)
        position = after
        spent.events += len(batch)
        for stage, began_s, ended_s in zip(STAGES, at, at[1:], strict=False):
            spent.seconds[stage] += ended_s - began_s
    return spent


def _encoded(before: Position, after: Position, delta: Delta) -> list[bytes]:
    values: list[bytes] = []
    values.append(msgspec.msgpack.encode(_changes(0, before, after, delta, values)))
    return values


def _batches(values: Sequence[bytes], size: int) -> Iterator[Sequence[bytes]]:
    for at in range(0, len(values), size):
        yield values[at : at + size]


def _next_events(length: int) -> Spent:
    """The next 40 events, ten at a time, of a ticket that has ``length`` facts."""
    store, values = MemoryStore(), [codec.encode(event) for event in conversation(length + 40)]
    through(values[:length], 500, store)
    return through(values[length:], 10, store)


def _late_event(length: int) -> float:
    """µs for one event that belongs before all messages of a ticket of ``length`` facts."""
    events = conversation(length + 1)
    store = MemoryStore()
    values = [codec.encode(event) for event in events]
    through([values[0], *values[2:]], 500, store)
    return through([values[1]], 1, store).total_us


def conversation(length: int) -> list[TicketEvent]:
    """One ticket of ``length`` events: created, then customer and agent write in turn, a minute apart."""
    ends_us = clock.now_us()
    start = to_datetime(ends_us) - timedelta(minutes=length)
    events = []
    for number in range(length):
        at = start + timedelta(minutes=number)
        author = ActorKind.CUSTOMER if number % 2 == 0 else ActorKind.AGENT
        events.append(
            TicketEvent(
                event_id=event_id("zendesk", "conversation", str(number)),
                source="zendesk",
                vendor="zendesk",
                ticket_id="1",
                kind=Kind.CREATED if number == 0 else Kind.MESSAGE_ADDED,
                occurred_at=at,
                received_at=at,
                actor=Actor(author, "7"),
                ticket=Attributes(status=Status.OPEN, team="support", channel="email", created_at=start),
                message=None if number == 0 else Message(f"m{number}", Visibility.PUBLIC, author),
            )
        )
    return events
