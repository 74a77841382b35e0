"""``deskpulse rules test``: when a rule would have fired, before it goes live."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
import yaml

from schemas.failure import NotNow
from schemas.instant import to_datetime
from services.cli import settings
from services.cli.settings import AsJson, Config, print_json
from services.config.document import Document

if TYPE_CHECKING:
    from services.alerts.rehearse import Rehearsal, Spell
    from services.alerts.rulebook import Entry
    from services.state.address import Address

commands = typer.Typer(no_args_is_help=True, help="Alert rules over KPIs: try them on the past.")
_NAMED: Final = 20


@commands.callback()
def _group() -> None:
    """Alert rules over KPIs: try them on the past."""


@commands.command("test")
def tried(
    what: Annotated[
        str, typer.Argument(metavar="FILE|NAME", help="A YAML file with `rules:` (or one rule), or a rule's name.")
    ],
    days: Annotated[int, typer.Option(min=1, max=90, help="How far back.")] = 7,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show when rules would have fired and ended over the last days, with the values. Nothing is stored or sent.

    Reads the counted numbers from DESKPULSE_REDIS_URL. Back to two days it looks every minute or few, further back
    every hour or more: what was over in between is not seen. A NAME is one of the configuration's rules, or of those
    that came over the API. A FILE needs no sources: segments are then those of the configuration.

    \b
    Examples:
      deskpulse rules test my-rules.yaml --days 28
      deskpulse rules test slow-first-answers --json
    """
    from services.alerts.rulebook import read

    settings.quiet_libraries()
    environment = settings.environment()
    path = Path(what)
    file = settings.config_file(config, environment)
    if path.is_file():
        bodies, whole = _bodies(path)
        document = settings.document(path if whole and config is None else file)
        entries = [read(document, body) for body in bodies]
        wrong = [f"{entry.name or 'rule'}: {problem}" for entry in entries for problem in entry.problems]
        if wrong:
            settings.fail(settings.problem_lines(path, wrong))
    elif re.search(r"[./\\]", what):
        settings.fail(f"{what}: there is no such file")
    else:
        document, entries = settings.document(file), []
    try:
        url = environment.redis()
    except ValueError as exc:
        settings.fail(str(exc))
    try:
        found = asyncio.run(_rehearsed(url, document, what, entries, days))
    except NotNow as exc:
        settings.fail(f"{exc.what}; is DESKPULSE_REDIS_URL right?")
    if as_json:
        print_json([rehearsal.shown() for rehearsal in found])
        return
    for rehearsal in found:
        for line in _told(rehearsal, days):
            typer.echo(line)


def _bodies(path: Path) -> tuple[list[dict[str, Any]], bool]:
    """The rules in a file, and whether it is a whole configuration."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        settings.fail(f"{path}: not YAML ({getattr(exc, 'problem', None) or 'unreadable'})")
    rules = raw.get("rules", [raw] if "type" in raw else None) if isinstance(raw, dict) else raw
    if not isinstance(rules, list) or not rules or not all(isinstance(rule, dict) for rule in rules):
        settings.fail(f"{path}: no rules in it; write  rules: [{{name: …, type: threshold, …}}]")
    return rules, isinstance(raw, dict) and "sources" in raw


async def _rehearsed(url: Address, document: Document, name: str, entries: list[Entry], days: int) -> list[Rehearsal]:
    from services import clock
    from services.alerts.rehearse import rehearse
    from services.alerts.rulebook import RuleBook
    from services.alerts.sight import Sight
    from services.alerts.waiting import Waiting
    from services.kpi.reader import KpiReader
    from services.kpi.window import resolutions
    from services.state import client
    from services.state.partitions import Partitions
    from services.state.timers import TimerList

    redis = client.reader(url)
    try:
        if not entries:
            book = await RuleBook(document, redis, redis).entries()
            if name not in book:
                settings.fail(f"{name}: there is no such file and no such rule; there is: {', '.join(book) or 'none'}")
            if book[name].rule is None:
                settings.fail(f"{name}: {problem}" for problem in book[name].problems)
            entries = [book[name]]
        kpis = KpiReader(redis, Partitions(redis), resolutions(document.windows_s.values()))
        sight = Sight(kpis, Waiting(document, kpis, TimerList(redis, Partitions(redis))))
        rules = [entry.rule for entry in entries if entry.rule is not None]
        return [await rehearse(rule, document.segments, sight, days, clock.now_us()) for rule in rules]
    finally:
        await redis.aclose()


def _told(rehearsal: Rehearsal, days: int) -> list[str]:
    from services.config.duration import written

    number = len(rehearsal.spells)
    left = f", {rehearsal.left_out} left out" if rehearsal.left_out else ""
    head = (
        f"{rehearsal.rule.name}: {number} alert{'s' * (number != 1)} in {days} day{'s' * (days != 1)} "
        f"({rehearsal.segments} segment{'s' * (rehearsal.segments != 1)}{left}; looked every "
        f"{written(rehearsal.step_s)}, live every {written(rehearsal.rule.every_s)}; "
        f"{rehearsal.unknown:.0%} of the looks without enough data; {rehearsal.held_back} held back)"
    )
    lines = [head]
    for spell in rehearsal.spells[:_NAMED]:
        lines += [f"  {_when(spell.fired_us)}  {_lasted(spell):<22} {spell.title}", f"      {spell.said}"]
    if number > _NAMED:
        lines.append(f"  … and {number - _NAMED} more; --json has all of them")
    return lines


def _lasted(spell: Spell) -> str:
    from services.config.duration import written

    if spell.ended_us is None:
        return "still open"
    return f"for {written((spell.ended_us - spell.fired_us) / 1e6)}"


def _when(at_us: int) -> str:
    return to_datetime(at_us).strftime("%Y-%m-%d %H:%M UTC")
