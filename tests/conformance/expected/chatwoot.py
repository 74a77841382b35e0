"""What Chatwoot's published and composed webhooks mean."""

from typing import Any

MEANING: dict[str, list[dict[str, Any]]] = {
    "message_created_incoming.json": [
        {
            "kind": "message.added",
            "ticket_id": "42",
            "occurred_at": "2026-05-18T00:00:00Z",
            "message": {"id": "123", "author": "customer"},
            "ticket.channel": "api",
            "ticket.status": "open",
        }
    ],
    "conversation_status_changed.json": [
        {
            "kind": "status.changed",
            "ticket_id": "1532",
            "occurred_at": "2024-07-03T09:46:40.123000Z",
            "status": {"to": "pending", "previous": "open"},
        }
    ],
    "conversation_updated_assignee_priority.json": [
        {"kind": "priority.changed", "priority": {"to": "high"}, "ticket.priority": "high"},
        {"kind": "assignment.changed", "assignment": {"agent": "7"}, "ticket.agent": "7"},
    ],
    "message_created_private_note.json": [
        {
            "kind": "message.added",
            "message": {"id": "124", "visibility": "private", "author": "agent"},
            "actor": {"kind": "agent", "id": "7"},
        }
    ],
}
REFUSED: dict[str, str] = {}
