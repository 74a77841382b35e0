"""What Gorgias's captured objects mean, as ``{{context}}`` renders them."""

from typing import Any

MEANING: dict[str, list[dict[str, Any]]] = {
    "ticket-message-created.json": [
        {
            "kind": "message.added",
            "ticket_id": "86538298",
            "occurred_at": "2024-02-14T21:49:40.308988Z",
            "message": {"id": "208841467", "author": "agent"},
            "actor": {"kind": "agent", "id": "387654483"},
        }
    ],
    "ticket-updated.json": [
        {
            "kind": "ticket.updated",
            "ticket_id": "86538410",
            "occurred_at": "2024-02-14T21:39:57.410619Z",
            "ticket.status": "open",
            "ticket.priority": "normal",
            "ticket.channel": "email",
            "ticket.agent": "387654483",
            "ticket.team": None,
            "ticket.created_at": "2024-02-14T21:31:12.367230Z",
        }
    ],
}
REFUSED: dict[str, str] = {}
