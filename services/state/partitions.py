"""Which partitions have state: the set changes only when the topic gets more of them, so it is looked up rarely."""

from __future__ import annotations

from typing import Any, Final

from redis.asyncio import Redis

from schemas.state import PARTITIONS_KEY
from services import clock
from services.state.client import away

_FOR_S: Final = 5.0


class Partitions:
    """The partition numbers that the metrics workers have written."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Any = redis
        self._known: tuple[int, ...] = ()
        self._looked_s = float("-inf")

    async def known(self) -> tuple[int, ...]:
        """Ascending; up to five seconds old, but never empty for that reason. Raises ``NotNow``."""
        now_s = clock.steady_s()
        if not self._known or now_s - self._looked_s > _FOR_S:
            with away():
                self._known = tuple(sorted(int(number) for number in await self._redis.smembers(PARTITIONS_KEY)))
            self._looked_s = now_s
        return self._known
