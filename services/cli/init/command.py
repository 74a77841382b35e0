"""The command line of it: flags, questions for what they leave open, and what to do next."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from services.cli import settings
from services.cli.settings import AsJson, print_json

if TYPE_CHECKING:
    from services.cli.init.answers import Answers, Helpdesk
    from services.cli.init.secret import Secret

FILE: Final = Path("deskpulse.yaml")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class _Question:
    """One of the five, or a part of one. ``default`` is what Enter means."""

    flag: str
    text: str
    default: str


_HELPDESK: Final = _Question("--helpdesk", "1. Which helpdesks? (several with commas, or NAME=VENDOR)", "zendesk")
_TIMEZONE: Final = _Question("--timezone", "2. Where does the team work? (time zone)", "Europe/Paris")
_HOURS: Final = _Question(
    "--hours", "   And when? (mon-fri 09:00-18:00; sat 10:00-14:00, or always)", "mon-fri 09:00-18:00"
)
_FIRST: Final = _Question(
    "--first-response", "3. First answer within? (none: no promise)", "urgent 30m, high 1h, normal 4h, low 8h"
)
_RESOLUTION: Final = _Question("--resolution", "   Solved within?", "urgent 8h, high 16h, normal 24h")
_ALERTS: Final = _Question(
    "--alerts", "4. Where do alerts go? (here, webhook=URL, slack, teams, pagerduty, none)", "here"
)
_BOARD: Final = _Question("--board", "5. Who may see the board? (token, open)", "token")


def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What to write.")] = FILE,
    helpdesk: Annotated[
        list[str] | None,
        typer.Option(
            "--helpdesk", metavar="VENDOR|NAME=VENDOR", help="A helpdesk; may be repeated. generic: any system."
        ),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option",
            metavar="NAME.OPTION=VALUE",
            help="What a vendor needs to know, such as hubspot.public_url=https://deskpulse.example.com.",
        ),
    ] = None,
    timezone: Annotated[str | None, typer.Option(metavar="ZONE", help="The team's, such as Europe/Paris.")] = None,
    hours: Annotated[
        str | None, typer.Option(metavar="HOURS", help="'mon-fri 09:00-12:30,13:30-18:00; sat 10:00-14:00', or always.")
    ] = None,
    first_response: Annotated[
        str | None,
        typer.Option(metavar="PROMISE", help="'urgent 30m, high 1h, normal 4h, low 8h', one time for all, or none."),
    ] = None,
    resolution: Annotated[str | None, typer.Option(metavar="PROMISE", help="The same for solving.")] = None,
    alerts: Annotated[
        str | None,
        typer.Option(
            metavar="WHERE",
            help="here (deskpulse receivers listen), webhook=URL, slack[=URL], teams[=URL], pagerduty[=KEY], none.",
        ),
    ] = None,
    board: Annotated[
        str | None, typer.Option(metavar="WHO", help="token: whoever has it; open: everybody who reaches the port.")
    ] = None,
    public_url: Annotated[
        str,
        typer.Option(metavar="URL", help="Where helpdesks reach ingest from outside; for what is printed to paste."),
    ] = "https://deskpulse.example.com",
    env_file: Annotated[
        Path | None,
        typer.Option(
            "--env-file", metavar="FILE", help="Where secrets go. Default: .env beside FILE.", show_default=False
        ),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Ask nothing; what no flag says is as the questions offer.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE. Values in .env always stay.")] = False,
    show_secrets: Annotated[bool, typer.Option("--show-secrets", help="Print secrets in full.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a configuration out of five answers: helpdesks, hours, promises, where alerts go, who may see the board.

    Asks what no flag says. When stdin is no terminal nothing is asked, and a missing flag is a mistake (or give --yes).
    Secrets that you may choose are made and written to .env beside FILE, readable by you only. For those that the
    helpdesk makes there is a placeholder with the place where it shows them. Nothing is overwritten.

    \b
    Examples:
      deskpulse init
      deskpulse init my.yaml --helpdesk zendesk --helpdesk shop=gorgias --yes
      deskpulse init --helpdesk generic --timezone UTC --hours always --first-response 1h --resolution none \\
        --alerts here --board open --json
    """
    from services.cli.init import answers as said
    from services.cli.init.answers import Answers
    from services.cli.init.answers import as_json as shown
    from services.cli.init.document import document
    from services.cli.init.secret import made

    if file.exists() and not force:
        settings.fail(f"{file} is there already: give another FILE, or --force to replace it (.env keeps its values)")
    ask = _Asking(asks=not yes and sys.stdin.isatty(), yes=yes)
    desks = ask.about(_HELPDESK, ",".join(helpdesk) if helpdesk else None, said.helpdesks)
    answers = Answers(
        helpdesks=ask.options(desks or (), option or [], public_url),
        timezone=ask.about(_TIMEZONE, timezone, said.timezone),
        weekly=ask.about(_HOURS, hours, said.hours),
        first_response=ask.about(_FIRST, first_response, said.targets),
        resolution=ask.about(_RESOLUTION, resolution, said.targets),
        alerts=ask.about(_ALERTS, alerts, said.alerts),
        board=ask.about(_BOARD, board, said.board),
    )
    ask.end()
    env = env_file or file.parent / ".env"
    text = document(answers, str(file))
    secrets = _written(file, env, text, made(answers), force=force)
    commands = _next(answers, file, env)
    if as_json:
        told = [{"name": one.name, "placeholder": one.where is not None, "where": one.where} for one in secrets]
        for row, one in zip(told, secrets, strict=True):
            row |= {"value": one.value} if show_secrets else {}
        webhooks = {desk.name: f"{public_url.rstrip('/')}/webhooks/{desk.name}" for desk in answers.helpdesks}
        print_json(
            {
                "file": str(file),
                "env_file": str(env),
                "answers": shown(answers),
                "secrets": told,
                "webhooks": webhooks,
                "next": commands,
            }
        )
        return
    _tell(file, env, answers, secrets, commands, public_url, show_secrets=show_secrets)


class _Asking:
    """Takes each answer from its flag, or asks, and collects what is missing or wrong where nobody can be asked."""

    def __init__(self, *, asks: bool, yes: bool) -> None:
        self._asks = asks
        self._yes = yes
        self._problems: list[str] = []

    def about(self, question: _Question, given: str | None, parse: Callable[[str], Value]) -> Value:
        """The answer. What it is when there is none is never used: :meth:`end` comes first."""
        if given is None and self._asks:
            while True:
                try:
                    return parse(typer.prompt(question.text, default=question.default))
                except ValueError as exc:
                    typer.echo(f"   {exc}", err=True)
        if given is None and not self._yes:
            self._problems.append(f"{question.flag} is missing, for example {question.flag} '{question.default}'")
            given = question.default
        try:
            return parse(question.default if given is None else given)
        except ValueError as exc:
            self._problems.append(f"{question.flag}: {exc}")
            return parse(question.default)

    def options(self, desks: Sequence[Helpdesk], given: Sequence[str], public_url: str) -> tuple[Helpdesk, ...]:
        """The helpdesks with what they need to know."""
        from services.cli.init.answers import needed, option_problem

        known: dict[tuple[str, str], str] = {}
        for one in given:
            match = re.fullmatch(r"([a-z0-9_-]+)\.([a-z_]+)=(.+)", one)
            if match is None or match[1] not in {desk.name for desk in desks}:
                self._problems.append(f"--option: '{one}' is no NAME.OPTION=VALUE of a helpdesk that is named")
                continue
            known[match[1], match[2]] = match[3]
        found = []
        for desk in desks:
            values = {}
            for name in needed(desk.vendor):
                flag = f"--option {desk.name}.{name}"

                def parse(text: str, vendor: str = desk.vendor, name: str = name) -> str:
                    if problem := option_problem(vendor, name, text.strip()):
                        raise ValueError(problem)
                    return text.strip()

                default = public_url if name == "public_url" else ""
                question = _Question(flag, f"   {desk.name}: {name}?", default)
                value = known.pop((desk.name, name), None)
                if value is None and self._yes and not default:
                    self._problems.append(
                        f"{flag}=… is missing: {option_problem(desk.vendor, name, '') or desk.vendor}"
                    )
                    continue
                values[name] = self._needed(question, value, parse)
            values |= {name: value for (owner, name), value in known.items() if owner == desk.name}
            found.append(replace(desk, options=values))
        return tuple(found)

    def _needed(self, question: _Question, given: str | None, parse: Callable[[str], str]) -> str:
        if given is None and not self._asks and not self._yes:
            self._problems.append(f"{question.flag}=… is missing")
            return ""
        if given is not None:
            try:
                return parse(given)
            except ValueError as exc:
                self._problems.append(f"{question.flag}: {exc}")
                return ""
        return self.about(question, None, parse)

    def end(self) -> None:
        """Ends the command with a line for each problem, if there are any."""
        if self._problems:
            settings.fail(self._problems)


def _written(file: Path, env: Path, text: str, new: Sequence[Secret], *, force: bool) -> list[Secret]:
    """The secrets as they stand in ``env`` now; both files are written, and pass `deskpulse check`."""
    from services.cli.check import problems
    from services.cli.init.files import merged, write
    from services.config.env_file import read

    try:
        before = env.read_text(encoding="utf-8") if env.exists() else ""
        kept, secrets = merged(before, new)
        trial = file.with_name(f".{file.name}.check-{os.getpid()}")
        write(trial, text, mode=0o600, over=True)
        try:
            found = problems(trial, read(kept))
        finally:
            trial.unlink(missing_ok=True)
        if found:
            settings.fail(f"nothing was written: {line}" for line in found)
        # Secrets first: a configuration without them would be a broken one.
        write(env, kept, mode=0o600, over=True)
        write(file, text, mode=0o644, over=force)
    except FileExistsError:
        settings.fail(f"{file} is there already: give another FILE, or --force to replace it")
    except (OSError, UnicodeDecodeError) as exc:
        settings.fail(f"{file}: cannot be written ({getattr(exc, 'strerror', None) or 'not UTF-8'})")
    return secrets


def _next(answers: Answers, file: Path, env: Path) -> list[str]:
    first = answers.helpdesks[0].name
    listen = [f"deskpulse receivers listen --config {file}"] if answers.alerts.kind == "here" else []
    promised = answers.first_response or answers.resolution
    return [
        f"deskpulse check {file}",
        f"deskpulse up --config {file}",
        *listen,
        f"deskpulse send-test {first}{' --breach' if promised else ''} --config {file}",
        f"deskpulse doctor --config {file}",
    ]


def _tell(
    file: Path,
    env: Path,
    answers: Answers,
    secrets: Sequence[Secret],
    commands: Sequence[str],
    public_url: str,
    *,
    show_secrets: bool,
) -> None:
    say: Callable[[Any], None] = typer.echo
    say(f"\nWritten: {file}, and secrets to {env} (readable by you only; keep it out of version control)\n")
    for one in secrets:
        value = one.value if show_secrets else f"{one.value[:6]}…" if one.where is None else "PLACEHOLDER"
        say(f"  {one.name:<24} {value:<12} {one.use if one.where is None else f'replace it; {one.where}'}")
    say("\nIn the helpdesk, the webhook's address:")
    for desk in answers.helpdesks:
        say(f"  {public_url.rstrip('/')}/webhooks/{desk.name}      {desk.guide}")
    say("\nNext, the commands after the second in another terminal:")
    for command in commands:
        say(f"  {command}")
