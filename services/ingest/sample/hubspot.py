"""HubSpot: an app's notifications, which name a change each."""

from __future__ import annotations

from typing import Any

from services.ingest.sample.case import Case, Sample, posted


def created(case: Case) -> Sample:
    """A creation with its priority, and the deletion."""
    opened_ms, sent_ms = case.opened_us // 1000, case.sent_us // 1000
    priority = {"propertyName": "hs_ticket_priority", "propertyValue": "URGENT"}
    return Sample(
        posted(
            [
                _change(case, 1, opened_ms, "creation"),
                _change(case, 2, opened_ms, "propertyChange") | priority,
            ]
        ),
        posted([_change(case, 3, sent_ms, "deletion")]),
    )


def _change(case: Case, place: int, at_ms: int, name: str) -> dict[str, Any]:
    return {
        "eventId": case.number * 10 + place,
        "subscriptionId": place,
        "portalId": 1,
        "appId": 1,
        "occurredAt": at_ms,
        "subscriptionType": f"ticket.{name}",
        "attemptNumber": 0,
        "objectId": case.number,
        "changeSource": "EMAIL_INTEGRATION",
    }
