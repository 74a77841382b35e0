"""HubSpot's three versions: https://github.com/HubSpot/hubspot-api-nodejs (src/utils/signature.ts)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from services.ingest.verify.presented import Presented, as_bytes
from services.ingest.verify.signature import ByHeaders, Signature, hexadecimal, plain_sha256, unix_ms_us

_DECODED: Final = re.compile(r"%(3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)
"""The escapes that HubSpot writes as the character itself before it signs; all others stay as they are."""


def _targets(target: str) -> tuple[str, ...]:
    """The target as HubSpot signs it. Which escapes it decodes is not written down completely, so the target as it
    was sent is tried too: either must carry a signature by the secret."""
    decoded = _DECODED.sub(lambda escape: chr(int(escape[1], 16)), target)
    return (decoded,) if decoded == target else (decoded, target)


def _v3_contents(presented: Presented, timestamp: str) -> tuple[bytes, ...]:
    return tuple(as_bytes(one) + presented.body + as_bytes(timestamp) for one in _targets(presented.target))


def _v2_contents(presented: Presented, _timestamp: str) -> tuple[bytes, ...]:
    return tuple(as_bytes(one) + presented.body for one in _targets(presented.target))


V3: Final = Signature(
    signature_header="x-hubspot-signature-v3",
    timestamp_header="x-hubspot-request-timestamp",
    instant_us=unix_ms_us,
    contents=_v3_contents,
)
V2: Final = Signature(
    signature_header="x-hubspot-signature", contents=_v2_contents, mac=plain_sha256, encode=hexadecimal
)
V1: Final = Signature(signature_header="x-hubspot-signature", mac=plain_sha256, encode=hexadecimal)


def _version(headers: Mapping[str, str]) -> Signature:
    if V3.signature_header in headers or V1.signature_header not in headers:
        return V3
    return V2 if headers.get("x-hubspot-signature-version", "").strip().lower() == "v2" else V1


NEWEST_OFFERED: Final = ByHeaders(V3, _version)
"""Version 3 wherever its header is; HubSpot sends it beside the older ones."""
