"""Reading a request's body: as it came, no more of it than allowed, and no longer than allowed."""

from __future__ import annotations

import asyncio

from starlette.types import Receive


class TooLarge(Exception):
    """More than ``limit`` bytes. ``endless`` when the length was not announced, so the rest cannot be waited for."""

    def __init__(self, limit: int, endless: bool) -> None:
        super().__init__(f"more than {limit} bytes")
        self.limit = limit
        self.endless = endless


class TooSlow(Exception):
    """The body did not arrive in time."""


class CutOff(Exception):
    """The sender went away before its body was complete."""


async def read(receive: Receive, announced: str, limit: int, deadline_s: float) -> bytes:
    """The raw bytes. ``announced`` is the request's Content-Length, or nothing. Raises :class:`TooLarge` (from the
    announced length, before reading any), :class:`TooSlow` or :class:`CutOff`."""
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > limit:
        raise TooLarge(limit, endless=False)
    chunks: list[bytes] = []
    size = 0
    more = True
    try:
        async with asyncio.timeout(deadline_s):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise CutOff
                chunk: bytes = message.get("body", b"")
                size += len(chunk)
                if size > limit:
                    raise TooLarge(limit, endless=True)
                chunks.append(chunk)
                more = message.get("more_body", False)
    except TimeoutError:
        raise TooSlow from None
    return b"".join(chunks)
