"""SIGINT and SIGTERM: the first asks for a graceful stop, the second ends the process at once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

log = structlog.get_logger("process")


@contextmanager
def signalled() -> Iterator[asyncio.Event]:
    """An event that the first signal sets. Needs a running loop in the main thread; undone on leaving."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def heard(which: signal.Signals) -> None:
        if stop.is_set():
            os._exit(128 + which)
        log.info("stop_requested", signal=which.name)
        stop.set()

    for which in _SIGNALS:
        loop.add_signal_handler(which, heard, which)
    try:
        yield stop
    finally:
        for which in _SIGNALS:
            loop.remove_signal_handler(which)
