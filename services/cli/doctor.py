"""``deskpulse doctor``: what is configured here, and whether it would work."""

from __future__ import annotations

import asyncio
import http.client
import os
import platform
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

import typer

from schemas.failure import NotNow
from schemas.topics import TOPICS, WEBHOOKS, apart
from services.cli import settings
from services.cli.check import problems
from services.cli.settings import AsJson, print_json
from services.cli.version import deskpulse
from services.config.access import protected
from services.config.document import ConfigInvalid, Document, load, raw_retentions
from services.config.environment import Environment

OLDEST_REDIS = (6, 2)
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the answer. ``fix`` says what to do about what is not ``ok``."""

    what: str
    ok: bool
    detail: str
    fix: str | None = None


def doctor(config: settings.Config = None, as_json: AsJson = False) -> None:
    """Say what is configured, and whether it works: a line each, with the fix. Exit code 1 when something is wrong.

    Looks at the configuration, Kafka and its topics, Redis, the ports, and what `deskpulse up` needs. Changes
    nothing and prints no secret.

    \b
    Example:
      deskpulse doctor
    """
    settings.quiet_libraries()
    environment = settings.environment()
    findings = list(_findings(config, environment))
    if as_json:
        print_json({"ok": all(finding.ok for finding in findings), "findings": [asdict(one) for one in findings]})
    else:
        for one in findings:
            fix = f" -> {one.fix}" if one.fix else ""
            typer.echo(f"{'ok' if one.ok else 'PROBLEM':<8} {one.what:<14} {one.detail}{fix}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


def _findings(config: Path | None, environment: Environment) -> Iterator[Finding]:
    yield Finding("versions", True, f"deskpulse {deskpulse()}, Python {platform.python_version()}")
    yield from _configuration(settings.config_file(config, environment), environment)
    if environment.kafka_bootstrap:
        yield from asyncio.run(_kafka(environment, _needed(settings.config_file(config, environment))))
    else:
        yield _embedded_kafka()
    yield asyncio.run(_redis(environment)) if environment.redis_url else _embedded_redis()
    for service in ("ingest", "metrics", "alerts", "api"):
        yield _port(service, int(getattr(environment, f"{service}_port")))


def _configuration(file: Path, environment: Environment) -> Iterator[Finding]:
    from services.embedded import Unavailable, secret_file

    variables = dict(os.environ)
    told = ""
    if not (environment.kafka_bootstrap and environment.redis_url) and file.is_file():
        # This is a machine for `up`, which makes up what is not set.
        names = secret_file.names(file.read_text(encoding="utf-8", errors="replace"))
        unset = [name for name in names if not variables.get(name)]
        try:
            variables |= dict.fromkeys(unset, "c2VjcmV0") | secret_file.kept(environment.data_dir)
        except Unavailable as exc:
            yield Finding("secrets", False, str(exc))
        told = f"; `deskpulse up` makes up {', '.join(unset)}" if unset else ""
    found = problems(file, variables)
    for problem in found:
        yield Finding("configuration", False, f"{file}: {problem}", "correct it, then: deskpulse check")
    if not found:
        yield Finding("configuration", True, f"{file}{told}")
        yield _access(load(file, variables))


def _access(document: Document) -> Finding:
    tokens, oidc = document.api_tokens, document.api.oidc
    if not protected(tokens, document.api):
        said = "the API asks nobody who they are: whoever reaches its port may do everything"
        return Finding("api", True, f"{said} (fine on one machine; else configure api_tokens or api.oidc)")
    roles = ", ".join(f"{token.name or 'no name'}: {token.role.value}" for token in tokens)
    issuer = f"{'; ' if tokens else ''}people of {oidc.issuer}" if oidc is not None else ""
    return Finding("api", True, f"tokens {roles}{issuer}" if tokens else issuer)


def _needed(file: Path) -> list[str]:
    """The topics that the configuration asks for; what is wrong with it is another finding."""
    try:
        return [*TOPICS, *(apart(WEBHOOKS, name) for name in raw_retentions(file, os.environ))]
    except ConfigInvalid:
        return [*TOPICS]


async def _kafka(environment: Environment, needed: list[str]) -> list[Finding]:
    from services.stream.survey import survey

    connection = environment.kafka()
    where = f"{connection.bootstrap} ({connection.security_protocol})"
    try:
        seen = await survey(connection)
    except NotNow as exc:
        fix = "start Kafka, or correct DESKPULSE_KAFKA_BOOTSTRAP and DESKPULSE_KAFKA_SECURITY_PROTOCOL"
        return [Finding("kafka", False, f"{where}: {exc.what}", fix)]
    missing = [name for name in needed if name not in seen.partitions]
    topics = (
        Finding("topics", False, f"missing: {', '.join(missing)}", "deskpulse topics apply")
        if missing
        else Finding("topics", True, ", ".join(f"{name} ({seen.partitions[name]} partitions)" for name in needed))
    )
    return [Finding("kafka", True, f"{where}, brokers: {seen.brokers}"), topics]


async def _redis(environment: Environment) -> Finding:
    from redis.exceptions import RedisError

    from services.state import client

    where = environment.redis().shown
    redis = client.reader(environment.redis())
    try:
        version = str((await redis.info("server"))["redis_version"])
    except (RedisError, OSError) as exc:
        fix = "start Redis, or correct DESKPULSE_REDIS_URL"
        return Finding("redis", False, f"{where}: does not answer ({type(exc).__name__})", fix)
    finally:
        await redis.aclose()
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_REDIS:
        return Finding("redis", False, f"{where}: version {version}", "install Redis 6.2 or later, or Valkey")
    return Finding("redis", True, f"{where}, version {version}")


def _embedded_kafka() -> Finding:
    if find_spec("confluent_kafka") is None:
        fix = "pip install 'deskpulse[embedded]', or set DESKPULSE_KAFKA_BOOTSTRAP"
        return Finding("kafka", False, "none configured and no embedded broker here", fix)
    return Finding("kafka", True, "none configured; `deskpulse up` starts an embedded broker, for trying only")


def _embedded_redis() -> Finding:
    from services.embedded import Unavailable
    from services.embedded.redis import redis_binary, redis_version

    try:
        binary = redis_binary()
        version = ".".join(map(str, redis_version(binary)))
    except Unavailable as exc:
        return Finding("redis", False, "none configured", str(exc))
    return Finding("redis", True, f"none configured; `deskpulse up` starts {binary}, version {version}")


def _port(service: str, port: int) -> Finding:
    what = f"port {port}"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, port))
            probe.listen(1)
        except OSError as exc:
            if _answers_as_deskpulse(port):
                return Finding(what, True, f"{service}: a running Deskpulse has it")
            fix = f"stop what uses it, or set DESKPULSE_{service.upper()}_PORT to another"
            return Finding(what, False, f"{service} cannot have it ({exc.strerror})", fix)
    return Finding(what, True, f"{service}: free")


def _answers_as_deskpulse(port: int) -> bool:
    connection = http.client.HTTPConnection(_LOOPBACK, port, timeout=2.0)
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().read() == b'{"status":"ok"}'
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
