"""``deskpulse report``: a leader's digest, as it was sent or as it would be."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from schemas.failure import NotNow
from services import clock
from services.cli import settings
from services.cli.moment import moment_us
from services.cli.settings import AsJson, Config, print_json
from services.config.document import Document
from services.config.report import ReportPlan

if TYPE_CHECKING:
    from services.alerts.report.plan import Due
    from services.alerts.report.report import Report
    from services.state.address import Address


def report(
    name: Annotated[str, typer.Argument(metavar="NAME", help="One of `reports`.")],
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="The latest due by then: 2026-11-23T08:00Z, or 24h ago. Now.")
    ] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show a leader's digest: what changed, why, what to ask, whom to praise, and what comes. Sends nothing.

    Reads DESKPULSE_REDIS_URL: the digest as it was sent, else as it would be. GET /v1/reports/NAME answers the same.

    \b
    Examples:
      deskpulse report morning
      deskpulse report weekly --at 7d --json
    """
    from services.alerts.report import words
    from services.alerts.report.plan import Timetable
    from services.alerts.report.report import shown

    settings.quiet_libraries()
    environment = settings.environment()
    document = settings.document(settings.config_file(config, environment))
    plan = next((one for one in document.reports if one.name == name), None)
    if plan is None:
        settings.fail(f"no report {name} (there is: {', '.join(one.name for one in document.reports) or 'none'})")
    now_us = clock.now_us()
    due = Timetable(plan, document).last(min(moment_us("--at", at, now_us) or now_us, now_us))
    if due is None:
        settings.fail(f"{name}: none was due in the two months before")
    try:
        url = environment.redis()
    except ValueError as exc:
        settings.fail(str(exc))
    try:
        found = asyncio.run(_found(url, document, plan, due, now_us))
    except NotNow as exc:
        settings.fail(f"{exc.what}; is DESKPULSE_REDIS_URL right?")
    if as_json:
        print_json(shown(found))
    else:
        typer.echo(words.markdown(found), nl=False)


async def _found(url: Address, document: Document, plan: ReportPlan, due: Due, at_us: int) -> Report:
    from services.alerts.explain.explainer import Explainer
    from services.alerts.forecast.forecaster import Forecaster
    from services.alerts.report.composer import Composer
    from services.alerts.report.plan import TOLD_US
    from services.alerts.report.shelf import ReportShelf
    from services.kpi.reader import KpiReader
    from services.kpi.window import resolutions
    from services.state import client
    from services.state.partitions import Partitions
    from services.state.timers import TimerList

    redis = client.reader(url)
    try:
        kept = await ReportShelf(redis, redis).kept(plan.name, due.at_us)
        if kept is not None:
            return kept
        if at_us - due.since_us > TOLD_US:
            settings.fail(f"{plan.name}: not sent then, and too long ago to be made; hours are kept for 35 days")
        partitions = Partitions(redis)
        reader, timers = (
            KpiReader(redis, partitions, resolutions(document.windows_s.values())),
            TimerList(redis, partitions),
        )
        composer = Composer(document, reader, Explainer(document, reader, timers), Forecaster(document, reader), timers)
        return await composer.made(plan, due, at_us)
    finally:
        await redis.aclose()
