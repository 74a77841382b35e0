"""Who acted, where the vendor's own words say whether it was a customer or somebody of the team."""

from __future__ import annotations

from collections.abc import Collection

from schemas.ticket import Actor, ActorKind
from services.ingest.normalise.fields import pseudonym


def customer(user: str | None, hash_key: bytes) -> Actor:
    """A customer, by pseudonym: the same as ``ticket.requester`` when it is the requester."""
    return Actor(ActorKind.CUSTOMER, pseudonym(hash_key, user) if user else None)


def staff(user: str | None, bots: Collection[str]) -> Actor:
    """A member of the team, or a program that works under a member's id."""
    return Actor(ActorKind.BOT if user is not None and user in bots else ActorKind.AGENT, user)
