"""Many alerts in one message: what a storm looks like from above, and the worst of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

from schemas.alert import Alert, AlertEvent, AlertState, Severity

TOP: Final = 8
"""Values that are counted by name; the rest are one number."""

Counts = tuple[tuple[str, int], ...]
_LOUDNESS: Final = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}


class Digest(Struct, frozen=True, kw_only=True):
    """``events`` holds the newest word about each alert: those still open first, of them the worst first. ``opened``
    counts the open ones and ``ended`` the others; counts by severity, team and metric are those of the open ones, or
    of the ended ones where nothing is open."""

    digest_id: str
    receiver: str
    since: datetime
    until: datetime
    events: tuple[AlertEvent, ...]
    opened: int
    ended: int
    by_severity: Counts
    by_team: Counts
    by_metric: Counts


def compose(digest_id: str, receiver: str, events: Sequence[AlertEvent]) -> Digest:
    """The digest of ``events``, of which there is at least one."""
    opened = sorted((event for event in events if not _over(event)), key=_order)
    ended = sorted((event for event in events if _over(event)), key=_order)
    counted = [event.alert for event in opened or ended]
    return Digest(
        digest_id=digest_id,
        receiver=receiver,
        since=min(event.occurred_at for event in events),
        until=max(event.occurred_at for event in events),
        events=(*opened, *ended),
        opened=len(opened),
        ended=len(ended),
        by_severity=_counts(alert.severity.value for alert in counted),
        by_team=_counts(alert.labels.get("team", "no team") for alert in counted),
        by_metric=_counts(alert.labels.get("metric", "other") for alert in counted),
    )


def severity(digest: Digest) -> Severity:
    """That of its worst open alert; of the worst ended one where nothing is open."""
    return digest.events[0].alert.severity


def _over(event: AlertEvent) -> bool:
    return event.alert.state is AlertState.RESOLVED


def _order(event: AlertEvent) -> tuple[int, datetime, str]:
    """Critical before warnings, those that wait the longest first."""
    alert: Alert = event.alert
    return (_LOUDNESS[alert.severity], alert.breached_at or alert.due_at or alert.starts_at, alert.alert_id)


def _counts(values: Iterable[str]) -> Counts:
    ranked = sorted(Counter(values).items(), key=lambda pair: (-pair[1], pair[0]))
    rest = sum(number for _, number in ranked[TOP:])
    return (*ranked[:TOP], *((("other", rest),) if rest else ()))
