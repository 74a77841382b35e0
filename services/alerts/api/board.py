"""``/v1/board``: what the live board shows, at once or as it changes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import Response
from fastapi.sse import format_sse_event

from services import clock
from services.alerts.api.dependencies import Context, Parts, Who
from services.alerts.api.event_stream import LIFETIME_S, RETRY_MS, EventStream, refuse_if_full
from services.alerts.api.timers import Unset
from services.alerts.board.live import TooManyBoards, known
from services.alerts.board.panel import Section
from services.alerts.board.scope import Scope
from services.config.board import MOST_TILES, chosen
from services.operate.problem import Problem

router = APIRouter(prefix="/v1/board", tags=["board"])

_TOO_MANY: Final = "So many different boards are being looked at that no further one is kept up to date."


def scope(
    team: Annotated[str | None, Query(max_length=200, description="Only this team's."), Unset] = None,
    channel: Annotated[str | None, Query(max_length=200, description="Only this channel's."), Unset] = None,
    kpi: Annotated[
        list[str] | None,
        Query(
            description="A tile in place of the configured ones, such as `csat` or `first_response_time.p50_s`; may be "
            "repeated."
        ),
    ] = None,
) -> Scope:
    """What the board is about."""
    tiles = tuple(dict.fromkeys(kpi or ()))
    if len(tiles) > MOST_TILES:
        raise Problem(400, "too-many-tiles", "Too many tiles", f"kpi: at most {MOST_TILES}.")
    for tile in tiles:
        try:
            chosen(tile)
        except ValueError as exc:
            raise Problem(400, "unknown-kpi", "Unknown KPI", f"kpi: {exc}.") from None
    return Scope(team, channel, tiles)


Scoped = Annotated[Scope, Depends(scope)]


@router.get("", summary="What the live board shows")
async def board(parts: Parts, scope: Scoped) -> Response:
    """A member for each section: `about`, `timers`, `alerts`, `kpis`, `workload`. Agents are not in it."""
    drawn = await parts.live.once(scope)
    body = b",".join(b'"%b":%b' % (section.value.encode(), one.body) for section, one in drawn.items())
    return Response(b"{%b}" % body, media_type="application/json", headers={"cache-control": "no-store"})


@router.get("/about", summary="What there is to choose on the board")
async def about(parts: Parts, scope: Scoped) -> Response:
    """Its title, the teams and channels that have counted anything, and the windows."""
    one = await parts.live.section(Section.ABOUT, scope)
    return Response(one.body, media_type="application/json", headers={"cache-control": "no-store"})


@router.get(
    "/stream",
    response_class=Response,
    responses={200: {"content": {"text/event-stream": {}}}},
    summary="The live board as it changes (SSE)",
)
async def stream(
    parts: Parts,
    who: Who,
    scope: Scoped,
    last_event_id: Annotated[str | None, Header(description="What is known by then is not sent again.")] = None,
) -> Response:
    """Each event is named after a section and its `data` is that section whole. A `beat` every five seconds tells the
    time here (`as_of`), when the board was last refreshed (`looked_at`), and, where it cannot be, why (`problem`)."""
    refuse_if_full(parts, who)
    return EventStream(_frames(parts, scope, last_event_id), parts.streams, who)


async def _frames(parts: Context, scope: Scope, last_event_id: str | None) -> AsyncGenerator[bytes, None]:
    yield format_sse_event(comment="open", retry=RETRY_MS)
    began_s = clock.steady_s()
    try:
        async with aclosing(parts.live.follow(scope, known(last_event_id))) as changes:
            async for event, data, place in changes:
                yield format_sse_event(event=event, id=place, data_str=data.decode())
                if clock.steady_s() - began_s > LIFETIME_S:
                    return
    except TooManyBoards:
        yield format_sse_event(event="refused", data_str=_said(_TOO_MANY))


def _said(text: str) -> str:
    return f'{{"problem":"{text}"}}'
