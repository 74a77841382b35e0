"""``deskpulse check``: whether every service could work with a configuration."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import typer

from schemas.instant import SECOND_US
from services import clock
from services.cli import settings
from services.cli.settings import AsJson, print_json
from services.config.document import ConfigInvalid, load
from services.config.schedule import RemoteCalendar

_AHEAD_US: Final = 8 * 7 * 86_400 * SECOND_US
"""How far ahead gaps in on-call schedules are looked for."""


def check(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The YAML configuration. Default: the one services use.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Validate a configuration as every service will read it. Exit code 1 and a line for each problem.

    A ${NAME} is a problem when the environment does not set NAME. So is a time in the next eight weeks at which nobody
    is on call, by a schedule that does not say who then takes alerts; calendars at an address are not read for that.
    Nothing is started or changed.

    \b
    Examples:
      deskpulse check deploy/config/deskpulse.yaml
      ZENDESK_SECRET=x GENERIC_SECRET=x deskpulse check --json my.yaml
    """
    path = settings.config_file(file, settings.environment())
    found = problems(path, os.environ)
    if as_json:
        print_json({"file": str(path), "ok": not found, "problems": found})
        raise typer.Exit(1 if found else 0)
    if found:
        settings.fail(settings.problem_lines(path, found))
    typer.echo(f"{path}: ok")


def problems(path: Path, variables: Mapping[str, str]) -> list[str]:
    """A line for each thing that some service could not work with, ``where: what``."""
    from services.alerts import oncall
    from services.alerts.notify import channels
    from services.fold import rules
    from services.ingest import source

    try:
        document = load(path, variables)
    except ConfigInvalid as exc:
        return exc.problems
    found = source.problems(document) + channels.problems(document)
    try:
        rules.compiled(document)
    except ConfigInvalid as exc:
        found += exc.problems
    now_us = clock.now_us()
    here = {name: one for name, one in document.schedules.items() if not isinstance(one.calendar, RemoteCalendar)}
    known = document.model_copy(update={"schedules": here})
    return found + oncall.gap_problems(oncall.Roster(known), now_us, now_us + _AHEAD_US)
