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
from services.config import env_file, transport
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


def environment(*, kafka: bool = True) -> Environment:
    """The DESKPULSE_* variables; what they hold is checked, of Kafka only where it is needed."""
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
    if wrong := transport.problems(found, kafka=kafka):
        fail(wrong)
    return found


def here(environment: Environment) -> Environment:
    """``environment`` with the addresses of the ``deskpulse up`` that runs on this machine, where it names none."""
    from services.embedded import running

    found = running.found(environment.data_dir)
    if found is None:
        return environment
    told = {"kafka_bootstrap": found.kafka, "redis_url": found.redis}
    told = {name: value for name, value in told.items() if value and not getattr(environment, name)}
    ports = {f"{service}_port": port for service, port in found.ports.items()}
    return environment.model_copy(update={**told, **ports})


def quiet_libraries() -> None:
    """For commands that tell by themselves what went wrong: libraries add nothing to that."""
    for name in ("aiokafka", "kafka", "redis"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def config_file(given: Path | None, settings: Environment, name: str = "deskpulse.yaml") -> Path:
    """The configuration file: as given, as the environment says, or the shipped one called ``name``.

    What it takes by ``${NAME}`` and the environment does not set comes from the ``.env`` beside it, from then on."""
    found = _config_file(given, settings, name)
    for variable, value in env_file.beside(found).items():
        if not os.environ.get(variable):
            os.environ[variable] = value
    return found


def _config_file(given: Path | None, settings: Environment, name: str) -> Path:
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


def running_config(known: Environment) -> Path | None:
    """The configuration of the `deskpulse up` that runs on this machine, where the environment names none."""
    from services.embedded import running

    found = running.found(known.data_dir) if known.config is None else None
    return Path(found.config) if found is not None else None


def document_here(given: Path | None) -> tuple[Path, Document]:
    """The document of the `deskpulse up` that runs on this machine, unless another is named, and its file; with the
    secrets that `up` made up, where the environment has none. Ends the command with a line for each problem."""
    from services.embedded import Unavailable, secret_file

    known = environment()
    file = config_file(given or running_config(known), known)
    try:
        kept = secret_file.kept(known.data_dir)
    except Unavailable as exc:
        fail(str(exc))
    try:
        return file, load(file, kept | {name: value for name, value in os.environ.items() if value})
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
