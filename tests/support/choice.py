"""Which Kafka and which Redis a test session uses: the environment decides, then what the machine has."""

import http.client
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from services.embedded import Unavailable

Note = Callable[[str], None]

_ENGINE_SOCKET = "/var/run/docker.sock"
_ENGINE_S = 1.0


def flag(name: str) -> bool:
    """Whether the environment switches `name` on."""
    return os.environ.get(name, "") not in ("", "0")


def real_required() -> bool:
    """CI demands a real Kafka and a real Redis."""
    return flag("DESKPULSE_REQUIRE_REAL")


def container_engine_answers() -> bool:
    """Whether a Docker engine answers a ping within a second, at DOCKER_HOST or at the usual socket."""
    scheme, _, place = os.environ.get("DOCKER_HOST", f"unix://{_ENGINE_SOCKET}").partition("://")
    if scheme not in ("unix", "tcp"):
        return False
    connection = http.client.HTTPConnection("localhost", timeout=_ENGINE_S)
    try:
        if scheme == "unix":
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(_ENGINE_S)
            connection.sock.connect(place)
        else:
            host, _, port = place.rstrip("/").rpartition(":")
            connection.sock = socket.create_connection((host, int(port)), _ENGINE_S)
        connection.request("GET", "/_ping")
        return connection.getresponse().status == 200
    except (OSError, ValueError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@contextmanager
def container_trouble() -> Iterator[None]:
    """Turn whatever an engine, its network or its image registry does to us into Unavailable, so that the next
    kind of server is tried and the reason is told."""
    try:
        yield
    except Exception as error:
        raise Unavailable(f"{type(error).__name__}: {error}") from error
