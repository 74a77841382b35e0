"""A command of Deskpulse as a user runs it: a process, what it printed, and its exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.support.forked import Forked

ROOT = Path(__file__).parents[2]
_LONGEST_S = 120.0


def deskpulse(*arguments: str | Path, given: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """``deskpulse …`` with ``given`` on stdin; only ``environment`` configures it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DESKPULSE_")}
    return ran(list(map(str, arguments)), {**kept, **environment}, given=given)


def ran(
    arguments: Sequence[str], environment: dict[str, str], *, given: bytes = b"", folder: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    """``deskpulse …`` with exactly this environment."""
    with tempfile.TemporaryDirectory(prefix="deskpulse-command-") as name:
        out, err, said = (Path(name) / one for one in ("out", "err", "given"))
        said.write_bytes(given)
        for one in (out, err):
            one.touch()
        variables = {**environment, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
        process = Forked("services.cli", arguments, variables, out=out, err=err, given=said, folder=folder)
        code = process.wait(_LONGEST_S)
        if code is None:
            process.send(signal.SIGKILL)
            raise subprocess.TimeoutExpired(["deskpulse", *arguments], _LONGEST_S, out.read_bytes(), err.read_bytes())
        return subprocess.CompletedProcess(["deskpulse", *arguments], code, out.read_bytes(), err.read_bytes())
