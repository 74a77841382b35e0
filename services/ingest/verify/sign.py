"""Signing as the vendors sign, from the same table that verifying reads: what :func:`signed` makes, ``verify`` takes.

Nothing of it is used when webhooks come in; it is for sending samples.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from schemas.instant import SECOND_US, to_datetime
from services.ingest.verify.json_web_token import JsonWebToken
from services.ingest.verify.outbound_message import OutboundMessage
from services.ingest.verify.presented import Presented, Scheme
from services.ingest.verify.signature import ByHeaders, Signature, rfc3339_us, unix_ms_us, unix_s_us
from services.ingest.verify.token import PARAMETERS, Place, Token

_LEADS: Final = ("", "sha1=", "sha256=", "v1,")
"""What stands before a signature in a header; the first that the scheme reads back is the scheme's own."""
_STAMPS: Final[Mapping[Callable[[str], int], Callable[[int], str]]] = {
    rfc3339_us: lambda at_us: f"{to_datetime(at_us):%Y-%m-%dT%H:%M:%SZ}",
    unix_s_us: lambda at_us: str(at_us // SECOND_US),
    unix_ms_us: lambda at_us: str(at_us // 1000),
}


class OnlyTheVendor(Exception):
    """Nobody but the vendor can prove such a request: it is signed with a key of its own."""


@dataclass(frozen=True, slots=True)
class Signed:
    """What proves a request: headers, and parameters of the URL."""

    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)


def signed(scheme: Scheme, presented: Presented, secret: str, at_us: int, message_id: str) -> Signed:
    """The proof that ``secret`` makes for ``presented`` at ``at_us``; ``message_id`` is for schemes that sign one.

    Raises :class:`OnlyTheVendor`.
    """
    match scheme:
        case ByHeaders():
            return _signature(scheme.newest, presented, secret, at_us, message_id)
        case Signature():
            return _signature(scheme, presented, secret, at_us, message_id)
        case Token():
            return _token(scheme, secret)
        case OutboundMessage():
            return _token(scheme.secret, secret)
        case JsonWebToken():
            raise OnlyTheVendor
        case _:
            raise TypeError(f"no way to sign for {type(scheme).__name__}")


def _signature(scheme: Signature, presented: Presented, secret: str, at_us: int, message_id: str) -> Signed:
    headers = {} if scheme.id_header is None else {scheme.id_header: message_id}
    timestamp = ""
    if scheme.timestamp_header is not None and scheme.instant_us is not None:
        timestamp = headers[scheme.timestamp_header] = _STAMPS[scheme.instant_us](at_us)
    content = scheme.contents(replace(presented, headers={**presented.headers, **headers}), timestamp)[0]
    value = scheme.encode(scheme.mac(scheme.keys(secret)[0], content)).decode()
    lead = next(lead for lead in _LEADS if scheme.offered(lead + value) == (value,))
    return Signed({**headers, scheme.signature_header: lead + value})


def _token(scheme: Token, secret: str) -> Signed:
    match scheme.places[0]:
        case Place.HEADER:
            return Signed({scheme.header: secret})
        case Place.BEARER:
            return Signed({"authorization": f"Bearer {secret}"})
        case Place.BASIC:
            written = f"{scheme.user or 'deskpulse'}:{secret}".encode()
            return Signed({"authorization": f"Basic {base64.b64encode(written).decode()}"})
        case Place.URL:
            return Signed(query={PARAMETERS[0]: secret})
