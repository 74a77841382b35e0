"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from services.config.access import Role


class Proof(StrEnum):
    """What somebody showed."""

    TOKEN = "token"  # noqa: S105  # a word, not a secret
    OIDC = "oidc"
    NOTHING = "nothing"
    """Nothing is asked for: no tokens and no issuer are configured."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody who may ask. ``key`` tells identities apart and is no secret; ``name`` is ``None`` where a token does
    not say whose it is. ``teams`` empty: alerts of every team."""

    key: str
    name: str | None
    role: Role
    proof: Proof
    teams: frozenset[str] = frozenset()

    def acts_on(self, team: str | None) -> bool:
        """Whether this identity may change what belongs to ``team``."""
        return not self.teams or team in self.teams


def anybody(address: str) -> Identity:
    """Whoever asks an API that asks nobody who they are."""
    return Identity(key=f"address {address}", name=None, role=Role.ADMIN, proof=Proof.NOTHING)


class Refused(StrEnum):
    """Why a request got no further. Metric label and type of the problem."""

    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    TOO_MANY = "too-many-requests"
    ISSUER_AWAY = "issuer-away"


SOMEBODY: Final = "somebody over the API"
"""Who acts where nobody is named."""
