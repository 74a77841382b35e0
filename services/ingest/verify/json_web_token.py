"""Zoho Desk: a JSON Web Token signed with Zoho's key, bound to the organisation and the webhook.

The token does not cover the body, so the URL also carries a secret of ours: without it a token that was read once
could send any body until it expires.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import jwt
import orjson

from schemas.instant import SECOND_US
from services.ingest.verify.presented import Key, Outcome, Presented, Verdict, says_nothing
from services.ingest.verify.token import Place, Token

ALGORITHM: Final = "RS256"
_SMALLEST_KEY_BITS: Final = 2048
_MOST_KEYS: Final = 64
# The library checks the signature; times are checked here, against the instant that is given.
_UNTIMED: Final[Any] = {"verify_exp": False, "verify_iat": False, "verify_nbf": False, "require": ["iss", "aud"]}


def keys_of(document: bytes) -> dict[str, Key]:
    """The RSA signing keys of a JSON Web Key Set, by their id. Raises ``ValueError`` when it is no such set or
    holds none; keys of other kinds and keys that are too short are left out."""
    listed = orjson.loads(document)
    keys = listed.get("keys") if isinstance(listed, dict) else None
    if not isinstance(keys, list):
        raise ValueError("no JSON Web Key Set")  # noqa: TRY004  # a document of the wrong shape is one kind of mistake
    found = {}
    for one in keys[:_MOST_KEYS]:
        if not isinstance(one, dict) or one.get("kty") != "RSA" or not isinstance(one.get("kid"), str):
            continue
        if one.get("use", "sig") != "sig" or one.get("alg", ALGORITHM) != ALGORITHM:
            continue
        try:
            key = jwt.PyJWK(one, ALGORITHM)
        except jwt.PyJWTError:
            continue
        if key.key.key_size >= _SMALLEST_KEY_BITS:
            found[one["kid"]] = key
    if not found:
        raise ValueError("no key that can be used")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonWebToken:
    """The secret in the URL, and a token in ``signature_header`` from ``issuer`` for ``audience``.

    :attr:`Outcome.UNKNOWN_KEY` is found only after the secret was right; ``keys_url`` is where to look then.
    """

    signature_header: str
    issuer: str
    audience: str
    keys_url: str
    secret: Token = field(default_factory=lambda: Token(places=(Place.URL,)))

    @property
    def timestamp_header(self) -> str | None:
        return self.signature_header

    @property
    def id_header(self) -> str | None:
        return None

    @property
    def asks(self) -> str:
        return self.secret.asks

    @property
    def private(self) -> frozenset[str]:
        return frozenset({self.signature_header, *self.secret.private})

    def secret_problem(self, secret: str) -> str | None:
        return self.secret.secret_problem(secret)

    def verdict(self, presented: Presented, secrets: Sequence[str], at_us: int, tolerance_s: int | None) -> Verdict:
        known = self.secret.verdict(presented, secrets, at_us, tolerance_s)
        if known.outcome is not Outcome.ACCEPTED:
            return known
        text = presented.headers.get(self.signature_header, "").strip()
        if not text:
            # Zoho asks once, without a token, whether the address is there. Such a request says nothing.
            return known if says_nothing(presented.body) else Verdict(Outcome.MISSING_SIGNATURE)
        try:
            head = jwt.get_unverified_header(text)
            if head.get("alg") != ALGORITHM:
                return Verdict(Outcome.BAD_SIGNATURE)
            key = presented.keys.get(str(head.get("kid")))
            if key is None:
                return Verdict(Outcome.UNKNOWN_KEY)
            claims = jwt.decode(
                text, key, algorithms=[ALGORITHM], issuer=self.issuer, audience=self.audience, options=_UNTIMED
            )
        except (jwt.InvalidIssuerError, jwt.InvalidAudienceError):
            return Verdict(Outcome.WRONG_ACCOUNT)
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            return Verdict(Outcome.BAD_SIGNATURE)
        if tolerance_s is not None and (problem := _untimely(claims, at_us, tolerance_s)):
            return Verdict(problem)
        return known


def _untimely(claims: Mapping[str, Any], at_us: int, tolerance_s: int) -> Outcome | None:
    """What is wrong with the token's times. It must tell when it ends or when it was made."""
    try:
        exp, iat, nbf = (_seconds(claims.get(name)) for name in ("exp", "iat", "nbf"))
    except ValueError:
        return Outcome.MALFORMED_TIMESTAMP
    at_s = at_us / SECOND_US
    if exp is None and iat is None:
        return Outcome.MALFORMED_TIMESTAMP
    over = exp + tolerance_s < at_s if exp is not None else (iat or 0) + tolerance_s < at_s
    early = max(iat or 0, nbf or 0) - tolerance_s > at_s
    return Outcome.STALE if over or early else None


def _seconds(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e11:
        raise ValueError("not a time")
    return float(value)
