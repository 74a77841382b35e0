"""Who of the workers evaluates the rules: a lease in Redis with a fencing token.

The token is written beside what the leader stores: a leader that was paused for longer than its lease stores nothing
more, even before it knows that another one leads.
"""

from __future__ import annotations

from typing import Any, Final

from redis.asyncio import Redis

from services.alerts import keys
from services.alerts.script import script
from services.state.client import away

LEASE_MS: Final = 4000
"""A leader that died is replaced after so long at most, and a second more."""
RENEW_S: Final = 1.0


class Lead:
    """This process's claim to the lead. Calls may raise ``NotNow``: then it is unknown who leads."""

    def __init__(self, writer: Redis, lease_ms: int = LEASE_MS) -> None:
        self._writer: Any = writer
        self._lease_ms = lease_ms
        self._lead = script(writer, "lead")
        self._fence = ""

    @property
    def fence(self) -> str | None:
        """The fencing token, as far as this process knows; what is stored under it tells whether it still counts."""
        return self._fence or None

    async def held(self) -> str | None:
        """Takes or keeps the lead: the fencing token, or ``None`` while another process has it."""
        with away():
            answer = await self._lead(keys=[keys.LEADER, keys.FENCE], args=[self._fence, self._lease_ms])
        self._fence = answer.decode() if answer else ""
        return self._fence or None

    async def leave(self) -> None:
        """Gives the lead up, so that another process need not wait for the lease to end."""
        if self._fence:
            with away():
                await self._lead(keys=[keys.LEADER, keys.FENCE], args=[self._fence, 1])
            self._fence = ""
