"""What a request presents as proof, and what verifying it finds."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from jwt import PyJWK

Key = PyJWK
"""A vendor's public key."""


class Outcome(StrEnum):
    """What verifying found. Metric label, log field and ``type`` of the answer."""

    ACCEPTED = "accepted"
    MISSING_SIGNATURE = "missing_signature"
    BAD_SIGNATURE = "bad_signature"
    MISSING_TIMESTAMP = "missing_timestamp"
    MALFORMED_TIMESTAMP = "malformed_timestamp"
    STALE = "stale"
    MISSING_ID = "missing_id"
    MISSING_TOKEN = "missing_token"  # noqa: S105  # a word, not a password
    BAD_TOKEN = "bad_token"  # noqa: S105
    UNKNOWN_KEY = "unknown_key"
    WRONG_ACCOUNT = "wrong_account"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome, and the index of the secret that proved an accepted delivery."""

    outcome: Outcome
    secret_index: int | None = None


@dataclass(frozen=True, slots=True)
class Presented:
    """What a request presents. ``headers`` have lower-case names; ``target`` is the method and the full URL as the
    sender knows it; ``keys`` are the vendor's public keys by their id, as far as they are known here."""

    headers: Mapping[str, str]
    body: bytes
    target: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, Key] = field(default_factory=dict)


class Scheme(Protocol):
    """One way to authenticate. The header names tell a refused sender what to look at; ``asks`` says in words
    what must be there; ``private`` are the headers whose values must be forgotten once they were read."""

    @property
    def signature_header(self) -> str: ...

    @property
    def timestamp_header(self) -> str | None: ...

    @property
    def id_header(self) -> str | None: ...

    @property
    def asks(self) -> str: ...

    @property
    def private(self) -> frozenset[str]: ...

    def verdict(self, presented: Presented, secrets: Sequence[str], at_us: int, tolerance_s: int | None) -> Verdict:
        """See :func:`services.ingest.verify.verify`."""
        ...

    def secret_problem(self, secret: str) -> str | None:
        """Why ``secret`` cannot be used, as one sentence without the secret."""
        ...


def as_bytes(text: str) -> bytes:
    """The bytes of ``text``; ``compare_digest`` refuses text beyond ASCII, and a header may hold any."""
    return text.encode("utf-8", "surrogatepass")


def unbase64(text: str) -> bytes | None:
    """What ``text`` decodes to; ``None`` when it is not base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def says_nothing(body: bytes) -> bool:
    """Whether ``body`` is empty, or JSON with nothing in it."""
    return body.strip() in (b"", b"[]", b"{}")
