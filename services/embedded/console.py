"""What `deskpulse up` says: its own sentences on stdout, the services' log lines on stderr."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from typing import TextIO

from services.clock import steady_s
from services.embedded.child import LineSink
from services.embedded.log_line import Calm, as_json, human


class LineStream:
    """As much of a text stream as a log handler uses, one line at a time."""

    def __init__(self, sink: LineSink) -> None:
        self._sink = sink
        self._rest = ""

    def write(self, text: str) -> int:
        """Hands on every line that is complete."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._sink(line)
        return len(text)

    def flush(self) -> None:
        """Nothing to do: a line is written when it is complete."""


class Console:
    """Safe to use from the threads that read the services' output. Never raises: a closed terminal must not keep
    a service from going on."""

    def __init__(self, *, json_logs: bool = False, out: TextIO | None = None, log: TextIO | None = None) -> None:
        """``json_logs`` keeps the log lines as the services wrote them."""
        self._out = out or sys.stdout
        self._log = log or sys.stderr
        self._json = json_logs
        self._colour = self._log.isatty() and not os.environ.get("NO_COLOR")
        self._calm = Calm()
        self._lock = threading.Lock()

    def say(self, text: str = "") -> None:
        """A sentence of our own."""
        self._write(self._out, text)

    def sink(self, service: str) -> LineSink:
        """Takes the log lines of ``service``."""

        def receive(line: str) -> None:
            if self._json:
                self._write(self._log, as_json(line, service))
            elif (shown := human(line, service, colour=self._colour)) is not None:
                with self._lock:
                    lets, held = self._calm.lets(line, service, steady_s())
                if lets:
                    self._write(self._log, f"{shown}  (and {held} more like this before)" if held else shown)

        return receive

    def log_stream(self, service: str) -> LineStream:
        """The same as a stream, for a log handler of this process."""
        return LineStream(self.sink(service))

    def _write(self, stream: TextIO, text: str) -> None:
        with self._lock, contextlib.suppress(OSError, ValueError):
            stream.write(f"{text}\n")
            stream.flush()
