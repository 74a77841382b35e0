"""What Intercom's published bodies mean."""

from typing import Any

MEANING: dict[str, list[dict[str, Any]]] = {
    "ticket.admin.assigned.json": [
        {
            "kind": "assignment.changed",
            "ticket_id": "215472629311235",
            "occurred_at": "2026-01-11T06:53:09Z",
            "assignment": {"agent": "9608799"},
            "ticket.status": "new",
            "ticket.team": None,
            "ticket.channel": "chat",
            "actor": {"kind": "agent", "id": "9608799"},
        }
    ],
    "ticket.note.created.json": [
        {
            "kind": "message.added",
            "message": {"id": "37404518759", "visibility": "private", "author": "agent"},
            "ticket_id": "215472629353977",
        }
    ],
    "ticket.state.updated.json": [],
    "zulip_conversation_admin_closed.json": [
        {
            "kind": "status.changed",
            "status": {"to": "closed"},
            "occurred_at": "2019-03-22T21:49:49Z",
            "ticket_id": "21322009097",
            "ticket.agent": "1957471",
            "ticket.created_at": "2019-03-22T21:42:13Z",
        }
    ],
    "zulip_conversation_admin_noted.json": [
        {"kind": "message.added", "message": {"id": "2826904904", "visibility": "private", "author": "agent"}}
    ],
    "zulip_conversation_admin_opened.json": [{"kind": "status.changed", "status": {"to": "open"}}],
    "zulip_conversation_admin_replied.json": [
        {"kind": "message.added", "message": {"id": "2824382500", "author": "agent"}, "actor.id": "1957471"}
    ],
    "zulip_conversation_admin_single_created.json": [
        {"kind": "ticket.created", "actor": {"kind": "agent", "id": "1957471"}, "ticket.status": "closed"}
    ],
    "zulip_conversation_admin_snoozed.json": [{"kind": "status.changed", "status": {"to": "pending"}}],
    "zulip_conversation_admin_unsnoozed.json": [
        {"kind": "status.changed", "status": {"to": "open", "previous": "pending"}}
    ],
    "zulip_conversation_part_tag_created.json": [
        {
            "kind": "tags.changed",
            "tags": {"added": ["developer"]},
            "ticket.agent": None,
            "occurred_at": "2019-03-23T22:05:44Z",
        }
    ],
    "zulip_conversation_user_replied.json": [
        {"kind": "message.added", "message": {"id": "2824391734", "author": "customer"}}
    ],
    "zulip_ping.json": [],
    "contact_webhook_whdb.json": [],
    "zulip_company_created.json": [],
    "zulip_contact_added_email.json": [],
    "zulip_contact_created.json": [],
    "zulip_contact_signed_up.json": [],
    "zulip_contact_tag_created.json": [],
    "zulip_contact_tag_deleted.json": [],
    "zulip_user_deleted.json": [],
    "zulip_user_tag_deleted.json": [],
    "zulip_user_unsubscribed.json": [],
}
REFUSED: dict[str, str] = {}
