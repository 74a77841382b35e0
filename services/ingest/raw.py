"""The raw copy of a delivery: its bytes, and headers that are enough to normalise it again, and no secret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from schemas.failure import Invalid, Reason
from schemas.instant import parse_rfc3339
from services.ingest.delivery import Delivery

_HTTP: Final = "http-"
_VALUE_LIMIT: Final = 1024
_COUNT_LIMIT: Final = 32
_NEVER: Final = (
    "signature",
    "authorization",
    "token",
    "secret",
    "cookie",
    "key",
    "password",
    "jwt",
    "forwarded",
    "-ip",
)
"""A header with one of these in its name is not kept: it may be a secret, or the address of a person."""


def headers_of(delivery: Delivery) -> list[tuple[str, bytes]]:
    """The record headers: ``source``, ``vendor``, ``delivery-id``, ``received-at``, and the vendor's own headers
    (``x-…``, ``webhook-…``, CloudEvents' ``ce-…``, ``content-type``) under ``http-``."""
    kept = [(_HTTP + name, value.encode()[:_VALUE_LIMIT]) for name, value in delivery.headers.items() if _keeps(name)]
    return [
        ("source", delivery.source.encode()),
        ("vendor", delivery.vendor.encode()),
        ("delivery-id", delivery.id.encode()),
        ("received-at", _written(delivery.received_at)),
        *kept[:_COUNT_LIMIT],
    ]


def delivery_of(headers: Sequence[tuple[str, bytes]], body: bytes) -> Delivery:
    """The delivery that a raw record or a dead letter of ours was made of, to be normalised again.

    Raises :class:`Invalid` when the record does not carry our headers.
    """
    named: Mapping[str, str] = {name: value.decode("utf-8", "replace") for name, value in headers}
    try:
        source, vendor, received_at = named["source"], named["vendor"], parse_rfc3339(named["received-at"])
    except (KeyError, ValueError, OverflowError):
        raise Invalid(Reason.UNSUPPORTED_FORMAT, "the record has no headers source, vendor and received-at") from None
    return Delivery(source, vendor, http_of(headers), body, received_at)


def http_of(headers: Sequence[tuple[str, bytes]]) -> dict[str, str]:
    """The vendor's own headers among those of a record."""
    named = [(name, value) for name, value in headers if name.startswith(_HTTP)]
    return {name.removeprefix(_HTTP): value.decode("utf-8", "replace") for name, value in named}


def _written(at: datetime) -> bytes:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z").encode()


@lru_cache(maxsize=1024)
def _keeps(name: str) -> bool:
    return (name == "content-type" or name.startswith(("x-", "webhook-", "ce-"))) and not any(
        word in name for word in _NEVER
    )
