"""The request to make the promises of open tickets anew: asked by people, carried out by every metrics worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from redis.asyncio import Redis

from schemas.instant import to_rfc3339
from schemas.state import PARTITIONS_KEY, RECOMPUTE_KEY
from services.state.client import away

_DONE: Final = "done:"

_ASK: Final = """
if redis.call('EXISTS', KEYS[1]) == 1 then
  for at = 5, #ARGV do
    if redis.call('HEXISTS', KEYS[1], 'done:' .. ARGV[at]) == 0 then
      return 0
    end
  end
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'id', ARGV[1], 'asked_us', ARGV[2], 'digest', ARGV[3], 'policy', ARGV[4])
return 1
"""
_FINISH: Final = """
if redis.call('HGET', KEYS[1], 'id') == ARGV[1] then
  redis.call('HSET', KEYS[1], 'done:' .. ARGV[2], ARGV[3])
end
"""


@dataclass(frozen=True, slots=True)
class Request:
    """``digest`` names the rules that are meant (``services.fold.rules``); ``policy`` is ``None`` for all of them.
    ``done`` has the partitions that are done, each with how many tickets' timers changed."""

    id: str
    asked_us: int
    digest: str
    policy: str | None
    done: dict[int, int]

    def shown(self, partitions: Sequence[int], *, digest: str) -> dict[str, Any]:
        """As JSON. ``partitions`` are those that there are; ``digest`` is that of the document of whoever asks."""
        return {
            "id": self.id,
            "asked_at": to_rfc3339(self.asked_us),
            "policy": self.policy,
            "of_this_document": self.digest == digest,
            "finished": all(number in self.done for number in partitions),
            "partitions": {"done": sum(number in self.done for number in partitions), "all": len(partitions)},
            "tickets_changed": sum(self.done.values()),
        }


class Recomputes:
    """The newest request. Calls may raise ``NotNow``."""

    def __init__(self, writer: Redis, reader: Redis) -> None:
        self._reader: Any = reader
        self._ask = writer.register_script(_ASK)
        self._finish = writer.register_script(_FINISH)

    async def ask(self, asked_us: int, digest: str, policy: str | None) -> Request | None:
        """Asks for it. ``None`` while an earlier request is not done in every partition."""
        request = Request(uuid4().hex[:16], asked_us, digest, policy, {})
        numbers = await self.partitions()
        with away():
            taken = await self._ask(keys=[RECOMPUTE_KEY], args=[request.id, asked_us, digest, policy or "", *numbers])
        return request if taken else None

    async def newest(self) -> Request | None:
        """The newest request, done or not."""
        with away():
            found = {
                name.decode(): value.decode() for name, value in (await self._reader.hgetall(RECOMPUTE_KEY)).items()
            }
        if "id" not in found:
            return None
        done = {int(name[len(_DONE) :]): int(value) for name, value in found.items() if name.startswith(_DONE)}
        return Request(found["id"], int(found["asked_us"]), found["digest"], found["policy"] or None, done)

    async def finished(self, request: Request, partition: int, changed: int) -> None:
        """The partition is done, unless another request came meanwhile."""
        with away():
            await self._finish(keys=[RECOMPUTE_KEY], args=[request.id, partition, changed])

    async def partitions(self) -> list[int]:
        """The partitions that have state: a request is done when all of them are."""
        with away():
            return sorted(int(number) for number in await self._reader.smembers(PARTITIONS_KEY))
