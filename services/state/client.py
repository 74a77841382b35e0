"""Redis clients, one for each way of using it, since redis-py's defaults suit none of them.

Every call may raise what :data:`AWAY` names; :func:`away` turns that into ``NotNow``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from ssl import SSLContext
from typing import Any, Final

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis, SSLConnection
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff, NoBackoff

from schemas.failure import NotNow
from schemas.forms import NEWER
from services.state.address import Address
from services.state.cluster import Cluster
from services.tls import Tls

Where = str | Address
"""An address, or its URL where nothing else is to be said."""

CONNECT_TIMEOUT_S: Final = 2.0
WRITE_TIMEOUT_S: Final = 5.0
READ_TIMEOUT_S: Final = 2.0
HASTE_S: Final = 1.0
BLOCK_S: Final = 5.0
"""The longest that a blocking read may ask to wait; its socket waits a little longer."""

AWAY: Final = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.BusyLoadingError,
    exceptions.ReadOnlyError,
    exceptions.ClusterDownError,
    exceptions.AskError,
    exceptions.TryAgainError,
)
"""What a call raises when Redis is away, loading, or was made a replica, or a Cluster has nobody for a slot or moves
it: try again later."""

_MEANINGS: Final = {
    "WRONGPASS": "wrong user or password",
    "INVALID USERNAME-PASSWORD": "wrong user or password",
    "INVALID PASSWORD": "wrong user or password",
    "NOAUTH": "it asks for a password: set DESKPULSE_REDIS_PASSWORD",
    "AUTHENTICATION REQUIRED": "it asks for a password: set DESKPULSE_REDIS_PASSWORD",
    "HOSTNAME MISMATCH": "its certificate names another host",
    "IP ADDRESS MISMATCH": "its certificate names another host",
    "CERTIFICATE HAS EXPIRED": "its certificate has expired",
    "CERTIFICATE_VERIFY_FAILED": "its certificate's authority is not trusted: see DESKPULSE_REDIS_SSL_CAFILE",
    "CERTIFICATE_REQUIRED": "it asks for a client certificate: set DESKPULSE_REDIS_SSL_CERTFILE",
    "CERTIFICATE REQUIRED": "it asks for a client certificate: set DESKPULSE_REDIS_SSL_CERTFILE",
    "DECRYPT_ERROR": "it does not trust our certificate: see DESKPULSE_REDIS_SSL_CERTFILE",
    "HELLO MUST BE CALLED": "it asks for a password: set DESKPULSE_REDIS_PASSWORD",
    "UNKNOWN_CA": "it does not trust our certificate: see DESKPULSE_REDIS_SSL_CERTFILE",
    "UNKNOWN CA": "it does not trust our certificate: see DESKPULSE_REDIS_SSL_CERTFILE",
    "WRONG_VERSION_NUMBER": "it does not speak TLS: write redis://",
    "RECORD LAYER FAILURE": "it does not speak TLS: write redis://",
    "NOT A CLUSTER": "it is not a Cluster: unset DESKPULSE_REDIS_CLUSTER",
    "ON ITS WAY": "a slot of the Cluster is on its way to another node",
    "TRYAGAIN": "a slot of the Cluster is on its way to another node",
    "NAME OR SERVICE NOT KNOWN": "its name is not known",
    "CONNECTION REFUSED": "nobody listens there",
    "CONNECT CALL FAILED": "nobody listens there",
    "CLOSED BY SERVER": "it closed the connection",
    "CONNECTION RESET": "it closed the connection",
    "CONNECTION LOST": "it closed the connection",
    "BROKEN PIPE": "it closed the connection",
}
"""By what an error says, in capitals."""


def writer(where: Where, *, connections: int = 8) -> Redis:
    """For writes: never re-sends by itself. A write whose answer was lost may have happened (R-1), so only the
    caller, who knows what makes it harmless, may repeat it."""
    return _client(where, connections, WRITE_TIMEOUT_S, Retry(NoBackoff(), 0))


def reader(where: Where, *, connections: int = 32) -> Redis:
    """For reads: tries three times with a short pause, so that a dropped connection is nobody's error."""
    return _client(where, connections, READ_TIMEOUT_S, Retry(ExponentialBackoff(cap=0.5, base=0.05), 2), again=1)


def blocking(where: Where, *, connections: int = 8) -> Redis:
    """For ``XREAD BLOCK`` and the like, up to :data:`BLOCK_S`: its socket outlasts the wait (R-2)."""
    return _client(where, connections, BLOCK_S + 3.0, Retry(NoBackoff(), 0))


def hasty(where: Where) -> Redis:
    """For what can be done without: nothing is waited for longer than a second."""
    return _client(where, 8, HASTE_S, Retry(NoBackoff(), 0), connect_s=HASTE_S)


@contextmanager
def away() -> Iterator[None]:
    """Turns a Redis that does not answer, or that has state of a newer version than this code may touch
    (``services.state.forms.guarded``), into ``NotNow``; other errors are bugs and pass."""
    try:
        yield
    except AWAY as exc:
        raise NotNow(reason(exc)) from None
    except exceptions.ResponseError as exc:
        if not str(exc).startswith(NEWER):
            raise
        raise NotNow(f"The state in Redis is newer than this replica: {str(exc).removeprefix(NEWER).strip()}") from None


def reason(exc: Exception) -> str:
    """Why Redis does not answer, for a log or a person: no address and no secret in it."""
    if isinstance(exc, exceptions.MovedError):
        return "Redis does not answer (it is a node of a Cluster: set DESKPULSE_REDIS_CLUSTER)"
    for said, meaning in _MEANINGS.items():
        if said in str(exc).upper():
            return f"Redis does not answer ({meaning})"
    return f"Redis does not answer ({type(exc).__name__})"


def _client(
    where: Where,
    connections: int,
    timeout_s: float,
    retry: Retry,
    *,
    again: int = 0,
    connect_s: float = CONNECT_TIMEOUT_S,
) -> Redis:
    address = Address(where) if isinstance(where, str) else where

    every: dict[str, Any] = {
        "max_connections": connections,  # wait for a free connection, up to `timeout`
        "timeout": timeout_s,
        "socket_timeout": timeout_s,
        "socket_connect_timeout": connect_s,
        "health_check_interval": 15,
        "retry": retry,
        "client_name": "deskpulse",
    }
    if not address.url.startswith("unix:"):
        every["socket_keepalive"] = True

    def made(options: dict[str, Any]) -> Redis:
        return Redis.from_pool(BlockingConnectionPool(**(every | options)))

    found = [_options(address, url) for url in address.nodes()]
    if not address.cluster:
        return made(found[0])
    places = [(str(one.get("host", "localhost")), int(one.get("port", 6379))) for one in found]
    return Cluster(places, lambda host, port: made({**found[0], "host": host, "port": port}), again)


def _options(address: Address, url: str) -> dict[str, Any]:
    options: dict[str, Any] = dict(parse_url(url))
    if address.username is not None:
        options["username"] = address.username
    if address.password is not None:
        options["password"] = address.password
    if options.get("connection_class") is SSLConnection and not any(name.startswith("ssl_") for name in options):
        options |= {"connection_class": _Tls, "tls": _context(address.tls)}
    return options


class _Tls(SSLConnection):
    """With a context that all connections share: redis-py makes one for each, and reads the system's authorities anew
    for it, and trusts those beside a file that is given."""

    def __init__(self, *, tls: SSLContext, **options: Any) -> None:
        super().__init__(**options)
        self._shared = tls

    def _connection_arguments(self) -> dict[str, Any]:
        return {**super()._connection_arguments(), "ssl": self._shared}


@lru_cache(maxsize=8)
def _context(tls: Tls) -> SSLContext:
    return tls.context()
