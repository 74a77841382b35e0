"""``deskpulse replay``: what was kept, or history from a file, becomes events."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from schemas.failure import NotNow
from schemas.topics import WEBHOOKS, apart
from services.cli import settings
from services.cli.moment import moment_us
from services.cli.settings import AsJson

if TYPE_CHECKING:
    from services.cli.load import Load
    from services.ingest.replay import Sources
    from services.stream.producer import Connection, Producer


def replay(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="History as JSON lines; - is stdin.", show_default=False)
    ] = None,
    from_topic: Annotated[
        bool, typer.Option("--from-topic", help="Normalise the raw webhooks that are kept again.")
    ] = False,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only webhooks kept since then: 2026-01-01T00:00Z, or 24h ago.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Only webhooks kept before then.")] = None,
    source: Annotated[
        str | None,
        typer.Option(help="With --from-topic, only this source. With FILE, the source of lines without one."),
    ] = None,
    vendor: Annotated[
        str | None, typer.Option(metavar="V", help="With FILE: as --source, where one source is of this vendor.")
    ] = None,
    config: settings.Config = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do everything but write.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring in what is missing: history from a file, or kept webhooks after a mapping was corrected.

    \b
    deskpulse replay FILE loads JSON lines. A line is
      - a canonical event: as helpdesk.tickets.v1 has it (then ids of customers must be pseudonyms already),
        or as a generic source takes it;
      - a kept delivery {"source": …, "headers": {…}, "body": …, "received_at": …}, only body is needed;
      - or a vendor's payload by itself, with --source or --vendor.
    All of it is imported: it is computed and never alerted on. A ticket with an imported event stays without SLA
    alerts for good, so load what is over, not what is open. Bad lines are told with their number; the good ones
    are loaded.

    \b
    deskpulse replay --from-topic reads the raw webhooks (of sources with keep_raw, for 7 days or their
      raw_retention) with today's mapping.
      It brings events that were not made before. An event that was counted already keeps its id and what it said:
      it is not counted again, and NOT corrected. What was dead-lettered is not there: see deskpulse dlq replay.
      What comes late is news: a promise that turns out to be broken is alerted on.

    May be repeated, and stopped with Ctrl-C (exit code 130): what is there is not counted twice. Needs
    DESKPULSE_KAFKA_BOOTSTRAP, except for a dry run of FILE. Exit code 1 when something was refused.

    \b
    Examples:
      deskpulse replay --from-topic --since 24h --source zendesk --dry-run
      deskpulse replay --from-topic --since 2026-01-01T00:00Z
      deskpulse replay history.jsonl --source zendesk
      deskpulse replay --dry-run --json history.jsonl
    """
    from services import clock
    from services.operate import logs

    if (file is None) is not from_topic:
        settings.fail("give either FILE or --from-topic")
    if file is not None and (since or until):
        settings.fail("--since and --until go with --from-topic")
    if from_topic and vendor is not None:
        settings.fail("--vendor goes with FILE; name a --source")
    environment = settings.environment()
    logs.configure("replay", "error")
    settings.quiet_libraries()
    if file is None:
        now_us = clock.now_us()
        span = moment_us("--since", since, now_us), moment_us("--until", until, now_us)
        sources = settings.sources(config)
        if source is not None and source not in sources:
            settings.fail(f"--source: no source '{source}' is configured")
        run = partial(_topic, settings.kafka(environment), lambda: sources, source, span)
    else:
        known = cache(lambda: settings.sources(config))
        default = _default(known, source, vendor)
        connection = None if dry_run else settings.kafka(environment)
        run = partial(_file, connection, known, default, file, clock.now())
    load, where = asyncio.run(run(dry_run))
    load.tell(as_json, where)


def _default(sources: Sources, source: str | None, vendor: str | None) -> str | None:
    """The source of lines that name none."""
    if source is not None:
        if source not in sources():
            settings.fail(f"--source: no source '{source}' is configured")
        return source
    if vendor is None:
        return None
    found = [name for name, one in sources().items() if one.vendor == vendor]
    if len(found) != 1:
        there = ", ".join(found) or "none"
        settings.fail(f"--vendor: of {vendor} there must be one source, there is: {there}; name it with --source")
    return found[0]


async def _topic(
    connection: Connection, sources: Sources, source: str | None, span: tuple[int | None, int | None], dry_run: bool
) -> tuple[Load, str]:
    from services.cli.load import Load
    from services.cli.progress import Progress
    from services.ingest.replay import of_raw
    from services.operate.stop import signalled
    from services.stream.reader import reading

    progress, known = Progress("replay"), sources()
    with signalled() as stop:
        async with producing(None if dry_run else connection) as producer:
            load, where = Load("webhooks", producer), ""
            try:
                for topic in await _kept(connection, source):
                    async with reading(connection, topic, since_us=span[0], until_us=span[1]) as found:
                        while (batch := await found.batch()) is not None:
                            if stop.is_set():
                                load.stopped, where = True, f" at {found.done} of {found.total} in {topic}"
                                break
                            for record in batch:
                                if source is None or ("source", source.encode()) in record.headers:
                                    place = f"{record.topic}:{record.partition}:{record.offset}"
                                    await load.take(place, of_raw(record, known))
                            progress.at(found.done, found.total, load.note)
                    if load.stopped:
                        break
                await load.flush()
            except NotNow as away:
                fail_at(load, away)
            finally:
                progress.end()
    return load, where


async def _kept(connection: Connection, source: str | None) -> list[str]:
    """The topics with raw webhooks, of all sources or of one: the shared one, and those of sources that had, or have,
    a retention of their own. Raises :class:`NotNow`."""
    from services.stream.survey import survey

    there = (await survey(connection)).partitions
    own = sorted(name for name in there if name.startswith(apart(WEBHOOKS, "")))
    return [WEBHOOKS, *(name for name in own if source is None or name == apart(WEBHOOKS, source))]


async def _file(
    connection: Connection | None,
    sources: Sources,
    default: str | None,
    file: Path,
    received_at: datetime,
    dry_run: bool,
) -> tuple[Load, str]:
    from services.cli.load import Load
    from services.cli.progress import Progress
    from services.ingest.history import of_line
    from services.operate.stop import signalled

    progress, done, number = Progress(f"replay {file}"), 0, 0
    with signalled() as stop, _opened(file) as lines:
        total = os.fstat(lines.fileno()).st_size  # 0 for a pipe
        async with producing(None if dry_run else connection) as producer:
            load = Load("lines", producer)
            try:
                for number, line in enumerate(lines, 1):
                    done += len(line)
                    if line.strip():
                        await load.take(f"line {number}", of_line(line, sources, default, received_at))
                    progress.at(done, total, load.note)
                    if number % 100 == 0:
                        await asyncio.sleep(0)  # so that Ctrl-C is heard
                    if stop.is_set():
                        load.stopped = True
                        break
                await load.flush()
            except NotNow as away:
                fail_at(load, away)
            finally:
                progress.end()
    return load, f" after line {number}"


def _opened(file: Path) -> BinaryIO | nullcontext[BinaryIO]:
    if str(file) == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return file.open("rb")
    except OSError as exc:
        settings.fail(f"{file}: cannot be read ({exc.strerror})")


@asynccontextmanager
async def producing(connection: Connection | None) -> AsyncIterator[Producer | None]:
    """A producer, for a dry run none. Ends the command when no broker answers."""
    from services.stream.producer import Producer

    if connection is None:
        yield None
        return
    producer = Producer(connection, "deskpulse-replay")
    try:
        await producer.start()
    except NotNow as away:
        settings.fail(f"{connection.bootstrap}: {away.what}; is DESKPULSE_KAFKA_BOOTSTRAP right?")
    try:
        yield producer
    finally:
        await producer.stop()


def fail_at(load: Load, away: NotNow) -> None:
    """Ends the command because of a dependency, saying how far it came."""
    settings.fail(f"{away.what}. So far: {load.line()}. Run the same again: nothing is counted twice.")
