"""The house rules that no linter knows, each as a function from text to the places that break it."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Final

ROOT: Final = Path(__file__).parents[2]

_DATES: Final = frozenset({"datetime", "date", "dt"})
_PRESENT: Final = frozenset({"now", "utcnow", "today"})
_LOOPS: Final = frozenset({"get_running_loop", "get_event_loop"})
_VAGUE: Final = frozenset(
    {"common", "util", "utils", "helper", "helpers", "manager", "managers", "misc", "shared", "core", "base"}
)

# Written in two parts, so that this file does not name what no file may name.
REGISTRIES: Final = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("crates", "io"),
        ("repo", "maven", "apache", "org"),
        ("repo1", "maven", "org"),
        ("proxy", "golang", "org"),
        ("deb", "debian", "org"),
    )
)
_FOREIGN_PATH: Final = re.compile(r"(?<![\w.\-/:])/" + r"work/")


def tracked(suffix: str = "") -> list[Path]:
    """The files that git tracks and that are there, as absolute paths."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = [ROOT / name for name in listed.split("\0") if name.endswith(suffix)]
    return [path for path in paths if path.is_file()]


def reads_of_time(source: str) -> Iterator[str]:
    """Where ``source`` asks a clock: the module ``time``, ``datetime.now`` and its kin, an event loop's ``time``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import) and any(alias.name == "time" for alias in node.names):
            yield f"line {node.lineno}: import time"
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            yield f"line {node.lineno}: from time import …"
        elif isinstance(node, ast.Attribute):
            owner = _last_name(node.value)
            if node.attr in _PRESENT and owner in _DATES:
                yield f"line {node.lineno}: {owner}.{node.attr}"
            elif node.attr == "time" and owner in _LOOPS | {"loop"}:
                yield f"line {node.lineno}: {owner}().time"


def prints(source: str) -> Iterator[str]:
    """Where ``source`` prints."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield f"line {node.lineno}: print"


def open_labels(source: str) -> Iterator[str]:
    """Where a metric label is put together from parts: its values then come from no closed set."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "labels":
            values = [*node.args, *(keyword.value for keyword in node.keywords)]
            if any(isinstance(part, ast.JoinedStr | ast.BinOp) for value in values for part in ast.walk(value)):
                yield f"line {node.lineno}: a composed metric label"


def vague_names(path: PurePath) -> list[str]:
    """The parts of a module's path that say nothing about what is in it."""
    return [part for part in (*path.parts[:-1], path.stem) if part in _VAGUE]


def foreign_places(text: str) -> list[str]:
    """Registry hosts and absolute paths of one person's machine in ``text``."""
    found = [host for host in REGISTRIES if host in text]
    return [*found, *(match[0] for match in _FOREIGN_PATH.finditer(text))]


def unlocked(lock: str) -> list[str]:
    """Requirements of a lock file that are not pinned to a version and a hash, and lines that name a source."""
    problems = []
    for entry in lock.replace("\\\n", " ").splitlines():
        line = entry.strip()
        if not line or line.startswith("#"):
            continue
        if "://" in line or line.startswith("-"):
            problems.append(f"names a source: {line[:60]}")
        elif not re.match(r"^[A-Za-z0-9][\w.\-\[\]]*==[\w.!+]+\s", line) or "--hash=sha256:" not in line:
            problems.append(f"not pinned to a version and a hash: {line[:60]}")
    return problems


def _last_name(node: ast.expr) -> str:
    """``datetime`` for ``datetime`` and ``dt.datetime``, ``get_running_loop`` for a call of it."""
    if isinstance(node, ast.Call):
        return _last_name(node.func)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
