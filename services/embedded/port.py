"""A free TCP port on this machine."""

import socket

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A port that was free on the loopback interface a moment ago. Another program may take it first, so
    whoever starts a server on it must be ready to try again."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def accepts(port: int, timeout_s: float = 0.2) -> bool:
    """Whether something on the loopback interface accepts connections on `port`."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout_s):
            return True
    except OSError:
        return False
