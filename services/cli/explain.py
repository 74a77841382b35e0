"""``deskpulse explain``: why each SLA timer of a ticket reads what it reads."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schemas.failure import NotNow
from schemas.sla import SlaMetric
from services.cli import settings
from services.cli.settings import AsJson, print_json

if TYPE_CHECKING:
    from services.fold.rules import Rules

_PATIENCE_S = 10.0


def explain(
    ticket: Annotated[str, typer.Argument(metavar="SOURCE:TICKET", help="Such as zendesk:5158.", show_default=False)],
    metric: Annotated[SlaMetric | None, typer.Option(help="Only timers of this metric.")] = None,
    api: Annotated[
        str | None, typer.Option(metavar="URL", help="Ask the query API there instead of reading Redis.")
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(envvar="DESKPULSE_API_TOKEN", help="With --api: one of its api_tokens.", show_envvar=True),
    ] = None,
    config: settings.Config = None,
    as_json: AsJson = False,
) -> None:
    """Say why each SLA timer of a ticket reads what it reads.

    First a sentence for each timer, and why there is none of the other metrics. Then step by step: what happened
    (or that only time passed), what it did to which timer, and why: started, paused, resumed, retargeted, warned,
    breached, ended, cancelled. Messages that do not count (private notes, bots, what was taken back) are named as
    such. Only ids are shown, no names and no texts. Exit code 1 when nothing is known of the ticket.

    Reads Redis (DESKPULSE_REDIS_URL) and the configuration, as the services do; or with --api a running Deskpulse.

    \b
    Examples:
      deskpulse explain zendesk:5158
      deskpulse explain zendesk:5158 --metric first_response
      deskpulse explain zendesk:5158 --api http://127.0.0.1:8090 --json
    """
    from services.fold.shown import as_text

    source, _, ticket_id = ticket.partition(":")
    if not source or not ticket_id:
        settings.fail(f"'{ticket}' is not SOURCE:TICKET; write for example zendesk:5158")
    try:
        shown = (
            _asked(api, source, ticket_id, metric, token)
            if api is not None
            else asyncio.run(_read(config, source, ticket_id, metric))
        )
    except NotNow as exc:
        settings.fail(exc.what)
    if as_json:
        print_json(shown)
        return
    for line in as_text(shown):
        typer.echo(line)


def _asked(api: str, source: str, ticket_id: str, metric: SlaMetric | None, token: str | None) -> dict[str, Any]:
    from urllib.parse import quote

    import httpx

    address = f"{api.rstrip('/')}/v1/tickets/{quote(source, safe='')}/{quote(ticket_id, safe='')}/explain"
    parameters = {"metric": metric.value} if metric is not None else {}
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        answer = httpx.get(address, params=parameters, headers=headers, timeout=_PATIENCE_S)
        said = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as exc:
        settings.fail(f"{api}: no answer of a Deskpulse API ({type(exc).__name__})")
    if not answer.is_success:
        settings.fail(f"{api}: {said.get('detail') or answer.reason_phrase}")
    found: dict[str, Any] = said
    return found


async def _read(config: Path | None, source: str, ticket_id: str, metric: SlaMetric | None) -> dict[str, Any]:
    from services import clock
    from services.fold.explain import explained
    from services.fold.shown import as_json
    from services.state import client
    from services.state.partitions import Partitions
    from services.state.tickets import Tickets

    environment = settings.environment()
    try:
        url = environment.redis()
    except ValueError as exc:
        settings.fail(f"{exc}; or give --api URL")
    rules = _rules(settings.config_file(config, environment))
    redis = client.reader(url)
    try:
        found = await Tickets(redis, Partitions(redis)).find(source, ticket_id)
    finally:
        await redis.aclose()
    if found is None:
        settings.fail(f"no event of ticket '{ticket_id}' of source '{source}' has been counted")
    told = explained(source, ticket_id, found.arrived, rules, clock.now_us(), stored=found.entry.ticket)
    return as_json(told, metric)


def _rules(file: Path) -> Rules:
    from services.config.document import ConfigInvalid
    from services.fold.rules import compiled

    try:
        return compiled(settings.document(file))
    except ConfigInvalid as exc:
        settings.fail(settings.problem_lines(file, exc.problems))
