"""``deskpulse silences …``: what nobody is to be told of for a while, over the query API of a running Deskpulse."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from services.cli import settings
from services.cli.settings import AsJson, print_json

commands = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Silences: list, add, end.")

Api = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="The query API. Default: this machine's, at DESKPULSE_API_PORT.", show_default=False
    ),
]
Token = Annotated[
    str | None, typer.Option(envvar="DESKPULSE_API_TOKEN", help="One of its api_tokens.", show_envvar=True)
]
By = Annotated[str, typer.Option(envvar="USER", show_envvar=False, help="Who it is. Default: you, by your login.")]
_PATIENCE_S = 10.0


@commands.callback()
def _group() -> None:
    """Silences: list, add, end."""


@commands.command("list")
def listed(
    state: Annotated[
        list[str] | None, typer.Option(help="Only these: planned, active, over, ended_by_hand. May be repeated.")
    ] = None,
    api: Api = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """List silences: those that are planned or active, and what was over in the last 30 days.

    \b
    Examples:
      deskpulse silences list
      deskpulse silences list --state active --api https://deskpulse.example.com --json
    """
    found = _asked("GET", api, "/v1/silences", token, params={"state": state} if state else {})["silences"]
    if as_json:
        print_json(found)
        return
    for one in found:
        typer.echo(f"{one['silence_id']}  {one['state']}  {one['from']} to {one['until']}  {_said(one['match'])}")
        typer.echo(f"  {one['comment']} ({one['by']})")
    if not found:
        typer.echo("no silences")


@commands.command("add")
def add(
    match: Annotated[
        list[str],
        typer.Option(metavar="LABEL=VALUE", help="A label and a value. More values of a label: any of them."),
    ],
    comment: Annotated[str, typer.Option(help="Why.")] = "",
    duration: Annotated[str | None, typer.Option("--for", help="How long, such as 2h.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Instead of --for: as 2026-12-24T18:00Z.")] = None,
    since: Annotated[str | None, typer.Option("--from", metavar="TIME", help="When it begins. Default: now.")] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Only say which open alerts it would cover.")] = False,
    by: By = "somebody at a terminal",
    api: Api = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Silence the alerts that have these labels, for a while.

    \b
    Examples:
      deskpulse silences add --match team=billing --match team=sales --preview
      deskpulse silences add --match rule=queue-full --for 2h --comment "The phone system moves."
    """
    wanted: dict[str, list[str]] = {}
    for pair in match:
        label, equals, value = pair.partition("=")
        if not equals or not label:
            settings.fail(f"--match: '{pair}' is not LABEL=VALUE, such as team=billing")
        wanted.setdefault(label, []).append(value)
    if preview:
        answer = _asked("POST", api, "/v1/silences/preview", token, json={"match": wanted})
    else:
        given = {"from": since, "until": until, "for": duration, "by": by, "comment": comment}
        body = {"match": wanted} | {name: value for name, value in given.items() if value}
        answer = _asked("POST", api, "/v1/silences", token, json=body)
    if as_json:
        print_json(answer)
        return
    if not preview:
        typer.echo(f"{answer['silence_id']}  {answer['state']} until {answer['until']}")
    covers = answer["covers"]
    typer.echo(f"{'would cover' if preview else 'covers'} {covers['count']} open alert{'s' * (covers['count'] != 1)}")
    for alert in covers["alerts"]:
        typer.echo(f"  {alert['severity']}  {alert['title']}")


@commands.command("end")
def end(
    silence_id: Annotated[str, typer.Argument(metavar="ID", help="As in the list.", show_default=False)],
    by: By = "somebody at a terminal",
    api: Api = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """End a silence now. It stays in the list; what still stands is told.

    \b
    Example:
      deskpulse silences end 9b0d8c7e-0c5e-4b8c-9f0a-0d8f6f4f3f5a
    """
    from urllib.parse import quote

    found = _asked("DELETE", api, f"/v1/silences/{quote(silence_id, safe='')}", token, params={"by": by})
    if as_json:
        print_json(found)
    else:
        typer.echo(f"{found['silence_id']}  {found['state']}")


def _asked(method: str, api: str | None, path: str, token: str | None, **parts: Any) -> dict[str, Any]:
    import httpx

    api = api or f"http://127.0.0.1:{settings.environment().api_port}"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        answer = httpx.request(method, f"{api.rstrip('/')}{path}", headers=headers, timeout=_PATIENCE_S, **parts)
        said = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as exc:
        settings.fail(f"{api}: no answer of a Deskpulse API ({type(exc).__name__})")
    if not answer.is_success:
        settings.fail(f"{api}: {said.get('detail') or answer.reason_phrase}")
    found: dict[str, Any] = said
    return found


def _said(match: dict[str, list[str]]) -> str:
    return " ".join(f"{label}={'|'.join(values)}" for label, values in match.items())
