"""One ticket as the state has it: the fold, what was announced, and the facts it was folded from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from schemas.state import Entry, Fact, facts_key, ticket_key, unpack_entry, unpack_facts
from services.state.client import away
from services.state.partitions import Partitions


@dataclass(frozen=True, slots=True)
class StoredTicket:
    """``facts`` in their order, ``arrived`` as they came."""

    entry: Entry
    facts: tuple[Fact, ...]
    arrived: tuple[Fact, ...]


class Tickets:
    """Looks tickets up in whichever partition has them. Calls may raise ``NotNow``."""

    def __init__(self, redis: Redis, partitions: Partitions) -> None:
        self._redis: Any = redis
        self._partitions = partitions

    async def find(self, source: str, ticket_id: str) -> StoredTicket | None:
        """The ticket, or ``None`` when no event of it was ever folded."""
        partitions = await self._partitions.known()
        pipeline = self._redis.pipeline(transaction=False)
        for number in partitions:
            pipeline.get(ticket_key(number, source, ticket_id))
        with away():
            found = await pipeline.execute() if partitions else []
        for number, stored in zip(partitions, found, strict=True):
            if stored is None:
                continue
            # Both in one transaction: meanwhile a fact may go from the one to the other.
            whole = self._redis.pipeline(transaction=True)
            whole.get(ticket_key(number, source, ticket_id))
            whole.lrange(facts_key(number, source, ticket_id), 0, -1)
            with away():
                stored, listed = await whole.execute()
            if stored is None:
                return None
            entry = unpack_entry(stored)
            arrived = tuple(unpack_facts(listed, entry.newest))
            return StoredTicket(entry, tuple(sorted(arrived, key=lambda fact: fact.order)), arrived)
        return None
