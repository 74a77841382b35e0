"""What every command begins with: the environment, the configuration file, and how a failure is told."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import orjson
import typer
from pydantic import ValidationError

from schemas.topics import TOPICS, Topic, webhooks_of
from services.config.document import ConfigInvalid, Document, load, raw_retentions
from services.config.environment import Environment

if TYPE_CHECKING:
    from services.ingest.source import Ready
    from services.stream.producer import Connection

LEVELS: Final = ("debug", "info", "warning", "error")
_ROOT: Final = Path(__file__).parents[2]
_PACKAGED: Final = _ROOT / "services" / "embedded"

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="The YAML configuration. Default: $DESKPULSE_CONFIG, else deploy/config/deskpulse.yaml.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def fail(lines: str | Iterable[str]) -> NoReturn:
    """Ends the command with exit code 1 and ``lines`` on stderr: for what the user can put right."""
    for line in [lines] if isinstance(lines, str) else lines:
        typer.echo(line, err=True)
    raise typer.Exit(1)


def environment() -> Environment:
    """The DESKPULSE_* variables; what they hold is checked."""
    folder = os.environ.get("DESKPULSE_SECRETS_DIR") or None
    if folder is not None and not Path(folder).is_dir():
        fail(f"DESKPULSE_SECRETS_DIR: there is no folder {folder}")
    try:
        found = Environment(_secrets_dir=folder)
    except ValidationError as exc:
        fail(
            f"DESKPULSE_{'.'.join(map(str, error['loc'])).upper()}: {error['msg']}"
            for error in exc.errors(include_url=False, include_input=False)
        )
    if found.log_level.lower() not in LEVELS:
        fail(f"DESKPULSE_LOG_LEVEL: '{found.log_level}' is none of {', '.join(LEVELS)}")
    if found.redis_url is not None:
        _check_redis_url(found.redis_url)
    return found


def _check_redis_url(url: str) -> None:
    from redis.asyncio.connection import parse_url

    try:
        parse_url(url)
    except ValueError:  # its text may hold a part of the URL, and that the password
        fail("DESKPULSE_REDIS_URL: not an address; write redis://host:6379/0, rediss://… for TLS, or unix://…")


def quiet_libraries() -> None:
    """For commands that tell by themselves what went wrong: libraries add nothing to that."""
    for name in ("aiokafka", "kafka", "redis"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def config_file(given: Path | None, settings: Environment, name: str = "deskpulse.yaml") -> Path:
    """The configuration file: as given, as the environment says, or the shipped one called ``name``."""
    if given is not None:
        return given
    if settings.config is not None and name == "deskpulse.yaml":
        return settings.config
    shipped = Path("deploy/config") / name
    for candidate in (shipped, _ROOT / shipped):
        if candidate.is_file():
            return candidate
    return _PACKAGED / name


def document(file: Path) -> Document:
    """The configuration in ``file``; ends the command with a line for each problem."""
    try:
        return load(file, os.environ)
    except ConfigInvalid as exc:
        fail(problem_lines(file, exc.problems))


def kafka(environment: Environment) -> Connection:
    """How to reach the brokers; ends the command when none is configured."""
    try:
        return environment.kafka()
    except ValueError as exc:
        fail(str(exc))


def sources(given: Path | None) -> dict[str, Ready]:
    """The configured sources by name, as ingest has them; ends the command with a line for each problem."""
    from services.ingest.source import ready

    file = config_file(given, environment())
    try:
        return ready(document(file))
    except ConfigInvalid as exc:
        fail(problem_lines(file, exc.problems))


def problem_lines(file: Path, problems: Iterable[str]) -> list[str]:
    """``FILE: where: what`` for each problem; one that names the file itself already is left as it is."""
    return [line if line.startswith(f"{file}: ") else f"{file}: {line}" for line in problems]


def topics(given: Path | None) -> list[Topic]:
    """Every topic that the configuration asks for: those of the contract, and those of sources whose raw webhooks are
    kept for a time of their own. Secrets are not needed; ends the command with a line for each problem."""
    file = config_file(given, environment())
    try:
        retentions = raw_retentions(file, os.environ)
    except ConfigInvalid as exc:
        fail(problem_lines(file, exc.problems))
    return [*TOPICS.values(), *(webhooks_of(name, period_s * 1000) for name, period_s in retentions.items())]


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode())
