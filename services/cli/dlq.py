"""``deskpulse dlq …``: what could not be understood, and another try at it."""

from __future__ import annotations

import asyncio
import heapq
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec import structs

from schemas.failure import NotNow, Reason
from schemas.instant import to_rfc3339
from schemas.topics import TICKETS_DLQ
from services.cli import settings
from services.cli.letters import Wanted, each, picked, place
from services.cli.moment import moment_us
from services.cli.replay import fail_at, producing
from services.cli.settings import AsJson, print_json

if TYPE_CHECKING:
    from services.cli.load import Load
    from services.ingest.source import Ready
    from services.stream.dead_letter import Letter
    from services.stream.producer import Connection

commands = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Dead letters: what could not be understood, and another try."
)

Since = Annotated[
    str | None, typer.Option(metavar="TIME", help="Only letters since then: 2026-01-01T00:00Z, or 24h ago.")
]
Source = Annotated[str | None, typer.Option(help="Only letters of this source.")]
Why = Annotated[str | None, typer.Option(metavar="REASON", help=f"Only letters with this reason: {', '.join(Reason)}.")]
Stage = Annotated[
    str | None, typer.Option(help="Only letters of this stage: ingest, metrics, deskpulse-alerts.", show_default=False)
]


@commands.callback()
def _group() -> None:
    """Dead letters: what could not be understood, and another try at it.

    They lie in helpdesk.tickets.v1.dlq for 30 days, each with its bytes and its reason.
    """


@commands.command("list")
def list_(
    since: Since = None,
    source: Source = None,
    reason: Why = None,
    stage: Stage = None,
    limit: Annotated[int, typer.Option(min=0, help="The newest so many; 0 for all.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List dead letters, the newest last: id, when, source, stage, reason, and what would be right.

    The id is topic:partition:offset. Bodies are not shown, since they may hold personal data. A letter that was
    replayed is still listed: nothing is deleted before its 30 days are over.

    \b
    Examples:
      deskpulse dlq list --since 24h
      deskpulse dlq list --reason bad_value --source zendesk --limit 0 --json
    """
    wanted, connection = _wanted(source, reason, stage), _connection()
    letters, reasons = asyncio.run(_listed(connection, _since_us(since), wanted, limit))
    if as_json:
        rows = [_row(letter) for letter in letters]
        print_json({"total": reasons.total(), "by_reason": dict(sorted(reasons.items())), "letters": rows})
        return
    columns = [_columns(letter) for letter in letters]
    widths = [max(map(len, column)) for column in zip(*columns, strict=True)]
    for row in columns:
        typer.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    shown = "" if len(letters) == reasons.total() else f", the newest {len(letters)} are shown (--limit 0 for all)"
    by_reason = ", ".join(f"{_plain(name)} {number}" for name, number in sorted(reasons.items()))
    count = f"{reasons.total()} dead letter{'s' if reasons.total() != 1 else ''}"
    typer.echo(f"{count}{shown}" + (f": {by_reason}" if by_reason else ""))


@commands.command("show")
def show(
    id_: Annotated[str, typer.Argument(metavar="ID", help="As listed: topic:partition:offset, or partition:offset.")],
    body: Annotated[
        bool, typer.Option("--body", help="Write the body instead, byte for byte. It may hold personal data.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show one dead letter: everything but its body, or with --body the body alone.

    The `http` of --json is what `deskpulse normalise --headers` takes.

    \b
    Examples:
      deskpulse dlq show helpdesk.tickets.v1.dlq:0:17
      deskpulse dlq show 0:17 --body > body.json
      deskpulse dlq show 0:17 --json > letter.json
      deskpulse normalise --source zendesk --headers letter.json body.json
    """
    from services.ingest.raw import http_of

    if body and as_json:
        settings.fail("give --body or --json, not both")
    where = place(id_)
    letter = asyncio.run(picked(_connection(), [where])).get(where)
    if letter is None:
        settings.fail(f"{id_}: there is no such letter (any more)")
    if body:
        sys.stdout.buffer.write(letter.record.value or b"")
        return
    row = _row(letter) | {
        "key": (letter.record.key or b"").decode("utf-8", "replace"),
        "bytes": len(letter.record.value or b""),
        "headers": {name: value.decode("utf-8", "replace") for name, value in letter.record.headers},
        "http": http_of(letter.record.headers),
    }
    if as_json:
        print_json(row)
        return
    headers: Mapping[str, str] = row.pop("headers")
    del row["http"]
    for name, value in [*row.items(), *headers.items()]:
        typer.echo(f"{_plain(name):<18} {_plain(str(value))}".rstrip())


@commands.command("replay")
def replay_(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="These letters, as listed.", show_default=False)
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All letters.")] = False,
    since: Since = None,
    source: Source = None,
    reason: Why = None,
    stage: Stage = None,
    config: settings.Config = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would become of them; write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Try dead letters again, after the configuration or Deskpulse was corrected.

    Give IDs, or --all, or any of --since, --source, --reason and --stage.

    A webhook (stage ingest) is normalised as its source is configured now, and becomes events in
    helpdesk.tickets.v1. A record (stages metrics and deskpulse-alerts) that can be read now goes back to the topic
    it came from. What fails again stays where it is and is told with its reason; exit code 1 then.

    Nothing is deleted, and nobody remembers what was replayed: ids are the same every time, so that a letter may be
    replayed as often as you like and counts once. What was counted already is not corrected by a replay. Ctrl-C
    stops it (exit code 130).

    \b
    Examples:
      deskpulse dlq replay --all --dry-run
      deskpulse dlq replay --reason bad_value --source zendesk
      deskpulse dlq replay helpdesk.tickets.v1.dlq:0:17 0:18
    """
    chosen = any(one is not None for one in (since, source, reason, stage))
    if (bool(ids), everything, chosen).count(True) != 1:
        settings.fail("give either IDs, or --all, or what to choose by: --since, --source, --reason, --stage")
    wanted, places, since_us = _wanted(source, reason, stage), [place(one) for one in ids or []], _since_us(since)
    connection, sources = _connection(), settings.sources(config)
    if places:
        load, where = asyncio.run(_tried_at(connection, sources, places, dry_run))
    else:
        load, where = asyncio.run(_tried(connection, sources, since_us, wanted, dry_run))
    load.tell(as_json, where)


def _connection() -> Connection:
    from services.operate import logs

    logs.configure("dlq", "error")
    settings.quiet_libraries()
    return settings.kafka(settings.environment())


def _since_us(since: str | None) -> int | None:
    from services import clock

    return moment_us("--since", since, clock.now_us())


def _wanted(source: str | None, reason: str | None, stage: str | None) -> Wanted:
    if reason is not None and reason not in set(Reason):
        settings.fail(f"--reason: '{reason}' is none of {', '.join(Reason)}")
    return Wanted(source, reason, stage)


async def _listed(
    connection: Connection, since_us: int | None, wanted: Wanted, limit: int
) -> tuple[list[Letter], Counter[str]]:
    """The newest ``limit`` letters, the newest last, and how many there are by reason."""
    newest: list[tuple[tuple[int, int, int], Letter]] = []
    reasons: Counter[str] = Counter()

    async def keep(letter: Letter) -> None:
        reasons[letter.reason] += 1
        record = letter.record
        one = (
            (record.appended_us, record.partition, record.offset),
            replace(letter, record=structs.replace(record, value=None)),
        )
        if limit and len(newest) >= limit:
            heapq.heappushpop(newest, one)
        else:
            heapq.heappush(newest, one)

    try:
        stopped, where = await each(connection, since_us, wanted, keep, lambda: f"{reasons.total()} found")
    except NotNow as away:
        settings.fail(f"{connection.bootstrap}: {away.what}")
    if stopped:
        typer.echo(f"stopped{where}", err=True)
    return [letter for _, letter in sorted(newest, key=lambda one: one[0])], reasons


async def _tried(
    connection: Connection, sources: Mapping[str, Ready], since_us: int | None, wanted: Wanted, dry_run: bool
) -> tuple[Load, str]:
    from services.cli.load import Load
    from services.ingest.replay import of_letter

    async with producing(None if dry_run else connection) as producer:
        load = Load("dead letters", producer)

        async def retry(letter: Letter) -> None:
            await load.take(letter.id, of_letter(letter, sources))

        try:
            load.stopped, where = await each(connection, since_us, wanted, retry, lambda: load.note)
            await load.flush()
        except NotNow as away:
            fail_at(load, away)
    return load, where


async def _tried_at(
    connection: Connection, sources: Mapping[str, Ready], places: Sequence[tuple[int, int]], dry_run: bool
) -> tuple[Load, str]:
    from services.cli.load import Load
    from services.ingest.replay import Hurdle, Refusal, Replayed, of_letter

    found = await picked(connection, places)
    gone = Replayed(refusal=Refusal(Hurdle.NOT_THERE, "there is no such letter (any more)"))
    async with producing(None if dry_run else connection) as producer:
        load = Load("dead letters", producer)
        try:
            for number, offset in dict.fromkeys(places):
                letter = found.get((number, offset))
                replayed = gone if letter is None else of_letter(letter, sources)
                await load.take(f"{TICKETS_DLQ}:{number}:{offset}", replayed)
            await load.flush()
        except NotNow as away:
            fail_at(load, away)
    return load, ""


def _row(letter: Letter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "appended_at": to_rfc3339(letter.record.appended_us),
        "failed_at": letter.failed_at,
        "source": letter.source,
        "stage": letter.stage,
        "reason": letter.reason,
        "detail": letter.detail,
        "topic": letter.topic or None,
    }


def _columns(letter: Letter) -> list[str]:
    when = letter.failed_at or to_rfc3339(letter.record.appended_us)
    row = (letter.id, when[:19] + "Z", letter.source, letter.stage, letter.reason, letter.detail)
    return [_plain(text) or "-" for text in row]


def _plain(text: str) -> str:
    """Nothing in a header may steer the terminal."""
    return "".join(one if one.isprintable() else "\ufffd" for one in text)
