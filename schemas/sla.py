"""SlaEvent v1: what an SLA timer wants the world to know. Topic ``helpdesk.sla.v1``, key ``source:ticket_id``."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from schemas.instant import Instant, Number
from schemas.ticket import Priority, Status


class SlaKind(StrEnum):
    """``fulfilled`` and ``cancelled`` are sent only for a timer that was warned of or breached before."""

    WARNING = "sla.warning"
    BREACHED = "sla.breached"
    FULFILLED = "sla.fulfilled"
    CANCELLED = "sla.cancelled"
    RETRACTED = "sla.retracted"


class SlaMetric(StrEnum):
    """What a timer measures; definitions in docs/kpis.md (Zendesk's metrics, semantics of GitLab's table)."""

    FIRST_RESPONSE = "first_response"
    NEXT_RESPONSE = "next_response"
    REQUESTER_WAIT = "requester_wait"
    AGENT_WORK = "agent_work"
    RESOLUTION = "resolution"
    PERIODIC_UPDATE = "periodic_update"
    PAUSABLE_UPDATE = "pausable_update"
    GROUP_OWNERSHIP = "group_ownership"


class Holder(Struct, frozen=True, omit_defaults=True):
    """The ticket's attributes when the event was sent: what alerts are routed and filtered by."""

    status: Status | None = None
    priority: Priority | None = None
    channel: str | None = None
    team: str | None = None
    agent: str | None = None
    brand: str | None = None
    tier: str | None = None


class SlaEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One announcement of one timer instance.

    ``revision`` counts the announcements of this instance (metric and cycle) from 1: a consumer that has seen
    revision n ignores n and below, so redelivery and replay are harmless. ``breached_at`` is when the promise
    broke, ``detected_at`` the partition clock that found it. Seconds are of the timer's own clock (business or
    calendar, by the policy).
    """

    event_id: str
    kind: SlaKind
    source: str
    ticket_id: str
    metric: SlaMetric
    cycle: Number
    revision: Number
    policy: str
    target_s: float
    elapsed_s: float
    detected_at: Instant
    due_at: Instant | None = None
    breached_at: Instant | None = None
    fulfilled_at: Instant | None = None
    threshold: str | None = None
    calendar: str | None = None
    ticket: Holder = Holder()

    @property
    def key(self) -> str:
        """The partition key, the same as the ticket's."""
        return f"{self.source}:{self.ticket_id}"

    @property
    def instance(self) -> str:
        """The timer instance: what one alert is about."""
        return f"{self.source}:{self.ticket_id}:{self.metric.value}:{self.cycle}"
