"""``deskpulse receivers …``."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import orjson
import typer

from services import clock
from services.cli import settings
from services.cli.settings import AsJson, print_json
from services.config.document import Document

commands = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Where alerts go: try it, and look at it.")


@commands.callback()
def _group() -> None:
    """Where alerts go: try it, and look at it."""


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
    _, document = settings.document_here(config)
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


@commands.command("listen")
def listen(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="The webhook receiver whose secrets sign. Default: any of them."),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Where to listen; 0 is any free port.")] = 9009,
    host: Annotated[str, typer.Option(help="On which address.")] = "127.0.0.1",
    count: Annotated[
        int | None,
        typer.Option(min=1, help="End after so many messages whose signature was right.", show_default=False),
    ] = None,
    wait: Annotated[
        float | None,
        typer.Option(min=0.1, help="End after so many seconds; exit code 1 when --count was not reached."),
    ] = None,
    config: settings.Config = None,
    as_json: AsJson = False,
) -> None:
    """Be a receiver: take webhooks on this machine, check their signatures, and print what they say, until Ctrl-C.

    For trying alerts without Slack or a server of your own: a receiver {url: "http://127.0.0.1:9009/",
    allow_private: true} leads here. What is signed with another secret, or too long ago, is shown as refused and
    answered 401. --json prints one JSON object on each line, with the whole message.

    \b
    Examples:
      deskpulse receivers listen
      deskpulse receivers listen local --port 9009 --count 1 --json
    """
    from services.cli.listen import Heard, Listener, shown

    secrets = _signing(name, config)
    right = 0

    def tell(heard: Heard) -> None:
        nonlocal right
        word = "ok" if heard.outcome == "accepted" else f"REFUSED  {heard.outcome}"
        line = orjson.dumps(shown(heard)).decode() if as_json else f"{clock.now():%H:%M:%S}  {word}  {heard.says}"
        typer.echo(line.rstrip())
        sys.stdout.flush()
        right += heard.outcome == "accepted"
        if count is not None and right >= count:
            listener.stop()

    try:
        listener = Listener(host, port, secrets, tell)
    except OSError as exc:
        settings.fail(f"{host}:{port}: cannot listen there ({exc.strerror}); give another --port")
    typer.echo(f"listening on http://{host}:{listener.port}/, Ctrl-C ends it", err=True)
    timer = threading.Timer(wait, listener.stop) if wait is not None else None
    if timer is not None:
        timer.daemon = True
        timer.start()
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell that starts it in the background has SIGINT ignored
        signal.signal(number, lambda *_: listener.stop())
    listener.run()
    if count is not None and right < count:
        raise typer.Exit(1)


def _signing(name: str | None, config: Path | None) -> list[str]:
    from services.config.receiver import WebhookReceiver

    _, document = settings.document_here(config)
    known = {one: found.webhook for one, found in document.receivers.items() if found.webhook is not None}
    if name is not None and name not in known:
        settings.fail(f"no webhook receiver '{name}' (there is: {', '.join(sorted(known)) or 'none'})")
    if not known:
        settings.fail("the configuration has no webhook receiver: nothing says which secret signs")
    chosen: list[WebhookReceiver] = [known[name]] if name is not None else list(known.values())
    return [secret.get_secret_value() for receiver in chosen for secret in receiver.secrets]


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
