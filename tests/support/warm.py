"""``deskpulse`` and ``python`` from a process that has our modules already and forks for each command: the same,
without a second of importing each time.

``python -m tests.support.warm SOCKET`` serves. ``python -IS tests/support/warm_client.py SOCKET deskpulse …`` runs a
command in the caller's folder, environment and streams, and ends with its exit code.
"""

from __future__ import annotations

import json
import os
import runpy
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.support.wait import until

ROOT: Final = Path(__file__).parents[2]
CLIENT: Final = Path(__file__).with_name("warm_client.py")


@contextmanager
def warm(folder: Path) -> Iterator[str]:
    """The shell command that runs ``deskpulse …`` or ``python …`` warm, while the block runs."""
    path = folder / "warm.socket"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DESKPULSE_")}
    process = subprocess.Popen([sys.executable, "-m", "tests.support.warm", str(path)], cwd=ROOT, env=environment)
    try:
        until(path.exists, "commands are warm", timeout_s=60)
        yield f'"{sys.executable}" -IS "{CLIENT}" "{path}"'
    finally:
        process.kill()
        process.wait(10)


def _serve(path: str) -> None:
    import bench.__main__  # noqa: F401
    import services.alerts.report.composer
    import services.cli.app
    import services.stream.producer  # noqa: F401

    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path + ".new")
    listening.listen()
    Path(path + ".new").rename(path)
    while True:
        connection, _ = listening.accept()
        if os.fork() == 0:
            listening.close()
            if os.fork() == 0:
                _run(connection)
            _, status = os.wait()
            connection.sendall(bytes([os.waitstatus_to_exitcode(status) & 255]))
            os._exit(0)
        connection.close()
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _run(connection: socket.socket) -> None:
    head, descriptors, _, _ = socket.recv_fds(connection, 4, 3)
    wanted, text = struct.unpack("!I", head)[0], b""
    while len(text) < wanted:
        text += connection.recv(65536)
    asked = json.loads(text)
    for at, descriptor in enumerate(descriptors):
        os.dup2(descriptor, at)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    program, *words = asked["words"]
    code: object = 0
    try:
        if program == "deskpulse":
            from services.cli import main

            sys.argv = [program, *words]
            main()
        elif words[0] == "-m":
            sys.argv = words[1:]
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = words
            runpy.run_path(words[0], run_name="__main__")
    except SystemExit as ended:
        code = ended.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    _serve(sys.argv[1])
