"""What HubSpot's published and composed batches mean."""

from typing import Any

MEANING: dict[str, list[dict[str, Any]]] = {
    "doc_batch_contact.json": [],
    "sdk_contact.creation.json": [],
    "ticket.propertyChange_min.json": [],
    "ticket.propertyChange_batch.json": [
        {
            "kind": "status.changed",
            "ticket_id": "5577001",
            "occurred_at": "2024-07-03T09:46:40Z",
            "status": {"to": "closed"},
            "ticket": {"status": "closed"},
            "actor.kind": "agent",
        },
        {
            "kind": "priority.changed",
            "occurred_at": "2024-07-03T09:46:40.123000Z",
            "priority": {"to": "high"},
            "actor.kind": "system",
        },
        {"kind": "ticket.created", "occurred_at": "2024-07-03T09:46:39Z", "ticket": {}},
    ],
}
REFUSED: dict[str, str] = {}
