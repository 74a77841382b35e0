"""The Redis that tests use: a configured one, a container, or a `redis-server` started for the session."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

import redis

from services.embedded import Unavailable
from services.embedded.redis import EmbeddedRedis, redis_binary
from tests.support.choice import Note, container_engine_answers, container_trouble

_IMAGE = "redis:7-alpine"


class RedisKind(StrEnum):
    """Where the server comes from, in the order of preference."""

    CONFIGURED = "configured by DESKPULSE_TEST_REDIS"
    CONTAINER = "Redis in a container"
    SERVER = "redis-server"


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A running server. The database that `url` names belongs to the tests, which empty it as they please."""

    url: str
    kind: RedisKind
    version: str

    @property
    def address(self) -> str:
        """Where it is, without the password that a configured URL may carry."""
        place = urlsplit(self.url)
        return f"{place.hostname}:{place.port or 6379}{place.path}"

    def empty(self) -> None:
        with redis.Redis.from_url(self.url) as client:
            client.flushdb()


def candidates() -> list[RedisKind]:
    """The kinds to try here, in order. All of them are real Redis servers."""
    if os.environ.get("DESKPULSE_TEST_REDIS"):
        return [RedisKind.CONFIGURED]
    kinds = [RedisKind.CONTAINER] if container_engine_answers() else []
    try:
        redis_binary()
    except Unavailable:
        return kinds
    return [*kinds, RedisKind.SERVER]


@contextmanager
def serving_redis(kinds: list[RedisKind], note: Note) -> Iterator[RedisServer]:
    """The first of `kinds` that starts; `note` hears why an earlier one did not. Unavailable when none does."""
    reasons = []
    for kind in kinds:
        server = _SERVERS[kind]()
        try:
            url = server.__enter__()
        except Unavailable as reason:
            reasons.append(f"{kind}: {reason}")
            note(reasons[-1])
            continue
        try:
            yield RedisServer(url, kind, _version(url))
        finally:
            server.__exit__(None, None, None)
        return
    raise Unavailable("; ".join(reasons) or "no Redis for the tests: set DESKPULSE_TEST_REDIS, or install Redis")


def _version(url: str) -> str:
    with redis.Redis.from_url(url) as client:
        return str(client.info("server")["redis_version"])


@contextmanager
def _configured() -> Iterator[str]:
    url = os.environ["DESKPULSE_TEST_REDIS"]
    with redis.Redis.from_url(url) as client:
        if keys := client.dbsize():
            raise RuntimeError(f"DESKPULSE_TEST_REDIS holds {keys} keys; tests empty it, so give an empty database")
    yield url


@contextmanager
def _container() -> Iterator[str]:
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    with container_trouble():
        container = DockerContainer(_IMAGE).with_exposed_ports(6379)
        container.waiting_for(LogMessageWaitStrategy("Ready to accept connections"))
        container.start()
    try:
        yield f"redis://{container.get_container_host_ip()}:{container.get_exposed_port(6379)}/0"
    finally:
        container.stop()


@contextmanager
def _server() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="deskpulse-redis-") as folder, EmbeddedRedis(Path(folder)) as server:
        yield server.url


_SERVERS = {RedisKind.CONFIGURED: _configured, RedisKind.CONTAINER: _container, RedisKind.SERVER: _server}
