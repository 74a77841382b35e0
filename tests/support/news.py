"""Events of alerts and the messages made of them, for tests of delivery."""

from datetime import UTC, datetime

from msgspec.structs import replace

from schemas import codec
from schemas.alert import Alert, AlertEvent
from schemas.sla import SlaKind
from services.alerts import digest, state
from services.alerts.message import Gathered, Notice
from services.alerts.state import Refusal, Step
from tests.support.sla import announcement

AT = datetime(2026, 3, 2, 10, 31, tzinfo=UTC)
URL = "https://desk.example/tickets/{}"


def fired(
    kind: SlaKind = SlaKind.BREACHED,
    before: Alert | None = None,
    revision: int = 1,
    *,
    ticket_id: str = "5158",
    team: str | None = "Billing",
) -> AlertEvent:
    """What an SLA event makes of an alert."""
    event = announcement(kind, revision, ticket_id=ticket_id, team=team)
    step = state.decide(before, event, AT, URL.format(ticket_id))
    assert step is not None
    assert step.event is not None
    return step.event


def acknowledged(alert: Alert, by: str = "ana") -> AlertEvent:
    """Somebody takes it on."""
    return done(state.acknowledge(alert, by, AT))


def done(step: Step | Refusal) -> AlertEvent:
    """The event of a step that was not refused."""
    assert isinstance(step, Step)
    assert step.event is not None
    return step.event


def odd(event: AlertEvent, title: str, detail: str = "") -> AlertEvent:
    """The event with other words."""
    alert = replace(event.alert, title=title, detail=detail or event.alert.detail)
    return replace(event, alert=alert)


def notice(event: AlertEvent, handle: str | None = None) -> Notice:
    """The message about one event."""
    return Notice(f"delivery-of-{event.event_id}", event, codec.encode(event), handle, handle is not None)


def gathered(*events: AlertEvent, handles: dict[str, str] | None = None) -> Gathered:
    """The message about many."""
    found = digest.compose("digest-1", "leads", events)
    return Gathered("digest-1", found, tuple(codec.encode(event) for event in found.events), handles or {})
