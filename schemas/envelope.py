"""CloudEvents 1.0 in Kafka's binary mode: the attributes are ``ce_*`` headers, the value is the JSON alone.

https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/kafka-protocol-binding.md
"""

from __future__ import annotations

from schemas.alert import AlertEvent
from schemas.sla import SlaEvent
from schemas.ticket import TicketEvent

Headers = list[tuple[str, bytes]]

_CONSTANT: Headers = [("ce_specversion", b"1.0"), ("content-type", b"application/json")]


def ticket_headers(event: TicketEvent) -> Headers:
    """Headers of a TicketEvent: ``ce_type`` is ``deskpulse.helpdesk.<kind>.v1``."""
    return _headers(event.event_id, event.source, event.kind.value, event.occurred_at.isoformat(), partition=event.key)


def sla_headers(event: SlaEvent) -> Headers:
    """Headers of an SlaEvent."""
    return _headers(event.event_id, event.source, event.kind.value, event.detected_at.isoformat(), partition=event.key)


def alert_headers(event: AlertEvent) -> Headers:
    """Headers of an AlertEvent."""
    kind = f"alert.{event.transition.value}"
    return _headers(event.event_id, "alerts", kind, event.occurred_at.isoformat(), partition=event.alert.alert_id)


def _headers(event_id: str, source: str, kind: str, time: str, partition: str) -> Headers:
    return [
        *_CONSTANT,
        ("ce_id", event_id.encode()),
        ("ce_source", f"/deskpulse/sources/{source}".encode()),
        ("ce_type", f"deskpulse.helpdesk.{kind}.v1".encode()),
        ("ce_time", time.replace("+00:00", "Z").encode()),
        ("ce_partitionkey", partition.encode()),
    ]
