"""The words that a vendor and a site have for what every helpdesk has: statuses, priorities, channels, tiers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from msgspec import UNSET, UnsetType

Word = TypeVar("Word")


def extended(known: Mapping[str, Word], own: Mapping[str, Word]) -> dict[str, Word]:
    """The vendor's words and the site's own, which come first; lower case, since spelling does not matter."""
    return {**known, **{text.strip().lower(): meaning for text, meaning in own.items()}}


def channel(name: str | None, known: Mapping[str, str]) -> str | None:
    """The name that a channel has in segments; one that is not in ``known`` keeps its own in lower case."""
    if name is None:
        return None
    plain = name.strip().lower().replace(" ", "_")
    return known.get(plain, plain[:64]) or None


def tier(tags: Sequence[str], tiers: Mapping[str, str]) -> str | UnsetType | None:
    """The tier that the tags stand for, the first of ``tiers`` that is among them; UNSET where there are none."""
    if not tiers:
        return UNSET
    return next((name for tag, name in tiers.items() if tag in tags), None)
