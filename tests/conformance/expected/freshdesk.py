"""What Freshdesk's published bodies mean."""

from typing import Any

MEANING: dict[str, list[dict[str, Any]]] = {
    "zulip_inline_images.json": [
        {"kind": "ticket.created", "ticket_id": "12", "ticket.status": "open", "ticket.priority": "urgent"}
    ],
    "zulip_ticket_created.json": [
        {"kind": "ticket.created", "ticket_id": "11", "ticket.status": "pending", "ticket.priority": "high"}
    ],
    "zulip_priority_changed.json": [{"kind": "priority.changed", "priority": {"to": "low", "previous": "high"}}],
    "zulip_public_note.json": [{"kind": "message.added", "message": {"author": "agent"}}],
    "zulip_status_changed.json": [{"kind": "status.changed", "status": {"to": "pending", "previous": "solved"}}],
    "recommended_template_rendered.json": [
        {
            "kind": "status.changed",
            "status": {"to": "solved", "previous": "open"},
            "ticket.channel": "email",
            "ticket.team": "Billing",
            "ticket.tags": ["login", "vip"],
        }
    ],
}
REFUSED = {"zulip_status_changed_fixture_with_missing_key.json": "missing_field"}
