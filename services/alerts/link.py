"""Signed links: whoever has one may do one thing to one alert, until it ends. Pure.

A link holds what it may do (alert, action, the receiver that it was sent to, when it was made and when it ends) and an
HMAC-SHA256 over that. Nothing is stored for it: that it was used is in the transitions of the alert, written by the
very step that it took.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec

from schemas import standard_webhook
from schemas.alert import Alert, AlertEvent, AlertState, Transition
from schemas.instant import from_datetime, to_datetime
from services.alerts import state
from services.alerts.state import Refusal, Step
from services.config.document import Document
from services.config.duration import seconds

PATH: Final = "/link"
SNOOZE: Final = timedelta(hours=1)
_DOMAIN: Final = b"deskpulse link 1\n"
"""The key may sign other things too: nothing of theirs is a link."""
_LONGEST: Final = 1_000


class Action(StrEnum):
    """What a link may do. Metric label and log field."""

    OPEN = "open"
    ACKNOWLEDGE = "acknowledge"
    SNOOZE = "snooze"


class Told(StrEnum):
    """What became of a request with a link. Metric label and log field."""

    SHOWN = "shown"
    DONE = "done"
    FORGED = "forged"
    EXPIRED = "expired"
    USED_UP = "used_up"
    GONE = "gone"
    """The alert was forgotten."""
    TOO_LATE = "too_late"
    """It is resolved, or somebody has it already."""


class Grant(msgspec.Struct, frozen=True, array_like=True):
    """What a link says."""

    alert_id: str
    action: Action
    receiver: str
    made_us: int
    until_us: int

    @property
    def actor(self) -> str:
        """Who acts, as far as a link can tell."""
        return f"link sent to {self.receiver}"


_grant: Final = msgspec.json.Decoder(Grant)


@dataclass(frozen=True, slots=True)
class Signer:
    """Makes the links of one receiver, and knows its own."""

    keys: tuple[bytes, ...]
    board_url: str
    valid_us: int

    @staticmethod
    def of(document: Document) -> Signer | None:
        """By the document; ``None`` where it wants no links."""
        if document.links is None or document.board_url is None:
            return None
        keys = tuple(standard_webhook.key(secret.get_secret_value()) for secret in document.links.secrets)
        return Signer(keys, document.board_url.rstrip("/"), seconds(document.links.valid) * 1_000_000)

    def url(self, event: AlertEvent, action: Action, receiver: str) -> str:
        """The same for every attempt at a message."""
        made_us = from_datetime(event.occurred_at)
        grant = Grant(event.alert.alert_id, action, receiver, made_us, made_us + self.valid_us)
        payload = msgspec.json.encode(grant)
        return f"{self.board_url}{PATH}?t={_text(payload)}.{_text(_signature(self.keys[0], payload))}"

    def urls(self, event: AlertEvent, receiver: str) -> dict[Action, str]:
        """The links that make sense as the alert stands; none for one that is over."""
        return {action: self.url(event, action, receiver) for action in _OFFERED.get(event.alert.state, ())}

    def read(self, token: str, at_us: int) -> Grant | Told:
        """What a link says, or why it counts for nothing (``FORGED``, ``EXPIRED``)."""
        payload_text, dot, signature_text = token.partition(".")
        if not dot or len(token) > _LONGEST or not token.isascii():
            return Told.FORGED
        try:
            payload, signature = _bytes(payload_text), _bytes(signature_text)
        except (binascii.Error, ValueError):
            return Told.FORGED
        fitting = [hmac.compare_digest(_signature(key, payload), signature) for key in self.keys]
        if not any(fitting):
            return Told.FORGED
        grant = _grant.decode(payload)
        return Told.EXPIRED if at_us >= grant.until_us else grant


def used_up(grant: Grant, transitions: Iterable[AlertEvent]) -> bool:
    """Whether this link, or a later one for the same to the same receiver, has acted."""
    made = to_datetime(grant.made_us)
    transition = _STEP.get(grant.action)
    return any(
        event.transition is transition and event.actor == grant.actor and event.occurred_at >= made
        for event in transitions
    )


def possible(grant: Grant, alert: Alert) -> bool:
    """Whether the alert is such that the link can still do something."""
    return grant.action in _OFFERED.get(alert.state, ())


def act(grant: Grant, alert: Alert, at: datetime) -> Step | Refusal:
    """Does what the link says."""
    if not possible(grant, alert):
        over = alert.state is AlertState.RESOLVED
        return Refusal.ALREADY_RESOLVED if over else Refusal.ALREADY_ACKNOWLEDGED
    if grant.action is Action.SNOOZE:
        return state.snooze(alert, grant.actor, at + SNOOZE, at)
    return state.acknowledge(alert, grant.actor, at)


_OFFERED: Final[dict[AlertState, Sequence[Action]]] = {
    AlertState.FIRING: (Action.ACKNOWLEDGE, Action.SNOOZE, Action.OPEN),
    AlertState.SNOOZED: (Action.ACKNOWLEDGE, Action.OPEN),
    AlertState.ACKNOWLEDGED: (Action.OPEN,),
}
_STEP: Final = {Action.ACKNOWLEDGE: Transition.ACKNOWLEDGED, Action.SNOOZE: Transition.SNOOZED}


def _signature(key: bytes, payload: bytes) -> bytes:
    return hmac.digest(key, _DOMAIN + payload, "sha256")


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    found = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _text(found) != text:  # the last letter has bits to spare: one link is one text
        raise ValueError("not canonical")
    return found
