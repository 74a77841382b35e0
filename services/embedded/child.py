"""A child process that ends with us, whatever ends us."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

LineSink = Callable[[str], None]

_TETHER = Path(__file__).with_name("tether.py")
_TAIL_LINES = 40


def discard(line: str) -> None:
    """The sink of a child whose output nobody reads; `Child.tail` still has the end of it."""


class Child:
    """One run of one program; a restart is a new `Child`.

    The program has its own session, so Ctrl-C in a terminal reaches only us and we decide the order of
    stopping. On Linux the kernel kills it when our process ends, even by SIGKILL.

    `pid` is the program's own process id.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        sink: LineSink = discard,
    ) -> None:
        """Start `argv`. `env` is the whole environment (None: ours).

        `sink` gets every line of stdout and stderr, without its newline, from a thread of its own; it must
        not block for long, or the program will. A program that cannot be executed shows as one that exits
        with code 1 and says why in `tail`.

        RuntimeError when called outside the main thread: the kernel ties the program to the *thread* that
        started it, and would kill it as soon as a worker thread ended.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("a Child must be started from the main thread")
        self.name = name
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._sink = sink
        self._process = subprocess.Popen(  # noqa: S603 - argv comes from our own code
            [sys.executable, "-I", "-S", str(_TETHER), str(os.getpid()), *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=None if env is None else dict(env),
            cwd=cwd,
            start_new_session=True,
            encoding="utf-8",
            errors="replace",
        )
        self._pump = threading.Thread(target=self._read, name=f"output of {name}", daemon=True)
        self._pump.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while the program runs; negative when a signal ended it, as in `subprocess`."""
        return self._process.poll()

    @property
    def running(self) -> bool:
        return self.exit_code is None

    def tail(self) -> str:
        """The last lines that the program printed. Complete once it has ended."""
        if not self.running:
            self._pump.join(timeout=1.0)
        return "\n".join(self._tail)

    def wait(self, timeout_s: float) -> int | None:
        """The exit code, or None when the program still runs after `timeout_s`."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def terminate(self, grace_s: float = 10.0) -> int:
        """Ask the program to stop, and kill it with all its descendants after `grace_s`. May be repeated."""
        self._signal(signal.SIGTERM)
        if self.wait(grace_s) is None:
            self._signal(signal.SIGKILL)
        return self._reap()

    def kill(self) -> int:
        """Kill the program with all its descendants at once, as a crash would."""
        self._signal(signal.SIGKILL)
        return self._reap()

    def _reap(self) -> int:
        code = self._process.wait()
        self._pump.join(timeout=1.0)  # bounded: a descendant that left the session may still hold the pipe
        return code

    def _signal(self, number: signal.Signals) -> None:
        # After poll() has reaped the program its id may belong to someone else.
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                text = line.rstrip("\n")
                self._tail.append(text)
                self._sink(text)
