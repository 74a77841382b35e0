"""Reading a request's body: as it came, no more of it than allowed, and no longer than allowed."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request


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


async def read(request: Request, limit: int, deadline_s: float) -> bytes:
    """The raw bytes. Raises :class:`TooLarge` (from the announced length, before reading any), :class:`TooSlow`
    or :class:`CutOff`."""
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > limit:
        raise TooLarge(limit, endless=False)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(deadline_s):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise TooLarge(limit, endless=True)
                chunks.append(chunk)
    except TimeoutError:
        raise TooSlow from None
    except ClientDisconnect:
        raise CutOff from None
    return b"".join(chunks)
