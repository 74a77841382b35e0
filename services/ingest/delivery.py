"""One webhook as it came in, and what its source's configuration says about reading it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

_ID_HEADERS: Final = (
    "webhook-id",
    "x-zendesk-webhook-invocation-id",
    "x-atlassian-webhook-identifier",
    "x-chatwoot-delivery",
    "x-zammad-delivery",
)


MAX_DEPTH: Final = 1024
"""How many levels of JSON the parser reads at most."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook whose signature was verified. ``headers`` have lower-case names; ``body`` is as received."""

    source: str
    vendor: str
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime

    @property
    def id(self) -> str:
        """The sender's id of this delivery, the same when it tries again; else the digest of the body."""
        for name in _ID_HEADERS:
            if found := self.headers.get(name):
                return found
        return self.digest

    @property
    def digest(self) -> str:
        """SHA-256 of the body: the identity of a delivery whose vendor gives none."""
        return hashlib.sha256(self.body).hexdigest()


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """What normalising needs to know of a source.

    ``hash_key`` keys the pseudonyms of customers. ``options`` are the vendor's own; each normaliser documents
    the ones it reads. ``keep`` names what of a person may stand in canonical events, see
    :mod:`services.ingest.normalise.personal`. ``max_depth`` is how deeply the JSON may be nested.
    """

    hash_key: bytes
    options: Mapping[str, Any] = field(default_factory=dict)
    keep: frozenset[str] = frozenset()
    max_depth: int = MAX_DEPTH
