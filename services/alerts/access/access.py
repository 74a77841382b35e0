"""Who a request comes from, and whether its sender may ask now: what the gate decides with."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from ipaddress import IPv6Address, ip_address
from typing import Final

from prometheus_client import CollectorRegistry

from schemas.failure import NotNow
from services.alerts.access.bucket import Buckets
from services.alerts.access.identity import Identity, Refused, anybody
from services.alerts.access.issuer import Fault, Issuer
from services.alerts.access.key_set import Fetch, KeySet
from services.alerts.access.measures import Refusals
from services.alerts.access.tokens import Tokens
from services.config.access import Role, protected
from services.config.document import Document
from services.operate.problem import Problem

REALM: Final = 'Bearer realm="deskpulse"'
_SEND: Final = "Send a token as 'Authorization: Bearer <token>'"


class Access:
    """Follows the configuration; what callers have used of their allowance stays used."""

    def __init__(
        self,
        document: Document,
        now: Callable[[], datetime],
        steady: Callable[[], float],
        registry: CollectorRegistry,
        fetch: Fetch | None = None,
    ) -> None:
        self._now = now
        self._steady = steady
        self._fetch = fetch
        self._issuer: Issuer | None = None
        self.buckets = Buckets(document.api.requests_per_minute, document.api.burst)
        self._refusals = Refusals(registry)
        self.follow(document)

    def follow(self, document: Document) -> None:
        """By ``document`` from the next request on."""
        api = document.api
        self.protected = protected(document.api_tokens, api)
        self._tokens = Tokens(document.api_tokens)
        self._agents = api.agents_visible_to
        self.buckets.follow(api.requests_per_minute, api.burst)
        if api.oidc is None:
            self._issuer = None
        elif self._issuer is None or self._issuer.told.issuer != api.oidc.issuer:
            self._issuer = Issuer(api.oidc, KeySet(api.oidc.issuer, self._steady, self._fetch))
        else:
            self._issuer = Issuer(api.oidc, self._issuer.keys)

    async def sender(self, authorization: str | None, address: str) -> Identity:
        """Who sent a request. Raises :class:`Problem`: 401, 403 without a role, 503 while the issuer is away."""
        if not self.protected:
            return anybody(caller(address))
        scheme, _, token = (authorization or "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise self._unknown(f"{_SEND}.", REALM)
        holder = self._tokens.holder(token)
        if holder is not None:
            return holder
        if self._issuer is None or token.count(".") != 2:
            wrong = "the token is none of those that are configured"
            raise self._unknown(f"The token is none of the configured ones. {_SEND}.", _said(wrong))
        try:
            found = await self._issuer.holder(token, self._now())
        except NotNow as exc:
            raise self._refuse(
                Refused.ISSUER_AWAY,
                Problem(
                    503,
                    "issuer-away",
                    "Issuer away",
                    f"{exc.what}, so the token cannot be checked now. Try again; tokens of api_tokens still work.",
                    headers={"Retry-After": "5"},
                ),
            ) from None
        if found is Fault.NO_ROLE:
            told = self._issuer.told
            detail = f"The token is good, but {found.value}: the claim '{told.role_claim}' has none of `api.oidc.roles`"
            detail += f", or '{told.teams_claim}' no team." if told.teams_claim else "."
            raise self._refuse(
                Refused.FORBIDDEN,
                Problem(403, "no-role", "No role", detail, headers={"WWW-Authenticate": _said(found.value, "scope")}),
            )
        if isinstance(found, Fault):
            raise self._unknown(f"The token is not taken: {found.value}.", _said(found.value))
        return found

    def sees_agents(self, identity: Identity) -> bool:
        """Whether numbers about single agents are shown to ``identity``."""
        return not self.protected or identity.role.covers(self._agents)

    def agents_visible_to(self) -> Role:
        """The least role that sees them."""
        return self._agents

    def allow(self, identity: Identity, needed: Role, method: str, path: str) -> None:
        """Raises :class:`Problem` (403) when a route asks for more than ``identity`` has."""
        if not identity.role.covers(needed):
            raise self.lacking(identity, needed, f"{method} {path} is")

    def lacking(self, identity: Identity, needed: Role, what: str) -> Problem:
        """403: ``what`` is only for ``needed``."""
        return self._refuse(
            Refused.FORBIDDEN,
            Problem(
                403,
                "forbidden",
                "Forbidden",
                f"{what} for the role '{needed.value}' and above; yours is '{identity.role.value}'.",
                headers={"WWW-Authenticate": _said(f"needs the role {needed.value}", "scope")},
                needed=needed.value,
                role=identity.role.value,
            ),
        )

    def _unknown(self, detail: str, challenge: str) -> Problem:
        return self._refuse(
            Refused.UNAUTHORIZED,
            Problem(401, "unauthorized", "Unauthorized", detail, headers={"WWW-Authenticate": challenge}),
        )

    def too_many(self, wait_s: int) -> Problem:
        """429."""
        said = f"At most {self.buckets.per_minute} requests a minute, {self.buckets.burst} at once."
        detail = f"{said} Come again in {wait_s} s."
        headers = {"Retry-After": str(wait_s)}
        return self._refuse(
            Refused.TOO_MANY, Problem(429, "too-many-requests", "Too many requests", detail, headers=headers)
        )

    def _refuse(self, reason: Refused, problem: Problem) -> Problem:
        self._refusals.count(reason)
        return problem


def caller(address: str) -> str:
    """Whom an address stands for: IPv6 hands out whole networks, so there it is the /64."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address) and found.ipv4_mapped is None:
        return f"{IPv6Address(int(found) >> 64 << 64)}/64"
    return str(found)


def _said(description: str, kind: str = "token") -> str:
    error = "insufficient_scope" if kind == "scope" else "invalid_token"
    return f'{REALM}, error="{error}", error_description="{description}"'
