"""Intercom."""

from __future__ import annotations

from typing import Any

from services.ingest.sample.case import SUBJECT, TAG, Case, Post, Sample, posted


def created(case: Case) -> Sample:
    """A customer's conversation, marked as a priority, and its deletion."""
    opened_s, customer = case.opened_us // 1_000_000, {"type": "user", "id": str(case.number)}
    talk = {
        "type": "conversation",
        "id": str(case.number),
        "created_at": opened_s,
        "updated_at": opened_s,
        "source": {"type": "email", "id": "1", "delivered_as": "customer_initiated", "subject": SUBJECT}
        | {"author": customer},
        "contacts": {"type": "contact.list", "contacts": [{"type": "contact", "id": str(case.number)}]},
        "admin_assignee_id": None,
        "team_assignee_id": None,
        "open": True,
        "state": "open",
        "priority": "priority",
        "tags": {"type": "tag.list", "tags": [{"type": "tag", "id": "0", "name": TAG}]},
        "conversation_parts": {"type": "conversation_part.list", "conversation_parts": [], "total_count": 0},
    }
    gone = {"type": "conversation", "id": str(case.number)}
    return Sample(
        _notice(case, "conversation.user.created", opened_s, talk),
        _notice(case, "conversation.deleted", case.sent_us // 1_000_000, gone),
    )


def _notice(case: Case, topic: str, at_s: int, item: dict[str, Any]) -> Post:
    return posted(
        {
            "type": "notification_event",
            "app_id": TAG,
            "id": f"notif_{case.number}_{topic}",
            "topic": topic,
            "data": {"type": "notification_event_data", "item": item},
            "delivery_attempts": 1,
            "first_sent_at": at_s,
            "created_at": at_s,
        }
    )
