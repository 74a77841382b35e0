"""Bearer tokens of an OpenID Connect issuer: JSON Web Tokens whose claims say who somebody is, and of which role."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import jwt

from schemas.instant import SECOND_US, from_datetime
from services.alerts.access.identity import Identity, Proof
from services.alerts.access.key_set import KeySet
from services.config.access import Oidc, Role

_TYPES: Final = ("jwt", "at+jwt", "application/at+jwt")
_LONGEST: Final = 16_384
_NAME: Final = 120
# The library checks the signature, the issuer and the audience; times are checked here, against the instant given.
_UNTIMED: Final[Any] = {"verify_exp": False, "verify_iat": False, "verify_nbf": False, "require": ["iss", "aud", "exp"]}


class Fault(StrEnum):
    """Why a token is not taken; the text is for its holder."""

    MALFORMED = "it is no JSON Web Token of the issuer"
    ALGORITHM = "its signature is of a kind that is not allowed"
    KEY = "the issuer has no such key"
    SIGNATURE = "its signature is wrong"
    ISSUER = "it is of another issuer"
    AUDIENCE = "it is for another audience"
    EXPIRED = "it has expired"
    EARLY = "it is not valid yet"
    NO_ROLE = "its claims give no role here"


class Issuer:
    """The configured issuer with its keys."""

    def __init__(self, told: Oidc, keys: KeySet) -> None:
        self.told = told
        self.keys = keys

    async def holder(self, token: str, at: datetime) -> Identity | Fault:
        """Who holds ``token``, or what is wrong with it. Raises ``NotNow`` when the issuer's keys cannot be had."""
        try:
            head = jwt.get_unverified_header(token) if len(token) <= _LONGEST else {}
        except (jwt.PyJWTError, ValueError, RecursionError):
            head = {}
        algorithm, kid = head.get("alg"), head.get("kid")
        if not isinstance(algorithm, str) or str(head.get("typ", "jwt")).lower() not in _TYPES:
            return Fault.MALFORMED
        if algorithm not in self.told.algorithms:
            return Fault.ALGORITHM
        key = await self.keys.key(kid if isinstance(kid, str) else None, algorithm)
        if key is None:
            return Fault.KEY
        claims = self._checked(token, key, algorithm)
        if isinstance(claims, Fault):
            return claims
        return _untimely(claims, at, self.told.leeway_s) or self._identity(claims)

    def _checked(self, token: str, key: jwt.PyJWK, algorithm: str) -> dict[str, Any] | Fault:
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=self.told.issuer,
                audience=self.told.audience,
                options=_UNTIMED,
            )
        except jwt.InvalidIssuerError:
            return Fault.ISSUER
        except jwt.InvalidAudienceError:
            return Fault.AUDIENCE
        except jwt.MissingRequiredClaimError:
            return Fault.MALFORMED
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            return Fault.SIGNATURE

    def _identity(self, claims: Mapping[str, Any]) -> Identity | Fault:
        roles = [self.told.roles[value] for value in _values(claims, self.told.role_claim) if value in self.told.roles]
        if not roles:
            return Fault.NO_ROLE
        role = max(roles, key=list(Role).index)
        subject = str(claims.get("sub", ""))
        named = next(_values(claims, self.told.name_claim, whole=True), subject)
        teams = frozenset(_values(claims, self.told.teams_claim, whole=True)) if self.told.teams_claim else frozenset()
        if role is Role.LEAD and self.told.teams_claim and not teams:
            return Fault.NO_ROLE  # bound to teams, and of none: not of all
        return Identity(
            key=f"oidc {subject or named}",
            name="".join(letter for letter in named if letter.isprintable())[:_NAME] or "somebody of the issuer",
            role=role,
            proof=Proof.OIDC,
            teams=teams if role is Role.LEAD else frozenset(),
        )


def _values(claims: Mapping[str, Any], path: str, *, whole: bool = False) -> Iterator[str]:
    """The texts of a claim: of that name, or at that path (``realm_access.roles``). A text also counts word by word,
    as in ``scope``, unless it is ``whole``."""
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for part in path.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    for value in found if isinstance(found, list) else [found]:
        if isinstance(value, str) and value:
            yield value
            if not whole:
                yield from value.split()


def _untimely(claims: Mapping[str, Any], at: datetime, leeway_s: int) -> Fault | None:
    at_s = from_datetime(at) / SECOND_US
    times = [claims.get("exp"), claims.get("nbf", at_s), claims.get("iat", at_s)]
    # NaN compares as false with everything, and would never be over.
    if not all(isinstance(one, int | float) and not isinstance(one, bool) and abs(one) < 1e11 for one in times):
        return Fault.MALFORMED
    exp, nbf, iat = times
    if at_s >= exp + leeway_s:
        return Fault.EXPIRED
    return Fault.EARLY if max(nbf, iat) > at_s + leeway_s else None
