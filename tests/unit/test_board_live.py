"""Boards are kept up to date section by section, and who reads slowly misses nothing."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from schemas.failure import NotNow
from services import clock
from services.alerts.board import live
from services.alerts.board.live import Live
from services.alerts.board.panel import Panel, Section
from services.alerts.board.scope import Scope
from services.alerts.feed import Feed

pytestmark = pytest.mark.anyio
SCOPE = Scope(None, None, ())


class Gated:
    """A panel that makes a section when it is let, or fails as Redis does; and the feed of its news."""

    def __init__(self) -> None:
        self.let = {section: asyncio.Event() for section in Section}
        self.away = False
        self.ended = False
        self.rests = asyncio.Event()

    async def section(self, section: Section, scope: Scope, at_us: int) -> dict[str, Any]:
        await self.let[section].wait()
        if self.away:
            raise NotNow("Redis does not answer")
        return {"section": section.value}

    async def news(self, longest_s: float) -> bool:
        self.rests.set()  # the board has looked at everything
        await asyncio.Event().wait()
        return True


@pytest.fixture
def gated(monkeypatch: pytest.MonkeyPatch) -> Gated:
    monkeypatch.setattr(live, "BEAT_S", 3600.0)  # what comes, comes because it was told
    return Gated()


def boards(gated: Gated) -> Live:
    return Live(lambda: cast(Panel, gated), cast(Feed, gated), clock.now)


async def test_a_section_is_told_of_before_the_next_one_is_made(gated: Gated) -> None:
    line = boards(gated).follow(SCOPE, {})
    async with asyncio.timeout(30):
        assert (await anext(line))[0] == "beat"
        for section in Section:
            gated.let[section].set()
            assert (await anext(line))[0] == section.value
            _, beat, _ = await anext(line)
            assert (b'"looked_at":null' in beat) is (section is not Section.WORKLOAD)
    await line.aclose()


async def test_what_is_made_while_a_slow_browser_reads_is_sent_next(gated: Gated) -> None:
    line = boards(gated).follow(SCOPE, {})
    async with asyncio.timeout(30):
        assert (await anext(line))[0] == "beat"
        gated.let[Section.ABOUT].set()
        assert (await anext(line))[0] == "about"
        for section in Section:
            gated.let[section].set()
        await gated.rests.wait()
        assert (await anext(line))[0] == "beat"
        assert [(await anext(line))[0] for _ in range(4)] == ["timers", "alerts", "kpis", "workload"]
    await line.aclose()


async def test_a_board_that_cannot_be_refreshed_says_so_at_once(gated: Gated) -> None:
    line = boards(gated).follow(SCOPE, {})
    gated.away = True
    async with asyncio.timeout(30):
        assert (await anext(line))[0] == "beat"
        gated.let[Section.ABOUT].set()
        event, beat, _ = await anext(line)
    assert event == "beat"
    assert b"Redis does not answer." in beat
    await line.aclose()
