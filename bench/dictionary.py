"""Makes a dictionary for :mod:`schemas.compact` from simulated tickets: ``python -m bench.dictionary > new.py``.

For a new one only: a dictionary that is in use stays as it is for ever. Its lives are spread over ten years, and the
names in them changed, so that it learns what tickets are like and not when they were made or what teams are called.
"""

from __future__ import annotations

import asyncio
import sys
from base64 import b85encode
from collections.abc import Iterator, Sequence
from itertools import islice
from random import Random
from typing import Any, Final

import msgspec
from zstandard import train_dictionary

from bench.configuration import DOCUMENT
from schemas.instant import SECOND_US
from schemas.state import Fact, facts_of, unpack_entry, with_facts
from schemas.ticket import TicketEvent
from services.fold.fact import fact, subject
from services.fold.rules import compiled
from services.kpi.window import resolutions
from services.metrics.engine import Engine
from services.metrics.position import Position
from services.metrics.store import MemoryStore
from tests.support import desk, lives

SIZE: Final = 4096
_FROM_US: Final = 1_780_000_000 * SECOND_US
_YEARS_US: Final = 10 * 365 * 86_400 * SECOND_US
_NAMES: Final = frozenset(
    {"support", "billing", "technical", "onboarding", "login", "invoice", "bug", "shipping", "refund", "zendesk"}
)
_WIDTH: Final = 110


def main() -> None:
    """Prints the module."""
    rng = Random(1)
    samples: list[bytes | bytearray | memoryview] = list(_samples(rng))
    rng.shuffle(samples)
    text = b85encode(train_dictionary(SIZE, samples).as_bytes()).decode()
    lines = [text[at : at + _WIDTH] for at in range(0, len(text), _WIDTH)]
    body = "\n".join(lines)
    sys.stdout.write(
        '"""Dictionaries of :mod:`schemas.compact`. Made by ``bench.dictionary``, never changed."""\n\n'
        f'from typing import Final\n\nFIRST: Final = """\n{body}\n"""\n'
    )


def _samples(rng: Random) -> Iterator[bytes]:
    for number in range(40):
        until_us = _FROM_US + rng.randrange(_YEARS_US)
        if number % 2:
            events = desk.arrivals(seed=number, tickets=60, until_us=until_us, lasting_s=20 * 86_400)
        else:
            events = lives.arrivals(seed=number, until_us=until_us, lasting_s=600, rate=0.5)
        yield from asyncio.run(_stored(events, rng))


async def _stored(events: Sequence[TicketEvent], rng: Random) -> list[bytes]:
    """What lies in the state on the way, as it is before it is made short."""
    store, found = MemoryStore(), []
    engine = Engine(compiled(DOCUMENT), resolutions(DOCUMENT.windows_s.values()))
    position: Position = await store.claim(0)
    at = 0
    while batch := list(islice(events, at, at + 40)):
        at += 40
        incoming: dict[str, list[Fact]] = {}
        for event in batch:
            heard_us = int(event.received_at.timestamp() * SECOND_US)
            incoming.setdefault(subject(event), []).append(fact(event, heard_us))
        entries = await store.entries(0, list(incoming))
        history = await store.facts(0, engine.histories(entries, incoming))
        clock_us = int(batch[-1].received_at.timestamp() * SECOND_US)
        delta, _ = engine.batch(entries, incoming, history, clock_us, clock_us, _FROM_US)
        after = position.after(None, clock_us)
        await store.apply(0, position, after, delta)
        position = after
        if at % 200 == 0:
            found += [_renamed(unpack_entry(value), rng) for value in delta.entries.values()]
    return found


def _renamed(entry: Any, rng: Random) -> bytes:
    """The entry with other words for what every desk calls otherwise."""
    newest = with_facts(b"", [_other(one, rng, Fact) for one in facts_of(entry.newest)])
    return msgspec.msgpack.encode(msgspec.structs.replace(_other(entry, rng, type(entry)), newest=newest))


def _other(record: Any, rng: Random, kind: type) -> Any:
    words: dict[str, str] = {}

    def changed(value: Any) -> Any:
        if isinstance(value, str) and value in _NAMES:
            return words.setdefault(value, "".join(rng.choices("abcdefghiklmnoprstu", k=len(value))))
        if isinstance(value, list):
            return [changed(one) for one in value]
        if isinstance(value, dict):
            return {key: changed(one) for key, one in value.items()}
        return value

    plain = msgspec.msgpack.decode(msgspec.msgpack.encode(record))
    return msgspec.msgpack.decode(msgspec.msgpack.encode(changed(plain)), type=kind)


if __name__ == "__main__":
    main()
