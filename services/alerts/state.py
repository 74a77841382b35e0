"""The life of an alert, as pure steps: what an announcement, an operator or the clock makes of it.

One alert for each timer instance at a time. Its standing is a function of the newest announcement (the highest
revision) and of what operators did since, so duplicates and disorder end in the same standing:

- a warning fires as ``warning``, a breach as ``critical``;
- an acknowledged or snoozed warning that becomes a breach fires again: whoever took it on took on less;
- a further warning leaves an acknowledged or snoozed alert so, with the newer numbers;
- ``resolved`` is final: what fires later is a new alert of the same fingerprint. Only the reason of a resolved alert
  may still be corrected, such as by a retraction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from msgspec.structs import replace

from schemas.alert import Alert, AlertEvent, AlertState, Evidence, Severity, Transition
from schemas.sla import SlaEvent, SlaKind
from schemas.ticket import event_id
from services.alerts import wording

LONGEST_SNOOZE: Final = timedelta(days=30)
RUNBOOKS: Final = {
    Severity.WARNING: "docs/runbooks/sla-warning.md",
    Severity.CRITICAL: "docs/runbooks/sla-breach.md",
}


class Refusal(StrEnum):
    """Why an operator's action was refused. The API's problem type."""

    ALREADY_RESOLVED = "already-resolved"
    ALREADY_ACKNOWLEDGED = "already-acknowledged"
    NOT_IN_THE_FUTURE = "not-in-the-future"
    TOO_LONG = "snooze-too-long"


@dataclass(frozen=True, slots=True)
class Step:
    """From ``before`` (``None``: this fingerprint had no alert) to ``after``.

    Without ``event`` nothing happened that anyone needs to know; ``after`` then only remembers the revision. When
    ``after`` is a new alert its ``alert_id`` differs from that of ``before``.
    """

    before: Alert | None
    after: Alert
    event: AlertEvent | None


def decide(alert: Alert | None, event: SlaEvent, at: datetime, url: str | None = None) -> Step | None:
    """What ``event`` makes of ``alert``, the newest alert of its timer instance; ``None`` when it is old news.

    ``at`` is the present; ``url`` leads to the ticket.
    """
    if alert is not None and event.revision <= alert.revision:
        return None
    match event.kind:
        case SlaKind.WARNING | SlaKind.BREACHED:
            return _fired(alert, event, at, url)
        case SlaKind.FULFILLED | SlaKind.CANCELLED | SlaKind.RETRACTED:
            return _ended(alert, event, at, url)


def acknowledge(alert: Alert, by: str, at: datetime) -> Step | Refusal:
    """``by`` takes it on. The same person again changes nothing."""
    if alert.state is AlertState.RESOLVED:
        return Refusal.ALREADY_RESOLVED
    if alert.state is AlertState.ACKNOWLEDGED:
        return Step(alert, alert, None) if alert.acknowledged_by == by else Refusal.ALREADY_ACKNOWLEDGED
    changed = replace(alert, state=AlertState.ACKNOWLEDGED, acknowledged_by=by, acknowledged_at=at, snoozed_until=None)
    return _step(alert, changed, Transition.ACKNOWLEDGED, at, by)


def snooze(alert: Alert, by: str, until: datetime, at: datetime) -> Step | Refusal:
    """Quiet until ``until``, then it fires again. A snoozed alert may be given another end."""
    if alert.state is AlertState.RESOLVED:
        return Refusal.ALREADY_RESOLVED
    if until <= at:
        return Refusal.NOT_IN_THE_FUTURE
    if until - at > LONGEST_SNOOZE:
        return Refusal.TOO_LONG
    return _step(alert, replace(alert, state=AlertState.SNOOZED, snoozed_until=until), Transition.SNOOZED, at, by)


def resolve(alert: Alert, by: str, at: datetime) -> Step | Refusal:
    """Ended by hand. Should the timer announce something newer that is wrong, a new alert fires."""
    if alert.state is AlertState.RESOLVED:
        return Refusal.ALREADY_RESOLVED
    changed = replace(alert, state=AlertState.RESOLVED, ends_at=at, snoozed_until=None)
    return _step(alert, changed, Transition.RESOLVED_BY_HAND, at, by)


def wake(alert: Alert, at: datetime) -> Step | None:
    """Fires a snoozed alert again whose time has come; ``None`` when it has not, or when it is not snoozed."""
    if alert.state is not AlertState.SNOOZED or alert.snoozed_until is None or alert.snoozed_until > at:
        return None
    changed = replace(alert, state=AlertState.FIRING, snoozed_until=None)
    return _step(alert, changed, Transition.SNOOZE_ENDED, at, None)


def escalate(alert: Alert, at: datetime, following: datetime | None) -> Step:
    """Tells further people of a firing alert; ``following`` is when the next ones are told. Why it fires stays so."""
    changed = replace(alert, escalated=alert.escalated + 1, escalates_at=following)
    return _step(alert, changed, Transition.ESCALATED, at, None, reason=alert.reason)


def silence(alert: Alert, silence_id: str, until: datetime, by: str | None, at: datetime) -> Step:
    """Keeps it from being told until ``until``. How it stands, and why, stays so."""
    changed = replace(alert, silenced_by=silence_id, silenced_until=until)
    return _step(alert, changed, Transition.SILENCED, at, by, reason=alert.reason)


def end_silence(alert: Alert, at: datetime) -> Step:
    """Lets it be told again, as if it had fired now."""
    changed = replace(alert, silenced_by=None, silenced_until=None)
    return _step(alert, changed, Transition.SILENCE_ENDED, at, None, reason=alert.reason)


def stepped(alert: Alert | None, changed: Alert, transition: Transition, at: datetime) -> Step:
    """The step to ``changed``, which Deskpulse takes by itself: with the reason, the next version and its event."""
    return _step(alert, changed, transition, at, None)


def _fired(alert: Alert | None, event: SlaEvent, at: datetime, url: str | None) -> Step:
    broken = event.kind is SlaKind.BREACHED
    severity = Severity.CRITICAL if broken else Severity.WARNING
    if alert is None or alert.state is AlertState.RESOLVED:
        opened = _opened(event, severity, AlertState.FIRING, at, url)
        return _step(alert, opened, Transition.BREACHED if broken else Transition.WARNED, at, None)
    worse = broken and alert.severity is not Severity.CRITICAL
    changed = _told(alert, event, severity, url)
    if broken and not worse:
        return _corrected(alert, changed, at)
    if worse:
        changed = replace(
            changed, state=AlertState.FIRING, acknowledged_by=None, acknowledged_at=None, snoozed_until=None
        )
    return _step(alert, changed, Transition.BREACHED if broken else Transition.WARNED_AGAIN, at, None)


def _ended(alert: Alert | None, event: SlaEvent, at: datetime, url: str | None) -> Step:
    reason = _reason(event)
    severity = alert.severity if alert is not None else _severity_of_the_end(event)
    if alert is None:
        # What it ends was never seen here. It is kept, so that the record is complete and older news stays old.
        ended = _opened(event, severity, AlertState.RESOLVED, at, url)
        return _step(None, replace(ended, ends_at=event.detected_at), reason, at, None)
    if alert.state is AlertState.RESOLVED:
        by_hand = alert.reason is Transition.RESOLVED_BY_HAND and reason is not Transition.RETRACTED
        if not by_hand and alert.reason is reason and event.breached_at not in (None, alert.breached_at):
            return _corrected(alert, replace(_told(alert, event, severity, url), due_at=alert.due_at), at)
        if by_hand or alert.reason is reason:
            return Step(alert, replace(alert, revision=event.revision), None)
    if event.breached_at is not None:
        severity = Severity.CRITICAL
    changed = replace(
        _told(alert, event, severity, url),
        state=AlertState.RESOLVED,
        ends_at=event.detected_at,
        snoozed_until=None,
        due_at=event.due_at or alert.due_at,
        breached_at=None if reason is Transition.RETRACTED else event.breached_at or alert.breached_at,
    )
    return _step(alert, changed, reason, at, None)


def _corrected(alert: Alert, changed: Alert, at: datetime) -> Step:
    """The same alert with other numbers, since an event that came late changed them."""
    return _step(alert, changed, Transition.CORRECTED, at, None, reason=alert.reason)


def _reason(event: SlaEvent) -> Transition:
    if event.kind is SlaKind.FULFILLED:
        return Transition.FULFILLED_IN_TIME if event.breached_at is None else Transition.FULFILLED_LATE
    return Transition.CANCELLED if event.kind is SlaKind.CANCELLED else Transition.RETRACTED


def _severity_of_the_end(event: SlaEvent) -> Severity:
    return Severity.WARNING if event.breached_at is None else Severity.CRITICAL


def _opened(event: SlaEvent, severity: Severity, state: AlertState, at: datetime, url: str | None) -> Alert:
    return Alert(
        alert_id=event_id("alerts", event.instance, str(event.revision)),
        fingerprint=event.instance,
        state=state,
        severity=severity,
        reason=Transition.WARNED,
        title=wording.title(event),
        detail=wording.detail(event),
        labels=_labels(event, severity),
        starts_at=event.detected_at,
        updated_at=at,
        revision=event.revision,
        version=0,
        due_at=event.due_at,
        breached_at=event.breached_at,
        detected_at=event.detected_at,
        evidence=(Evidence(event.source, event.ticket_id, url),),
        runbook=RUNBOOKS[severity],
    )


def _told(alert: Alert, event: SlaEvent, severity: Severity, url: str | None) -> Alert:
    return replace(
        alert,
        severity=severity,
        title=wording.title(event),
        detail=wording.detail(event),
        labels=_labels(event, severity),
        revision=event.revision,
        due_at=event.due_at,
        breached_at=event.breached_at,
        detected_at=event.detected_at,
        evidence=(Evidence(event.source, event.ticket_id, url),),
        runbook=RUNBOOKS[severity],
    )


def _labels(event: SlaEvent, severity: Severity) -> dict[str, str]:
    who = event.ticket
    known = {
        "source": event.source,
        "metric": event.metric.value,
        "policy": event.policy,
        "severity": severity.value,
        "priority": who.priority.value if who.priority else None,
        "channel": who.channel,
        "team": who.team,
        "agent": who.agent,
        "brand": who.brand,
        "tier": who.tier,
    }
    return {name: value for name, value in known.items() if value is not None}


def _step(
    before: Alert | None,
    changed: Alert,
    transition: Transition,
    at: datetime,
    actor: str | None,
    reason: Transition | None = None,
) -> Step:
    """``reason`` is why the alert stands as it does; by default the transition itself."""
    continued = before is not None and before.alert_id == changed.alert_id
    after = replace(changed, reason=reason or transition, updated_at=at, version=changed.version + 1)
    event = AlertEvent(
        event_id=event_id("alerts", after.alert_id, str(after.version)),
        occurred_at=at,
        transition=transition,
        alert=after,
        previous=before.state if before is not None and continued else None,
        actor=actor,
    )
    return Step(before, after, event)
