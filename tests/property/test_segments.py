"""Segments: bounded values whose sum is everything, and cuts that come later hold what they would always have held."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.state import Fact, unpack_entry
from schemas.ticket import TicketEvent
from services.config.document import parse
from services.fold.fact import fact
from services.kpi.cuts import Cuts
from services.metrics.engine import Change, Engine
from services.metrics.plan import planned
from services.metrics.position import Position
from services.metrics.store import MemoryStore
from tests.support.lives import arrivals

UNTIL_US = 1_772_442_037_000_000
EVENTS = arrivals(seed=21, until_us=UNTIL_US, lasting_s=900, rate=0.15, out_of_order=0.2)
PARTITIONS = 2


class Line:
    """What the worker does with the store in memory, cuts and admissions included."""

    def __init__(self, segments: str, limit: int = 1000) -> None:
        self.store = MemoryStore()
        self.held: dict[int, Position] = {}
        self.limit = limit
        self.segments = segments

    async def start(self, segments: str | None = None) -> None:
        """A worker takes over, which knows of no value yet whether it is admitted."""
        plan = planned(parse(f"segments: {segments or self.segments}\nsegment_limit: {self.limit}", {}))
        cuts = await self.store.cuts(plan.cuts)
        self.engine: Engine = plan.engine(cuts or Cuts())
        self.held = {number: await self.store.claim(number) for number in range(PARTITIONS)}

    async def absorb(self, events: list[TicketEvent]) -> None:
        parts: dict[int, dict[str, list[Fact]]] = defaultdict(dict)
        for event in events:
            parts[len(event.ticket_id) % PARTITIONS].setdefault(event.key, []).append(fact(event))
        for number, incoming in parts.items():
            entries = await self.store.entries(number, list(incoming))
            history = await self.store.facts(number, self.engine.histories(entries, incoming))
            await self._apply(number, self.engine.computed(entries, incoming, history, UNTIL_US))

    async def sweep(self, most: int) -> None:
        """Recounts up to so many tickets."""
        _, found = await self.store.scan(0)
        for number, keys in found.items():
            entries = await self.store.entries(number, keys)
            stale = {k: e for k, e in entries.items() if e.revision < self.engine.segments.cuts.revision}
            chosen = dict(sorted(stale.items())[:most])
            history = await self.store.facts(number, list(chosen))
            await self._apply(number, self.engine.recounted(chosen, history))

    async def _apply(self, number: int, change: Change) -> None:
        segments = self.engine.segments
        for cut, asked in change.counting.undecided().items():
            segments.decide(cut, asked, await self.store.admit(segments.cuts, cut, segments.limit(cut), asked))
        delta, _ = self.engine.counted(change, UNTIL_US)
        after = self.held[number].after(None, UNTIL_US)
        await self.store.apply(number, self.held[number], after, delta)
        self.held[number] = after

    def counted(self) -> dict[tuple[str, int, str], dict[str, int]]:
        """The buckets over all partitions, without those that are empty."""
        total: dict[tuple[str, int, str], dict[str, int]] = {}
        for (_, resolution, start_s, segment), fields in self.store.buckets.items():
            there = total.setdefault((resolution, start_s, segment), {})
            for name, amount in fields.items():
                there[name] = there.get(name, 0) + amount
        return {place: kept for place, fields in total.items() if (kept := {n: a for n, a in fields.items() if a})}

    def gauges(self) -> dict[str, dict[str, int]]:
        """What stands now over all partitions, without what is zero."""
        total: dict[str, dict[str, int]] = {}
        for (_, segment), amounts in self.store.gauges.items():
            there = total.setdefault(segment, {})
            for cell, amount in amounts.items():
                there[cell] = there.get(cell, 0) + amount
        return {segment: kept for segment, now in total.items() if (kept := {c: n for c, n in now.items() if n})}


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 4), st.lists(st.integers(1, 60), min_size=1, max_size=8))
async def test_all_values_with_other_are_everything_and_no_more_than_there_may_be(limit: int, sizes: list[int]) -> None:
    """A new worker takes over between any two batches."""
    line = Line("[[agent], [team, priority]]", limit)
    at = 0
    for size in [*sizes, len(EVENTS)]:
        await line.start()
        await line.absorb(EVENTS[at : at + size])
        at += size
    for cut in ("agent", "team"):
        sums: dict[tuple[str, int], dict[str, int]] = {}
        named = set()
        for (resolution, start_s, segment), fields in line.counted().items():
            if segment.startswith(f"{cut}:"):
                named.add(segment)
                there = sums.setdefault((resolution, start_s), {})
                for name, amount in fields.items():
                    there[name] = there.get(name, 0) + amount
        wanted = {(r, start): fields for (r, start, segment), fields in line.counted().items() if segment == "all"}
        found = {place: kept for place, fields in sums.items() if (kept := {n: a for n, a in fields.items() if a})}
        assert found == wanted
        others = {segment for segment in named if "other" in segment}
        assert len(named - others) <= limit
        assert len(others) == 1, "there was more than there was room for"
        gauges = line.gauges()
        for cell, amount in gauges.get("all", {}).items():
            assert sum(gauges.get(segment, {}).get(cell, 0) for segment in named) == amount


@settings(max_examples=15, deadline=None)
@given(st.integers(0, len(EVENTS)), st.lists(st.tuples(st.integers(0, 12), st.integers(0, 40)), max_size=8))
async def test_a_cut_that_comes_later_ends_as_if_it_had_always_been_there(
    first: int, turns: list[tuple[int, int]]
) -> None:
    """Events and turns of the sweep in any order, with a new worker (after a kill, say) before each."""
    line, fresh = Line("[[channel], [team]]"), Line("[[team], [agent], [team, priority]]")
    await line.start()
    await line.absorb(EVENTS[:first])
    at = first
    for tickets, events in [*turns, (0, len(EVENTS)), (10_000, 0)]:
        await line.start(fresh.segments)
        await line.sweep(tickets)
        await line.absorb(EVENTS[at : at + events])
        at += events
    await fresh.start()
    await fresh.absorb(EVENTS)

    def by_names(found: Line, names: tuple[str, ...]) -> object:
        cuts = found.engine.segments.cuts
        wanted = {cuts.stored(cut, cut): cut for cut in names}

        def name(segment: str) -> str | None:
            stem = ",".join(part.split(":")[0] for part in segment.split(","))
            return segment.split("~")[-1] if stem in wanted else None

        buckets = {(r, s, n): f for (r, s, segment), f in found.counted().items() if (n := name(segment))}
        return buckets, {n: amount for segment, amount in found.gauges().items() if (n := name(segment))}

    assert by_names(line, ("all", "team", "agent", "team,priority")) == by_names(
        fresh, ("all", "team", "agent", "team,priority")
    )
    assert line.counted(), "something was counted"
    assert {unpack_entry(entry).revision for entry in line.store.tickets.values()} <= {1}
    before = line.counted()
    await line.sweep(10_000)
    assert line.counted() == before, "counting again what is counted changes nothing"


def test_a_ticket_from_before_there_were_revisions_counts_in_the_first_cuts() -> None:
    cuts = Cuts(0, {"team": 0})
    assert unpack_entry(b"\x93\x92\xa1z\xa11\x90\xc4\x00").revision == cuts.revision == 0
