"""Server-sent events that are counted while they are open; see ``/v1/alerts/stream`` and ``/v1/board/stream``."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from services.alerts.access.identity import Identity
from services.alerts.api.dependencies import Context, Streams
from services.operate.problem import Problem

LIFETIME_S: Final = 600.0
"""A stream ends by itself after that; clients come back and resume. So a client that is gone is noticed."""
RETRY_MS: Final = 2000


def refuse_if_full(parts: Context, who: Identity) -> None:
    """Raises :class:`Problem` when no further stream is served: 503 to anybody, 429 to who has so many already."""
    streams, most = parts.streams, parts.document.api.streams
    if streams.open >= streams.most:
        said = f"{streams.most} are open."
        raise Problem(503, "too-many-streams", "Too many streams", said, headers={"Retry-After": "10"})
    if streams.of(who.key) >= most:
        said = f"You have {most} open here; close one."
        raise Problem(429, "too-many-streams", "Too many streams", said, headers={"Retry-After": "10"})


class EventStream(StreamingResponse):
    """A stream that is counted while it is open, and whose generator ends with it.

    FastAPI's own way (a route that yields) is not used: when a client leaves in the middle of a burst it fails with
    a BrokenResourceError (0.165), which would be logged as a bug each time.
    """

    media_type = "text/event-stream"

    def __init__(self, frames: AsyncGenerator[bytes, None], streams: Streams, who: Identity) -> None:
        super().__init__(frames, headers={"cache-control": "no-cache", "x-accel-buffering": "no"})
        self._frames = frames
        self._streams = streams
        self._caller = who.key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._streams.opened(self._caller)
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._streams.closed(self._caller)
            await self._frames.aclose()
