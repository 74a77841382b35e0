"""The metrics worker without its loop and without Kafka: events go in, and KPIs can be read from Redis."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from schemas.instant import from_datetime, to_datetime
from schemas.state import Fact
from schemas.ticket import Actor, ActorKind, Attributes, Kind, Status, StatusChange, TicketEvent
from services.config.document import Document
from services.fold.fact import fact
from services.fold.rules import compiled
from services.kpi.window import resolutions
from services.metrics.engine import Engine
from services.metrics.position import Position
from services.metrics.store import RedisStore


class Counting:
    """Counts into ``redis`` as the metrics workers of ``partitions`` would."""

    def __init__(self, redis: Any, document: Document, partitions: int = 2) -> None:
        self._store = RedisStore(redis)
        self._engine = Engine(compiled(document), resolutions(document.windows_s.values()))
        self._partitions = partitions
        self._held: dict[int, Position] = {}

    async def count(self, events: Sequence[TicketEvent], clock_us: int) -> None:
        """Counts ``events``; the clock of every partition then stands at ``clock_us``."""
        if not self._held:
            self._held = {number: await self._store.claim(number) for number in range(self._partitions)}
        parts: dict[int, dict[str, list[Fact]]] = defaultdict(dict)
        for event in events:
            number = zlib.crc32(event.key.encode()) % self._partitions
            parts[number].setdefault(event.key, []).append(fact(event))
        for number, incoming in parts.items():
            entries = await self._store.entries(number, list(incoming))
            history = await self._store.facts(number, self._engine.histories(entries, incoming))
            delta, _ = self._engine.batch(entries, incoming, history, clock_us, clock_us)
            after = self._held[number].after(None, clock_us)
            await self._store.apply(number, self._held[number], after, delta)
            self._held[number] = after


def created(ticket_id: str, at_us: int, *, source: str = "zendesk", **attributes: Any) -> TicketEvent:
    """A customer's new ticket."""
    what = Attributes(created_at=to_datetime(at_us), **attributes)
    return _event(ticket_id, at_us, source, kind=Kind.CREATED, actor=Actor(kind=ActorKind.CUSTOMER), ticket=what)


def solved(ticket_id: str, at_us: int, *, source: str = "zendesk") -> TicketEvent:
    """An agent solves it."""
    change = StatusChange(to=Status.SOLVED)
    return _event(ticket_id, at_us, source, kind=Kind.STATUS_CHANGED, status=change, actor=Actor(kind=ActorKind.AGENT))


def _event(ticket_id: str, at_us: int, source: str, **what: Any) -> TicketEvent:
    return TicketEvent(
        event_id=str(uuid4()),
        source=source,
        vendor="zendesk",
        ticket_id=ticket_id,
        occurred_at=to_datetime(at_us),
        received_at=to_datetime(at_us),
        sequence=from_datetime(to_datetime(at_us)) % 2**31,
        **what,
    )
