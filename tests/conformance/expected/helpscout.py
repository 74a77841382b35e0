"""What Help Scout's published bodies mean. Each file is named after the event that its header held."""

from typing import Any

HEADERS = {
    "convo.deleted.json": {"x-helpscout-event": "convo.deleted"},
    "convo.status.json": {"x-helpscout-event": "convo.status"},
    "customer.updated.json": {"x-helpscout-event": "customer.updated"},
    "convo.assigned_active.json": {"x-helpscout-event": "convo.assigned"},
}
MEANING: dict[str, list[dict[str, Any]]] = {
    "convo.deleted.json": [{"kind": "ticket.deleted", "ticket_id": "123"}],
    "convo.status.json": [
        {
            "kind": "status.changed",
            "ticket_id": "123",
            "status": {"to": "closed"},
            "occurred_at": "2017-04-21T14:43:24Z",
            "ticket.agent": "256",
            "ticket.tags": ["vip"],
            "ticket.channel": "email",
            "ticket.created_at": "2017-04-21T14:39:56Z",
        }
    ],
    "customer.updated.json": [],
    "convo.assigned_active.json": [
        {"kind": "assignment.changed", "assignment": {"agent": "256"}, "ticket.status": "open"}
    ],
}
REFUSED: dict[str, str] = {}
