"""Freshdesk, by the template of the guide. Its automations cannot tell of a deletion."""

from __future__ import annotations

from services.ingest.sample.case import TAG, Case, Sample, posted


def created(case: Case) -> Sample:
    """The template for a new ticket."""
    return Sample(
        posted(
            {
                "schema": "freshdesk.v1",
                "event": "created",
                "triggered_event": "{ticket_action:created}",
                "ticket_id": str(case.number),
                "ticket_status": "Open",
                "ticket_priority": "Urgent",
                "ticket_type": "Question",
                "ticket_tags": TAG,
                "ticket_source": "Email",
                "ticket_agent_email": "",
                "ticket_group_name": "",
                "ticket_requester_email": "",
                "ticket_created_at": case.opened,
            }
        ),
        None,
    )
