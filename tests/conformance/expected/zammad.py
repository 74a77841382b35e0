"""What Zammad's documented body, and bodies made from it, mean."""

from typing import Any

_CREATED: list[dict[str, Any]] = [
    {
        "kind": "ticket.created",
        "ticket_id": "81",
        "occurred_at": "2020-11-13T14:34:35.282000Z",
        "actor.kind": "customer",
        "ticket.status": "open",
        "ticket.priority": "normal",
        "ticket.channel": "voice",
        "ticket.team": "Service Desk",
        "ticket.agent": "5",
        "ticket.organisation": "3",
    },
    {
        "kind": "message.added",
        "occurred_at": "2020-11-13T14:34:35.318000Z",
        "message": {"id": "104", "author": "customer", "opening": True},
    },
]
MEANING: dict[str, list[dict[str, Any]]] = {
    "default_ticket_article.json": _CREATED,
    "with_sla_fields.json": _CREATED,
    "closed_without_article.json": [
        {"kind": "ticket.updated", "ticket.status": "closed", "occurred_at": "2020-11-13T15:00:00.100000Z"}
    ],
    "internal_note.json": [
        {"kind": "message.added", "message": {"id": "105", "visibility": "private", "author": "agent"}},
        {"kind": "ticket.updated", "ticket.status": "open"},
    ],
}
REFUSED = {"custom_payload_example.json": "unsupported_format"}
