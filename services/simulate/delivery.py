"""What the network does to webhooks on their way: some come twice, some are overtaken by later ones. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Final

from services.simulate.zendesk import Webhook

_LATE_US: Final = (200_000, 3_000_000)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request to send at ``at_us``. A ``redelivery`` has the same body, and so the same event id, again."""

    at_us: int
    webhook: Webhook
    redelivery: bool = False


def deliveries(
    sent: Iterable[tuple[int, Webhook]], rng: Random, *, duplicates: float = 0.0, out_of_order: float = 0.0
) -> Iterator[Delivery]:
    """The webhooks ``sent``, which are in the order of time, as they are delivered; lazily, and never earlier.

    ``duplicates`` is the share that is delivered again later, ``out_of_order`` the share that is held up, both
    by 0.2 to 3 seconds.
    """
    under_way: list[tuple[int, int, Delivery]] = []
    tie = count()

    def send(at_us: int, webhook: Webhook, *, redelivery: bool) -> None:
        heapq.heappush(under_way, (at_us, next(tie), Delivery(at_us, webhook, redelivery)))

    for at_us, webhook in sent:
        while under_way and under_way[0][0] < at_us:
            yield heapq.heappop(under_way)[2]
        arrives_us = at_us + (rng.randint(*_LATE_US) if rng.random() < out_of_order else 0)
        send(arrives_us, webhook, redelivery=False)
        if rng.random() < duplicates:
            send(arrives_us + rng.randint(*_LATE_US), webhook, redelivery=True)
    while under_way:
        yield heapq.heappop(under_way)[2]
