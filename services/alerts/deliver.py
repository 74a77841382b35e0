"""The delivery loops: each receiver has its own, so that a slow one delays nobody else."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

import msgspec
import structlog
from structlog.stdlib import BoundLogger

from schemas import codec
from schemas.failure import NotNow
from services.alerts import route
from services.alerts.delivery import Delivered, Delivery, DeliveryState, Outcome, Refused, next_attempt_us
from services.alerts.measures import Measures
from services.alerts.store import AlertStore, Claim, Queue, Store

LEASE_US: Final = 60_000_000
"""Four times what an attempt may take: a message that is due again was not being sent."""
AT_ONCE: Final = 4
"""Messages on their way to one receiver at a time, each about another alert."""
_LOOK_S: Final = 0.5


class Channel(Protocol):
    """How to reach one receiver."""

    @property
    def address(self) -> str:
        """A digest of where it is."""

    async def send(self, message_id: str, body: bytes, at_us: int) -> Outcome:
        """One bounded attempt that does not raise."""


class Deliverer:
    """Sends what the queue holds for one receiver until it is stopped.

    ``wake`` is set when there may be something new; without it new messages are found within half a second.
    """

    def __init__(
        self,
        receiver: str,
        channel: Channel,
        store: Store,
        measures: Measures,
        now_us: Callable[[], int],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.wake = asyncio.Event()
        self._receiver = receiver
        self._channel = channel
        self._store: AlertStore = store
        self._queue: Queue = store
        self._measures = measures
        self._now_us = now_us
        self._jitter = jitter
        self._log: BoundLogger = structlog.get_logger("deliver").bind(receiver=receiver)

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``; then it finishes the attempts that are under way. A message that is due again after a
        crash keeps its id."""
        await asyncio.gather(*(self._lane(stop) for _ in range(AT_ONCE)))

    async def once(self) -> bool:
        """Deals with the next message that is due; False when there is none."""
        claim = await self._queue.claim(self._receiver, self._now_us(), LEASE_US)
        if claim is None:
            return False
        before = claim.delivery
        after = await self._attempted(claim)
        if await self._queue.settle(claim, after, self._now_us()) and after.state is not DeliveryState.PENDING:
            self._measures.deliveries.labels(self._receiver, after.state.value).inc()
            self._log.info(
                "delivery_settled",
                outcome=after.state.value,
                attempts=after.attempts,
                problem=after.problem,
                alert_id=before.alert_id,
                transition=before.transition,
            )
        self.wake.set()  # the next message about the same alert waited for this one
        return True

    async def _lane(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                if await self.once():
                    continue
            except NotNow as wait:
                self._log.warning("delivery_waits", why=wait.what)
            with suppress(TimeoutError):
                await asyncio.wait_for(self.wake.wait(), _LOOK_S)
            self.wake.clear()

    async def _attempted(self, claim: Claim) -> Delivery:
        message = claim.delivery
        disabled = (await self._queue.disabled()).get(self._receiver)
        if disabled is not None and disabled["address"] == self._channel.address:
            return _settled(message, DeliveryState.DISABLED, "the receiver is switched off")
        event = codec.decode_alert(claim.body)
        told = await self._queue.told(message.alert_id, self._receiver)
        match route.worth(event, await self._store.alert(message.alert_id), told=told):
            case route.Worth.OVERTAKEN:
                return _settled(message, DeliveryState.OVERTAKEN, None)
            case route.Worth.UNNEEDED:
                return _settled(message, DeliveryState.UNNEEDED, None)
            case route.Worth.SEND:
                pass
        outcome = await self._channel.send(message.delivery_id, claim.body, self._now_us())
        self._measures.attempts.labels(self._receiver, type(outcome).__name__.lower()).inc()
        message = msgspec.structs.replace(message, attempts=message.attempts + 1)
        if isinstance(outcome, Delivered):
            return _settled(message, DeliveryState.DELIVERED, None)
        if isinstance(outcome, Refused):
            if outcome.gone:
                await self._queue.disable(self._receiver, self._channel.address, outcome.problem, self._now_us())
                self._log.error("receiver_disabled", why=outcome.problem)
            return _settled(message, DeliveryState.REFUSED, outcome.problem)
        next_us = next_attempt_us(message.attempts, outcome.after_s, self._now_us(), self._jitter())
        if next_us is None:
            return _settled(message, DeliveryState.GIVEN_UP, outcome.problem)
        return msgspec.structs.replace(message, next_us=next_us, problem=outcome.problem)


def _settled(message: Delivery, state: DeliveryState, problem: str | None) -> Delivery:
    return msgspec.structs.replace(message, state=state, problem=problem)
