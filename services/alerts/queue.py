"""The messages that wait to be sent, as a port: ``redis_queue.py`` and ``memory.py`` are its implementations.

Calls to Redis may raise ``NotNow``.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from schemas.alert import Alert
from schemas.instant import SECOND_US
from services.alerts.delivery import DEAD, Delivery, DeliveryState, Kind, Rate

SETTLED_KEPT_US: Final = 7 * 86_400 * SECOND_US
"""How long a message that was delivered, or never will be, can be looked up."""
DIGEST_MOST: Final = 2_000
"""Messages that one digest may hold; when there are more, the next one follows at once."""


class Claim(msgspec.Struct, frozen=True):
    """A message that is ours to send until the lease ends and somebody else takes it. ``body`` is the AlertEvent as
    JSON, empty where it is about no single alert. ``again``: somebody who died perhaps sent it already."""

    delivery: Delivery
    body: bytes
    lease: str
    again: bool = False


class Member(msgspec.Struct, frozen=True):
    """A message of a digest: its body, the alert as it stands now, and whether and how its receiver knows the alert."""

    delivery: Delivery
    body: bytes
    alert: Alert | None
    told: bool
    handle: str | None


class Known(msgspec.Struct, frozen=True):
    """What must be known just before a message is sent: the alert as it stands, whether and how its receiver knows it,
    and with which address that was switched off, if it was."""

    alert: Alert | None
    told: bool
    handle: str | None
    off: str | None


class Settlement(msgspec.Struct, frozen=True):
    """How an attempt ended. ``after`` is pending again, or settled for good; ``members`` likewise, of a digest.

    ``told``: the receiver knows of what it was sent, or perhaps does. ``perhaps``: the next attempt must be the same
    message. ``unsent``: there was no attempt. ``heard`` are the members that were in what was sent.
    """

    after: Delivery
    told: bool = False
    handle: str | None = None
    perhaps: bool = False
    unsent: bool = False
    members: tuple[Delivery, ...] = ()
    heard: frozenset[str] = frozenset()


class Queue(Protocol):
    """Messages on their way to receivers."""

    async def claim(self, receiver: str, at_us: int, lease_us: int, rate: Rate | None = None) -> Claim | None:
        """Takes the next message that is due, for ``lease_us``: after that it is due again, should we have died.

        Never two messages of one alert to one receiver at a time. When messages come faster than ``rate``, they are
        gathered, and what is taken is a digest of them. What was perhaps sent is never gathered."""

    async def renew(self, receiver: str, claims: Collection[Claim], at_us: int, lease_us: int) -> None:
        """What is still on its way stays ours for ``lease_us`` from now, unless somebody else took it."""

    async def settle(self, claim: Claim, done: Settlement, at_us: int) -> bool:
        """Writes down how the attempt ended. False when somebody else took the message after the lease had ended, and
        when it is settled already."""

    async def members(self, digest_id: str) -> list[Member]:
        """The messages that the digest still holds, the oldest first."""

    async def told(self, alert_id: str, receiver: str) -> tuple[bool, str | None]:
        """Whether ``receiver`` ever took, or perhaps took, a message about the alert; and the handle it gave."""

    async def known(self, alert_id: str, receiver: str) -> Known:
        """All that is to be looked up before a message about the alert is sent to ``receiver``, in one look."""

    async def next_due_us(self, receiver: str) -> int | None:
        """When the next message to ``receiver`` is due; ``None`` when there is none."""

    async def deliveries(
        self, states: Collection[DeliveryState], limit: int, receiver: str | None = None
    ) -> list[Delivery]:
        """Up to ``limit`` messages: pending ones by when they are due, then settled ones, the latest first."""

    async def deliveries_after(
        self, after: Place | None, states: Collection[DeliveryState], limit: int, receiver: str | None = None
    ) -> tuple[list[Delivery], Place | None]:
        """The same behind a place in that list, and the place to go on behind; ``None`` at the end."""

    async def delivery(self, delivery_id: str) -> Delivery | None:
        """One message as it stands."""

    async def gathered(self, digest_id: str) -> list[Delivery]:
        """Every message that the digest was ever made of."""

    async def enqueue(self, delivery: Delivery) -> None:
        """A message that is about no alert."""

    async def resend(self, delivery_id: str, at_us: int) -> bool:
        """Tries a dead message again, from its first attempt on; a digest with its messages. False when it is none,
        or went out with a digest (resend that one)."""

    async def pending(self) -> int:
        """How many messages wait."""

    async def disable(self, receiver: str, address: str, why: str, at_us: int) -> None:
        """Sends ``receiver`` nothing more, as long as it has this ``address`` (a digest of its URL)."""

    async def enable(self, receiver: str) -> bool:
        """Sends to it again. False when it was not switched off."""

    async def disabled(self) -> dict[str, dict[str, Any]]:
        """Receivers that were switched off: ``{name: {address, why, at_us}}``."""


def resendable(delivery: Delivery) -> bool:
    """Whether it is dead, and no part of a digest, which would have to be sent again as a whole."""
    return delivery.state in DEAD and (delivery.digest_id is None or delivery.kind is Kind.DIGEST_END)


def anew(delivery: Delivery, at_us: int) -> Delivery:
    """The message as it was before its first attempt; its id stays, so that its receiver can know a repetition."""
    return msgspec.structs.replace(delivery, state=DeliveryState.PENDING, attempts=0, next_us=at_us, problem=None)


class Place(NamedTuple):
    """Where a message stands in the list of messages: settled ones after those that wait."""

    settled: bool
    at_us: int
    delivery_id: str

    def behind(self, other: Place | None) -> bool:
        """Whether it comes after ``other``."""
        if other is None or self.settled != other.settled:
            return other is None or self.settled
        here, there = (self.at_us, self.delivery_id), (other.at_us, other.delivery_id)
        return here < there if self.settled else here > there
