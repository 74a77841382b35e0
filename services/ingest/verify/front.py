"""Front's two signatures: https://dev.frontapp.com/docs/webhooks-1"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson

from services.ingest.verify.presented import Presented
from services.ingest.verify.signature import ByHeaders, Signature, hmac_sha1, timed, unix_ms_us


def _rule_contents(presented: Presented, _timestamp: str) -> tuple[bytes, ...]:
    """The body, and the body as ``JSON.stringify`` writes it: Front's own sample signs that, so the bytes on the
    way may differ in white space. A body that means another thing has another compact form."""
    try:
        compact = orjson.dumps(orjson.loads(presented.body))
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return (presented.body,)
    return (presented.body,) if compact == presented.body else (presented.body, compact)


APPLICATION: Final = Signature(
    signature_header="x-front-signature",
    timestamp_header="x-front-request-timestamp",
    instant_us=unix_ms_us,
    contents=timed(":"),
)
RULE: Final = Signature(signature_header="x-front-signature", contents=_rule_contents, mac=hmac_sha1)


def _kind(headers: Mapping[str, str]) -> Signature:
    return APPLICATION if APPLICATION.timestamp_header in headers else RULE


EITHER: Final = ByHeaders(APPLICATION, _kind)
"""Only application webhooks have a timestamp. Leaving it out gains nothing: a rule's signature is another hash."""
