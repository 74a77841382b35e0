"""Redis clients, one for each way of using it, since redis-py's defaults suit none of them.

Every call may raise what :data:`AWAY` names; :func:`away` turns that into ``NotNow``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff, NoBackoff

from schemas.failure import NotNow

CONNECT_TIMEOUT_S: Final = 2.0
WRITE_TIMEOUT_S: Final = 5.0
READ_TIMEOUT_S: Final = 2.0
BLOCK_S: Final = 5.0
"""The longest that a blocking read may ask to wait; its socket waits a little longer."""

AWAY: Final = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.BusyLoadingError,
    exceptions.ReadOnlyError,
)
"""What a call raises when Redis is away, loading, or was made a replica: try again later."""


def writer(url: str, *, connections: int = 8) -> Redis:
    """For writes: never re-sends by itself. A write whose answer was lost may have happened (R-1), so only the
    caller, who knows what makes it harmless, may repeat it."""
    return _client(url, connections, WRITE_TIMEOUT_S, Retry(NoBackoff(), 0))


def reader(url: str, *, connections: int = 32) -> Redis:
    """For reads: tries three times with a short pause, so that a dropped connection is nobody's error."""
    return _client(url, connections, READ_TIMEOUT_S, Retry(ExponentialBackoff(cap=0.5, base=0.05), 2))


def blocking(url: str, *, connections: int = 8) -> Redis:
    """For ``XREAD BLOCK`` and the like, up to :data:`BLOCK_S`: its socket outlasts the wait (R-2)."""
    return _client(url, connections, BLOCK_S + 3.0, Retry(NoBackoff(), 0))


@contextmanager
def away() -> Iterator[None]:
    """Turns a Redis that does not answer into ``NotNow``; other errors are bugs and pass."""
    try:
        yield
    except AWAY as exc:
        raise NotNow(f"Redis does not answer ({type(exc).__name__})") from None


def _client(url: str, connections: int, timeout_s: float, retry: Retry) -> Redis:
    pool: Any = BlockingConnectionPool.from_url(
        url,
        max_connections=connections,  # wait for a free connection, up to `timeout`
        timeout=timeout_s,
        socket_timeout=timeout_s,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        **({} if url.startswith("unix:") else {"socket_keepalive": True}),
        health_check_interval=15,
        retry=retry,
        client_name="deskpulse",
    )
    return Redis.from_pool(pool)
