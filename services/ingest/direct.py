"""The short way for webhooks: from the server to the door, past the web framework.

FastAPI's routing, dependencies and middleware cost more processor time than all that ingest itself does with a webhook
before it asks Kafka (docs/adr/0011-cheap-webhooks.md). So the app answers POSTs to configured sources here and leaves
all else to FastAPI: probes, checks, unknown sources, and what is no webhook at all. ``services.ingest.routes`` has the
same route, so that it is documented like any other; both ways end in ``Door.answered``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from services.ingest.door import Door
from services.ingest.source import Ready
from services.operate.problem import Problem, Unexpected


class Direct(FastAPI):
    """FastAPI with the short way for what :meth:`pass_webhooks_to` was told."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._short: dict[str, ASGIApp] = {}
        self._door: Door | None = None

    def pass_webhooks_to(self, door: Door) -> None:
        """From now on, POSTs to ``/webhooks/<source>`` of the door's sources go to ``door``."""
        self._door = door
        self._short = {f"/webhooks/{name}": Unexpected(_Way(door, name)) for name in door.sources}

    def follow(self, sources: Mapping[str, Ready]) -> None:
        """Takes webhooks of these sources, as they are now, from the next request on."""
        assert self._door is not None, "no door yet"
        self._door.follow(sources)
        self.pass_webhooks_to(self._door)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        short = self._short.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if short is None:
            await super().__call__(scope, receive, send)
        else:
            await short(scope, receive, send)


class _Way:
    """The way to one source."""

    def __init__(self, door: Door, name: str) -> None:
        self._door = door
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._door.answered(self._name, scope, receive)
        except Problem as problem:
            response = problem.response()
        await response(scope, receive, send)
