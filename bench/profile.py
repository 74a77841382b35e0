"""Where the time goes: the longest entries of a cProfile, one line each, without the pure waiting."""

from __future__ import annotations

import cProfile
import io
import pstats
from collections.abc import Callable
from pathlib import Path
from typing import Any

_WAITING = (
    "select.epoll",
    "_run_once",
    "runners.py",
    "run_until_complete",
    "run_forever",
    "select.py",
    "marshal.loads",
    "importlib",
    "builtins.exec",
    "set_default_verify_paths",
)
"""Waiting for work, and what belongs to the start of a process."""


def profiled(call: Callable[[], Any], top: int) -> list[str]:
    """The ``top`` entries of ``call`` by their own time."""
    profile = cProfile.Profile()
    profile.runcall(call)
    return _shown(pstats.Stats(profile), top)


def read(file: Path, top: int) -> list[str]:
    """The same of what ``python -m cProfile -o file`` left behind."""
    return _shown(pstats.Stats(str(file), stream=io.StringIO()), top)


def _shown(stats: Any, top: int) -> list[str]:
    rows = sorted(stats.stats.items(), key=lambda item: item[1][2], reverse=True)
    rows = [(name, row) for name, row in rows if not any(word in f"{name[0]} {name[2]}" for word in _WAITING)]
    total_s = sum(row[2] for _, row in rows) or 1.0
    shown = ["  own %   own ms    calls   with callees ms   where"]
    for (file, number, function), (_, calls, own_s, whole_s, _) in rows[:top]:
        where = function if file in ("~", "") else f"{_short(file)}:{number} {function}"
        shown.append(f"{own_s / total_s:7.1%} {own_s * 1e3:8.0f} {calls:8d} {whole_s * 1e3:17.0f}   {where}")
    return shown


def _short(file: str) -> str:
    for part in ("/site-packages/", "/lib/python3"):
        if part in file:
            return file.rsplit(part, 1)[1]
    return "/".join(Path(file).parts[-3:])
