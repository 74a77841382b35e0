"""``GET /v1/alerts/stream``: transitions as they happen, over server-sent events that can be resumed."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import Response
from fastapi.sse import format_sse_event
from pydantic import AwareDatetime

from schemas import codec
from schemas.alert import AlertEvent, AlertState, Severity
from schemas.failure import NotNow
from schemas.instant import from_datetime
from services import clock
from services.alerts.access.agents import about_an_agent
from services.alerts.api.dependencies import Context, Parts, SeesAgents, Who
from services.alerts.api.event_stream import LIFETIME_S, RETRY_MS, EventStream, refuse_if_full
from services.alerts.feed import BLOCK_S
from services.operate.problem import Problem

router = APIRouter(prefix="/v1/alerts", tags=["alerts"])

MAX_STREAMS: Final = 200
PING_S: Final = 15.0


async def start(
    parts: Parts,
    who: Who,
    last_event_id: Annotated[str | None, Header(description="Resume behind this event.")] = None,
    since: Annotated[
        AwareDatetime | None, Query(description="Begin with what happened from then on; Last-Event-ID wins.")
    ] = None,
) -> tuple[str, bool]:
    """Where a stream begins, and whether the client has to be told that something in between is lost."""
    refuse_if_full(parts, who)
    try:
        if last_event_id:
            kept = await parts.feed.has(last_event_id)
            return (last_event_id, False) if kept else (await parts.feed.newest(), True)
        if since is not None:
            return f"{max(from_datetime(since) // 1000 - 1, 0)}-{2**63}", False
        return await parts.feed.newest(), False
    except NotNow as wait:
        raise Problem(503, "unavailable", "Unavailable", f"{wait.what}.", headers={"Retry-After": "2"}) from None


@router.get(
    "/stream",
    response_class=Response,
    responses={200: {"content": {"text/event-stream": {}}}},
    summary="Transitions as they happen (SSE)",
)
async def stream(
    parts: Parts,
    who: Who,
    agents: SeesAgents,
    begin: Annotated[tuple[str, bool], Depends(start)],
    state: Annotated[list[AlertState] | None, Query(description="Only alerts that are then in one of these.")] = None,
    severity: Annotated[list[Severity] | None, Query(description="Only alerts of these severities.")] = None,
) -> Response:
    """Each event is named after the transition, its `data` is an AlertEvent and its `id` resumes behind it.

    An event `reset` means that events between the last one you saw and now are gone: load `GET /v1/alerts` again,
    then go on. A comment every 15 s keeps proxies from closing an idle stream.
    """
    return EventStream(_frames(parts, begin, state, severity, agents.shown), parts.streams, who)


async def _frames(
    parts: Context,
    begin: tuple[str, bool],
    states: list[AlertState] | None,
    severities: list[Severity] | None,
    agents: bool,
) -> AsyncGenerator[bytes, None]:
    after, lost = begin
    if lost:
        data = '{"reason":"events were forgotten"}'
        yield format_sse_event(event="reset", id=after, retry=RETRY_MS, data_str=data)
    else:
        yield format_sse_event(comment="open", retry=RETRY_MS)
    began_s = spoke_s = clock.steady_s()
    try:
        async for entry in parts.feed.follow(after):
            now_s = clock.steady_s()
            hidden = entry is not None and not agents and about_an_agent(entry.event.alert)
            if entry is not None and not hidden and _wanted(entry.event, states, severities):
                data = codec.encode(entry.event).decode()
                yield format_sse_event(event=entry.event.transition.value, id=entry.entry_id, data_str=data)
                spoke_s = now_s
            elif now_s - spoke_s >= PING_S - BLOCK_S:  # looks are up to BLOCK_S apart
                yield format_sse_event(comment="ping")
                spoke_s = now_s
            if now_s - began_s > LIFETIME_S:
                return
    except NotNow:
        return  # the client comes back, and resumes where it was


def _wanted(event: AlertEvent, states: list[AlertState] | None, severities: list[Severity] | None) -> bool:
    return (not states or event.alert.state in states) and (not severities or event.alert.severity in severities)
