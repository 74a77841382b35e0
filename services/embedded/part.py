"""One service under `deskpulse up`: a child process that is started again when it dies."""

from __future__ import annotations

import http.client
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from services.clock import steady_s
from services.embedded.child import Child
from services.embedded.console import Console
from services.embedded.port import LOOPBACK

LONGEST_PAUSE_S: Final = 30.0
_STEADY_S: Final = 60.0
_PROBE_S: Final = 3.0


def pause_s(deaths: int) -> float:
    """How long to wait before the next start: 1, 2, 4, … seconds, at most :data:`LONGEST_PAUSE_S`."""
    return min(LONGEST_PAUSE_S, float(2 ** min(deaths - 1, 10)))


class Part:
    """A service. ``port`` is where it answers ``/readyz``; None when it does not."""

    def __init__(
        self, name: str, argv: Sequence[str], env: Mapping[str, str], console: Console, port: int | None = None
    ) -> None:
        """Nothing starts yet."""
        self.name = name
        self.port = port
        self.deaths = 0
        self._argv = argv
        self._env = env
        self._console = console
        self._child: Child | None = None
        self._started_s = 0.0
        self._due_s: float | None = None

    @property
    def child(self) -> Child | None:
        """The run that is under way or was the last; None before the first."""
        return self._child

    def start(self, steady: Callable[[], float] = steady_s) -> None:
        """Start it now, from the main thread."""
        self._due_s = None
        self._started_s = steady()
        self._child = Child(self.name, self._argv, env=self._env, sink=self._console.sink(self.name))

    def tend(self, steady: Callable[[], float] = steady_s) -> None:
        """Say so when it has died, and start it again when its pause is over."""
        if self._child is None or self._child.running:
            return
        if self._due_s is None:
            self._died(steady())
        elif steady() >= self._due_s:
            self._console.say(f"{self.name}: starting it again")
            self.start(steady)

    def not_ready(self) -> str | None:
        """None when it answers that it is ready, else one sentence with the reason."""
        if self.port is None:
            return None
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=_PROBE_S)
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            return self.last_words() if self._due_s is not None else "It does not answer yet."
        finally:
            connection.close()
        return None if answer.status == 200 else _reason(body)

    def last_words(self) -> str:
        """The last thing that it printed."""
        lines = self._child.tail().splitlines() if self._child is not None else []
        return lines[-1] if lines else "It said nothing."

    def ask_to_stop(self) -> None:
        """SIGTERM, without waiting. A part that is between two runs is not started again."""
        self._due_s = float("inf")
        if self._child is not None and self._child.running:
            send(self._child.pid, signal.SIGTERM)

    def ended(self, within_s: float) -> bool:
        """Whether it has ended, waiting for that."""
        return self._child is None or self._child.wait(max(0.0, within_s)) is not None

    def kill(self) -> None:
        """With all its descendants."""
        if self._child is not None:
            self._child.kill()

    def _died(self, now_s: float) -> None:
        assert self._child is not None
        self.deaths = 1 if now_s - self._started_s > _STEADY_S else self.deaths + 1
        wait_s = pause_s(self.deaths)
        self._due_s = now_s + wait_s
        code = self._child.exit_code
        how = f"was ended by {signal.Signals(-code).name}" if code is not None and code < 0 else f"exited with {code}"
        self._console.say(f"{self.name} {how}; it is started again in {wait_s:g} s")


def send(pid: int, number: signal.Signals) -> None:
    """A signal to the process group that a Child leads. Takes no lock, so a signal handler may call it."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return


def module(*arguments: str) -> list[str]:
    """The command line of one of our own services, whatever folder it is started in: see :func:`search_path`."""
    return [sys.executable, "-P", "-m", "services.cli", *arguments]


def search_path(environment: Mapping[str, str]) -> str:
    """PYTHONPATH with which a child finds the package that we run from, before any other of that name."""
    root = str(Path(__file__).parents[2])
    return os.pathsep.join([root, *filter(None, [environment.get("PYTHONPATH")])])


def _reason(body: bytes) -> str:
    try:
        detail = json.loads(body)["detail"]
    except (ValueError, KeyError, TypeError):
        return "It is not ready and does not say why."
    return str(detail)
