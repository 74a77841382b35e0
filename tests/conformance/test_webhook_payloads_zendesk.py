"""Zendesk payloads as published or composed from its documentation: each means what it says, or is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.codec import decode_ticket, encode
from schemas.failure import Invalid
from schemas.instant import parse_rfc3339
from services.ingest.delivery import Delivery, SourceSettings
from services.ingest.normalise import normalise
from tests.conformance.cases import MISSING, folder

FOLDER = folder()
if FOLDER is None:
    pytest.skip(MISSING, allow_module_level=True)
CASES = FOLDER / "webhooks"

FOLDERS = ("zendesk", "_composed/zendesk")
RECEIVED = parse_rfc3339("2026-03-25T11:00:00Z")

MEANING: dict[str, list[dict[str, Any]]] = {
    "ticket.created.json": [
        {
            "kind": "ticket.created",
            "occurred_at": "2025-01-08T10:12:07.672717Z",
            "ticket.status": "open",
            "ticket.priority": "low",
            "ticket.channel": "api",
            "ticket.tags": ["ticket-info-test-tag"],
            "ticket.created_at": "2025-01-08T10:12:07Z",
        }
    ],
    "ticket.agent_assignment_changed.json": [
        {"kind": "assignment.changed", "assignment": {"agent": "8447388090496"}, "ticket.priority": "urgent"}
    ],
    "ticket.custom_status_changed.json": [
        {
            "kind": "ticket.updated",
            "sequence": 1,
            "ticket.status": "open",
            "ticket.priority": None,
            "ticket.agent": None,
        }
    ],
    "messaging_ticket.message_added.json": [
        {"kind": "message.added", "ticket_id": "141", "message.author": "bot", "actor.kind": "bot", "ticket": {}}
    ],
    "ticket.attachment_linked_to_comment.json": [],
    "user_group_membership_created.json": [],
    "ticket.comment_added_min.json": [
        {"kind": "message.added", "message": {"id": "999", "author": "customer"}, "actor.kind": "customer"}
    ],
    "ticket.comment_added_private_agent.json": [
        {"kind": "message.added", "message": {"id": "1000", "visibility": "private", "author": "agent"}}
    ],
    "ticket.merged.json": [{"kind": "ticket.merged", "merge": {"into": "5200"}, "ticket_id": "5158"}],
    "ticket.status_changed_min.json": [
        {"kind": "status.changed", "status": {"to": "solved", "previous": "open"}, "ticket.status": "solved"}
    ],
    "ticket.tags_changed.json": [
        {"kind": "tags.changed", "tags": {"added": ["vip"], "removed": ["ticket-info-test-tag"]}}
    ],
}
REFUSED = {
    "trigger_events_agent_assignment_changed.json": "unsupported_format",
    "trigger_ticket_update.json": "unsupported_format",
}


def _payloads() -> list[Any]:
    return [
        pytest.param(path, id=f"{name}/{path.name}")
        for name in FOLDERS
        for path in sorted((CASES / name).glob("*.json"))
    ]


def made(path: Path) -> list[dict[str, Any]]:
    delivery = Delivery("zendesk", "zendesk", {}, path.read_bytes(), RECEIVED)
    return [msgspec.json.decode(encode(event)) for event in normalise(delivery, SourceSettings(b"key"))]


def at(event: dict[str, Any], path: str) -> Any:
    value: Any = event
    for part in path.split("."):
        value = value[part]
    return value


def test_every_payload_has_a_meaning_here() -> None:
    names = {param.values[0].name for param in _payloads()}
    assert names <= MEANING.keys() | REFUSED.keys()
    assert names, "the folder of acceptance cases holds no Zendesk payload"


@pytest.mark.parametrize("path", _payloads())
def test_a_payload_means_what_it_says_or_is_refused_by_name(path: Path) -> None:
    if path.name in REFUSED:
        with pytest.raises(Invalid) as caught:
            made(path)
        assert caught.value.reason.value == REFUSED[path.name]
        assert len(caught.value.detail) > 20
        return
    events, expected = made(path), MEANING[path.name]
    assert len(events) == len(expected)
    for event, meaning in zip(events, expected, strict=True):
        assert {name: at(event, name) for name in meaning} == meaning
        assert decode_ticket(msgspec.json.encode(event)).key.startswith("zendesk:")
