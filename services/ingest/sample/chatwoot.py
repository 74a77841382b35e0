"""Chatwoot. It posts nothing when a conversation is deleted."""

from __future__ import annotations

from services.ingest.sample.case import TAG, Case, Sample, posted


def created(case: Case) -> Sample:
    """``conversation_created``."""
    sender = {"id": case.number, "name": "Deskpulse test", "type": "contact"}
    opened_s = case.opened_us // 1_000_000
    return Sample(
        posted(
            {
                "event": "conversation_created",
                "id": case.number,
                "channel": "Channel::Email",
                "status": "open",
                "priority": "urgent",
                "labels": [TAG],
                "messages": [],
                "meta": {"sender": sender, "assignee": None, "team": None},
                "created_at": opened_s,
                "updated_at": case.opened_us / 1e6,
                "timestamp": opened_s,
            }
        ),
        None,
    )
