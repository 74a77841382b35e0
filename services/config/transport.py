"""What is wrong with how Kafka and Redis are to be reached: told at the start, with the variable and the fix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from services.config.environment import Environment
from services.state.address import SCHEMES, Address
from services.stream.connection import Connection

_KAFKA: Final = "DESKPULSE_KAFKA_"
_REDIS: Final = "DESKPULSE_REDIS_"
_FROM_A_FILE: Final = "set it, or keep it in a file of DESKPULSE_SECRETS_DIR"


def problems(environment: Environment, *, kafka: bool = True) -> list[str]:
    """A line for each. What is not configured has none, nor has Kafka for a service that does not speak to it."""
    found: list[str] = []
    if kafka and environment.kafka_bootstrap:
        found += _kafka(environment.kafka())
    if environment.redis_url:
        found += _redis(environment.redis())
    return found


def _kafka(one: Connection) -> Iterator[str]:
    protocol = f"{_KAFKA}SECURITY_PROTOCOL is {one.security_protocol}"
    for address in one.bootstrap.split(","):
        host, _, port = address.strip().rpartition(":")
        if not host or not port.isdigit():
            yield f"{_KAFKA}BOOTSTRAP: '{address}' is not host:port"
    named = {"USERNAME": one.sasl_username, "PASSWORD": one.sasl_password}
    for name, value in named.items():
        if one.sasl and not value:
            yield f"{_KAFKA}SASL_{name}: is not set, and {protocol}: {_FROM_A_FILE}"
        elif value and not one.sasl:
            other = "SASL_SSL" if one.encrypted else "SASL_PLAINTEXT or SASL_SSL"
            yield f"{_KAFKA}SASL_{name}: is given, and {protocol}, which asks for none: unset it, or choose {other}"
    if one.encrypted:
        yield from one.tls.problems(f"{_KAFKA}SSL_")
    else:
        other = "SASL_SSL" if one.sasl else "SSL"
        for name in one.tls.given:
            yield f"{_KAFKA}SSL_{name}: is given, and {protocol}, which has no TLS: unset it, or choose {other}"


def _redis(one: Address) -> Iterator[str]:
    scheme = one.url.partition(":")[0]
    if scheme not in SCHEMES or any(_malformed(url) for url in one.nodes()):
        yield (
            f"{_REDIS}URL: not an address; write redis://host:6379/0, rediss://… for TLS, or unix://…"
        )  # no part of it is told: it may hold the password
        return
    parts = urlsplit(one.nodes()[0])
    if one.username and parts.username:
        yield f"{_REDIS}USERNAME: {_REDIS}URL has a user too: say it in one place"
    if one.password and parts.password:
        yield f"{_REDIS}PASSWORD: {_REDIS}URL has a password too: say it in one place"
    if one.username and not (one.password or parts.password):
        yield f"{_REDIS}PASSWORD: is not set, and there is a {_REDIS}USERNAME: {_FROM_A_FILE}"
    if len(one.nodes()) > 1 and not one.cluster:
        yield f"{_REDIS}CLUSTER: is not true, and {_REDIS}URL names several nodes: set it, or name one Redis"
    if one.cluster and scheme == "unix":
        yield f"{_REDIS}CLUSTER: is true, and {_REDIS}URL is a socket of one Redis: unset it"
    elif one.cluster and parts.path.strip("/") not in ("", "0"):
        yield f"{_REDIS}URL: names database {parts.path.strip('/')}, and a Cluster has only 0: leave it out"
    if one.encrypted:
        yield from one.tls.problems(f"{_REDIS}SSL_")
    else:
        for name in one.tls.given:
            yield f"{_REDIS}SSL_{name}: is given, and {_REDIS}URL has no TLS: unset it, or write rediss://"


def _malformed(url: str) -> bool:
    from redis.asyncio.connection import parse_url

    try:
        parse_url(url)
    except ValueError:
        return True
    return False
