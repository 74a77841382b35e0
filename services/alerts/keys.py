"""The keys of the alerts in Redis: one hash tag, so that every step is atomic on a cluster too.

The alerts worker and the query API write them, both only through the scripts in ``lua/``.
"""

from __future__ import annotations

from typing import Final

PREFIX: Final = "deskpulse:{alerts}:"
OUTBOX: Final = PREFIX + "outbox"
FEED: Final = PREFIX + "feed"
WAKE: Final = PREFIX + "wake"
ENDED: Final = PREFIX + "ended"
PENDING: Final = PREFIX + "pending"
SETTLED: Final = PREFIX + "settled"
DISABLED: Final = PREFIX + "disabled"


def alert(alert_id: str) -> str:
    """Hash: ``json``, ``version``, ``state``, ``severity``, ``place``."""
    return f"{PREFIX}alert:{alert_id}"


def newest(fingerprint: str) -> str:
    """String: the id of the newest alert about ``fingerprint``."""
    return f"{PREFIX}newest:{fingerprint}"


def transitions(alert_id: str) -> str:
    """List of AlertEvent JSON, oldest first."""
    return f"{PREFIX}transitions:{alert_id}"


def listing(state: str, severity: str) -> str:
    """Sorted set of places (``<starts_us>:<alert_id>``), all with score 0."""
    return f"{PREFIX}by:{state}:{severity}"


def due(receiver: str) -> str:
    """Sorted set of delivery ids by when they are to be tried, in microseconds."""
    return f"{PREFIX}due:{receiver}"


def delivery(delivery_id: str) -> str:
    """Hash: ``json`` (the delivery) and ``event`` (the body)."""
    return f"{PREFIX}delivery:{delivery_id}"


def told(alert_id: str) -> str:
    """Set of the receivers that took a message about the alert."""
    return f"{PREFIX}told:{alert_id}"
