"""Commands, routes and paths that documents name within a line exist: their options, targets, modules, services."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import typer.main

from services.alerts.access.table import ROWS
from services.cli.app import app
from tests.contract.house import ROOT
from tests.support import stand_in
from tests.support.documented import Inline, inline, pages

COMMANDS = list(inline())
ROOT_COMMAND = typer.main.get_command(app)
OURS = {("GET", "/livez"), ("GET", "/readyz"), ("GET", "/metrics"), ("POST", "/webhooks/{source}")}


def test_documents_name_commands() -> None:
    assert len(COMMANDS) > 60


@pytest.mark.parametrize("one", COMMANDS, ids=str)
def test_a_command_within_a_line_exists(one: Inline) -> None:
    assert wrong(one.text) is None


def wrong(text: str) -> str | None:
    """What of a command does not exist."""
    words = shlex.split(re.split(r" [>|] ", text)[0].replace("…", ""))
    if words[-1:] == [":"]:
        words.pop()
    name, rest = words[0], words[1:]
    match name:
        case "deskpulse":
            return _deskpulse(rest)
        case "python":
            path = rest[1] if rest[0] == "-m" else rest[0]
            found = importlib.util.find_spec(path) if rest[0] == "-m" else (ROOT / path).is_file()
            return None if found else f"there is no {path}"
        case "promtool":
            return next((f"there is no {word}" for word in rest if "/" in word and not (ROOT / word).exists()), None)
        case "curl":
            return next((_route(word) for word in rest if "://" in word), None)
        case "redis-cli":
            return None
        case _:
            return stand_in.KNOWN[name](rest)


def _deskpulse(words: list[str]) -> str | None:
    """Walks the commands as the shell would, and looks at the options of the one that is meant."""
    command: Any = ROOT_COMMAND
    while (below := getattr(command, "get_command", None)) and words and not words[0].startswith("-"):
        if (found := below(None, words[0])) is None:
            return f"{command.name} has no {words[0]}"
        command, words = found, words[1:]
    known = {name for each in command.params for name in (*each.opts, *each.secondary_opts)} | {"--help"}
    unknown = [word for word in words if word.startswith("--") and word.partition("=")[0] not in known]
    return f"{command.name} has no {unknown[0]}" if unknown else None


def _route(url: str) -> str | None:
    path = urlsplit(url).path
    return None if any(_fits(path, row) for _, row in _routes()) else f"there is no {path}"


def _routes() -> list[tuple[str, str]]:
    return [*((row.method, row.path) for row in ROWS), *OURS]


def _fits(path: str, row: str) -> bool:
    return re.fullmatch(re.sub(r"\{\w+(:path)?\}", "[^/]+", row), path) is not None


@pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_routes_that_documents_name_exist(path: Path) -> None:
    named = re.findall(r"\b(GET|POST|PUT|DELETE) (/(?:v1|webhooks|livez|readyz|metrics)[\w/{}.:-]*)", path.read_text())
    gone = [f"{method} {route}" for method, route in named if not _there(method, route.rstrip(".:"))]
    assert gone == []


def _there(method: str, route: str) -> bool:
    return any(method == known and _fits(route, row) for known, row in _routes())


@pytest.mark.parametrize(
    "text",
    [
        "deskpulse dictor",
        "deskpulse replay --nowhere",
        "python -m services.nothing",
        "make toast",
        "docker compose --profile nothing up",
        "docker compose logs nothing",
        "curl -s http://api:8090/v1/nothing",
        "promtool test rules deploy/nothing.yml",
    ],
)
def test_a_command_that_does_not_exist_is_found(text: str) -> None:
    assert wrong(text) is not None


def test_a_route_that_does_not_exist_is_found() -> None:
    assert _there("GET", "/v1/kpis/{kpi}/why")
    assert not _there("DELETE", "/v1/kpis")
