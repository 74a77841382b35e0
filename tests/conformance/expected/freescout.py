"""What the published approximation of a FreeScout body means."""

from typing import Any

HEADERS = {"convo.created_approx.json": {"x-freescout-event": "convo.created"}}
MEANING: dict[str, list[dict[str, Any]]] = {
    "convo.created_approx.json": [
        {
            "kind": "ticket.created",
            "ticket_id": "123",
            "occurred_at": "2026-01-01T12:00:00Z",
            "ticket.status": "open",
            "ticket.channel": "email",
            "ticket.team": "1",
        }
    ]
}
REFUSED: dict[str, str] = {}
