"""``deskpulse oncall``: who is on call, by the document."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from schemas.instant import from_datetime, parse_rfc3339
from services import clock
from services.cli import settings
from services.cli.settings import AsJson, print_json
from services.config.document import Document
from services.config.rota import Rota, RotaInvalid
from services.config.schedule import RemoteCalendar


def oncall(
    schedule: Annotated[
        str | None, typer.Argument(metavar="SCHEDULE", help="One of `schedules`. Default: all.")
    ] = None,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="As in 2026-12-24T18:00Z. Default: now.")] = None,
    config: settings.Config = None,
    as_json: AsJson = False,
) -> None:
    """Say who is on call, until when, who is next, and where alerts go.

    Reads the configuration, and calendars at their addresses; nothing has to run. GET /v1/oncall answers the same, by
    the last good copies of these calendars.

    \b
    Examples:
      deskpulse oncall
      deskpulse oncall support --at 2026-12-24T18:00+01:00 --json
    """
    from services.alerts import roster
    from services.alerts.oncall import Roster

    document = settings.document(settings.config_file(config, settings.environment()))
    found = Roster(document, asyncio.run(_remote(document, schedule)))
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


async def _remote(document: Document, only: str | None) -> dict[str, Rota]:
    """The calendars at their addresses, as they are now."""
    from services.alerts.calendars import over_the_network
    from services.alerts.notify.fetch import Failed

    found = {}
    for name, schedule in document.schedules.items():
        if isinstance(schedule.calendar, RemoteCalendar) and only in (None, name):
            answer = await over_the_network(schedule.calendar, None, None)
            try:
                if isinstance(answer, Failed):
                    settings.fail(f"the calendar of schedule {name} cannot be read: {answer.problem}")
                found[name] = Rota(answer.body or b"")
            except RotaInvalid as exc:
                settings.fail(f"the calendar of schedule {name} cannot be read: {exc}")
    return found


def _instant(text: str) -> int:
    try:
        found = parse_rfc3339(text)
    except ValueError:
        found = None
    if found is None or not 2000 <= found.year < 2100:
        settings.fail(f"--at: '{text}' is no time with an offset from 2000 to 2099, such as 2026-12-24T18:00Z")
    return from_datetime(found)
