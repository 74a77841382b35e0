"""Token buckets: how often each caller may ask. They live in one process; every API process has its own."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from math import ceil
from typing import Final

MOST: Final = 20_000
"""Callers that are remembered, about 300 bytes each. The one that was silent longest is forgotten first, and begins
with a full bucket should it come again."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """How a caller stands: ``left`` requests at once, and all of them again in ``full_s``. ``wait_s`` is 0 when this
    request may go on, else when to come again."""

    left: int
    full_s: int
    wait_s: int


class Buckets:
    """A bucket for each caller: ``burst`` requests at once, refilled evenly at ``per_minute``."""

    def __init__(self, per_minute: int, burst: int) -> None:
        self.follow(per_minute, burst)
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def follow(self, per_minute: int, burst: int) -> None:
        """Other limits from now on; what callers have used stays used."""
        self.per_minute, self.burst = per_minute, burst
        self._per_s = per_minute / 60

    def take(self, caller: str, now_s: float) -> Allowance:
        """One request of ``caller``."""
        level, at_s = self._levels.pop(caller, (float(self.burst), now_s))
        level = min(self.burst, level + max(0.0, now_s - at_s) * self._per_s)
        may = level >= 1
        level -= may
        self._levels[caller] = (level, now_s)
        if len(self._levels) > MOST:
            self._levels.popitem(last=False)
        return Allowance(
            left=int(level),
            full_s=ceil((self.burst - level) / self._per_s),
            wait_s=0 if may else max(1, ceil((1 - level) / self._per_s)),
        )

    def __len__(self) -> int:
        return len(self._levels)
