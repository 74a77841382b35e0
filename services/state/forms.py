"""Which version of the state is written, and whether this process may touch what lies there (ADR 0025).

Every process that reads or writes state says which versions it knows, and is forgotten when it no longer does. What is
written is the newest version that all of them know, unless somebody holds it back: so in a rolling upgrade old and new
replicas work side by side, and the first step of a new version is taken when the last old replica is gone.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final
from uuid import uuid4

import structlog
from redis.asyncio import Redis

from schemas.failure import NotNow
from schemas.forms import ALERTS_FORM_KEY, KNOWN, NEWER, READERS_KEY, SHARED_FORM_KEY, STATE_KEY, Known
from schemas.state import PARTITIONS_KEY, position_key
from services.operate.health import Health, Note
from services.state.client import away

FORGOTTEN_S: Final = 60
"""After so long without a word a process is taken to be gone. It is longer than a worker keeps its partitions so."""
_RENEW_S: Final = 2.0

_ROLL: Final = """
local now, least = tonumber(redis.call('TIME')[1]), tonumber(ARGV[2])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. now)
local found = redis.call('HGETALL', KEYS[1])
for at = 1, #found, 2 do
  local newest, seen = string.match(found[at + 1], '^(%d+) (%d+)$')
  if tonumber(seen) + ARGV[3] < now then
    redis.call('HDEL', KEYS[1], found[at])
  else
    least = math.min(least, tonumber(newest))
  end
end
return {least, redis.call('HGET', KEYS[2], 'hold')}
"""
_GUARD: Final = """
do
  local version = tonumber(redis.call('GET', '{key}') or 0)
  if version > {newest} then
    return redis.error_reply('{error} version ' .. version .. ', and it knows up to {newest}: upgrade it')
  end
end
"""

log = structlog.get_logger("state")


def guarded(script: str, key: str, known: Known = KNOWN) -> str:
    """``script``, refusing to run on what is newer than ``known``. ``key`` says of which version it is, and lies in the
    slot of the script's own keys. The refusal is raised as ``NotNow`` (:func:`services.state.client.away`)."""
    guard = _GUARD.replace("{key}", key).replace("{newest}", str(known.newest)).replace("{error}", NEWER)
    return guard + script


class Forms:
    """This process among those that touch the state. Calls may raise ``NotNow``. ``refusal`` is why this process must
    not touch it, as far as it looked."""

    def __init__(self, redis: Redis, service: str, health: Health, known: Known = KNOWN) -> None:
        self.known = known
        self._redis: Any = redis
        self._who = f"{service}:{uuid4().hex[:12]}"
        self._roll = redis.register_script(_ROLL)
        self.refusal: str | None = None
        self._held: int | None = None
        self._least = known.newest
        health.check("state", self._told)

    def target(self, newest: int) -> int:
        """The version to write, where ``newest`` is the newest that was written already: that is not taken back unless
        somebody holds an older one."""
        wanted = max(self._least, newest) if self._held is None else self._held
        return min(max(wanted, self.known.writes), self.known.newest)

    async def look(self) -> str | None:
        """Says that this process is there, and why it must touch nothing, if that is so."""
        with away():
            least, hold = await self._roll(
                keys=[READERS_KEY, STATE_KEY], args=[self._who, self.known.newest, FORGOTTEN_S]
            )
        self._least, self._held = int(least), int(hold) if hold is not None else None
        self.refusal = self.known.refusal(*await versions(self._redis))
        return self.refusal

    async def begin(self, stop: asyncio.Event) -> bool:
        """Returns once the state may be touched; ``False`` if ``stop`` came before. Until then the process is not ready
        and does nothing: whatever ended it would only be started again."""
        refused = None
        while not stop.is_set():
            try:
                refusal = await self.look()
            except NotNow:
                return True  # whoever needs Redis waits for it
            if refusal is None:
                return True
            if refusal != refused:
                log.error("state_refused", why=refusal)
            refused = refusal
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _RENEW_S)
        return False

    async def run(self, stop: asyncio.Event) -> None:
        """Keeps saying so until ``stop``. Raises :class:`Refused` when the state became another: this process was taken
        to be gone, or the operator put another copy there."""
        while not stop.is_set():
            await self._renewed(stop)
            if self.refusal is not None:
                raise Refused(self.refusal)

    async def watch(self, stop: asyncio.Event) -> None:
        """As :meth:`run`, of a process that may stay: :attr:`refusal` says when it must not touch the state."""
        while not stop.is_set():
            await self._renewed(stop)

    async def _renewed(self, stop: asyncio.Event) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _RENEW_S)
        before = self.refusal
        with suppress(NotNow):
            if not stop.is_set() and (refusal := await self.look()) not in (None, before):
                log.error("state_refused", why=refusal)

    async def settle(self, key: str) -> None:
        """Writes down that what ``key`` speaks of is of the version that is written now."""
        with suppress(NotNow), away():
            before = int(await self._redis.get(key) or 0)
            if (target := self.target(before)) != before:
                await self._redis.set(key, target)

    async def leave(self) -> None:
        """This process touches the state no more."""
        with suppress(NotNow), away():
            await self._redis.hdel(READERS_KEY, self._who)

    def _told(self) -> str | Note | None:
        if self.refusal is not None:
            return f"{self.refusal}."
        if self._held is not None and self._held < self.known.newest:
            return Note(f"Version {self._held} is held (`deskpulse state release` ends that).")
        if self._least < self.known.newest:
            return Note(f"Version {self._least} is written while replicas run that do not know {self.known.newest}.")
        return None


class Refused(Exception):
    """The state is of a version that this process must not touch."""


async def versions(redis: Any) -> tuple[int | None, int]:
    """The oldest version that occurs in any partition, ``None`` where there is none yet, and the newest that occurs
    anywhere in the state."""
    with away():
        numbers = await redis.smembers(PARTITIONS_KEY)
        pipeline = redis.pipeline(transaction=False)
        for number in numbers:
            pipeline.hmget(position_key(int(number)), "step", "oldest", "newest")
        pipeline.get(SHARED_FORM_KEY)
        pipeline.get(ALERTS_FORM_KEY)
        *found, shared, alerts = await pipeline.execute()
    oldest, newest = [], [int(shared or 0), int(alerts or 0)]
    for step, lowest, highest in found:
        if int(step or 0):
            oldest.append(int(lowest or 0))
            newest.append(int(highest or 0))
    return min(oldest, default=None), max(newest)
