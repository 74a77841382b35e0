"""Zoho Desk."""

from __future__ import annotations

from typing import Any

from services.ingest.sample.case import SUBJECT, Case, Post, Sample, posted


def created(case: Case) -> Sample:
    """``Ticket_Add`` and ``Ticket_Delete``."""
    ticket = {
        "id": str(case.number),
        "ticketNumber": str(case.number),
        "subject": SUBJECT,
        "status": "Open",
        "statusType": "Open",
        "priority": "High",
        "channel": "Email",
        "departmentId": None,
        "assigneeId": None,
        "contactId": str(case.number),
        "createdTime": case.opened,
        "modifiedTime": case.opened,
    }
    return Sample(
        _told("Ticket_Add", case.opened_us, ticket), _told("Ticket_Delete", case.sent_us, {"id": str(case.number)})
    )


def _told(name: str, at_us: int, payload: dict[str, Any]) -> Post:
    return posted(
        [{"payload": payload, "prevState": None, "eventTime": str(at_us // 1000), "eventType": name, "orgId": "0"}]
    )
