"""The command line of it, and what is looked at in which order."""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from services import clock
from services.cli import settings
from services.cli.check import problems
from services.cli.doctor import clocks, disk, log, receivers, services, state
from services.cli.doctor import document as judged
from services.cli.doctor.finding import Finding, Level, ok, problem
from services.cli.settings import AsJson, print_json
from services.cli.version import deskpulse
from services.config.document import Document, load
from services.config.environment import Environment

_MADE_UP = "c2VjcmV0"
"""Stands for a secret that `deskpulse up` will make up."""


def doctor(
    config: settings.Config = None,
    public_url: Annotated[
        str, typer.Option(metavar="URL", help="Where helpdesks reach ingest from outside; for what is said to paste.")
    ] = "https://deskpulse.example.com",
    as_json: AsJson = False,
) -> None:
    """Say what is configured, and whether it works: a line each, with the fix. Exit code 1 when something is wrong.

    Looks at the configuration (secrets, calendars, policies, routes), Kafka and its topics, when each helpdesk was last
    heard of, dead letters, Redis and the version of the state in it, clocks, receivers (reached, never told anything),
    the services on this machine, the disk of the spool, and what `deskpulse up` needs. Changes nothing and prints no
    secret. A warning is no problem yet.

    --json prints `ok`, and `findings` with `what`, `level` (ok, warning, problem), `ok`, `detail` and `fix`.

    \b
    Example:
      deskpulse doctor
    """
    settings.quiet_libraries()
    bare = settings.environment()
    file = settings.config_file(config or settings.running_config(bare), bare)

    async def collected() -> list[Finding]:
        found = []
        async for one in _findings(file, bare, public_url.rstrip("/")):
            found.append(one)
            if not as_json:
                typer.echo(one.line)
        return found

    found = asyncio.run(collected())
    good = all(one.level is not Level.PROBLEM for one in found)
    if as_json:
        print_json({"ok": good, "findings": [one.shown for one in found]})
    raise typer.Exit(0 if good else 1)


async def _findings(file: Path, configured: Environment, public_url: str) -> AsyncIterator[Finding]:
    environment = settings.here(configured)
    yield ok("versions", f"deskpulse {deskpulse()}, Python {platform.python_version()}")
    read = _read(file, configured)
    for one in read.findings:
        yield one
    stored = await state.look(environment)
    kept = await log.look(environment, file)
    for one in (*kept.findings, *stored.findings):
        yield one
    now_us = clock.now_us()
    heard = log.received(kept.tickets.records if kept.tickets is not None else ())
    gaps = {
        "Redis": stored.ahead_s,
        "Kafka": clocks.brokers_ahead_s(heard.appended_us, now_us) or clocks.append_behind_s(heard.waits_us),
    }
    for one in clocks.findings({name: gap for name, gap in gaps.items() if gap is not None}):
        yield one
    if kept.letters is not None:
        yield log.dead_letters(kept.letters, now_us)
    if read.document is not None and kept.tickets is not None:
        whole = kept.tickets.whole
        for one in log.sources(read.document, heard.newest_us, now_us, whole=whole, address=public_url):
            yield one
    for one in services.findings(environment, await services.look(environment)):
        yield one
    if read.document is not None:
        for one in await receivers.look(read.document):
            yield one
    yield disk.look(environment)


@dataclass(slots=True)
class _Read:
    """The configuration; ``document`` is there when every service could work with it."""

    findings: list[Finding] = field(default_factory=list)
    document: Document | None = None


def _read(file: Path, configured: Environment) -> _Read:
    from services.embedded import Unavailable, secret_file

    found = _Read()
    variables = dict(os.environ)
    told = ""
    unset: Collection[str] = ()
    if not (configured.kafka_bootstrap and configured.redis_url) and file.is_file():
        # This is a machine for `up`, which makes up what is not set.
        names = secret_file.names(file.read_text(encoding="utf-8", errors="replace"))
        unset = [name for name in names if not variables.get(name)]
        try:
            kept = secret_file.kept(configured.data_dir)
            variables |= {name: kept.get(name, _MADE_UP) for name in unset}
        except Unavailable as exc:
            found.findings.append(problem("secrets", str(exc), "put it right"))
            variables |= dict.fromkeys(unset, _MADE_UP)
        told = f"; `deskpulse up` makes up {', '.join(unset)}" if unset else ""
    lines = problems(file, variables)
    fix = "correct it, then: deskpulse check"
    found.findings += [problem("configuration", f"{file}: {line}", fix) for line in lines]
    if not lines:
        found.findings.append(ok("configuration", f"{file}{told}"))
        found.document = load(file, variables)
        found.findings += judged.findings(found.document, clock.now().date(), {_MADE_UP})
    return found
