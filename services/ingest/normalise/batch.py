"""Several things in one delivery: what can be read is, whatever stands beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from schemas.failure import Invalid
from schemas.ticket import TicketEvent


class PartlyInvalid(Invalid):
    """Some items of a delivery could not be read, and ``events`` are what the others tell.

    ``reason`` and ``detail`` are of the first that could not. The delivery belongs both to the topic, with these
    events, and to the dead letters, with its bytes: replayed after a correction, what was taken before is known by
    its ids.
    """

    def __init__(self, first: Invalid, detail: str, events: Sequence[TicketEvent]) -> None:
        super().__init__(first.reason, detail)
        self.events = tuple(events)


def each(items: Sequence[Any], read: Callable[[Any], list[TicketEvent]]) -> list[TicketEvent]:
    """The events of every item, in order.

    Raises :class:`PartlyInvalid` when some items cannot be read and others tell something, else :class:`Invalid`.
    The detail names the place of the first of them, counted from 0, and how many there are.
    """
    events: list[TicketEvent] = []
    refused: list[tuple[int, Invalid]] = []
    for place, item in enumerate(items):
        try:
            events += read(item)
        except Invalid as exc:  # one item's mistake must not cost the others
            refused.append((place, exc))
    if not refused:
        return events
    place, first = refused[0]
    more = f" (and {len(refused) - 1} more of {len(items)} items)" if len(refused) > 1 else ""
    detail = f"item {place}: {first.detail}{more}"
    if events:
        raise PartlyInvalid(first, detail, events)
    raise Invalid(first.reason, detail)
