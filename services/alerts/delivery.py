"""A message on its way to one receiver: its outcomes and when to try again."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from msgspec import Struct

from schemas.alert import AlertEvent
from schemas.ticket import event_id


class DeliveryState(StrEnum):
    """Where a message stands. Metric label, log field and API value."""

    PENDING = "pending"
    DELIVERED = "delivered"
    OVERTAKEN = "overtaken"
    UNNEEDED = "unneeded"
    REFUSED = "refused"
    GIVEN_UP = "given_up"
    DISABLED = "disabled"


class Delivery(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``delivery_id`` is the same for every attempt, also after a crash: receivers know a repetition by it.

    ``problem`` says why the last attempt failed, in a few words and without anything that the receiver sent.
    """

    delivery_id: str
    receiver: str
    alert_id: str
    event_id: str
    transition: str
    created_us: int
    next_us: int
    state: DeliveryState = DeliveryState.PENDING
    attempts: int = 0
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver took it."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Not now. ``after_s`` is what the receiver asked for, if it did."""

    problem: str
    after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """It will never take this message. With ``gone`` it will never take any (HTTP 410): switch it off."""

    problem: str
    gone: bool = False


Outcome = Delivered | Retry | Refused

SCHEDULE_S: Final = (0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Pauses before the first, second, … attempt: those that Standard Webhooks recommends."""

LONGEST_ASKED_S: Final = 86_400.0


def first(event: AlertEvent, receiver: str, at_us: int) -> Delivery:
    """The message about ``event`` for ``receiver``, due at once. The same event gives the same ``delivery_id``."""
    return Delivery(
        delivery_id=event_id("deliveries", event.event_id, receiver),
        receiver=receiver,
        alert_id=event.alert.alert_id,
        event_id=event.event_id,
        transition=event.transition.value,
        created_us=at_us,
        next_us=at_us,
    )


def next_attempt_us(attempts: int, asked_s: float | None, at_us: int, jitter: float) -> int | None:
    """When to try again after ``attempts`` failed ones; ``None`` when there were enough.

    ``jitter`` in 0 to 1 spreads attempts over 90 to 110 % of the pause, so that a receiver that comes back is not
    met by everybody at once. A receiver's own wish is never undercut.
    """
    if attempts >= len(SCHEDULE_S):
        return None
    pause_s = SCHEDULE_S[attempts] * (0.9 + 0.2 * jitter)
    if asked_s is not None:
        pause_s = max(pause_s, min(asked_s, LONGEST_ASKED_S))
    return at_us + round(pause_s * 1e6)
