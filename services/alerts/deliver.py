"""The delivery loops: each receiver has its own, so that a slow one delays nobody else."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

import structlog
from msgspec.structs import replace
from structlog.stdlib import BoundLogger

from schemas import codec
from schemas.alert import AlertEvent
from schemas.failure import NotNow
from services.alerts import digest as digests
from services.alerts import route
from services.alerts.delivery import (
    Delivered,
    Delivery,
    DeliveryState,
    Kind,
    Outcome,
    Rate,
    Refused,
    next_attempt_us,
)
from services.alerts.measures import Measures
from services.alerts.message import Bulletin, Gathered, Message, Notice, Over, Trial
from services.alerts.notify.channels import Channel
from services.alerts.queue import Claim, Member, Queue, Settlement
from services.alerts.report.report import decoded
from services.alerts.store import Store

LEASE_US: Final = 10_000_000
"""How long the messages of a worker that was killed are held. While one is sent its lease is renewed, so only a worker
that stands still for longer has its messages sent by another one, under the same ids."""
RENEW_S: Final = 2.5
AT_ONCE: Final = 4
"""Messages on their way to one receiver at a time, each about another alert."""
_LOOK_S: Final = 0.5
_AGAIN_S: Final = 0.5

Met = Callable[[Sequence[AlertEvent]], Awaitable[frozenset[str]]]
"""Which of these events (by id) are about something that is no longer so. May raise ``NotNow``."""


async def _nothing_met(events: Sequence[AlertEvent]) -> frozenset[str]:
    return frozenset()


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
        *,
        rate: Rate | None = None,
        met: Met = _nothing_met,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.wake = asyncio.Event()
        self._receiver = receiver
        self._channel = channel
        self._queue: Queue = store
        self._measures = measures
        self._now_us = now_us
        self._rate = rate
        self._met = met
        self._jitter = jitter
        self._under_way: dict[str, Claim] = {}
        self._log: BoundLogger = structlog.get_logger("deliver").bind(receiver=receiver)

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``; then it finishes the attempts that are under way. A message that is due again after a
        crash keeps its id."""
        # One loop asks for all: lanes that each ask for themselves ask in vain most of the time.
        async with asyncio.TaskGroup() as tasks:
            renewing = tasks.create_task(self._renewing())
            under_way: set[asyncio.Task[None]] = set()
            while not stop.is_set():
                claim = await self._claimed() if len(under_way) < AT_ONCE else None
                if claim is not None:
                    task = tasks.create_task(self._carried(claim, stop))
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)
                    continue
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.wake.wait(), _LOOK_S)
                self.wake.clear()
            if under_way:
                await asyncio.wait(under_way)
            renewing.cancel()

    async def once(self) -> bool:
        """Deals with the next message that is due; False when there is none."""
        claim = await self._queue.claim(self._receiver, self._now_us(), LEASE_US, self._rate)
        if claim is None:
            return False
        await self._written(claim, await self._dealt_with(claim))
        return True

    async def _claimed(self) -> Claim | None:
        try:
            return await self._queue.claim(self._receiver, self._now_us(), LEASE_US, self._rate)
        except NotNow as wait:
            self._log.warning("delivery_waits", why=wait.what)
            return None

    async def _carried(self, claim: Claim, stop: asyncio.Event) -> None:
        """One message from its claim to its settlement. What cannot be read before sending waits for the end of its
        lease; what was sent is written down as soon as that is possible, or it would be sent again."""
        self._under_way[claim.lease] = claim
        try:
            done = await self._dealt_with(claim)
            while True:
                try:
                    return await self._written(claim, done)
                except NotNow as wait:
                    self._log.warning("settlement_waits", why=wait.what)
                    if stop.is_set():
                        return None
                await asyncio.sleep(_AGAIN_S)
        except NotNow as wait:
            self._log.warning("delivery_waits", why=wait.what)
        finally:
            del self._under_way[claim.lease]
            self.wake.set()  # the next message about the same alert waited for this one

    async def _written(self, claim: Claim, done: Settlement) -> None:
        if await self._queue.settle(claim, done, self._now_us()):
            self._told(done)

    async def _renewing(self) -> None:
        """Keeps the leases of what is under way, until it is cancelled."""
        while True:
            await asyncio.sleep(RENEW_S)
            if self._under_way:
                # When it cannot be done, nobody else can take anything either.
                with suppress(NotNow):
                    await self._queue.renew(self._receiver, self._under_way.values(), self._now_us(), LEASE_US)

    async def _dealt_with(self, claim: Claim) -> Settlement:
        message = claim.delivery
        if message.kind is Kind.DIGEST:
            return await self._digest(claim)
        event = codec.decode_alert(claim.body) if message.kind is Kind.ALERT else None
        met = await self._met((event,)) if event is not None else frozenset()
        # The alert last, so that what happened during the other look-up is seen.
        known = await self._queue.known(message.alert_id, self._receiver)
        if known.off == self._channel.address:
            return Settlement(_settled(message, DeliveryState.DISABLED, _OFF), unsent=True)
        if message.kind is Kind.TEST:
            return self._after(message, await self._tried(Trial(message.delivery_id, self._receiver)))
        if message.kind is Kind.REPORT:
            bulletin = Bulletin(message.delivery_id, decoded(claim.body), claim.body)
            return self._after(message, await self._tried(bulletin))
        if event is None:
            return self._after(message, await self._tried(Over(message.delivery_id, message.event_id)))
        worth = route.worth(event, known.alert, told=known.told, met=event.event_id in met)
        if worth is not route.Worth.SEND:
            return Settlement(_settled(message, _UNSENT[worth], None), unsent=True)
        outcome = await self._tried(Notice(message.delivery_id, event, claim.body, known.handle, known.told))
        return self._after(message, outcome)

    async def _digest(self, claim: Claim) -> Settlement:
        message = claim.delivery
        found = await self._queue.members(message.delivery_id)
        if await self._is_off():
            off = tuple(_settled(member.delivery, DeliveryState.DISABLED, _OFF) for member in found)
            return Settlement(_settled(message, DeliveryState.DISABLED, _OFF), unsent=True, members=off)
        events = [codec.decode_alert(member.body) for member in found]
        met = await self._met(events)
        left: list[tuple[Member, AlertEvent]] = []
        dropped: list[Delivery] = []
        for member, event in zip(found, events, strict=True):
            worth = route.worth(event, member.alert, told=member.told, met=event.event_id in met)
            if worth is route.Worth.SEND:
                left.append((member, event))
            else:
                dropped.append(_settled(member.delivery, _UNSENT[worth], None))
        if not left:
            outcome: Outcome = Delivered()
            if message.attempts or claim.again:  # perhaps it opened something when it was sent before
                outcome = await self._tried(Over(message.delivery_id, message.delivery_id))
            over = _settled(message, DeliveryState.OVERTAKEN, None)
            return Settlement(over, unsent=True, members=tuple(dropped))
        digest = digests.compose(message.delivery_id, self._receiver, [event for _, event in left])
        bodies = {event.event_id: member.body for member, event in left}
        handles = {member.delivery.alert_id: member.handle for member, _ in left if member.handle is not None}
        outcome = await self._tried(
            Gathered(message.delivery_id, digest, tuple(bodies[event.event_id] for event in digest.events), handles)
        )
        done = self._after(replace(message, alerts=len(left)), outcome)
        kept = [member.delivery for member, _ in left]
        if done.after.state is not DeliveryState.PENDING:
            kept = [replace(_settled(one, done.after.state, done.after.problem), attempts=1) for one in kept]
        heard = frozenset(one.delivery_id for one in kept) if done.told else frozenset()
        return replace(done, members=(*dropped, *kept), heard=heard)

    async def _tried(self, message: Message) -> Outcome:
        outcome = await self._channel.send(message, self._now_us())
        self._measures.attempts.labels(self._receiver, type(outcome).__name__.lower()).inc()
        if isinstance(outcome, Refused) and outcome.gone:
            await self._queue.disable(self._receiver, self._channel.address, outcome.problem, self._now_us())
            self._log.error("receiver_disabled", why=outcome.problem)
        return outcome

    async def _is_off(self) -> bool:
        disabled = (await self._queue.disabled()).get(self._receiver)
        return disabled is not None and disabled["address"] == self._channel.address

    def _after(self, message: Delivery, outcome: Outcome) -> Settlement:
        message = replace(message, attempts=message.attempts + 1)
        if isinstance(outcome, Delivered):
            done = _settled(message, DeliveryState.DELIVERED, None)
            return Settlement(done, told=True, handle=outcome.handle)
        if isinstance(outcome, Refused):
            return Settlement(_settled(message, DeliveryState.REFUSED, outcome.problem))
        next_us = next_attempt_us(message.attempts, outcome.after_s, self._now_us(), self._jitter())
        if next_us is None:
            given_up = _settled(message, DeliveryState.GIVEN_UP, outcome.problem)
            return Settlement(given_up, told=outcome.perhaps)
        again = replace(message, next_us=next_us, problem=outcome.problem)
        return Settlement(again, told=outcome.perhaps, perhaps=outcome.perhaps)

    def _told(self, done: Settlement) -> None:
        """Metrics and the log of what was settled for good."""
        for settled in (done.after, *done.members):
            if settled.state in (DeliveryState.PENDING, DeliveryState.GATHERED):
                continue
            self._measures.deliveries.labels(self._receiver, settled.state.value).inc()
            self._log.info(
                "delivery_settled",
                outcome=settled.state.value,
                attempts=settled.attempts,
                problem=settled.problem,
                alert_id=settled.alert_id,
                transition=settled.transition,
                digest_id=settled.digest_id,
            )


_OFF: Final = "the receiver is switched off"
_UNSENT: Final = {
    route.Worth.OVERTAKEN: DeliveryState.OVERTAKEN,
    route.Worth.UNNEEDED: DeliveryState.UNNEEDED,
    route.Worth.SILENCED: DeliveryState.SILENCED,
}


def _settled(message: Delivery, state: DeliveryState, problem: str | None) -> Delivery:
    return replace(message, state=state, problem=problem)
