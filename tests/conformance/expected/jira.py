"""What Jira's published bodies mean."""

from typing import Any

_REPORTERS_COMMENT: list[dict[str, Any]] = [
    {
        "kind": "message.added",
        "ticket_id": "BUG-15",
        "occurred_at": "2013-03-27T17:05:34.250000Z",
        "message": {"id": "10400", "author": "customer"},
        "ticket.status": "open",
    }
]
_SEVENTH: list[dict[str, Any]] = [
    {
        "kind": "message.added",
        "ticket_id": "TEST-7",
        "occurred_at": "2013-10-01T21:03:00.964000Z",
        "message": {"id": "10002", "author": "customer"},
    }
]

MEANING: dict[str, list[dict[str, Any]]] = {
    "zulip_change_status_v2.json": [
        {
            "kind": "status.changed",
            "ticket_id": "TEST-1",
            "status": {"to": "open", "previous": "new"},
            "occurred_at": "2017-01-30T17:32:14.721000Z",
            "ticket.created_at": "2017-01-30T17:30:41.962000Z",
            "ticket.priority": "normal",
            "ticket.agent": None,
        }
    ],
    "zulip_comment_created.json": [
        {
            "kind": "message.added",
            "ticket_id": "SP-1",
            "message": {"id": "10000", "author": "agent"},
            "actor.id": "5c76b994e1bcdf6294d0eb0f",
            "occurred_at": "2019-08-16T14:00:17.153000Z",
        }
    ],
    "zulip_comment_deleted_v2.json": [],
    "zulip_comment_edited_v2.json": [],
    "zulip_comment_updated.json": [],
    "zulip_commented_markup_v1.json": _SEVENTH,
    "zulip_commented_markup_v2.json": _SEVENTH,
    "zulip_commented_v1.json": _REPORTERS_COMMENT,
    "zulip_commented_v2.json": _REPORTERS_COMMENT,
    "zulip_commented_v2_with_two_full_links.json": _REPORTERS_COMMENT,
    "zulip_created_assignee_v2.json": [
        {
            "kind": "ticket.created",
            "ticket_id": "TEST-4",
            "occurred_at": "2013-09-06T15:20:24.101000Z",
            "ticket.status": "new",
            "ticket.priority": "normal",
            "ticket.agent": "leo",
        }
    ],
    "zulip_created_with_unicode_v2.json": [
        {"kind": "ticket.created", "ticket_id": "BUG-15", "ticket.status": "open", "ticket.agent": None}
    ],
    "zulip_deleted_v1.json": [
        {"kind": "ticket.deleted", "ticket_id": "BUG-15", "occurred_at": "2013-03-27T17:06:09.102000Z"}
    ],
    "zulip_reassigned_v1.json": [{"kind": "assignment.changed", "assignment": {"agent": "lfranchi"}}],
    "zulip_updated_priority_v2.json": [
        {"kind": "priority.changed", "priority": {"to": "normal", "previous": "high"}, "ticket.status": "new"}
    ],
}
REFUSED = {
    "zulip_comment_created_no_issue_details.json": "missing_field",
    "zulip_example_anomalous_payload.json": "unsupported_format",
    "zulip_unknown_v2.json": "unknown_type",
}
