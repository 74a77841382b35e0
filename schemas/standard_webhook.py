"""Signing outbound webhooks as Standard Webhooks describes it, so that receivers verify them with any library.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence
from typing import Final

PREFIX: Final = "whsec_"


def headers(secrets: Sequence[str], message_id: str, at_s: int, body: bytes) -> dict[str, str]:
    """The three headers of a delivery. ``at_s`` is the time of this attempt, in seconds since the epoch.

    One signature for each of ``secrets``, so that a receiver may change over in its own time. ``message_id`` stays
    the same over retries: it is the receiver's key against duplicates. Raises ``ValueError`` for an unusable secret.
    """
    content = f"{message_id}.{at_s}.".encode() + body
    signatures = [base64.b64encode(hmac.digest(key(secret), content, "sha256")).decode() for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def key(secret: str) -> bytes:
    """The key that ``secret`` stands for: what follows ``whsec_`` decoded, or the text itself without the prefix.

    Raises ``ValueError``, without the secret in its text, when there is nothing or no base64 after ``whsec_``.
    """
    if not secret.startswith(PREFIX):
        if not secret:
            raise ValueError("the secret is empty")
        return secret.encode()
    try:
        decoded = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("after whsec_ there must be base64") from None
    if not decoded:
        raise ValueError("after whsec_ there must be base64")
    return decoded
