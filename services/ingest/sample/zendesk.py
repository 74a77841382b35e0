"""Zendesk: an event subscription's webhooks, and a trigger's by the template of the guide."""

from __future__ import annotations

from services.ingest.sample.case import SUBJECT, TAG, Case, Post, Sample, posted


def event(case: Case) -> Sample:
    """``ticket.created`` and ``ticket.soft_deleted``."""
    return Sample(_told(case, "created", "NEW", case.opened), _told(case, "soft_deleted", "DELETED", case.sent))


def trigger(case: Case) -> Sample:
    """A trigger's new ticket. Triggers tell nothing of deletions; the event's webhook is taken for that."""
    opened = {
        "schema": "zendesk.trigger.v1",
        "event": "ticket.created",
        "ticket_id": str(case.number),
        "status": "New",
        "priority": "Urgent",
        "assignee_id": "",
        "group_id": "",
        "requester_id": str(case.number),
        "organization_id": "",
        "tags": TAG,
        "created_at": case.opened,
        "updated_at": case.opened,
        "current_user_id": str(case.number),
    }
    return Sample(posted(opened), event(case).removed)


def _told(case: Case, name: str, status: str, at: str) -> Post:
    detail = {
        "actor_id": str(case.number),
        "assignee_id": None,
        "brand_id": None,
        "created_at": case.opened,
        "custom_status": None,
        "description": SUBJECT,
        "group_id": None,
        "id": str(case.number),
        "is_public": True,
        "organization_id": None,
        "priority": "URGENT",
        "requester_id": str(case.number),
        "status": status,
        "subject": SUBJECT,
        "submitter_id": str(case.number),
        "tags": [TAG],
        "type": "QUESTION",
        "updated_at": at,
        "via": {"channel": "mail"},
    }
    body = {
        "account_id": 1,
        "detail": detail,
        "event": {},
        "id": f"{case.name}-{name}",
        "subject": f"zen:ticket:{case.number}",
        "time": at,
        "type": f"zen:event-type:ticket.{name}",
        "zendesk_event_version": "2022-11-06",
    }
    return posted(body, x_zendesk_webhook_invocation_id=f"{case.name}-{name}")
