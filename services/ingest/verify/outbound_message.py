"""Salesforce's Outbound Messages: SOAP, unsigned; the URL holds our secret and the body names the organisation."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from services.ingest.verify.presented import Outcome, Presented, Verdict
from services.ingest.verify.token import Place, Token

_DEEPEST: Final = 32
_SHORT_ID: Final = 15
"""Salesforce ids have 15 characters, or the same and three more that only help where case is lost."""


class _Refused(Exception):
    pass


def organization_of(body: bytes) -> str | None:
    """The ``OrganizationId`` of an Outbound Message; ``None`` when ``body`` is none. A document with a DOCTYPE,
    and so with entities, is none: Salesforce sends none, and expanding them is how XML takes services down."""
    parser = expat.ParserCreate(namespace_separator=" ")
    path: list[str] = []
    text: list[str] = []
    found: list[str] = []

    def refuse(*_: object) -> None:
        raise _Refused

    def start(name: str, _attributes: object) -> None:
        if len(path) >= _DEEPEST:
            raise _Refused
        path.append(name.rpartition(" ")[2])
        text.clear()

    def end(_name: str) -> None:
        if path == ["Envelope", "Body", "notifications", "OrganizationId"]:
            found.append("".join(text).strip())
        path.pop()

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text.append
    try:
        parser.Parse(body, True)
    except (_Refused, expat.ExpatError, ValueError, LookupError):
        return None
    return found[0] if len(found) == 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundMessage:
    """The secret, and the organisation that the message must come from."""

    organization_id: str
    secret: Token = field(default_factory=lambda: Token(places=(Place.URL,)))

    @property
    def signature_header(self) -> str:
        return self.secret.signature_header

    @property
    def timestamp_header(self) -> str | None:
        return None

    @property
    def id_header(self) -> str | None:
        return None

    @property
    def asks(self) -> str:
        return self.secret.asks

    @property
    def private(self) -> frozenset[str]:
        return self.secret.private

    def secret_problem(self, secret: str) -> str | None:
        return self.secret.secret_problem(secret)

    def verdict(self, presented: Presented, secrets: Sequence[str], at_us: int, tolerance_s: int | None) -> Verdict:
        known = self.secret.verdict(presented, secrets, at_us, tolerance_s)
        if known.outcome is not Outcome.ACCEPTED:
            return known
        named = (organization_of(presented.body) or "").encode()[:_SHORT_ID]
        if not hmac.compare_digest(named, self.organization_id.encode()[:_SHORT_ID]):
            return Verdict(Outcome.WRONG_ACCOUNT)
        return known
