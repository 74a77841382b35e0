"""Whatever mix of versions the tickets are in, and whenever they are rewritten: they say what they always said."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from schemas.forms import Known
from schemas.state import FORM, Entry, Fact, unpack_entry
from schemas.ticket import TicketEvent
from services.config.document import parse
from services.fold.fact import fact
from services.metrics.delta import Delta
from services.metrics.engine import Engine
from services.metrics.plan import planned
from services.metrics.position import Position
from services.metrics.store import MemoryStore, Newer
from tests.support.lives import arrivals
from tests.support.older import age

UNTIL_US = 1_772_442_037_000_000
EVENTS = arrivals(seed=33, until_us=UNTIL_US, lasting_s=900, rate=0.15, out_of_order=0.2)
PLAN = planned(
    parse("sla_policies: [{name: all, targets: {first_response: {'*': 5m}, resolution: {'*': 1h}}}]\nsegments: []", {})
)


class Line:
    """What the worker does with the store in memory, one partition."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.engine = Engine(PLAN.rules, PLAN.kept)

    async def start(self) -> None:
        self.held: Position = await self.store.claim(0)

    async def absorb(self, events: list[TicketEvent]) -> None:
        incoming: dict[str, list[Fact]] = defaultdict(list)
        for event in events:
            incoming[event.key].append(fact(event))
        entries = await self.store.entries(0, list(incoming))
        history = await self.store.facts(0, self.engine.histories(entries, incoming))
        delta, _ = self.engine.batch(entries, incoming, history, UNTIL_US, UNTIL_US)
        await self.apply(delta)

    async def rewrite(self, most: int) -> int:
        """Rewrites up to so many tickets; returns how many were left before."""
        _, found = await self.store.scan(0)
        outdated = await self.store.outdated(0, found.get(0, []), self.engine.form)
        chosen = dict(sorted(outdated.items())[:most])
        await self.apply(self.engine.rewritten(chosen, await self.store.facts(0, list(chosen))).delta)
        return len(outdated)

    async def apply(self, delta: Delta) -> None:
        after = self.held.after(None, UNTIL_US)
        await self.store.apply(0, self.held, after, delta)
        self.held = after

    async def told(self) -> dict[str, Any]:
        """Everything that anybody can ask for, in whatever form it lies there."""
        keys = [key for _, key in self.store.tickets]
        entries = {key: _plain(entry) for key, entry in (await self.store.entries(0, keys)).items()}
        return {
            "tickets": entries,
            "facts": await self.store.facts(0, keys),
            "buckets": {place: fields for place, fields in self.store.buckets.items() if fields},
            "gauges": {place: fields for place, fields in self.store.gauges.items() if fields},
            "schedule": self.store.schedule,
            "events": sorted(event for _, event in self.store.outbox),
        }


def _plain(entry: Entry) -> Entry:
    return structs.replace(entry, form=FORM, newest=b"", recent=b"")


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 40), st.sampled_from([0.0, 0.3, 1.0]), st.sampled_from([0, 3, 1000])), max_size=8
    ),
    st.integers(0, 99),
)
async def test_tickets_of_any_mix_of_versions_say_what_they_always_said(
    turns: list[tuple[int, float, int]], seed: int
) -> None:
    """Between any two batches some tickets are as an older release left them, and some are rewritten."""
    dice, one, other, at = Random(seed), Line(), Line(), 0
    for size, share, most in [*turns, (len(EVENTS), 0.0, 0)]:
        for line in (one, other):
            await line.start()
            await line.absorb(EVENTS[at : at + size])
        at += size
        await age(one.store, share, dice)
        await one.rewrite(most)
    while await one.rewrite(7):
        pass
    assert await one.told() == await other.told()
    assert await one.store.outdated(0, [key for _, key in one.store.tickets], FORM) == {}
    assert {unpack_entry(stored).form for stored in one.store.tickets.values()} == {FORM}
    assert one.store.listed == other.store.listed, "timers are listed where readers of now look"


async def test_the_comparison_sees_a_ticket_that_says_something_else() -> None:
    one, other = Line(), Line()
    for line, events in ((one, EVENTS), (other, EVENTS[:-1])):
        await line.start()
        await line.absorb(events)
    assert await one.told() != await other.told()


async def test_a_partition_that_is_newer_or_too_old_is_not_taken() -> None:
    line = Line()
    await line.start()
    after = line.held.after(None, UNTIL_US).only(3)
    await line.store.apply(0, line.held, after, Delta())
    line.store.known = Known(reads=1, writes=1, newest=2)
    with pytest.raises(Newer, match=r"version 3 .* up to 2"):
        await line.store.claim(0)
    assert line.store.positions[0] == after
    line.store.positions[0] = replace(after, oldest=0, newest=1)
    with pytest.raises(Newer, match=r"version 0 .* from 1"):
        await line.store.claim(0)
