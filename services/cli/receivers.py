"""``deskpulse receivers …``."""

from __future__ import annotations

import asyncio
from typing import Annotated
from uuid import uuid4

import typer

from services import clock
from services.cli import settings
from services.cli.settings import AsJson, print_json
from services.config.document import Document

commands = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Where alerts go: try it.")


@commands.callback()
def _group() -> None:
    """Where alerts go: try it."""


@commands.command("test")
def try_them(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME…", help="Receivers of the configuration. Default: all.")
    ] = None,
    config: settings.Config = None,
    as_json: AsJson = False,
) -> None:
    """Send a test message to receivers, from this machine, and say what they answered.

    The message says that it is no alert. Neither Kafka nor Redis is needed. Exit code 1 when a receiver did not take
    it. POST /v1/receivers/{name}/test of the query API does the same from the alerts worker.

    \b
    Examples:
      deskpulse receivers test oncall
      SLACK_TOKEN=xoxb-… deskpulse receivers test --config my.yaml --json
    """
    settings.quiet_libraries()
    document = settings.document(settings.config_file(config, settings.environment()))
    known = sorted(document.receivers)
    unknown = sorted(set(names or ()) - set(known))
    if unknown:
        settings.fail(f"no receiver {', '.join(unknown)} (there is: {', '.join(known) or 'none'})")
    if not known:
        settings.fail("the configuration has no receivers")
    rows = asyncio.run(_tried(document, names or known))
    if as_json:
        print_json(rows)
    else:
        width = max(len(row["receiver"] or "") for row in rows)
        for row in rows:
            typer.echo(f"{row['receiver']:<{width}}  {row['kind']}  {row['outcome']}  {row['problem'] or ''}".rstrip())
    raise typer.Exit(0 if all(row["outcome"] == "delivered" for row in rows) else 1)


async def _tried(document: Document, names: list[str]) -> list[dict[str, str | None]]:
    return await asyncio.gather(*(_one(document, name) for name in names))


async def _one(document: Document, name: str) -> dict[str, str | None]:
    from services.alerts.delivery import Delivered
    from services.alerts.message import Trial
    from services.alerts.notify.channels import channel

    row: dict[str, str | None] = {"receiver": name, "kind": document.receivers[name].kind}
    try:
        found = channel(document, name)
    except ValueError as exc:
        return row | {"outcome": "refused", "problem": str(exc)}
    try:
        outcome = await found.send(Trial(str(uuid4()), name), clock.now_us())
    finally:
        await found.close()
    problem = None if isinstance(outcome, Delivered) else outcome.problem
    return row | {"outcome": type(outcome).__name__.lower(), "problem": problem}
