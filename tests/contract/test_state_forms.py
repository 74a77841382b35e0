"""What older versions left in Redis is read for ever: tickets as they wrote them, byte by byte.

``form-0.json`` was written by the version before ADR 0018, ``form-1.json`` by the first one after it. Neither is ever
made anew: if a test here fails, the code forgot how to read.
"""

import asyncio
import json
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from bench.configuration import DOCUMENT
from schemas.failure import NotNow
from schemas.instant import SECOND_US
from schemas.sla import SlaMetric
from schemas.state import FORM, Fact, Mode, Stated, pack, pack_facts, unpack_entry, unpack_facts, with_facts
from schemas.ticket import ActorKind, Kind, Priority
from services.fold.rules import compiled
from services.kpi.window import resolutions
from services.metrics import keeping
from services.metrics.engine import Engine
from services.metrics.store import MemoryStore

Golden = dict[str, Any]

STATE: Final = Path(__file__).parents[1] / "fixtures" / "state"
OLDEST: Final[list[Golden]] = json.loads((STATE / "form-0.json").read_text())
FIRST: Final[list[Golden]] = json.loads((STATE / "form-1.json").read_text())

each = pytest.mark.parametrize("golden", [*OLDEST, *FIRST], ids=lambda golden: f"{golden['form']}: {golden['what']}")


def fact(golden: Golden, number: int, late_us: int = 0) -> Fact:
    """An event after all others of the ticket; or with ``late_us`` that long before now."""
    at_us = golden["heard_us"] + number * SECOND_US - late_us
    urgent = Stated(priority=Priority.URGENT)
    return Fact(at_us, 0, number.to_bytes(16, "big"), Kind.PRIORITY_CHANGED, urgent, ActorKind.AGENT)


def plain(record: object) -> Any:
    return msgspec.json.decode(msgspec.json.encode(record))


def is_as(now: Any, then: Any) -> bool:
    """Whether it says what it said then; a record may have got fields since."""
    if isinstance(then, list):
        return len(now) >= len(then) and all(map(is_as, now, then))
    return bool(now == then)


def store_of(golden: Golden) -> MemoryStore:
    store = MemoryStore()
    store.tickets[0, golden["key"]] = bytes.fromhex(golden["entry"])
    if golden["facts"]:
        store.history[0, golden["key"]] = [bytes.fromhex(one) for one in golden["facts"]]
    for name, member, score in golden["listed"]:
        store.listed[0, name, member] = score
    return store


async def absorb(store: MemoryStore, key: str, *facts: Fact) -> None:
    engine = Engine(compiled(DOCUMENT), resolutions(DOCUMENT.windows_s.values()))
    position = await store.claim(0)
    entries = await store.entries(0, [key])
    history = await store.facts(0, engine.histories(entries, {key: facts}))
    clock_us = facts[-1].at_us
    delta, _ = engine.batch(entries, {key: facts}, history, clock_us, clock_us)
    await store.apply(0, position, position.after(None, clock_us), delta)


@each
def test_a_ticket_reads_as_it_was_written(golden: Golden) -> None:
    entry = unpack_entry(bytes.fromhex(golden["entry"]))
    ticket = dict(zip(entry.ticket.__struct_fields__, plain(entry.ticket), strict=True))
    for name, then in golden["ticket"].items():
        assert is_as(ticket[name], then), name
    assert is_as(plain(entry.notices), golden["notices"])
    assert (entry.heard_us, entry.revision, entry.form) == (golden["heard_us"], golden["revision"], golden["form"])


@each
def test_its_facts_read_in_the_order_in_which_they_arrived(golden: Golden) -> None:
    entry = unpack_entry(bytes.fromhex(golden["entry"]))
    facts = unpack_facts([bytes.fromhex(one) for one in golden["facts"]], entry.newest)
    assert [fact.event_id.hex() for fact in facts] == golden["ids"]
    assert sorted(facts, key=lambda fact: fact.order)[-1].order == entry.ticket.last
    assert len(facts) == entry.ticket.facts


@each
def test_it_goes_on_in_the_form_of_today(golden: Golden) -> None:
    key, store = golden["key"], store_of(golden)
    asyncio.run(absorb(store, key, fact(golden, 1)))
    entry = asyncio.run(store.entries(0, [key]))[key]
    assert entry.form == FORM
    assert entry.ticket.facts == golden["ticket"]["facts"] + 1
    assert entry.ticket.who.priority is Priority.URGENT
    open_timers = {timer.metric for timer in entry.ticket.timers if timer.mode is not Mode.MET}
    assert {SlaMetric(name.partition(":")[2]) for _, name, _ in store.listed} == (
        set() if entry.ticket.gone else open_timers
    )
    facts = asyncio.run(store.facts(0, [key]))[key]
    assert [one.event_id.hex() for one in facts] == [*golden["ids"], fact(golden, 1).event_id.hex()]


@each
def test_a_late_event_and_a_repeated_one_find_its_facts(golden: Golden) -> None:
    key, store = golden["key"], store_of(golden)
    arrived = asyncio.run(store.facts(0, [key]))[key]
    asyncio.run(absorb(store, key, arrived[-1], fact(golden, 1, late_us=60 * SECOND_US), arrived[0]))
    assert len(asyncio.run(store.facts(0, [key]))[key]) == len(arrived) + 1


def test_what_a_newer_version_wrote_is_refused_loudly() -> None:
    entry = pack(unpack_entry(bytes.fromhex(OLDEST[0]["entry"])))
    with pytest.raises(NotNow, match="newer version"):
        unpack_entry(b"\x02" + entry[1:])


def test_a_ticket_has_all_its_facts_whatever_went_to_the_list() -> None:
    golden = {"heard_us": 1_790_000_000 * SECOND_US}
    store, facts = MemoryStore(), [fact(golden, number) for number in range(1, 200)]
    for one in facts:
        asyncio.run(absorb(store, "z:1", one))
    asyncio.run(absorb(store, "z:1", facts[0], facts[150], facts[-1]))
    assert asyncio.run(store.facts(0, ["z:1"])) == {"z:1": facts}
    entry = asyncio.run(store.entries(0, ["z:1"]))["z:1"]
    assert 0 < len(entry.newest) <= keeping.MOST
    assert 5 < len(store.history[0, "z:1"]) < 40


def test_one_batch_may_have_more_facts_than_an_entry_holds() -> None:
    golden = {"heard_us": 1_790_000_000 * SECOND_US}
    store, facts = MemoryStore(), [fact(golden, number) for number in range(1, 400)]
    asyncio.run(absorb(store, "z:1", *facts))
    assert asyncio.run(store.facts(0, ["z:1"])) == {"z:1": facts}


def test_facts_are_packed_without_looking_at_those_before_them() -> None:
    golden = {"heard_us": 0}
    one, other = fact(golden, 1), fact(golden, 2)
    packed = with_facts(with_facts(b"", [one]), [other])
    assert packed == with_facts(b"", [one, other])
    assert unpack_facts([pack_facts(packed)], packed) == [one, other, one, other]
    assert unpack_facts([]) == []
