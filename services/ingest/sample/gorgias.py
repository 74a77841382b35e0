"""Gorgias, by the template of the guide."""

from __future__ import annotations

from services.ingest.sample.case import TAG, Case, Post, Sample, posted


def created(case: Case) -> Sample:
    """A new ticket, and the same in the trash."""
    return Sample(_told(case, "ticket-created", case.opened), _told(case, "ticket-updated", case.sent, case.sent))


def _told(case: Case, event: str, updated: str, trashed: str = "None") -> Post:
    ticket = {
        "id": str(case.number),
        "status": "open",
        "priority": "critical",
        "channel": "email",
        "assignee_user_id": "None",
        "assignee_team_id": "None",
        "customer_id": str(case.number),
        "tags": TAG,
        "spam": "False",
        "created_datetime": case.opened,
        "updated_datetime": updated,
        "closed_datetime": "None",
        "snooze_datetime": "None",
        "trashed_datetime": trashed,
    }
    return posted({"schema": "gorgias.v1", "event": event, "ticket": ticket})
