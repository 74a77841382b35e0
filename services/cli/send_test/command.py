"""The command line of it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import httpx
import typer

from services import clock
from services.cli import settings
from services.cli.settings import AsJson, print_json
from services.config.document import ConfigInvalid, Document
from services.config.environment import Environment

if TYPE_CHECKING:
    from services.cli.send_test.prospect import Prospect
    from services.cli.send_test.step import Step
    from services.ingest.source import Ready

WAIT_S: Final = 20.0


def send_test(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A source of the configuration.")],
    breach: Annotated[
        bool,
        typer.Option("--breach", help="A ticket so old that a promise is broken already, up to the alert's receivers."),
    ] = False,
    keep: Annotated[
        bool,
        typer.Option("--keep", help="Leave the sample in. Else it is deleted at the end, and every number is back."),
    ] = False,
    vendor_sample: Annotated[
        str | None,
        typer.Option(
            "--vendor-sample", metavar="NAME", help="Which of the vendor's payloads, where there are several."
        ),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Address of ingest. Default: this machine, DESKPULSE_INGEST_PORT.")
    ] = None,
    api_url: Annotated[
        str | None, typer.Option(help="Address of the API. Default: this machine, DESKPULSE_API_PORT.")
    ] = None,
    token_env: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The variable with a token for the API. Default: the first of api_tokens."),
    ] = None,
    wait: Annotated[float, typer.Option(min=0.1, help="Seconds that each step may take.")] = WAIT_S,
    config: settings.Config = None,
    as_json: AsJson = False,
) -> None:
    """Post one signed webhook as the source's vendor would, and show what becomes of it, a line for each step.

    HTTP answer, records in Kafka, ticket, numbers that moved, timers with their deadlines; with --breach also the SLA
    event, the alert, and what its receivers answered. They really are told; the alert says that it is resolved when the
    sample is taken out. The ticket's number begins with 99, or its name with deskpulse-test.

    Run it where the services' configuration and secrets are. Without DESKPULSE_KAFKA_BOOTSTRAP the Kafka of the
    `deskpulse up` on this machine is looked at, if one runs. Exit code 0 only when everything was reached.

    \b
    Examples:
      deskpulse send-test zendesk
      deskpulse send-test zendesk --breach
      deskpulse send-test zendesk --url https://deskpulse.example.com --api-url https://board.example.com --json
    """
    from services.cli.send_test.step import reached

    settings.quiet_libraries()
    environment = settings.here(settings.environment())
    file, document = settings.document_here(config)

    def say(step: Step) -> None:
        if not as_json:
            typer.echo(step.line)

    asked = _Asked(source, breach, keep, vendor_sample, url, api_url, token_env, wait)
    steps, ticket_id = asyncio.run(_run(asked, document, environment, file, say))
    good = reached(steps)
    if as_json:
        print_json({"ok": good, "source": source, "ticket_id": ticket_id, "steps": [asdict(step) for step in steps]})
    raise typer.Exit(0 if good else 1)


@dataclass(frozen=True, slots=True)
class _Asked:
    """The options."""

    source: str
    breach: bool
    keep: bool
    vendor_sample: str | None
    url: str | None
    api_url: str | None
    token_env: str | None
    wait_s: float


async def _run(
    asked: _Asked, document: Document, environment: Environment, file: Path, say: Callable[[Step], None]
) -> tuple[list[Step], str]:
    from services.cli.send_test.journey import Journey, Places
    from services.cli.send_test.watch import Watch

    source = _source(document, asked.source, file)
    found = _prospect(document, source, asked)
    address = {name: f"http://127.0.0.1:{getattr(environment, f'{name}_port')}" for name in _SERVICES}
    async with httpx.AsyncClient(timeout=30.0, trust_env=False) as client:
        journey = Journey(
            document=document,
            source=source,
            found=found,
            client=client,
            places=Places(
                ingest=(asked.url or address["ingest"]).rstrip("/"),
                worker=address["metrics"],
                alerts=address["alerts"],
                kafka=environment.kafka() if environment.kafka_bootstrap else None,
            ),
            watch=Watch(client, (asked.api_url or address["api"]).rstrip("/"), _token(asked.token_env, document)),
            wait_s=asked.wait_s,
            say=say,
        )
        return await journey.go(breach=asked.breach, keep=asked.keep), found.ticket_id


_SERVICES: Final = ("ingest", "metrics", "alerts", "api")


def _source(document: Document, name: str, file: Path) -> Ready:
    from services.ingest.source import ready

    try:
        sources = ready(document)
    except ConfigInvalid as exc:
        settings.fail(settings.problem_lines(file, exc.problems))
    if name not in sources:
        settings.fail(f"{file}: no source '{name}' (there is: {', '.join(sources) or 'none'})")
    return sources[name]


def _prospect(document: Document, source: Ready, asked: _Asked) -> Prospect:
    from schemas.failure import Invalid
    from services.cli.send_test.prospect import broken, prospect
    from services.fold.rules import compiled
    from services.ingest.sample import samples

    known = samples(source.vendor, document.sources[source.name].options)
    name = asked.vendor_sample or next(iter(known))
    if name not in known:
        settings.fail(f"--vendor-sample: no sample '{name}' of {source.vendor} (there is: {', '.join(known)})")
    try:
        rules = compiled(document)
        if not asked.breach:
            return prospect(source, known[name], rules, clock.now())
        found = broken(source, known[name], rules, clock.now())
    except ConfigInvalid as exc:
        settings.fail(exc.problems)
    except Invalid as failure:
        settings.fail(
            f"sources.{source.name}: its options do not understand the sample: {failure.reason.value}: {failure.detail}"
        )
    if found is None:
        settings.fail(
            f"--breach: no promise of sla_policies is broken for a ticket of '{source.name}', however old: no policy "
            "matches it, or the one that does has no target for its priority, or its calendar has no hours"
        )
    return found


def _token(variable: str | None, document: Document) -> str | None:
    if variable is not None:
        if not os.environ.get(variable):
            settings.fail(f"--token-env: {variable} is not set")
        return os.environ[variable]
    return document.api_tokens[0].token.get_secret_value() if document.api_tokens else None
