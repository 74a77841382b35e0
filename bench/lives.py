"""The events that are measured with: simulated lives of tickets, as many as wanted.

Made once for a run and then repeated under other ticket ids, since making them costs more than processing them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import count, islice

from msgspec import structs

from schemas.ticket import TicketEvent, event_id
from services import clock
from tests.support.lives import arrivals  # the bench runs from a checkout, where the tests' support is

_RATE = 6.0
_LASTING_S = 1200.0


def lives(number: int) -> list[TicketEvent]:
    """The first ``number`` events of an endless supply: about 11 for a ticket, a few late, a few twice."""
    return list(islice(_endless(), number))


@cache
def _original() -> tuple[TicketEvent, ...]:
    return tuple(arrivals(seed=20, until_us=clock.now_us(), lasting_s=_LASTING_S, rate=_RATE))


def _endless() -> Iterator[TicketEvent]:
    for again in count():
        for event in _original():
            if again:
                yield structs.replace(
                    event,
                    ticket_id=f"{event.ticket_id}-{again}",
                    event_id=event_id(event.source, event.event_id, str(again)),
                )
            else:
                yield event
