"""What Zoho Desk's arrays mean."""

from typing import Any

MEANING: dict[str, list[dict[str, Any]]] = {
    "Ticket_Add_doc_shape.json": [
        {"kind": "ticket.created", "ticket_id": "ticket-1", "occurred_at": "2023-11-14T22:13:20Z"}
    ],
    "Ticket_Update_reopen.json": [
        {
            "kind": "status.changed",
            "ticket_id": "31138000011967402",
            "occurred_at": "2021-04-15T13:34:27.780000Z",
            "status": {"to": "open", "previous": "on_hold"},
            "ticket.agent": "31138000000125009",
            "ticket.team": "31138000000006907",
            "ticket.priority": "high",
        }
    ],
}
REFUSED: dict[str, str] = {}
