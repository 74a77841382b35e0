"""Who sent this webhook: one table of signature schemes and one pure function that applies them.

A new vendor is a new row of :data:`SCHEMES`. Secrets rotate by overlap: a source lists the new one beside the old
one, and the verdict says which was used, so that an operator sees when the old one is no longer needed.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from schemas.instant import SECOND_US, from_datetime, parse_rfc3339


class Outcome(StrEnum):
    """What verifying found. Metric label, log field and ``type`` of the answer."""

    ACCEPTED = "accepted"
    MISSING_SIGNATURE = "missing_signature"
    BAD_SIGNATURE = "bad_signature"
    MISSING_TIMESTAMP = "missing_timestamp"
    MALFORMED_TIMESTAMP = "malformed_timestamp"
    STALE = "stale"
    MISSING_ID = "missing_id"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome, and the index of the secret that signed an accepted delivery."""

    outcome: Outcome
    secret_index: int | None = None


@dataclass(frozen=True, slots=True)
class Presented:
    """What a request presents to be signed. ``target`` is the method and full URL, where a scheme signs those."""

    headers: Mapping[str, str]
    body: bytes
    timestamp: str
    target: str = ""


@dataclass(frozen=True, slots=True)
class Scheme:
    """How one vendor signs.

    ``content`` gives the bytes that are signed, ``keys`` the keys a configured secret may stand for, ``encode``
    the digest as the vendor writes it, ``offered`` the signatures in the header's value. ``instant_us`` reads the
    timestamp and raises ``ValueError``; a scheme without a timestamp header has no freshness to check.
    """

    signature_header: str
    content: Callable[[Presented], bytes]
    keys: Callable[[str], tuple[bytes, ...]]
    encode: Callable[[bytes], bytes]
    offered: Callable[[str], tuple[str, ...]]
    digest: str = "sha256"
    timestamp_header: str | None = None
    instant_us: Callable[[str], int] | None = None
    id_header: str | None = None


def verify(
    scheme: Scheme,
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    at_us: int,
    tolerance_s: int | None,
    target: str = "",
) -> Verdict:
    """Whether one of ``secrets`` signed ``body``, at most ``tolerance_s`` away from ``at_us`` in either direction.

    ``headers`` have lower-case names. ``tolerance_s`` ``None`` leaves the timestamp unread (it is still signed).
    Never raises for anything a stranger can send. The time it takes does not depend on which secret or signature
    fits: every pair is compared. Whether a timestamp is fresh is told only to those who could sign.
    """
    header = headers.get(scheme.signature_header)
    if not header:
        return Verdict(Outcome.MISSING_SIGNATURE)
    if scheme.id_header is not None and not headers.get(scheme.id_header):
        return Verdict(Outcome.MISSING_ID)
    timestamp = "" if scheme.timestamp_header is None else headers.get(scheme.timestamp_header, "")
    if scheme.timestamp_header is not None and not timestamp:
        return Verdict(Outcome.MISSING_TIMESTAMP)

    content = scheme.content(Presented(headers, body, timestamp, target))
    offered = [_bytes(signature) for signature in scheme.offered(header)]
    fitting: int | None = None
    for index, secret in enumerate(secrets):
        for key in scheme.keys(secret):
            expected = scheme.encode(hmac.digest(key, content, scheme.digest))
            for signature in offered:
                if hmac.compare_digest(expected, signature) and fitting is None:
                    fitting = index
    if fitting is None:
        return Verdict(Outcome.BAD_SIGNATURE)

    if tolerance_s is not None and scheme.instant_us is not None:
        try:
            signed_us = scheme.instant_us(timestamp)
        except (ValueError, OverflowError):
            return Verdict(Outcome.MALFORMED_TIMESTAMP)
        if abs(at_us - signed_us) > tolerance_s * SECOND_US:
            return Verdict(Outcome.STALE)
    return Verdict(Outcome.ACCEPTED, fitting)


def _bytes(text: str) -> bytes:
    # compare_digest refuses text beyond ASCII, and a header may hold any.
    return text.encode("utf-8", "surrogatepass")


def _rfc3339_us(timestamp: str) -> int:
    return from_datetime(parse_rfc3339(timestamp))


def _unix_s_us(timestamp: str) -> int:
    if len(timestamp) > 20 or not timestamp.isascii() or not timestamp.isdigit():
        raise ValueError("not whole seconds")
    return int(timestamp) * SECOND_US


def _verbatim(secret: str) -> tuple[bytes, ...]:
    return (_bytes(secret),)


def _whole(header: str) -> tuple[str, ...]:
    return (header.strip(),)


def _versioned(header: str) -> tuple[str, ...]:
    """The ``v1`` signatures of a list like ``v1,<base64> v1,<base64> v1a,<base64>``."""
    return tuple(part[3:] for part in header.split() if part.startswith("v1,"))


def _standard_keys(secret: str) -> tuple[bytes, ...]:
    """``whsec_`` and base64 is the standard's form. Without the prefix, tools disagree whether the text itself or
    what it decodes to is the key, so both are tried: they come from the same secret.
    """
    if secret.startswith("whsec_"):
        decoded = _unbase64(secret.removeprefix("whsec_"))
        return () if decoded is None else (decoded,)
    decoded = _unbase64(secret)
    return (_bytes(secret),) if not decoded else (_bytes(secret), decoded)


def _unbase64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def standard_content(presented: Presented) -> bytes:
    """``id.timestamp.body``: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"""
    prefix = f"{presented.headers['webhook-id']}.{presented.timestamp}."
    return _bytes(prefix) + presented.body


SCHEMES: Final[Mapping[str, Scheme]] = {
    # https://developer.zendesk.com/documentation/webhooks/verifying/
    "zendesk": Scheme(
        signature_header="x-zendesk-webhook-signature",
        timestamp_header="x-zendesk-webhook-signature-timestamp",
        instant_us=_rfc3339_us,
        content=lambda presented: _bytes(presented.timestamp) + presented.body,
        keys=_verbatim,
        encode=base64.b64encode,
        offered=_whole,
    ),
    "generic": Scheme(
        signature_header="webhook-signature",
        timestamp_header="webhook-timestamp",
        id_header="webhook-id",
        instant_us=_unix_s_us,
        content=standard_content,
        keys=_standard_keys,
        encode=base64.b64encode,
        offered=_versioned,
    ),
}
"""The scheme of each vendor, by the name that ``vendor`` has in the configuration."""


def secret_problem(vendor: str, secret: str) -> str | None:
    """What is wrong with a configured secret, as one sentence without the secret; ``None`` when it can be used."""
    if not secret.strip():
        return "the secret is empty"
    if not any(SCHEMES[vendor].keys(secret)):
        return "after whsec_ there must be base64"
    return None
