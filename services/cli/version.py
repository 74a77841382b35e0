"""``deskpulse version``."""

from __future__ import annotations

import platform
import re
from importlib import metadata
from pathlib import Path

import typer

from services.cli.settings import AsJson, print_json


def version(as_json: AsJson = False) -> None:
    """Print the version of Deskpulse and of the Python that runs it.

    \b
    Example:
      deskpulse version --json
    """
    found = {"deskpulse": deskpulse(), "python": platform.python_version()}
    if as_json:
        print_json(found)
    else:
        typer.echo(f"deskpulse {found['deskpulse']} (Python {found['python']})")


def deskpulse() -> str:
    """Of the checkout that runs, else of the installed distribution."""
    project = Path(__file__).parents[2] / "pyproject.toml"
    if project.is_file() and (match := re.search(r'^version = "(.+)"$', project.read_text(encoding="utf-8"), re.M)):
        return match[1]
    return metadata.version("deskpulse")
