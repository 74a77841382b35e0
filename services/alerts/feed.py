"""The feed of transitions for live streams: a Redis stream that can be resumed at any entry it still has."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog
from redis.asyncio import Redis
from structlog.stdlib import BoundLogger

from schemas import codec
from schemas.alert import AlertEvent
from schemas.failure import NotNow
from services.alerts import keys
from services.state.client import away

BLOCK_S: Final = 4.0
_CHUNK: Final = 200
_ID: Final = re.compile(r"^\d{1,19}-\d{1,19}$")

log: BoundLogger = structlog.get_logger("feed")


@dataclass(frozen=True, slots=True)
class Entry:
    """A transition in the feed. ``entry_id`` is where a stream resumes behind it."""

    entry_id: str
    event: AlertEvent


class Beat(Protocol):
    """Where the feed's loop shows that it turns; ``Health`` is one."""

    def beat(self, name: str, bound_s: float) -> None:
        """The loop turned."""


class Feed:
    """Reads the feed for any number of followers with one blocking connection: they are woken, and read for
    themselves from where each of them is, so that none can miss an entry or hold up another."""

    def __init__(self, blocking: Redis, reader: Redis) -> None:
        self._blocking: Any = blocking
        self._reader: Any = reader
        self._news = asyncio.Event()
        self._ended = asyncio.Event()

    async def run(self, stop: asyncio.Event, beat: Beat) -> None:
        """Waits for news until ``stop``."""
        last = "$"
        while not stop.is_set():
            beat.beat("feed", 60.0)
            try:
                with away():
                    if last == "$":
                        last = await self.newest()
                    found = await self._blocking.xread({keys.FEED: last}, count=_CHUNK, block=round(BLOCK_S * 1000))
            except NotNow as wait:
                log.warning("feed_waits", why=wait.what)
                await asyncio.sleep(min(wait.retry_after_s, 1.0))
                last = "$"
                continue
            if found:
                entries = found[0][1] if isinstance(found, list) else next(iter(found.values()))[0]
                last = entries[-1][0].decode()
            # Also without news: followers whose Redis lost its memory find that out.
            self._wake()

    def end(self) -> None:
        """Ends every follower at its next look; call it when the process stops."""
        self._ended.set()
        self._wake()

    @property
    def ended(self) -> bool:
        """Whether followers have to end."""
        return self._ended.is_set()

    async def news(self, longest_s: float) -> bool:
        """Whether something came within ``longest_s``; also true after a look without news, or when the feed ends."""
        try:
            await asyncio.wait_for(self._news.wait(), longest_s)
        except TimeoutError:
            return False
        return True

    async def newest(self) -> str:
        """The id of the last entry; ``0-0`` when there is none."""
        with away():
            found = await self._reader.xrevrange(keys.FEED, count=1)
        return found[0][0].decode() if found else "0-0"

    async def has(self, entry_id: str) -> bool:
        """Whether everything behind ``entry_id`` is still there: neither trimmed nor lost with Redis' memory."""
        if not _ID.match(entry_id):
            return False
        with away():
            oldest = await self._reader.xrange(keys.FEED, count=1)
            newest = await self.newest()
        if entry_id == "0-0" or not oldest:
            return entry_id == "0-0"
        return parsed(oldest[0][0].decode()) <= parsed(entry_id) <= parsed(newest)

    async def follow(self, after: str) -> AsyncIterator[Entry | None]:
        """Every entry behind ``after``, then each new one; ``None`` whenever there was a look without news.

        Ends when the feed ends. May raise ``NotNow``.
        """
        while not self._ended.is_set():
            news = self._news  # before the look, so that what comes during it is not missed
            with away():
                found = await self._reader.xrange(keys.FEED, min=f"({after}", count=_CHUNK)
            for entry, fields in found:
                after = entry.decode()
                yield Entry(after, codec.decode_alert(fields[b"value"]))
            if found:
                continue
            yield None
            await news.wait()

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


def parsed(entry_id: str) -> tuple[int, int]:
    """The two numbers of a stream id, which order entries."""
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence)
