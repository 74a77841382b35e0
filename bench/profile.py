"""Where the time goes: the longest entries of a cProfile, one line each, without the pure waiting."""

from __future__ import annotations

import cProfile
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
    "builtins.compile",
    "frozen importlib",
    "/re/",
    "pydantic",
    "typing.py",
    "inspect.py",
    "sre_",
)
"""Waiting for work, and what belongs to the start of a process."""

_PARTS = ("/services/", "/schemas/", "/redis/", "/aiokafka/")


def profiled(call: Callable[[], Any], top: int) -> list[str]:
    """The ``top`` entries of ``call`` by their own time."""
    profile = cProfile.Profile()
    profile.runcall(call)
    return _shown(pstats.Stats(profile), top)


def read(file: Path, top: int) -> list[str]:
    """The ``top`` entries by their own time of what ``python -m cProfile -o file`` left behind."""
    return _shown(pstats.Stats(str(file)), top)


def read_whole(file: Path, top: int) -> list[str]:
    """The same, of calls with all that they call: which part of the work is dear, rather than which line."""
    return _shown(pstats.Stats(str(file)), top, whole=True)


def _shown(stats: Any, top: int, *, whole: bool = False) -> list[str]:
    rows = [(name, row) for name, row in stats.stats.items() if _works(name)]
    total_s = sum(row[2] for _, row in rows) or 1.0
    if whole:
        # The layers of the web framework hold everything and tell nothing.
        rows = [(name, row) for name, row in rows if any(part in name[0] for part in _PARTS) and row[1] > 100]
    rows.sort(key=lambda item: item[1][3 if whole else 2], reverse=True)
    shown = ["  own %   own ms    calls   with callees ms   where"]
    for (file, number, function), (_, calls, own_s, whole_s, _) in rows[:top]:
        where = function if file in ("~", "") else f"{_short(file)}:{number} {function}"
        shown.append(f"{own_s / total_s:7.1%} {own_s * 1e3:8.0f} {calls:8d} {whole_s * 1e3:17.0f}   {where}")
    return shown


def _works(name: tuple[str, int, str]) -> bool:
    file, _, function = name
    return not any(word in f"{file} {function}" for word in _WAITING)


def _short(file: str) -> str:
    for part in ("/site-packages/", "/lib/python3.11/", "/lib/python3.12/", "/lib/python3.13/"):
        if part in file:
            return file.rsplit(part, 1)[1]
    return "/".join(Path(file).parts[-3:])
