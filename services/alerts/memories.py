"""How the segments of every rule stand, in Redis. Only the leader writes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from services.alerts import keys
from services.alerts.phase import Memory
from services.alerts.script import script
from services.state.client import away

_memory: Final = msgspec.json.Decoder(Memory)
_json: Final = msgspec.json.Encoder()


class Memories:
    """Calls may raise ``NotNow``."""

    def __init__(self, writer: Redis, reader: Redis) -> None:
        self._reader: Any = reader
        self._write = script(writer, "remember")

    async def of(self, rule: str) -> dict[str, Memory]:
        """What is remembered of each segment."""
        with away():
            found = await self._reader.hgetall(keys.memory(rule))
        return {segment.decode(): _memory.decode(value) for segment, value in found.items()}

    async def rules(self) -> set[str]:
        """The rules of which something is remembered."""
        with away():
            return {name.decode() for name in await self._reader.smembers(keys.REMEMBERED)}

    async def put(self, rule: str, memories: Mapping[str, Memory], forget: Collection[str], fence: str) -> bool:
        """Remembers and forgets. False when another process leads."""
        pairs = [part for segment, memory in memories.items() for part in (segment, _json.encode(memory))]
        with away():
            return bool(
                await self._write(
                    keys=[keys.memory(rule), keys.LEADER, keys.REMEMBERED],
                    args=[fence, rule, len(forget), *forget, *pairs],
                )
            )
