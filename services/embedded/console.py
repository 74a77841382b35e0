"""What `deskpulse up` says: its own sentences on stdout, the services' log lines on stderr."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from typing import TextIO

from services.embedded.child import LineSink
from services.embedded.log_line import as_json, human


class Console:
    """Safe to use from the threads that read the services' output. Never raises: a closed terminal must not keep
    a service from going on."""

    def __init__(self, *, json_logs: bool = False, out: TextIO | None = None, log: TextIO | None = None) -> None:
        """``json_logs`` keeps the log lines as the services wrote them."""
        self._out = out or sys.stdout
        self._log = log or sys.stderr
        self._json = json_logs
        self._colour = self._log.isatty() and not os.environ.get("NO_COLOR")
        self._lock = threading.Lock()

    def say(self, text: str = "") -> None:
        """A sentence of our own."""
        self._write(self._out, text)

    def sink(self, service: str) -> LineSink:
        """Takes the log lines of ``service``."""

        def receive(line: str) -> None:
            shown = as_json(line, service) if self._json else human(line, service, colour=self._colour)
            if shown is not None:
                self._write(self._log, shown)

        return receive

    def _write(self, stream: TextIO, text: str) -> None:
        with self._lock, contextlib.suppress(OSError, ValueError):
            stream.write(f"{text}\n")
            stream.flush()
