"""How much one source may ask at once and in a second, so that it cannot take the place of the others."""

from __future__ import annotations

import math
from typing import Final

BURST_S: Final = 10
"""A source may spend this many seconds of its rate at once: helpdesks resend in bursts after an outage."""


class Full(Exception):
    """Too much at once or per second. ``wait_s`` is when to come back."""

    def __init__(self, wait_s: float) -> None:
        super().__init__("over the limit of the source")
        self.wait_s = wait_s


class Limit:
    """The limits of one source. Not thread-safe: one event loop uses it."""

    def __init__(self, per_s: int, concurrent: int) -> None:
        self._per_s = per_s
        self._concurrent = concurrent
        self._inside = 0
        self._saved = 0.0
        self._at_s = -math.inf

    def change(self, per_s: int, concurrent: int) -> None:
        """Other limits from now on; who is inside stays inside, and is counted."""
        self._per_s = per_s
        self._concurrent = concurrent

    def enter(self) -> None:
        """One request, before its body is read. Raises :class:`Full`; otherwise :meth:`leave` must follow."""
        if self._inside >= self._concurrent:
            raise Full(1.0)
        self._inside += 1

    def leave(self) -> None:
        """The request that entered has its answer."""
        self._inside -= 1

    def spend(self, at_s: float) -> None:
        """One delivery; ``at_s`` is of a clock that never jumps. Raises :class:`Full`.

        Only for deliveries that were proved: nobody else may use up what belongs to a source.
        """
        self._saved = min(self._per_s * BURST_S, self._saved + (at_s - self._at_s) * self._per_s)
        self._at_s = at_s
        if self._saved < 1:
            raise Full((1 - self._saved) / self._per_s)
        self._saved -= 1
