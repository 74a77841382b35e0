"""How far long work has come: one line on stderr, in place on a terminal, else a new one every few seconds."""

from __future__ import annotations

import sys
from typing import Final, TextIO

from services import clock

_IN_PLACE_S: Final = 0.1
_LINES_S: Final = 5.0


class Progress:
    """Says nothing about work that is over before the first line would be due."""

    def __init__(self, what: str, stream: TextIO | None = None) -> None:
        self._what = what
        self._stream = sys.stderr if stream is None else stream
        self._in_place = self._stream.isatty()
        self._pause_s = _IN_PLACE_S if self._in_place else _LINES_S
        self._told_s = clock.steady_s()
        self._line = False

    def at(self, done: int, total: int, note: str) -> None:
        """``done`` of ``total`` is behind us, 0 where nobody knows how much there is; ``note`` says what it gave."""
        now_s = clock.steady_s()
        if now_s - self._told_s < self._pause_s:
            return
        self._told_s = now_s
        share = f"{100 * done // total} %, " if total else ""
        text = f"{self._what}: {share}{note}"
        self._stream.write(f"\r\x1b[K{text}" if self._in_place else f"{text}\n")
        self._stream.flush()
        self._line = self._in_place

    def end(self) -> None:
        """Clears the line, so that what is written next stands alone."""
        if self._line:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._line = False
