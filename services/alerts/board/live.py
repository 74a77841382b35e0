"""Keeps boards up to date while somebody looks at them: one look at Redis serves every browser with the same board."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Final

import msgspec
import structlog
from structlog.stdlib import BoundLogger

from schemas.failure import NotNow
from schemas.instant import from_datetime, to_rfc3339
from services import clock
from services.alerts.board.panel import URGENT, Panel, Section
from services.alerts.board.scope import Scope
from services.alerts.feed import Feed

URGENT_S: Final = 2.0
"""How often timers and alerts are looked at without any news."""
CALM_S: Final = 10.0
"""How often the numbers are."""
BEAT_S: Final = 5.0
"""How often a browser hears that the line is up, and what time it is here."""
_SETTLE_S: Final = 0.2
"""After news, so that a burst of transitions is one look."""
_LINGER_S: Final = 30.0
"""A board that nobody looks at is kept for a reload of the page."""
MOST_BOARDS: Final = 100

log: BoundLogger = structlog.get_logger("board")
_NAMES: Final = frozenset(section.value for section in Section)
_json: Final = msgspec.json.Encoder(enc_hook=str)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A section as JSON; ``version`` is of its content."""

    version: str
    body: bytes


class TooManyBoards(Exception):
    """More different boards are being looked at than are kept."""


class Live:
    """The boards that are being looked at."""

    def __init__(self, panel: Callable[[], Panel], feed: Feed, now: Callable[[], datetime]) -> None:
        self._panel = panel
        self._feed = feed
        self._now = now
        self._boards: dict[Scope, _Board] = {}

    async def once(self, scope: Scope) -> dict[Section, Drawn]:
        """The whole board as it is now. May raise ``NotNow``."""
        return {section: await self.section(section, scope) for section in Section}

    async def section(self, section: Section, scope: Scope) -> Drawn:
        """One section as it is now. May raise ``NotNow``."""
        return drawn(await self._panel().section(section, scope, from_datetime(self._now())))

    async def follow(
        self, scope: Scope, known: Mapping[str, str]
    ) -> AsyncGenerator[tuple[str, bytes, str | None], None]:
        """``(event, data, id)``: every section whose version is not ``known``, then each one that changes, and a beat
        in between. Ends when the feed does. Raises :class:`TooManyBoards`."""
        board = self._board(scope)
        board.watchers += 1
        seen = dict(known)
        try:
            while not self._feed.ended:
                news = board.news  # taken before looking, so that what comes while a slow browser reads is not missed
                for section, one in list(board.drawn.items()):
                    if seen.get(section.value) != one.version:
                        seen[section.value] = one.version
                        yield section.value, one.body, _id(seen)
                yield "beat", self._beat(board), None
                with suppress(TimeoutError):
                    await asyncio.wait_for(news.wait(), BEAT_S)
        finally:
            board.watchers -= 1
            board.left_s = clock.steady_s()

    def _beat(self, board: _Board) -> bytes:
        return _json.encode(
            {"as_of": to_rfc3339(from_datetime(self._now())), "looked_at": board.looked_at, "problem": board.problem}
        )

    def _board(self, scope: Scope) -> _Board:
        for other in [key for key, one in self._boards.items() if one.over]:
            del self._boards[other]
        board = self._boards.get(scope)
        if board is None:
            if len(self._boards) >= MOST_BOARDS:
                raise TooManyBoards
            board = self._boards[scope] = _Board(scope, self._panel, self._feed, self._now)
        return board


class _Board:
    """One board, refreshed by a task of its own until nobody has looked at it for a while."""

    def __init__(self, scope: Scope, panel: Callable[[], Panel], feed: Feed, now: Callable[[], datetime]) -> None:
        self.drawn: dict[Section, Drawn] = {}
        self.news = asyncio.Event()
        """Set once something changed; by then there is another one for what comes after."""
        self.problem: str | None = None
        self.looked_at: str | None = None
        self.watchers = 0
        self.left_s = clock.steady_s()
        self._scope = scope
        self._panel = panel
        self._feed = feed
        self._now = now
        self._due_s: dict[Section, float] = {}
        self._task = asyncio.create_task(self._keep(), name="board")

    @property
    def over(self) -> bool:
        """Whether it is no longer refreshed."""
        return self._task.done()

    async def _keep(self) -> None:
        while not self._feed.ended and (self.watchers or clock.steady_s() - self.left_s < _LINGER_S):
            await self._refresh()
            if await self._feed.news(URGENT_S):
                await asyncio.sleep(_SETTLE_S)
                for section in URGENT:
                    self._due_s[section] = 0.0

    async def _refresh(self) -> None:
        """Sections that are due, in order. Each is told of as soon as it is there: promises do not wait for numbers."""
        now_s, before = clock.steady_s(), (self.problem, self.looked_at is None)
        try:
            panel = self._panel()
            for section in Section:
                if self._due_s.get(section, 0.0) > now_s:
                    continue
                found = drawn(await panel.section(section, self._scope, from_datetime(self._now())))
                self._due_s[section] = now_s + (URGENT_S if section in URGENT else CALM_S) * 0.9
                if self.drawn.get(section) != found:
                    self.drawn[section] = found
                    self._tell()
            self.problem = None
            self.looked_at = to_rfc3339(from_datetime(self._now()))
        except NotNow as wait:
            self.problem = f"{wait.what}."
        except Exception:
            log.exception("board_failed")
            self.problem = "The board could not be refreshed; the log of the API says why."
        if before != (self.problem, self.looked_at is None):
            self._tell()

    def _tell(self) -> None:
        news, self.news = self.news, asyncio.Event()
        news.set()


def drawn(section: object) -> Drawn:
    """A section as it is sent."""
    body = _json.encode(section)
    return Drawn(blake2b(body, digest_size=6).hexdigest(), body)


def known(last_event_id: str | None) -> dict[str, str]:
    """The versions that a browser has, from the id of the last event that it saw. What is not understood is not known:
    the browser gets everything."""
    found = {}
    for part in (last_event_id or "")[:500].split():
        name, _, version = part.partition("=")
        if name in _NAMES:
            found[name] = version
    return found


def _id(seen: Mapping[str, str]) -> str:
    return " ".join(f"{name}={version}" for name, version in seen.items())
