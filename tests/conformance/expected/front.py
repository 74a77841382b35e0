"""What Front's captured webhooks mean."""

from typing import Any

MEANING: dict[str, list[dict[str, Any]]] = {
    "app_conversation_archived.json": [
        {
            "kind": "status.changed",
            "ticket_id": "cnv_1033w6l0",
            "occurred_at": "2023-09-05T18:53:20.063000Z",
            "status": {"to": "solved"},
            "actor": {"kind": "agent", "id": "tea_a0lec"},
            "ticket.agent": "tea_a0lec",
            "ticket.channel": "email",
        }
    ],
    "app_inbound_received.json": [
        {
            "kind": "ticket.created",
            "ticket_id": "cnv_1042nr10",
            "occurred_at": "2023-09-07T00:27:50.978000Z",
            "ticket.status": "open",
            "ticket.agent": None,
            "ticket.team": "inb_axnro",
        },
        {"kind": "message.added", "message": {"id": "msg_1sagx9sk", "author": "customer", "opening": True}},
    ],
    "zulip_conversation_assigned.json": [
        {
            "kind": "assignment.changed",
            "assignment": {"agent": "tea_40z6"},
            "actor": {"kind": "agent", "id": "tea_40yq"},
        }
    ],
    "zulip_conversation_assigned_reply.json": [
        {
            "kind": "assignment.changed",
            "assignment": {"agent": "tea_40yq"},
            "occurred_at": "2018-02-11T00:35:27.693000Z",
        }
    ],
    "zulip_conversation_deleted.json": [{"kind": "ticket.deleted", "ticket_id": "cnv_keo696"}],
    "zulip_conversation_reopened.json": [{"kind": "status.changed", "status": {"to": "open"}}],
    "zulip_conversation_tagged.json": [{"kind": "tags.changed", "tags": {"added": ["Urgent"]}}],
    "zulip_conversation_untagged.json": [{"kind": "tags.changed", "tags": {"removed": ["Urgent"]}, "ticket.tags": []}],
    "zulip_gmail.json": [{"kind": "status.changed", "status": {"to": "solved"}, "actor": {"kind": "system"}}],
    "zulip_inbound_message.json": [
        {"kind": "ticket.created", "occurred_at": "2018-02-11T00:33:23.872000Z", "actor.kind": "customer"},
        {"kind": "message.added", "message": {"id": "msg_1176r8y", "author": "customer", "opening": True}},
    ],
    "zulip_mention.json": [
        {"kind": "message.added", "message": {"id": "com_shgbu", "visibility": "private", "author": "agent"}}
    ],
    "zulip_mention_all.json": [
        {"kind": "message.added", "message": {"id": "com_shgaq", "visibility": "private", "author": "agent"}}
    ],
    "zulip_outbound_reply.json": [
        {
            "kind": "message.added",
            "message": {"id": "msg_1176ryy", "author": "agent"},
            "actor": {"kind": "agent", "id": "tea_40yq"},
            "occurred_at": "2018-02-11T00:35:42.896000Z",
        }
    ],
    "zulip_rule.json": [
        {"kind": "assignment.changed", "assignment": {"agent": "tea_40z6"}, "actor": {"kind": "system"}}
    ],
}
REFUSED: dict[str, str] = {}
