"""``deskpulse simulate``: a helpdesk that is not there."""

from __future__ import annotations

import asyncio
import os
from dataclasses import asdict
from typing import Annotated, Final, TextIO, cast

import typer

from services.cli import settings
from services.cli.settings import AsJson, print_json
from services.config.environment import Environment

_SECRET_ENV: Final = "ZENDESK_SECRET"  # noqa: S105 - the name of a variable


def simulate(
    rate: Annotated[float, typer.Option(help="Webhooks per second, on average.")] = 4.0,
    duration: Annotated[
        float | None, typer.Option(help="Seconds; without it, until Ctrl-C.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same lives of tickets.")] = 0,
    url: Annotated[
        str | None, typer.Option(help="Address of ingest. Default: this machine, DESKPULSE_INGEST_PORT.")
    ] = None,
    source: Annotated[str, typer.Option(help="The source to post to; of vendor zendesk.")] = "zendesk",
    secret_env: Annotated[
        str, typer.Option(metavar="NAME", help="The environment variable that holds the source's secret.")
    ] = _SECRET_ENV,
    demo: Annotated[
        bool, typer.Option("--demo", help="Show everything within a minute; lives of tickets take a minute or two.")
    ] = False,
    json_logs: Annotated[bool, typer.Option("--json-logs", help="Write the log lines on stderr as JSON.")] = False,
    as_json: AsJson = False,
) -> None:
    """Post the webhooks of a simulated Zendesk to an ingest endpoint: signed, some twice, some late.

    The secret is the one that ingest has for the source. When the environment does not hold it, the one that
    `deskpulse up` made in DESKPULSE_DATA_DIR is taken. Exit code 1 when the endpoint will take nothing.

    \b
    Examples:
      deskpulse simulate --rate 50 --duration 60
      ZENDESK_SECRET=… deskpulse simulate --url https://deskpulse.example.com --rate 5
    """
    from services.embedded.console import Console
    from services.operate import logs
    from services.operate.stop import signalled
    from services.simulate.helpdesk import Ended, Simulation, Summary, run

    environment = settings.environment()
    try:
        simulation = Simulation(
            base_url=url or f"http://127.0.0.1:{environment.ingest_port}",
            secret=_secret(secret_env, environment),
            source=source,
            rate=rate,
            duration_s=duration,
            seed=seed,
            demo=demo,
        )
    except ValueError as exc:
        settings.fail(str(exc))

    stream = None if json_logs else cast(TextIO, Console().log_stream("simulate"))
    logs.configure("simulate", environment.log_level, stream)

    async def until_signalled() -> Summary:
        with signalled() as stop:
            return await run(simulation, stop)

    summary = asyncio.run(until_signalled())
    if as_json:
        print_json(asdict(summary) | {"refused": {str(status): n for status, n in summary.refused.items()}})
    elif not json_logs:  # their last line says the same
        typer.echo(
            f"{summary.ended.value}: {summary.sent} webhooks of {summary.tickets} tickets sent, {summary.accepted} "
            f"accepted ({summary.duplicates} sent twice on purpose, {summary.dead_lettered} dead-lettered), "
            f"{sum(summary.refused.values())} refused, {summary.unanswered} unanswered"
        )
    if summary.ended not in (Ended.COMPLETED, Ended.STOPPED):
        raise typer.Exit(1)


def _secret(name: str, environment: Environment) -> str:
    from services.embedded import Unavailable, secret_file

    if value := os.environ.get(name):
        return value
    try:
        kept = secret_file.kept(environment.data_dir)
    except Unavailable as exc:
        settings.fail(str(exc))
    if name not in kept:
        settings.fail(f"{name} is not set: it must hold the source's secret, or --secret-env name another variable")
    return kept[name]
