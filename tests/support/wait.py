"""Waiting for a condition, instead of sleeping and hoping."""

import asyncio
import threading
from collections.abc import Awaitable, Callable

_POLL_S = 0.02


def until(condition: Callable[[], object], what: str, *, timeout_s: float = 10.0) -> None:
    """Return as soon as `condition()` is true; AssertionError that names `what` after `timeout_s`."""
    pause = threading.Event()
    for _ in range(int(timeout_s / _POLL_S)):
        if condition():
            return
        pause.wait(_POLL_S)
    assert condition(), f"after {timeout_s} s still not: {what}"


async def eventually(
    condition: Callable[[], object] | Callable[[], Awaitable[object]], what: str, *, timeout_s: float = 10.0
) -> None:
    """As `until`, for a running event loop. The condition may be a coroutine function."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while True:
        answer = condition()
        if isinstance(answer, Awaitable):
            answer = await answer
        if answer:
            return
        assert loop.time() < deadline, f"after {timeout_s} s still not: {what}"
        await asyncio.sleep(_POLL_S)
