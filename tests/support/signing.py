"""Signing webhooks as the senders do; written from their documents, apart from the code that verifies."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

Headers = dict[str, str]
JSON = {"content-type": "application/json"}


def zendesk(body: bytes, secret: str, at: datetime | str | None = None) -> Headers:
    """The headers of a Zendesk webhook; ``at`` defaults to now."""
    timestamp = at if isinstance(at, str) else (at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return JSON | {
        "x-zendesk-account-id": "4242",
        "x-zendesk-webhook-id": "01F1KRFQ6BG29CNWFR60NK5FNY",
        "x-zendesk-webhook-invocation-id": "8350205582",
        "x-zendesk-webhook-signature": _base64(secret, timestamp.encode() + body),
        "x-zendesk-webhook-signature-timestamp": timestamp,
    }


def standard(body: bytes, key: bytes, delivery_id: str, at: datetime | str | None = None) -> Headers:
    """The headers of a Standard Webhooks delivery; ``key`` is what the secret decodes to."""
    timestamp = at if isinstance(at, str) else str(int((at or datetime.now(UTC)).timestamp()))
    digest = hmac.digest(key, f"{delivery_id}.{timestamp}.".encode() + body, "sha256")
    return JSON | {
        "webhook-id": delivery_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def intercom(body: bytes, secret: str) -> Headers:
    return {"x-hub-signature": f"sha1={_hex(secret, body, 'sha1')}"}


zammad = intercom


def jira(body: bytes, secret: str) -> Headers:
    return {"x-hub-signature": f"sha256={_hex(secret, body)}"}


def helpscout(body: bytes, secret: str) -> Headers:
    return {"x-helpscout-signature": _base64(secret, body, "sha1")}


def freescout(body: bytes, secret: str) -> Headers:
    return {"x-freescout-signature": _base64(secret, body, "sha1")}


def servicenow(body: bytes, secret: str) -> Headers:
    return {"x-servicenow-signature": _base64(secret, body)}


def chatwoot(body: bytes, secret: str, at_ms: int) -> Headers:
    timestamp = str(at_ms // 1000)
    signature = f"sha256={_hex(secret, timestamp.encode() + b'.' + body)}"
    return {"x-chatwoot-signature": signature, "x-chatwoot-timestamp": timestamp}


def front(body: bytes, secret: str, at_ms: int) -> Headers:
    """An application webhook of Front."""
    signature = _base64(secret, f"{at_ms}:".encode() + body)
    return {"x-front-signature": signature, "x-front-request-timestamp": str(at_ms)}


def front_rule(body: bytes, secret: str) -> Headers:
    return {"x-front-signature": _base64(secret, body, "sha1")}


def hubspot(body: bytes, secret: str, at_ms: int, url: str, method: str = "POST") -> Headers:
    """Version 3 of HubSpot's signature; ``url`` is what HubSpot signs."""
    signature = _base64(secret, f"{method}{url}".encode() + body + str(at_ms).encode())
    return {"x-hubspot-signature-v3": signature, "x-hubspot-request-timestamp": str(at_ms)}


def hubspot_v2(body: bytes, secret: str, url: str, method: str = "POST") -> Headers:
    digest = hashlib.sha256(f"{secret}{method}{url}".encode() + body).hexdigest()
    return {"x-hubspot-signature": digest, "x-hubspot-signature-version": "v2"}


def hubspot_v1(body: bytes, secret: str) -> Headers:
    digest = hashlib.sha256(secret.encode() + body).hexdigest()
    return {"x-hubspot-signature": digest, "x-hubspot-signature-version": "v1"}


def basic(user: str, password: str) -> Headers:
    return {"authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


def bearer(secret: str) -> Headers:
    return {"authorization": f"Bearer {secret}"}


def status_changed(event_id: str, ticket_id: str = "1001", to: str = "SOLVED") -> bytes:
    """A Zendesk event subscription's body."""
    return json.dumps(_envelope(event_id, ticket_id, to)).encode()


def _base64(secret: str, content: bytes, digest: str = "sha256") -> str:
    return base64.b64encode(hmac.digest(secret.encode(), content, digest)).decode()


def _hex(secret: str, content: bytes, digest: str = "sha256") -> str:
    return hmac.digest(secret.encode(), content, digest).hex()


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
