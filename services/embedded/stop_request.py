"""Ctrl-C for a program without an event loop: the first time asks, the second time ends at once."""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import Self

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class StopRequest:
    """Between entering and leaving, signals are heard here. Only for the main thread."""

    def __init__(self, at_once: Callable[[], None]) -> None:
        """``at_once`` is called in the signal handler at the second signal, and then the process exits: it must
        take no lock."""
        self._at_once = at_once
        self._heard = 0
        self._before: dict[int, object] = {}

    @property
    def made(self) -> bool:
        """Whether a signal has come."""
        return self._heard > 0

    def wait(self, seconds: float) -> bool:
        """Return whether a signal has come, at once when it has and after ``seconds`` when none comes."""
        if not self.made:
            select.select([self._reading], [], [], seconds)
        return self.made

    def __enter__(self) -> Self:
        # An Event would not do: setting it from a handler deadlocks when the handler interrupts its wait().
        self._reading, self._writing = socket.socketpair()
        self._reading.setblocking(False)
        self._writing.setblocking(False)
        self._wakeup = signal.set_wakeup_fd(self._writing.fileno(), warn_on_full_buffer=False)
        self._before = {which: signal.signal(which, self._hear) for which in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for which, handler in self._before.items():
            signal.signal(which, handler)  # type: ignore[arg-type]
        signal.set_wakeup_fd(self._wakeup)
        self._reading.close()
        self._writing.close()

    def _hear(self, which: int, _frame: FrameType | None) -> None:
        self._heard += 1
        if self._heard > 1:
            self._at_once()
            os._exit(128 + which)
