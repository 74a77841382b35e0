"""Forgetting closed tickets changes no number: whatever arrives when, and whenever somebody looks."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from schemas.instant import SECOND_US, from_datetime, to_datetime
from schemas.state import Fact, unpack_entry
from schemas.ticket import DONE, Kind, TicketEvent
from services.fold.fact import fact, subject
from services.fold.ticket import fold
from services.kpi.window import resolutions
from services.metrics.engine import Engine
from services.metrics.store import MemoryStore
from tests.property.test_fold_order import DOCUMENT, RULES, START, few_facts_at_hand, lives

__all__ = ["few_facts_at_hand"]

DAY_US = 86_400 * SECOND_US
HORIZON_US = 20 * DAY_US
FORGETTING = replace(RULES, horizon_us=HORIZON_US)
ENGINE = Engine(FORGETTING, resolutions(DOCUMENT.windows_s.values()))
END_US = from_datetime(START) + 3000 * DAY_US
STAFFING = (Kind.AGENT_JOINED, Kind.AGENT_LEFT)

Heard = tuple[TicketEvent, int]


@st.composite
def logs(draw: st.DrawFn) -> list[Heard]:
    """A ticket's life, another one under the same id much later, and copies: in any order, with any silence between."""
    later_us = draw(st.integers(5, 80)) * DAY_US
    second = [
        structs.replace(
            event,
            event_id=str(UUID(int=UUID(event.event_id).int + 1000)),
            occurred_at=to_datetime(from_datetime(event.occurred_at) + later_us),
        )
        for event in draw(lives())
    ]
    first = draw(lives())
    told = [*first, *second] if draw(st.booleans()) else draw(st.permutations([*first, *second]))
    if told:
        told += draw(st.lists(st.sampled_from(told), max_size=4))
    heard_us, log = from_datetime(START), []
    for event in told:
        heard_us += draw(st.sampled_from([0, 0, 0, 3600 * SECOND_US, 5 * DAY_US, 21 * DAY_US]))
        if draw(st.integers(0, 3)):
            heard_us = max(heard_us, from_datetime(event.occurred_at))
        log.append((event, heard_us))
    return log


class Desk:
    """A partition whose log is read in batches; between them tickets are forgotten at any time, or not."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.refused: Counter[tuple[bytes, int]] = Counter()

    async def read(self, batches: Sequence[Sequence[Heard]], looks: Sequence[bool], until_us: int) -> Desk:
        position = await self.store.claim(0)
        for place, batch in enumerate(batches):
            if batch and looks[place]:
                position = await self._forget(position, batch[0][1])
            incoming: dict[str, list[Fact]] = {}
            for event, heard_us in batch:
                incoming.setdefault(subject(event), []).append(fact(event, heard_us))
            entries = await self.store.entries(0, list(incoming))
            history = await self.store.facts(0, ENGINE.histories(entries, incoming))
            clock_us = batch[-1][1] if batch else 0
            change = ENGINE.computed(entries, incoming, history, clock_us)
            self.refused.update((one.event_id, one.heard_us) for one in change.refused)
            position = await self._step(position, change, clock_us)
        keys = [key for _, key in self.store.tickets]
        position = await self._step(position, ENGINE.tick(await self.store.entries(0, keys), until_us), until_us)
        await self._forget(position, until_us)
        return self

    async def _forget(self, position, clock_us):  # type: ignore[no-untyped-def]
        while found := await self.store.forgettable({0: clock_us}, 1):
            change = ENGINE.forgotten(found[0], await self.store.entries(0, found[0]), clock_us)
            position = await self._step(position, change, clock_us)
        return position

    async def _step(self, position, change, clock_us):  # type: ignore[no-untyped-def]
        delta, _ = ENGINE.counted(change, from_datetime(START))
        after = position.after(None, clock_us)
        await self.store.apply(0, position, after, delta)
        return after

    def numbers(self) -> Counter[object]:
        found: Counter[object] = Counter()
        for place, amounts in [*self.store.buckets.items(), *self.store.gauges.items()]:
            found.update({(place, cell): amount for cell, amount in amounts.items()})
        return found


def read(batches: Sequence[Sequence[Heard]], looks: Sequence[bool] = (), until_us: int = END_US) -> Desk:
    return asyncio.run(Desk().read(batches, [*looks, *[False] * len(batches)], until_us))


@given(logs(), st.integers(0, 40 * 86_400))
@settings(max_examples=40, deadline=None)
def test_a_state_refuses_nothing_before_it_is_a_horizon_old(log: list[Heard], age_s: int) -> None:
    began_us = from_datetime(START) + 100 * DAY_US
    heard_us = began_us + age_s * SECOND_US
    incoming: dict[str, list[Fact]] = {}
    for event, _ in log:
        incoming.setdefault(subject(event), []).append(fact(event, heard_us))
    refused = ENGINE.computed({}, incoming, {}, heard_us, began_us).refused
    if heard_us - HORIZON_US <= began_us:
        assert not refused
    else:
        assert Counter(refused) == Counter(ENGINE.computed({}, incoming, {}, heard_us).refused)


def separated(log: Sequence[Heard]) -> tuple[list[list[Heard]], Counter[tuple[bytes, int]], set[str]]:
    """The rule, said slowly: the lives that the log is cut into, what is refused, and what is still remembered."""
    whole: list[list[Heard]] = []
    held: dict[str, list[Heard]] = {}
    refused: Counter[tuple[bytes, int]] = Counter()
    for event, heard_us in log:
        key, one = subject(event), fact(event, heard_us)
        life = held.get(key, [])
        if life and is_over(key, life) and heard_us > last_us(life) + HORIZON_US:
            whole.append(held.pop(key))
            life = []
        if any(event.event_id == known.event_id for known, _ in life):
            continue
        begun_us = life[0][1] if life else heard_us
        if one.at_us < begun_us - HORIZON_US and event.kind not in STAFFING:
            refused[one.event_id, heard_us] += 1
            continue
        held.setdefault(key, []).append((event, heard_us))
    return [*whole, *held.values()], refused, {k for k, life in held.items() if not is_over(k, life)}


def last_us(life: Sequence[Heard]) -> int:
    return max(max(heard_us, from_datetime(event.occurred_at)) for event, heard_us in life)


def is_over(key: str, life: Sequence[Heard]) -> bool:
    source, _, name = key.partition(":")
    facts = sorted((fact(*one) for one in life), key=lambda one: one.order)
    ticket, _ = fold(source, name, facts, FORGETTING, max(0, life[0][1] - HORIZON_US))
    if name.startswith("\x1fagent"):
        return False
    if name.startswith("\x1f"):
        return ticket.matter_us is None
    return ticket.gone is not None or ticket.status in DONE


@given(logs(), st.data())
@settings(max_examples=120, deadline=None)
def test_however_the_log_is_cut_and_whenever_somebody_looks_the_same_is_counted_refused_and_forgotten(
    log: list[Heard], data: st.DataObject
) -> None:
    cuts = data.draw(st.lists(st.booleans(), min_size=len(log), max_size=len(log)))
    looks = data.draw(st.lists(st.booleans(), min_size=len(log) + 1, max_size=len(log) + 1))
    batches: list[list[Heard]] = [[]]
    for one, cut in zip(log, cuts, strict=True):
        if cut:
            batches.append([])
        batches[-1].append(one)
    found, rebuilt = read(batches, looks), read([log])
    whole, refused, remembered = separated(log)
    wanted: Counter[object] = Counter()
    for life in whole:
        wanted.update(read([life]).numbers())
    assert found.refused == rebuilt.refused == refused
    assert zeroless(found.numbers()) == zeroless(rebuilt.numbers()) == zeroless(wanted)
    left = {key for _, key in found.store.tickets}
    assert left == {key for _, key in rebuilt.store.tickets} >= remembered
    assert {key.partition(":")[2][:6] for key in left - remembered} <= {"\x1fagent"}
    assert left >= {key for _, key in found.store.history}
    kept = asyncio.run(found.store.facts(0, list(left)))
    for key in left:
        one, other = (unpack_entry(desk.store.tickets[0, key]) for desk in (found, rebuilt))
        assert len(kept[key]) == one.ticket.facts
        assert (one.ticket, one.heard_us) == (other.ticket, other.heard_us)
    assert found.store.listed == rebuilt.store.listed
    assert found.store.schedule == rebuilt.store.schedule


@given(logs(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_what_comes_again_after_it_was_forgotten_is_not_counted_again(log: list[Heard], looked: bool) -> None:
    whole, _, _ = separated(log)
    kept = sorted((one for life in whole for one in life), key=lambda one: one[1])
    if not kept:
        return
    again_us = max(last_us(kept), kept[-1][1]) + HORIZON_US + 2 * DAY_US
    again = [(event, again_us) for event, _ in kept]
    once, twice = read([kept]), read([kept, again], [False, looked])
    agents = {key for _, key in once.store.tickets if "\x1fagent" in key}
    assert zeroless(twice.numbers()) == zeroless(once.numbers())
    assert {key for _, key in twice.store.tickets} == {key for _, key in once.store.tickets} >= agents


def zeroless(numbers: Counter[object]) -> dict[object, int]:
    return {place: amount for place, amount in numbers.items() if amount}
