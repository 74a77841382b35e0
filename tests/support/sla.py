"""SLA events for tests of alerts: one timer instance, one call each."""

from datetime import UTC, datetime, timedelta

from schemas.sla import Holder, SlaEvent, SlaKind, SlaMetric
from schemas.ticket import Priority, Status, event_id

DUE = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
FOUND = DUE + timedelta(seconds=0.2)


def announcement(
    kind: SlaKind,
    revision: int = 1,
    *,
    ticket_id: str = "5158",
    metric: SlaMetric = SlaMetric.FIRST_RESPONSE,
    cycle: int = 1,
    detected_at: datetime = FOUND,
    due_at: datetime | None = DUE,
    breached_at: datetime | None = None,
    fulfilled_at: datetime | None = None,
    threshold: str | None = None,
    calendar: str | None = None,
    elapsed_s: float = 675,
    team: str | None = "Billing",
) -> SlaEvent:
    """An SLA event about ticket 5158 of the source ``zendesk``, urgent, promised within 15 minutes."""
    if kind is SlaKind.BREACHED and breached_at is None:
        breached_at = DUE
    return SlaEvent(
        event_id=event_id("zendesk", "sla", ticket_id, metric.value, str(cycle), str(revision)),
        kind=kind,
        source="zendesk",
        ticket_id=ticket_id,
        metric=metric,
        cycle=cycle,
        revision=revision,
        policy="vip",
        target_s=900,
        elapsed_s=elapsed_s,
        detected_at=detected_at,
        due_at=due_at,
        breached_at=breached_at,
        fulfilled_at=fulfilled_at,
        threshold=threshold,
        calendar=calendar,
        ticket=Holder(status=Status.OPEN, priority=Priority.URGENT, channel="email", team=team),
    )
