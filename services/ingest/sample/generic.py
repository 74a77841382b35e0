"""The canonical event itself."""

from __future__ import annotations

from typing import Any

from services.ingest.sample.case import TAG, Case, Sample, posted


def opened(case: Case) -> dict[str, Any]:
    """The event of a ticket that a customer opened."""
    return {
        "event_id": f"{case.name}-opened",
        "kind": "ticket.created",
        "ticket_id": case.name,
        "occurred_at": case.opened,
        "actor": {"kind": "customer"},
        "ticket": {
            "status": "open",
            "priority": "urgent",
            "channel": "email",
            "tags": [TAG],
            "created_at": case.opened,
        },
    }


def removed(case: Case) -> dict[str, Any]:
    """The event of its deletion."""
    return {
        "event_id": f"{case.name}-removed",
        "kind": "ticket.deleted",
        "ticket_id": case.name,
        "occurred_at": case.sent,
    }


def created(case: Case) -> Sample:
    """One event in each request."""
    return Sample(posted(opened(case)), posted(removed(case)))
