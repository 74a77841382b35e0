"""A command of Deskpulse as a user runs it: a process, what it printed, and its exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def deskpulse(*arguments: str | Path, given: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """``deskpulse …`` with ``given`` on stdin; only ``environment`` configures it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DESKPULSE_")}
    env = {**kept, "PYTHONPATH": str(ROOT), "COLUMNS": "100", **environment}
    argv = [sys.executable, "-m", "services.cli", *map(str, arguments)]
    return subprocess.run(argv, env=env, input=given, capture_output=True, timeout=120)
