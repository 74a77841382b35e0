"""Python programs of ours as processes, forked from one that has imported them: a start costs what the program does and
not the two seconds of processor time that importing takes. The suite starts some hundred.

That a program starts from nothing as well is for the tests that start it so: test_up, test_compose, test_docs_drill.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any


class Forked:
    """``python -m MODULE ARGUMENTS`` with exactly this environment, stdin from a file, stdout and stderr appended to
    files. It ends with us."""

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        out: Path,
        err: Path | None = None,
        given: Path = Path(os.devnull),
        folder: Path | None = None,
    ) -> None:
        files = (str(given), str(out), str(err or out))
        where = str(folder or Path.cwd())
        self._process = _context().Process(
            target=_begin, args=(module, list(arguments), dict(environment), files, where), daemon=True
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    def poll(self) -> int | None:
        """The exit code once it has ended; less than 0 for a signal."""
        code: int | None = self._process.exitcode
        return code

    def wait(self, timeout_s: float) -> int | None:
        """The exit code, or nothing when it has not ended by then."""
        self._process.join(timeout_s)
        return self.poll()

    def send(self, number: signal.Signals) -> None:
        """A signal to it, if it runs."""
        if self.poll() is None:
            os.kill(self.pid, number)


class Fresh:
    """As :class:`Forked`, of a program that has to come before anything of ours is imported."""

    def __init__(self, module: str, arguments: Sequence[str], environment: Mapping[str, str], *, out: Path) -> None:
        with out.open("ab") as sink:
            command = [sys.executable, "-m", module, *arguments]
            self._process = subprocess.Popen(command, env=dict(environment), stdout=sink, stderr=sink)
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """As of :class:`Forked`."""
        return self._process.poll()

    def wait(self, timeout_s: float) -> int | None:
        """As of :class:`Forked`."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        return self.poll()

    def send(self, number: signal.Signals) -> None:
        """As of :class:`Forked`."""
        self._process.send_signal(number)


@cache
def _context() -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.imported"])
    return context


def _begin(
    module: str, arguments: list[str], environment: dict[str, str], files: tuple[str, str, str], folder: str
) -> None:
    given, out, err = files
    modes = (os.O_RDONLY, os.O_WRONLY | os.O_APPEND | os.O_CREAT, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for number, (file, mode) in enumerate(zip((given, out, err), modes, strict=True)):
        opened = os.open(file, mode, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  # multiprocessing gave it /dev/null
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
