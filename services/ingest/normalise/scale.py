"""Answers of surveys that a site keeps in fields of its own."""

from __future__ import annotations

from typing import Any

import msgspec

from schemas.failure import Invalid, Reason
from schemas.ticket import Rating


class Scale(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The answers that such a field may hold, from ``worst`` to ``best``."""

    best: float
    worst: float = 1.0

    def __post_init__(self) -> None:
        if self.best <= self.worst:
            raise ValueError("best must be greater than worst")


def answer(value: Any, scale: Scale, path: str) -> Rating | None:
    """The rating that ``value`` is; ``None`` where there is none (yet). Raises :class:`Invalid`."""
    if value is None or value == "":
        return None
    try:
        score = float(value)
    except (TypeError, ValueError):
        raise Invalid(Reason.BAD_VALUE, f"{path} must be a number: it is the answer of a survey") from None
    if isinstance(value, bool) or not scale.worst <= score <= scale.best:
        raise Invalid(Reason.BAD_VALUE, f"{path} is outside the scale that options.csat gives")
    return Rating(score, best=scale.best, worst=scale.worst)
