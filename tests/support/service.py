"""A service of Deskpulse as an operator runs it: a process, its settings in the environment, its log in a file."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.forked import Forked, Fresh
from tests.support.wait import until


class Service:
    """``deskpulse NAME``, from the start until :meth:`stop` or :meth:`kill`."""

    def __init__(
        self,
        name: str,
        environment: Mapping[str, str],
        log: Path,
        program: Sequence[str] = ("services.cli",),
        *,
        fresh: bool = False,
    ) -> None:
        """``program`` is a module and its arguments; the name follows. ``fresh`` is for one that changes what others
        import."""
        self.name = name
        self._log = log
        log.touch()
        self._begins = log.stat().st_size
        module, *arguments = program
        begun = Fresh if fresh else Forked
        self._process = begun(module, [*arguments, name], {**os.environ, **environment}, out=log)

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL: no handler runs, nothing is flushed."""
        self._process.send(signal.SIGKILL)
        self._process.wait(10)

    def terminate(self) -> None:
        """SIGTERM."""
        self._process.send(signal.SIGTERM)

    def stop(self, grace_s: float = 15.0) -> int:
        """SIGTERM, and the exit code."""
        if self.running:
            self.terminate()
        return self.ended(grace_s)

    def ended(self, grace_s: float = 15.0) -> int:
        """The exit code, once it has ended."""
        until(lambda: not self.running, f"{self.name} has stopped", timeout_s=grace_s)
        code = self._process.poll()
        assert code is not None
        return code

    def said(self) -> str:
        """Its log so far, with that of its predecessors under the same name."""
        return self._log.read_text(errors="replace")

    @property
    def started(self) -> bool:
        """Whether this process has said that it started; before that a SIGTERM just ends it."""
        return b'"event":"started"' in self._log.read_bytes()[self._begins :]
