"""A message on its way to one receiver: its outcomes and when to try again."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct, to_builtins

from schemas.alert import AlertEvent, AlertState
from schemas.instant import to_rfc3339
from schemas.ticket import event_id
from services.config.duration import seconds
from services.config.receiver import Digest


class Kind(StrEnum):
    """What a message is: about one alert, about many, the end of everything a digest told of, a trial, or
    a leader's report."""

    ALERT = "alert"
    DIGEST = "digest"
    DIGEST_END = "digest_end"
    TEST = "test"
    REPORT = "report"


class DeliveryState(StrEnum):
    """Where a message stands. Metric label, log field and API value."""

    PENDING = "pending"
    GATHERED = "gathered"
    """In a digest that is on its way."""
    DELIVERED = "delivered"
    OVERTAKEN = "overtaken"
    UNNEEDED = "unneeded"
    SILENCED = "silenced"
    REFUSED = "refused"
    GIVEN_UP = "given_up"
    DISABLED = "disabled"


DEAD: Final = frozenset({DeliveryState.REFUSED, DeliveryState.GIVEN_UP, DeliveryState.DISABLED})
"""The receiver never took it, and nobody tries any more. It can be sent again by hand."""


class Delivery(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``delivery_id`` is the same for every attempt, also after a crash: receivers know a repetition by it.

    ``problem`` says why the last attempt failed, in a few words and without anything that the receiver sent.
    ``digest_id`` is the digest that the message went out with, ``alerts`` how many a digest told of, ``ends`` whether
    it tells the end of its alert, ``held`` whether it waited for the end of a quiet time. What is about no single alert
    has its own id for ``alert_id`` and ``event_id``.
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
    kind: Kind = Kind.ALERT
    ends: bool = False
    digest_id: str | None = None
    alerts: int | None = None
    held: bool = False


@dataclass(frozen=True, slots=True)
class Rate:
    """Beyond ``after`` messages in ``per_us``, those of ``every_us`` go out as one digest."""

    after: int
    per_us: int
    every_us: int


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver took it. ``handle`` is what later messages about the same alert need, such as a thread."""

    handle: str | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """Not now. ``after_s`` is what the receiver asked for, if it did. ``perhaps``: it may have taken the message
    without our hearing of it, so the next attempt must be the same message."""

    problem: str
    after_s: float | None = None
    perhaps: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """It will never take this message. With ``gone`` it will never take any (HTTP 410): switch it off."""

    problem: str
    gone: bool = False


Outcome = Delivered | Retry | Refused

SCHEDULE_S: Final = (0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Pauses before the first, second, … attempt: those that Standard Webhooks recommends."""

LONGEST_ASKED_S: Final = 86_400.0


def first(event: AlertEvent, receiver: str, at_us: int, due_us: int | None = None) -> Delivery:
    """The message about ``event`` for ``receiver``, due at once, or at the end of a quiet time (``due_us``). The same
    event gives the same ``delivery_id``."""
    return Delivery(
        delivery_id=event_id("deliveries", event.event_id, receiver),
        receiver=receiver,
        alert_id=event.alert.alert_id,
        event_id=event.event_id,
        transition=event.transition.value,
        created_us=at_us,
        next_us=at_us if due_us is None else due_us,
        held=due_us is not None and due_us > at_us,
        ends=event.alert.state is AlertState.RESOLVED,
    )


def own(kind: Kind, delivery_id: str, receiver: str, at_us: int) -> Delivery:
    """A message that is about no single alert, due at once."""
    return Delivery(
        delivery_id=delivery_id,
        receiver=receiver,
        alert_id=delivery_id,
        event_id=delivery_id,
        transition=kind.value,
        created_us=at_us,
        next_us=at_us,
        kind=kind,
    )


def rate(gathering: Digest | None) -> Rate | None:
    """What the document says, in microseconds."""
    if gathering is None:
        return None
    return Rate(gathering.after, seconds(gathering.per) * 1_000_000, seconds(gathering.every) * 1_000_000)


def shown(delivery: Delivery) -> dict[str, Any]:
    """As JSON for people: instants as RFC 3339, and every field that answers a question."""
    found: dict[str, Any] = to_builtins(delivery)
    found |= {"state": delivery.state.value, "attempts": delivery.attempts, "problem": delivery.problem}
    found |= {"kind": delivery.kind.value, "digest_id": delivery.digest_id}
    found.pop("ends", None)
    found["held"] = delivery.held
    found["created_at"] = to_rfc3339(found.pop("created_us"))
    next_us = found.pop("next_us")
    found["next_attempt_at"] = to_rfc3339(next_us) if delivery.state is DeliveryState.PENDING else None
    return found


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
