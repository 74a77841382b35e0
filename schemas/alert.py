"""AlertEvent v1: every transition of every alert. Topic ``helpdesk.alerts.v1``, key ``alert_id``."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from schemas.instant import Instant, Number


class AlertState(StrEnum):
    """The lifecycle. ``resolved`` is final: what fires again later is a new alert of the same fingerprint."""

    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    RESOLVED = "resolved"


class Severity(StrEnum):
    """How loud: a breach is critical, a promise in danger a warning."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Transition(StrEnum):
    """Why an alert changed: the named reason of every step, in the log, the API and the message. ``corrected`` changes
    the numbers of an alert (when the promise broke, say) and not what it says. ``fired``, ``cleared`` and
    ``rule_removed`` are those of rules on KPIs. ``escalated`` tells further people, since nobody took it on.
    ``silenced`` and ``silence_ended`` are those of silences: between the two nobody is told anything but its end."""

    WARNED = "warned"
    WARNED_AGAIN = "warned_again"
    BREACHED = "breached"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    SNOOZE_ENDED = "snooze_ended"
    RESOLVED_BY_HAND = "resolved_by_hand"
    FULFILLED_IN_TIME = "fulfilled_in_time"
    FULFILLED_LATE = "fulfilled_late"
    CANCELLED = "cancelled"
    RETRACTED = "retracted"
    CORRECTED = "corrected"
    FIRED = "fired"
    CLEARED = "cleared"
    RULE_REMOVED = "rule_removed"
    ESCALATED = "escalated"
    SILENCED = "silenced"
    SILENCE_ENDED = "silence_ended"


class Evidence(Struct, frozen=True, omit_defaults=True):
    """A ticket that shows what the alert says, with a link into the helpdesk where the source has one."""

    source: str
    ticket_id: str
    url: str | None = None


class Cause(StrEnum):
    """What explains a change of a KPI against an earlier window."""

    LOAD_ON_EVERYBODY = "load_on_everybody"
    """More work than before, and everybody moved alike."""
    LOAD_ON_ONE = "load_on_one"
    """One part has more work than before, and drives the change."""
    MIX = "mix"
    """Other work than before: the shares of the parts moved, and not how each one fares."""
    ONE_PART = "one_part"
    """One part drives the change, without more work than the others got."""
    EVERYWHERE = "everywhere"
    """Everybody moved alike, without more work."""
    AS_BEFORE = "as_before"
    """It was no better before: a level, not a change."""
    UNCLEAR = "unclear"
    """No part stands out, and they did not move alike."""
    TOO_FEW = "too_few"
    NOTHING_TO_COMPARE = "nothing_to_compare"


class Part(Struct, frozen=True, omit_defaults=True):
    """What one segment brings to the change: ``volume`` by its share of the work, ``rate`` by how it fares, both in the
    unit of what changed. ``now`` and ``then`` are its own; of a percentile the share of cases above the whole's one
    before."""

    segment: str
    volume: float
    rate: float
    now: float | None = None
    then: float | None = None


class Why(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What explains a KPI: ``said`` is for people. ``now`` and ``then`` are the statistic over a window of ``window_s``
    seconds and the one that ended ``ago_s`` earlier; ``parts`` are the largest of the cut ``by``."""

    cause: Cause
    said: str
    window_s: Number
    ago_s: Number
    now: float | None = None
    then: float | None = None
    by: str | None = None
    parts: tuple[Part, ...] = ()
    created: Number | None = None
    created_then: Number | None = None
    backlog: Number | None = None
    backlog_then: Number | None = None


class Alert(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An alert as it stands.

    ``fingerprint`` names what it is about (for SLA alerts the timer instance, for rules rule and segment) and is stable
    over its life. ``labels`` are what routes match. ``breached_at`` is when the promise broke, ``detected_at`` when we
    knew. Of rules: ``value`` was observed when the alert last changed, ``baseline`` is what it was compared with, both
    in seconds, as a share or as a number; ``query`` is the path of the query API that shows it, ``why`` what explained
    it when it fired. ``escalated`` counts the steps taken since nobody took it on, ``escalates_at`` is when the next
    one is due. ``silenced_by`` is the id of the silence that keeps it from being told, until ``silenced_until``.
    """

    alert_id: str
    fingerprint: str
    state: AlertState
    severity: Severity
    reason: Transition
    title: str
    detail: str
    labels: dict[str, str]
    starts_at: Instant
    updated_at: Instant
    revision: Number
    version: Number
    ends_at: Instant | None = None
    due_at: Instant | None = None
    breached_at: Instant | None = None
    detected_at: Instant | None = None
    acknowledged_by: str | None = None
    acknowledged_at: Instant | None = None
    snoozed_until: Instant | None = None
    escalated: Number = 0
    escalates_at: Instant | None = None
    silenced_by: str | None = None
    silenced_until: Instant | None = None
    evidence: tuple[Evidence, ...] = ()
    runbook: str | None = None
    value: float | None = None
    baseline: float | None = None
    query: str | None = None
    why: Why | None = None


class AlertEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One transition: the alert after it, and why. ``event_id`` is the uuid5 of alert and version."""

    event_id: str
    occurred_at: Instant
    transition: Transition
    alert: Alert
    previous: AlertState | None = None
    actor: str | None = None
