"""``deskpulse oncall``: who is on call, by the document."""

from __future__ import annotations

from typing import Annotated

import typer

from schemas.instant import from_datetime, parse_rfc3339
from services import clock
from services.cli import settings
from services.cli.settings import AsJson, print_json


def oncall(
    schedule: Annotated[
        str | None, typer.Argument(metavar="SCHEDULE", help="One of `schedules`. Default: all.")
    ] = None,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="As in 2026-12-24T18:00Z. Default: now.")] = None,
    config: settings.Config = None,
    as_json: AsJson = False,
) -> None:
    """Say who is on call, until when, who is next, and where alerts go.

    Reads the configuration only; nothing has to run. GET /v1/oncall answers the same.

    \b
    Examples:
      deskpulse oncall
      deskpulse oncall support --at 2026-12-24T18:00+01:00 --json
    """
    from services.alerts import roster
    from services.alerts.oncall import Roster

    found = Roster(settings.document(settings.config_file(config, settings.environment())))
    if schedule is not None and schedule not in found.schedules:
        settings.fail(f"no schedule {schedule} (there is: {', '.join(found.schedules) or 'none'})")
    if not found.schedules:
        settings.fail("the configuration has no schedules")
    at_us = clock.now_us() if at is None else _instant(at)
    rows = [roster.shown(found, name, at_us) for name in ([schedule] if schedule else found.schedules)]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        who = row["person"] or "nobody"
        instead = f" (instead of {row['instead_of']})" if row["instead_of"] else ""
        until = f" until {row['until_local']}, then {row['next']['person'] or 'nobody'}" if row["until"] else ""
        typer.echo(f"{row['schedule']}: {who}{instead}{until}; alerts go to {', '.join(row['receivers']) or 'nobody'}")


def _instant(text: str) -> int:
    try:
        found = parse_rfc3339(text)
    except ValueError:
        found = None
    if found is None or not 2000 <= found.year < 2100:
        settings.fail(f"--at: '{text}' is no time with an offset from 2000 to 2099, such as 2026-12-24T18:00Z")
    return from_datetime(found)
