"""Who may ask the query API, and for how much: tokens, an identity provider, limits."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from services.config.duration import seconds

_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
MOST_LEEWAY_S: Final = 300


class Role(StrEnum):
    """What somebody may do; each role may also do what those before it may."""

    VIEWER = "viewer"
    LEAD = "lead"
    ADMIN = "admin"

    def covers(self, needed: Role) -> bool:
        """Whether this role may do what ``needed`` may."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(needed)


Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures by a private key that only the issuer has: no shared secret (HS256), and never ``none``."""


def _issuer(text: str) -> str:
    parts = urlsplit(text)
    if not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"'{text}' is no issuer: a URL such as https://login.example.com/realms/support")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise ValueError("an issuer is reached by https (by http on this machine only)")
    return text


def _leeway(text: str) -> str:
    if seconds(text) > MOST_LEEWAY_S:
        raise ValueError(f"at most {MOST_LEEWAY_S}s")
    return text


PersonName = Annotated[str, Field(min_length=1, max_length=120)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ApiToken(_Part):
    """A bearer token, and what its holder may do. A text alone is a token of an administrator without a name: what
    every token was before there were roles."""

    token: SecretStr = Field(min_length=1)
    role: Role = Role.ADMIN
    name: PersonName | None = None
    teams: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, given: Any) -> Any:
        return {"token": given} if isinstance(given, str | SecretStr) else given

    @model_validator(mode="after")
    def _has_a_name(self) -> ApiToken:
        if "role" in self.model_fields_set and self.name is None:
            raise ValueError("name: a token with a role says whose it is; the name is shown with what it does")
        if self.teams and self.role is not Role.LEAD:
            raise ValueError("teams: only a lead's token is bound to teams")
        return self


class Oidc(_Part):
    """An OpenID Connect issuer whose access tokens are taken, and which role its claims give."""

    issuer: Annotated[str, AfterValidator(_issuer)]
    audience: Annotated[str, Field(min_length=1)]
    roles: dict[str, Role] = Field(min_length=1)
    role_claim: str = Field("roles", min_length=1)
    name_claim: str = Field("preferred_username", min_length=1)
    teams_claim: str | None = Field(None, min_length=1)
    algorithms: tuple[Algorithm, ...] = Field(("RS256", "ES256"), min_length=1)
    leeway: Annotated[str, AfterValidator(_leeway)] = "60s"

    @property
    def leeway_s(self) -> int:
        """How far clocks may be apart."""
        return seconds(self.leeway)


class Api(_Part):
    """The query API: who besides ``api_tokens`` may ask, who sees single agents, and how much each may ask."""

    agents_visible_to: Role = Role.LEAD
    requests_per_minute: int = Field(30_000, ge=1, le=10_000_000)
    burst: int = Field(5_000, ge=1, le=1_000_000)
    streams: int = Field(50, ge=1, le=10_000)
    oidc: Oidc | None = None


def protected(tokens: Sequence[ApiToken], api: Api) -> bool:
    """Whether the API asks who somebody is; if not, everybody who reaches it may do everything."""
    return bool(tokens) or api.oidc is not None


def problems(tokens: Sequence[ApiToken]) -> list[str]:
    """What is wrong with tokens beside each other; no secret is in it."""
    found = []
    for number, token in enumerate(tokens):
        before = tokens[:number]
        if any(token.token.get_secret_value() == other.token.get_secret_value() for other in before):
            found.append(f"api_tokens[{number}]: this token is there twice; it would have two roles")
        if token.name is not None and any(token.name == other.name for other in before):
            found.append(f"api_tokens[{number}].name: '{token.name}' is used twice; names say who did what")
    return found
