"""What a channel is asked to send."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.alert import AlertEvent
from services.alerts.digest import Digest
from services.alerts.report.report import Report


@dataclass(frozen=True, slots=True)
class Notice:
    """News of one alert. ``body`` is the event as JSON. ``handle`` is what this channel gave when the receiver first
    heard of the alert, ``told`` whether it did. ``message_id`` is the same for every attempt."""

    message_id: str
    event: AlertEvent
    body: bytes
    handle: str | None = None
    told: bool = False


@dataclass(frozen=True, slots=True)
class Gathered:
    """News of many alerts. ``bodies`` are the events as JSON, in the digest's order; ``handles`` by alert id."""

    message_id: str
    digest: Digest
    bodies: tuple[bytes, ...]
    handles: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Over:
    """Everything that a digest told of has ended. Only channels that opened something for a digest are asked."""

    message_id: str
    digest_id: str


@dataclass(frozen=True, slots=True)
class Trial:
    """Shows that a receiver can be reached, and says that it is no alert."""

    message_id: str
    receiver: str


@dataclass(frozen=True, slots=True)
class Bulletin:
    """A leader's report. ``body`` is it as JSON, as it is stored."""

    message_id: str
    report: Report
    body: bytes


Message = Notice | Gathered | Over | Trial | Bulletin
