"""Signatures over what was sent, made with a secret that both sides know."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from schemas.instant import SECOND_US, from_datetime, parse_rfc3339
from services.ingest.verify.presented import Outcome, Presented, Scheme, Verdict, as_bytes, unbase64


def hmac_sha256(key: bytes, content: bytes) -> bytes:
    """HMAC-SHA256."""
    return hmac.digest(key, content, "sha256")


def hmac_sha1(key: bytes, content: bytes) -> bytes:
    """HMAC-SHA1, which several vendors still use; HMAC does not depend on SHA-1's broken collision resistance."""
    return hmac.digest(key, content, "sha1")


def plain_sha256(key: bytes, content: bytes) -> bytes:
    """SHA-256 of the secret followed by the content: HubSpot's scheme before HMAC."""
    return hashlib.sha256(key + content).digest()


def body_only(presented: Presented, _timestamp: str) -> tuple[bytes, ...]:
    """The raw body."""
    return (presented.body,)


def timed(separator: str) -> Callable[[Presented, str], tuple[bytes, ...]]:
    """The timestamp as it was sent, ``separator`` and the raw body."""

    def contents(presented: Presented, timestamp: str) -> tuple[bytes, ...]:
        return (as_bytes(timestamp + separator) + presented.body,)

    return contents


def standard(presented: Presented, timestamp: str) -> tuple[bytes, ...]:
    """``id.timestamp.body``: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"""
    return (as_bytes(f"{presented.headers['webhook-id']}.{timestamp}.") + presented.body,)


def verbatim(secret: str) -> tuple[bytes, ...]:
    """The secret's text is the key."""
    return (as_bytes(secret),)


def standard_keys(secret: str) -> tuple[bytes, ...]:
    """``whsec_`` and base64 is the standard's form. Without the prefix, tools disagree whether the text itself or
    what it decodes to is the key, so both are tried: they come from the same secret.
    """
    if secret.startswith("whsec_"):
        decoded = unbase64(secret.removeprefix("whsec_"))
        return (decoded,) if decoded else ()
    decoded = unbase64(secret)
    return (as_bytes(secret),) if not decoded else (as_bytes(secret), decoded)


def whole(header: str) -> tuple[str, ...]:
    """The header's value is one signature."""
    return (header.strip(),)


def prefixed(prefix: str) -> Callable[[str], tuple[str, ...]]:
    """One hexadecimal signature behind ``prefix``, such as ``sha256=``, in either case."""

    def offered(header: str) -> tuple[str, ...]:
        value = header.strip().lower()
        return (value.removeprefix(prefix),) if value.startswith(prefix) else ()

    return offered


def versioned(header: str) -> tuple[str, ...]:
    """The ``v1`` signatures of a list like ``v1,<base64> v1,<base64> v1a,<base64>``."""
    return tuple(part[3:] for part in header.split() if part.startswith("v1,"))


def hexadecimal(digest: bytes) -> bytes:
    """Lower-case hexadecimal."""
    return digest.hex().encode()


def rfc3339_us(timestamp: str) -> int:
    """A time like ``2026-03-02T09:00:00Z``."""
    return from_datetime(parse_rfc3339(timestamp))


def unix_s_us(timestamp: str) -> int:
    """Whole seconds since the epoch."""
    return _whole_number(timestamp) * SECOND_US


def unix_ms_us(timestamp: str) -> int:
    """Whole milliseconds since the epoch."""
    return _whole_number(timestamp) * 1000


def _whole_number(text: str) -> int:
    if len(text) > 20 or not text.isascii() or not text.isdigit():
        raise ValueError("not a whole number")
    return int(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """How one vendor signs.

    ``contents`` gives the bytes that may have been signed (more than one where senders differ), ``keys`` the keys
    a configured secret may stand for, ``encode`` the digest as the vendor writes it, ``offered`` the signatures
    in the header's value. ``instant_us`` reads the timestamp and raises ``ValueError``; a scheme without a
    timestamp header has no freshness to check.
    """

    signature_header: str
    contents: Callable[[Presented, str], tuple[bytes, ...]] = body_only
    keys: Callable[[str], tuple[bytes, ...]] = verbatim
    mac: Callable[[bytes, bytes], bytes] = hmac_sha256
    encode: Callable[[bytes], bytes] = base64.b64encode
    offered: Callable[[str], tuple[str, ...]] = whole
    timestamp_header: str | None = None
    instant_us: Callable[[str], int] | None = None
    id_header: str | None = None

    @property
    def asks(self) -> str:
        return f"a signature in the header {self.signature_header}"

    @property
    def private(self) -> frozenset[str]:
        return frozenset({self.signature_header})

    def verdict(self, presented: Presented, secrets: Sequence[str], at_us: int, tolerance_s: int | None) -> Verdict:
        headers = presented.headers
        header = headers.get(self.signature_header)
        if not header:
            return Verdict(Outcome.MISSING_SIGNATURE)
        if self.id_header is not None and not headers.get(self.id_header):
            return Verdict(Outcome.MISSING_ID)
        timestamp = "" if self.timestamp_header is None else headers.get(self.timestamp_header, "")
        if self.timestamp_header is not None and not timestamp:
            return Verdict(Outcome.MISSING_TIMESTAMP)
        fitting = self._fitting(header, self.contents(presented, timestamp), secrets)
        if fitting is None:
            return Verdict(Outcome.BAD_SIGNATURE)
        if tolerance_s is not None and self.instant_us is not None:
            try:
                signed_us = self.instant_us(timestamp)
            except (ValueError, OverflowError):
                return Verdict(Outcome.MALFORMED_TIMESTAMP)
            if abs(at_us - signed_us) > tolerance_s * SECOND_US:
                return Verdict(Outcome.STALE)
        return Verdict(Outcome.ACCEPTED, fitting)

    def secret_problem(self, secret: str) -> str | None:
        return None if any(self.keys(secret)) else "after whsec_ there must be base64"

    def _fitting(self, header: str, contents: Sequence[bytes], secrets: Sequence[str]) -> int | None:
        """The first secret that made an offered signature; every pair is compared all the same."""
        offered = [as_bytes(signature) for signature in self.offered(header)]
        fitting: int | None = None
        for index, secret in enumerate(secrets):
            for key in self.keys(secret):
                for content in contents:
                    expected = self.encode(self.mac(key, content))
                    for signature in offered:
                        if hmac.compare_digest(expected, signature) and fitting is None:
                            fitting = index
        return fitting


@dataclass(frozen=True, slots=True)
class ByHeaders:
    """A vendor with several signatures: the request's headers say which one it has; ``newest`` is told of."""

    newest: Signature
    pick: Callable[[Mapping[str, str]], Signature]

    @property
    def signature_header(self) -> str:
        return self.newest.signature_header

    @property
    def timestamp_header(self) -> str | None:
        return self.newest.timestamp_header

    @property
    def id_header(self) -> str | None:
        return self.newest.id_header

    @property
    def asks(self) -> str:
        return self.newest.asks

    @property
    def private(self) -> frozenset[str]:
        return self.newest.private

    def verdict(self, presented: Presented, secrets: Sequence[str], at_us: int, tolerance_s: int | None) -> Verdict:
        scheme: Scheme = self.pick(presented.headers)
        return scheme.verdict(presented, secrets, at_us, tolerance_s)

    def secret_problem(self, secret: str) -> str | None:
        return self.newest.secret_problem(secret)
