"""Tickets as the release before ADR 0018 wrote them: the golden bytes say what that is (``test_state_forms.py``)."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec

from schemas.forms import READERS_KEY
from schemas.state import (
    PARTITIONS_KEY,
    Entry,
    Fact,
    position_key,
    slot,
    timers_key,
    unpack_entry,
    unpack_facts,
)
from services.metrics.engine import listing
from services.metrics.keeping import TAIL, TAILS
from services.metrics.store import MemoryStore

_encoder = msgspec.msgpack.Encoder()
_WAS_GONE_US = 16


def as_form_0(entry: Entry, facts: Sequence[Fact]) -> tuple[bytes, list[bytes]]:
    """The entry, and the elements of its list of facts."""
    tails = b"".join([fact.event_id[-TAIL:] for fact in facts])[-TAIL * TAILS :]
    values: list[Any] = msgspec.msgpack.decode(_encoder.encode(entry))[:5]
    values[0].insert(_WAS_GONE_US, None)
    values[2] = tails
    fields = Fact.__struct_fields__.index("heard_us")
    return _encoder.encode(values), [_encoder.encode(msgspec.structs.astuple(fact)[:fields]) for fact in facts]


async def age(store: MemoryStore, share: float, dice: Random) -> int:
    """Puts a share of the tickets back into form 0; of some others the oldest facts, as an event left them. Returns how
    many changed."""
    changed = 0
    for place, stored in list(store.tickets.items()):
        if dice.random() >= share:
            continue
        number, key = place
        entry = unpack_entry(stored)
        facts = (await store.facts(number, [key]))[key]
        packed, listed = as_form_0(entry, facts)
        for listed_in, member in listing(entry):
            store.listed.pop((number, listed_in, member), None)
        store.tickets[place], store.history[place] = packed, listed
        for (listed_in, member), score in listing(unpack_entry(packed)).items():
            store.listed[number, listed_in, member] = score
        changed += 1
    return changed


async def age_redis(redis: Any, share: float, dice: Random) -> int:
    """The same in Redis, while no worker runs; and what says of which version anything is goes."""
    changed = 0
    for found in await redis.smembers(PARTITIONS_KEY):
        number = int(found)
        await redis.hdel(position_key(number), "oldest", "newest")
        beginning = f"{slot(number)}t:"
        async for name in redis.scan_iter(f"{beginning}*"):
            if dice.random() >= share:
                continue
            key = name.decode().removeprefix(beginning)
            list_key = f"{slot(number)}f:{key}"
            entry = unpack_entry(await redis.get(name))
            facts = unpack_facts(await redis.lrange(list_key, 0, -1), entry.newest)
            packed, elements = as_form_0(entry, facts)
            pipeline = redis.pipeline(transaction=True)
            for listed_in, member in listing(entry):
                pipeline.zrem(timers_key(number, listed_in), member)
            pipeline.set(name, packed).delete(list_key).rpush(list_key, *elements)
            for (listed_in, member), score in listing(unpack_entry(packed)).items():
                pipeline.zadd(timers_key(number, listed_in), {member: score})
            await pipeline.execute()
            changed += 1
    await redis.delete(READERS_KEY)
    return changed
