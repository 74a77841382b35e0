"""Front, as an application's webhooks have it."""

from __future__ import annotations

from typing import Any

from services.ingest.sample.case import SUBJECT, TAG, Case, Post, Sample, posted


def created(case: Case) -> Sample:
    """A customer's message that opens a conversation, and the conversation trashed."""
    opened_s = case.opened_us / 1e6
    message = {"id": f"msg_{case.number}", "type": "email", "is_inbound": True, "created_at": opened_s, "author": None}
    talk = {
        "id": f"cnv_{case.number}",
        "subject": SUBJECT,
        "status": "unassigned",
        "assignee": None,
        "recipient": {"handle": "deskpulse-test@example.com", "role": "from"},
        "tags": [{"id": "tag_0", "name": TAG}],
        "last_message": message,
        "created_at": opened_s,
        "is_private": False,
    }
    opened = {
        "id": f"evt_{case.number}1",
        "type": "inbound",
        "emitted_at": opened_s,
        "conversation": talk,
        "source": {"_meta": {"type": "inboxes"}, "data": []},
        "target": {"_meta": {"type": "message"}, "data": message},
    }
    removed = {
        "id": f"evt_{case.number}2",
        "type": "trash",
        "emitted_at": case.sent_us / 1e6,
        "conversation": talk | {"status": "deleted"},
        "source": {"_meta": {"type": "gmail"}},
    }
    return Sample(_of("inbound_received", opened), _of("conversation_deleted", removed))


def _of(name: str, event: dict[str, Any]) -> Post:
    return posted({"type": name, "authorization": {"id": "cmp_0"}, "payload": event})
