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
LEADER: Final = PREFIX + "leader"
"""String: the fencing token of the process that evaluates the rules, for as long as its lease lasts."""
FENCE: Final = PREFIX + "fence"
"""Counter of leaders: the next token."""
RULES: Final = PREFIX + "rules"
"""Hash of rule names to rules as JSON: those that came over the API, which alone writes them."""
CALENDARS: Final = PREFIX + "calendars"
"""Hash of schedules to what is known of the calendars at their addresses, as JSON."""
CALENDAR_TEXTS: Final = PREFIX + "calendar-texts"
"""Hash of schedules to the last good copy of these calendars."""
SILENCES: Final = PREFIX + "silences"
"""Hash of silence ids to silences as JSON: those that came over the API and are not over."""
SILENCES_OVER: Final = PREFIX + "silences-over"
"""The same of those that are over, kept for the record."""
SILENCES_REVISION: Final = PREFIX + "silences-revision"
"""Counter of changes to :data:`SILENCES`: a step that was decided on an earlier one is not stored."""
REMEMBERED: Final = PREFIX + "remembered"
"""Set of the rules that have a memory."""

REPORTED: Final = PREFIX + "reported"
"""Hash of reports to when the last one was due that was dealt with, in microseconds."""


def report(name: str, due_us: int) -> str:
    """String: a report as it was sent, as JSON."""
    return f"{PREFIX}report:{name}:{due_us}"


def fetching(schedule: str) -> str:
    """String: somebody fetches the calendar of the schedule."""
    return f"{PREFIX}fetching:{schedule}"


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
    """Sorted set of delivery ids by when they are to be tried, in microseconds: those never sent."""
    return f"{PREFIX}due:{receiver}"


def retry(receiver: str) -> str:
    """As :func:`due`, of those that must be sent as they are: perhaps the receiver has them already."""
    return f"{PREFIX}retry:{receiver}"


def sent(receiver: str) -> str:
    """Sorted set of the delivery ids that went out, by when: what the rate is counted by."""
    return f"{PREFIX}sent:{receiver}"


def gather(receiver: str) -> str:
    """String: until when messages are gathered, in microseconds. Absent while they go out at once."""
    return f"{PREFIX}gather:{receiver}"


def gathered(receiver: str) -> str:
    """Hash of alert ids to the digest that holds their newest message."""
    return f"{PREFIX}gathered:{receiver}"


def digest(digest_id: str) -> str:
    """List of the delivery ids that a digest was made of."""
    return f"{PREFIX}digest:{digest_id}"


def delivery(delivery_id: str) -> str:
    """Hash: ``json`` (the delivery), ``event`` (the body), ``digest`` (while it is gathered in that one), ``flying``
    (from claim to settlement: the token of whoever took it last)."""
    return f"{PREFIX}delivery:{delivery_id}"


def told(alert_id: str) -> str:
    """Set of the receivers that took a message about the alert."""
    return f"{PREFIX}told:{alert_id}"


def handles(alert_id: str) -> str:
    """Hash of receivers to what they gave for later messages about the alert."""
    return f"{PREFIX}handles:{alert_id}"


def opened(digest_id: str) -> str:
    """Set of the alerts that a digest opened one incident for, and that have not ended."""
    return f"{PREFIX}open:{digest_id}"


def memory(rule: str) -> str:
    """Hash of segments to how they stand with the rule, as JSON. The leader alone writes it."""
    return f"{PREFIX}memory:{rule}"
