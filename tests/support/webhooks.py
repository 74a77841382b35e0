"""Signing webhooks as the senders do."""

from __future__ import annotations

import base64
import hmac
import json
from datetime import UTC, datetime
from typing import Any


def zendesk(body: bytes, secret: str, at: datetime | str | None = None) -> dict[str, str]:
    """The headers of a Zendesk webhook; ``at`` defaults to now."""
    timestamp = at if isinstance(at, str) else (at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
    digest = hmac.digest(secret.encode(), timestamp.encode() + body, "sha256")
    return {
        "content-type": "application/json",
        "x-zendesk-account-id": "4242",
        "x-zendesk-webhook-id": "01F1KRFQ6BG29CNWFR60NK5FNY",
        "x-zendesk-webhook-invocation-id": "8350205582",
        "x-zendesk-webhook-signature": base64.b64encode(digest).decode(),
        "x-zendesk-webhook-signature-timestamp": timestamp,
    }


def standard(body: bytes, key: bytes, delivery_id: str, at: datetime | str | None = None) -> dict[str, str]:
    """The headers of a Standard Webhooks delivery; ``key`` is what the secret decodes to."""
    timestamp = at if isinstance(at, str) else str(int((at or datetime.now(UTC)).timestamp()))
    digest = hmac.digest(key, f"{delivery_id}.{timestamp}.".encode() + body, "sha256")
    return {
        "content-type": "application/json",
        "webhook-id": delivery_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def status_changed(event_id: str, ticket_id: str = "1001", to: str = "SOLVED") -> bytes:
    """A Zendesk event subscription's body."""
    return json.dumps(_envelope(event_id, ticket_id, to)).encode()


def _envelope(event_id: str, ticket_id: str, to: str) -> dict[str, Any]:
    return {
        "account_id": 4242,
        "id": event_id,
        "type": "zen:event-type:ticket.status_changed",
        "subject": f"zen:ticket:{ticket_id}",
        "time": "2026-03-02T09:00:00.123456789Z",
        "zendesk_event_version": "2022-11-06",
        "detail": {"id": ticket_id, "status": to, "requester_id": "9001", "actor_id": "7001"},
        "event": {"current": to, "previous": "OPEN"},
    }
