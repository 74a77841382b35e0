"""``deskpulse topics …``."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from schemas.failure import NotNow
from services.cli import settings
from services.cli.settings import AsJson, print_json

commands = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Kafka topics: create and compare them.")


@commands.callback()
def _group() -> None:
    """Kafka topics: create and compare them."""


@commands.command("apply")
def apply(
    replication_factor: Annotated[
        int | None,
        typer.Option(
            min=1, help="Copies of each partition. Default: what the topics declare, at most one for each broker."
        ),
    ] = None,
    config: settings.Config = None,
    as_json: AsJson = False,
) -> None:
    """Create the topics that are missing on DESKPULSE_KAFKA_BOOTSTRAP, and say where existing ones differ.

    What exists is never altered. May be repeated. Exit code 1 when a topic is missing afterwards or differs from
    what is declared. Of the configuration only `raw_retention` of the sources is read: each that has one gets a
    topic of its own, helpdesk.webhooks.v1.<source>. No secret is needed.

    \b
    Example:
      DESKPULSE_KAFKA_BOOTSTRAP=kafka:9092 deskpulse topics apply
    """
    from services.stream import admin

    settings.quiet_libraries()
    connection, declared = settings.kafka(settings.environment()), settings.topics(config)
    try:
        rows = asyncio.run(admin.apply(connection, replication_factor, declared))
    except NotNow as exc:
        settings.fail(f"{connection.bootstrap}: {exc.what}; is DESKPULSE_KAFKA_BOOTSTRAP right?")
    if as_json:
        print_json(
            [
                {"topic": row.topic, "outcome": row.outcome, "partitions": row.partitions, "detail": row.detail}
                for row in rows
            ]
        )
    else:
        width = max(24, *(len(row.topic) for row in rows))
        for row in rows:
            outcome = row.outcome.value.replace("_", " ")
            typer.echo(f"{row.topic:<{width}} {outcome:<19} {row.partitions:>3} partitions  {row.detail}".rstrip())
    if any(row.outcome not in admin.IN_ORDER for row in rows):
        raise typer.Exit(1)
