"""``GET /v1/alerts/stream``: transitions as they happen, over server-sent events that can be resumed."""

from __future__ import annotations

from collections.abc import AsyncIterable
from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import AwareDatetime

from schemas import codec
from schemas.alert import AlertEvent, AlertState, Severity
from schemas.failure import NotNow
from schemas.instant import from_datetime
from services.alerts.api.dependencies import Parts
from services.operate.problem import Problem

router = APIRouter(prefix="/v1/alerts", tags=["alerts"])

MAX_STREAMS: Final = 200
LIFETIME: Final = timedelta(minutes=10)
"""A stream ends by itself after that; clients come back and resume. So a client that is gone is noticed."""
_RETRY_MS: Final = 2000


async def start(
    parts: Parts,
    last_event_id: Annotated[str | None, Header(description="Resume behind this event.")] = None,
    since: Annotated[
        AwareDatetime | None, Query(description="Begin with what happened from then on; Last-Event-ID wins.")
    ] = None,
) -> tuple[str, bool]:
    """Where a stream begins, and whether the client has to be told that something in between is lost."""
    if parts.streams.open >= parts.streams.most:
        said = f"{parts.streams.most} are open."
        raise Problem(503, "too-many-streams", "Too many streams", said, headers={"Retry-After": "10"})
    try:
        if last_event_id:
            kept = await parts.feed.has(last_event_id)
            return (last_event_id, False) if kept else (await parts.feed.newest(), True)
        if since is not None:
            return f"{max(from_datetime(since) // 1000 - 1, 0)}-{2**63}", False
        return await parts.feed.newest(), False
    except NotNow as wait:
        raise Problem(503, "unavailable", "Unavailable", f"{wait.what}.", headers={"Retry-After": "2"}) from None


@router.get("/stream", response_class=EventSourceResponse, summary="Transitions as they happen (SSE)")
async def stream(
    parts: Parts,
    begin: Annotated[tuple[str, bool], Depends(start)],
    state: Annotated[list[AlertState] | None, Query(description="Only alerts that are then in one of these.")] = None,
    severity: Annotated[list[Severity] | None, Query(description="Only alerts of these severities.")] = None,
) -> AsyncIterable[ServerSentEvent]:
    """Each event is named after the transition, its `data` is an AlertEvent and its `id` resumes behind it.

    An event `reset` means that events between the last one you saw and now are gone: load `GET /v1/alerts` again,
    then go on. A comment every 15 s keeps proxies from closing an idle stream.
    """
    after, lost = begin
    ends = parts.now() + LIFETIME
    parts.streams.open += 1
    try:
        if lost:
            yield ServerSentEvent(event="reset", id=after, retry=_RETRY_MS, data={"reason": "events were forgotten"})
        else:
            yield ServerSentEvent(comment="open", retry=_RETRY_MS)
        async for entry in parts.feed.follow(after):
            if entry is not None and _wanted(entry.event, state, severity):
                data = codec.encode(entry.event).decode()
                yield ServerSentEvent(event=entry.event.transition.value, id=entry.entry_id, raw_data=data)
            if parts.now() > ends:
                return
    except NotNow:
        return  # the client comes back, and resumes where it was
    finally:
        parts.streams.open -= 1


def _wanted(event: AlertEvent, states: list[AlertState] | None, severities: list[Severity] | None) -> bool:
    return (not states or event.alert.state in states) and (not severities or event.alert.severity in severities)
