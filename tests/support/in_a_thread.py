"""An application behind a real port, served by a loop in another thread: for callers that block."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp

from services.operate.server import Server

Made = tuple[ASGIApp, Callable[[], Awaitable[object]]]


@contextmanager
def served(make: Callable[[], Made]) -> Iterator[str]:
    """The URL of what ``make`` makes: an application, and what is awaited when it has ended. ``make`` is called in
    the loop that serves, where clients must be made."""
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    url: list[str] = []
    failed: list[BaseException] = []
    up = threading.Event()

    async def serve() -> None:
        try:
            app, close = make()
            server = Server(app, "127.0.0.1", 0)
            await server.start()
            url.append(server.url)
            up.set()
            await stop.wait()
            await server.stop()
            await close()
        except BaseException as exc:
            failed.append(exc)
            raise
        finally:
            up.set()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert up.wait(30), "the server did not start"
    if failed:
        raise failed[0]
    try:
        yield url[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()
    if failed:
        raise failed[0]
