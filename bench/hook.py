"""A receiver of webhooks that only notes what came when: as little work as a receiver can have, in our own loop."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from services import clock
from services.embedded.port import LOOPBACK

_ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Came:
    """One request, whole: the microsecond it was here, its path, its ``webhook-id`` and its body."""

    at_us: int
    path: str
    message_id: str
    body: bytes


class Hook:
    """Answers every request with 204 and keeps connections open. ``came`` grows as requests come."""

    def __init__(self, port: int) -> None:
        self.came: list[Came] = []
        self.connections = 0
        self.port = port
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Hook:
        self._server = await asyncio.start_server(self._served, LOOPBACK, self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()

    async def _served(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
                body = await reader.readexactly(int(fields.get("content-length", 0)))
                self.came.append(Came(clock.now_us(), first.split(" ")[1], fields.get("webhook-id", ""), body))
                writer.write(_ANSWER)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # whoever sent has closed the connection, or the measurement is over: nobody waits for this task
        finally:
            writer.close()
