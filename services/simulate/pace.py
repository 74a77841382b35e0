"""How the simulator waits. Tests give it a clock of their own; everybody else has the wall's."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Protocol

from services import clock


class Pace(Protocol):
    """The present, and waiting for a later one."""

    def now_us(self) -> int:
        """Microseconds since the epoch."""

    async def rest(self, seconds: float, over: asyncio.Event) -> None:
        """Return after ``seconds``, or as soon as ``over`` is set."""


class WallPace:
    """Real time."""

    def now_us(self) -> int:
        """The present."""
        return clock.now_us()

    async def rest(self, seconds: float, over: asyncio.Event) -> None:
        """Wait ``seconds`` of real time, less when ``over`` is set."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await over.wait()
