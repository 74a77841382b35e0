"""Where the facts of a ticket are kept: the newest in its entry, the others, several at a time, in a list. Pure.

A young ticket has no list, and an event of an old one rewrites no more than its newest facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from schemas.state import Entry, Fact, facts_of, pack_facts, with_facts

MOST: Final = 1000
"""Bytes of packed facts in an entry from which on they go to the list: about ten facts."""
TAIL: Final = 8
"""Bytes of an event id that are remembered of a fact in the list, and how many ids: enough for every redelivery a
helpdesk makes."""
TAILS: Final = 128


def known(entry: Entry, fact: Fact) -> bool:
    """Whether ``fact`` may be in the entry already. It is not where this says no, unless more than :data:`TAILS` came
    to the list after it."""
    if fact.event_id in entry.newest:
        return True
    tail, recent = fact.event_id[-TAIL:], entry.recent
    at = recent.find(tail)
    while at > 0 and at % TAIL:
        at = recent.find(tail, at + 1)
    return at >= 0


def taken(entry: Entry, fresh: Sequence[Fact]) -> tuple[bytes, bytes, bytes]:
    """``newest`` and ``recent`` of the entry once it has ``fresh`` too, and what is to be appended to the list: empty
    where nothing is."""
    newest = with_facts(entry.newest, fresh)
    if len(newest) <= MOST:
        return newest, entry.recent, b""
    tails = b"".join([fact.event_id[-TAIL:] for fact in facts_of(newest)])
    return b"", (entry.recent + tails)[-TAIL * TAILS :], pack_facts(newest)


def anew(facts: Sequence[Fact]) -> tuple[bytes, bytes, list[bytes]]:
    """``newest`` and ``recent`` of an entry and its list, as if these facts had been taken one by one."""
    newest, recent, listed = b"", b"", []
    for fact in facts:
        newest = with_facts(newest, [fact])
        if len(newest) > MOST:
            recent = (recent + b"".join([one.event_id[-TAIL:] for one in facts_of(newest)]))[-TAIL * TAILS :]
            listed.append(pack_facts(newest))
            newest = b""
    return newest, recent, listed
