"""``deskpulse forecast``: how much will come, and what it means for agents."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from schemas.failure import NotNow
from schemas.instant import SECOND_US, to_datetime
from services import clock
from services.cli import settings
from services.cli.settings import AsJson, Config, print_json
from services.config import segment as segments
from services.config.document import Document

if TYPE_CHECKING:
    from services.alerts.forecast.outlook import Need, Outlook
    from services.state.address import Address


def forecast(
    segment: Annotated[str, typer.Option(help="A configured segment, such as team:billing.")] = segments.ALL,
    days: Annotated[int, typer.Option(min=1, max=14, help="Local days, today included.")] = 7,
    backtest: Annotated[bool, typer.Option("--backtest", help="Say what such forecasts were worth.")] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Forecast the tickets of the coming days, with their interval, and the agents' hours they need.

    Reads the counted numbers from DESKPULSE_REDIS_URL. GET /v1/forecast answers the same by the hour.

    \b
    Examples:
      deskpulse forecast
      deskpulse forecast --segment team:billing --backtest
      deskpulse forecast --days 14 --json
    """
    settings.quiet_libraries()
    environment = settings.environment()
    document = settings.document(settings.config_file(config, environment))
    chosen = segments.ordered(segment, document.segments)
    if chosen is None:
        settings.fail(f"--segment: {segments.problem(segment, document.segments)}")
    try:
        url = environment.redis()
    except ValueError as exc:
        settings.fail(str(exc))
    try:
        found = asyncio.run(_outlook(url, document, chosen, days))
    except NotNow as exc:
        settings.fail(f"{exc.what}; is DESKPULSE_REDIS_URL right?")
    if as_json:
        from services.alerts.forecast.outlook import shown

        print_json(shown(found))
        return
    for line in [*_told(found), *(_scores(found) if backtest else [])]:
        typer.echo(line)


async def _outlook(url: Address, document: Document, segment: str, days: int) -> Outlook:
    from services.alerts.forecast.forecaster import Forecaster
    from services.kpi.reader import KpiReader
    from services.kpi.window import resolutions
    from services.state import client
    from services.state.partitions import Partitions

    redis = client.reader(url)
    try:
        reader = KpiReader(redis, Partitions(redis), resolutions(document.windows_s.values()))
        return await Forecaster(document, reader).outlook(segment, days, clock.now_us())
    finally:
        await redis.aclose()


def _told(found: Outlook) -> list[str]:
    from services.alerts.forecast.words import WEEKDAYS, number

    lines = [f"{found.segment}: {found.said}"]
    needs = found.days()
    if found.volume.days:
        lines.append(f"{'':<16}{'tickets':>8}  {'80 %':<12}{'agent hours':>12}{'usually there':>15}")
    for day in found.volume.days:
        need = needs[day.day]
        name = f"{WEEKDAYS[day.day.weekday()]} {day.day.isoformat()}"
        mark = "  closed" if day.holiday else ""
        between = f"{day.span.low}-{day.span.high}"
        lines.append(
            f"{name:<16}{number(day.span.expected):>8}  {between:<12}{_agents(need.needed):>12}{_agents(need.seen):>15}"
            + mark
        )
    whole = found.whole()
    if found.volume.whole is not None:
        span = found.volume.whole
        between = f"{span.low}-{span.high}"
        lines.append(
            f"{'together':<16}{number(span.expected):>8}  {between:<12}{_agents(whole.needed):>12}"
            f"{_agents(whole.seen):>15}"
        )
        for slot, need in found.tightest():
            lines.append(f"tight: {_hour(found, slot.start_s)}: {_said(need)}")
        lines.append(found.assumed)
    return lines


def _scores(found: Outlook) -> list[str]:
    test = found.volume.backtest
    if test is None:
        return ["no backtest: it takes three weeks of full days"]
    lines = [
        f"backtest: {test.origins} forecasts of 7 days, {test.first} to {test.last}, {test.hours} hours",
        f"{'':<14}{'MAE':>8}{'MASE':>8}{'pinball':>9}{'in 80 %':>9}{'width':>8}{'day MAE':>9}{'in 80 %':>9}",
    ]
    for name, score in (("profile", test.model), ("last week", test.naive)):
        mase = f"{score.mase:.2f}" if score.mase is not None else "-"
        hours = f"{score.mae:>8.2f}{mase:>8}{score.pinball:>9.3f}{score.coverage * 100:>7.0f} %{score.width:>8.1f}"
        lines.append(f"{name:<14}{hours}{score.day_mae:>9.1f}{score.day_coverage * 100:>7.0f} %")
    return lines


def _agents(hours: float | None) -> str:
    return "-" if hours is None else f"{hours:.1f}"


def _said(need: Need) -> str:
    return f"{_agents(need.needed)} agents needed, usually {_agents(need.seen)} there"


def _hour(found: Outlook, start_s: int) -> str:
    from zoneinfo import ZoneInfo

    return to_datetime(start_s * SECOND_US).astimezone(ZoneInfo(found.timezone)).strftime("%a %Y-%m-%d %H:%M")
