"""The silences that there are: those of the document, and those that came over the API and lie in Redis.

Every change counts a revision up. A step of an alert is stored only on the revision that it was decided on, so that no
step can slip between the look at the silences and the change of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec
from redis.asyncio import Redis

from schemas.instant import SECOND_US
from services.alerts import keys
from services.alerts.script import script
from services.alerts.silence import Plan, Silence, SilenceState
from services.config.document import Document
from services.state.client import away

MOST: Final = 500
"""Silences that the API takes, planned ones and active ones together."""
KEPT_US: Final = 30 * 86_400 * SECOND_US
"""How long one that is over can be looked up."""

_silence: Final = msgspec.json.Decoder(Silence)
_json: Final = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Known:
    """The silences that are not over, and the ``revision`` that they are of."""

    silences: tuple[Silence, ...]
    revision: str


class Silences(Protocol):
    """Calls may raise ``NotNow``."""

    def follow(self, document: Document) -> None:
        """The file's silences are those of ``document`` from now on."""

    async def known(self, at_us: int) -> Known:
        """Those that are not over at the instant."""


class PlannedOnly:
    """The silences of a document, where there is no Redis to keep others."""

    def __init__(self, document: Document) -> None:
        self._plan = Plan(document.silences)

    def follow(self, document: Document) -> None:
        self._plan = Plan(document.silences)

    async def known(self, at_us: int) -> Known:
        return Known(tuple(self._plan.at(at_us)), "")


class SilenceBook:
    """All of them, and their changes."""

    def __init__(self, document: Document, writer: Redis, reader: Redis) -> None:
        self._plan = Plan(document.silences)
        self._writer: Any = writer
        self._reader: Any = reader
        self._change = script(writer, "silence")
        self._read: tuple[str | None, tuple[Silence, ...]] = (None, ())

    def follow(self, document: Document) -> None:
        self._plan = Plan(document.silences)

    def of_file(self, silence_id: str) -> bool:
        """Whether it is the document's."""
        return silence_id in self._plan

    async def known(self, at_us: int) -> Known:
        with away():
            revision = (await self._reader.get(keys.SILENCES_REVISION) or b"").decode()
            if revision != self._read[0]:
                pipeline = self._reader.pipeline(transaction=True)
                pipeline.get(keys.SILENCES_REVISION)
                pipeline.hvals(keys.SILENCES)
                at, stored = await pipeline.execute()
                revision = (at or b"").decode()
                self._read = revision, tuple(_silence.decode(value) for value in stored)
        lasting = [one for one in self._read[1] if at_us < one.until_us]
        return Known((*lasting, *self._plan.at(at_us)), revision)

    async def listed(self, at_us: int) -> list[Silence]:
        """Every silence that is kept, the latest begun first."""
        with away():
            stored = [*await self._reader.hvals(keys.SILENCES), *await self._reader.hvals(keys.SILENCES_OVER)]
        found = [*(_silence.decode(value) for value in stored), *self._plan.at(at_us)]
        return sorted(found, key=lambda one: (one.from_us, one.silence_id), reverse=True)

    async def one(self, silence_id: str, at_us: int) -> Silence | None:
        """The silence of that id."""
        for planned in self._plan.at(at_us):
            if planned.silence_id == silence_id:
                return planned
        with away():
            stored = await self._reader.hget(keys.SILENCES, silence_id)
            stored = stored or await self._reader.hget(keys.SILENCES_OVER, silence_id)
        return _silence.decode(stored) if stored else None

    async def add(self, silence: Silence) -> bool:
        """Keeps a new one. False when there are :data:`MOST` already."""
        return await self._changed(silence, None, most=MOST) == 1

    async def end(self, silence_id: str, by: str, at_us: int) -> Silence | None:
        """Ends one before its time; of one that is over nothing changes. ``None`` when there is none."""
        while True:
            with away():
                stored = await self._reader.hget(keys.SILENCES, silence_id)
            if stored is None:
                return await self.one(silence_id, at_us)
            found = _silence.decode(stored)
            if found.stands(at_us) is SilenceState.OVER:
                return found
            ended = msgspec.structs.replace(found, ended_us=at_us, ended_by=by)
            if await self._changed(ended, stored, over=True) == 1:
                return ended

    async def tidied(self, at_us: int) -> None:
        """Puts those that are over to the record, and forgets what was in it for long enough."""
        with away():
            current: dict[bytes, bytes] = await self._reader.hgetall(keys.SILENCES)
            record: dict[bytes, bytes] = await self._reader.hgetall(keys.SILENCES_OVER)
        for stored in current.values():
            found = _silence.decode(stored)
            if found.until_us <= at_us:
                await self._changed(found, stored, over=True)
        ends = {name: _silence.decode(value) for name, value in record.items()}
        old = [name for name, one in ends.items() if (one.ended_us or one.until_us) <= at_us - KEPT_US]
        if old:
            with away():
                await self._writer.hdel(keys.SILENCES_OVER, *old)

    async def _changed(
        self, silence: Silence, before: bytes | None, *, over: bool = False, most: int | None = None
    ) -> int:
        args: Sequence[Any] = (silence.silence_id, before or "", _json.encode(silence), "1" if over else "", most or "")
        with away():
            return int(
                await self._change(keys=[keys.SILENCES, keys.SILENCES_OVER, keys.SILENCES_REVISION], args=list(args))
            )
