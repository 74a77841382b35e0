"""Where Redis is and how to reach it: the one description that every client of ours is made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from services.tls import SYSTEM, Tls

SCHEMES: Final = ("redis", "rediss", "unix")


@dataclass(frozen=True, slots=True)
class Address:
    """``url`` may hold user, password and database. For a Cluster it may name several nodes, separated by commas."""

    url: str = field(repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    cluster: bool = False
    tls: Tls = SYSTEM

    @property
    def encrypted(self) -> bool:
        """Whether Redis speaks TLS."""
        return self.url.startswith("rediss:")

    @property
    def shown(self) -> str:
        """The URL without user, password and options."""
        parts = urlsplit(self.url)
        if "@" not in parts.netloc and not parts.query:
            return self.url
        user = "***@" if "@" in parts.netloc else ""
        return parts._replace(netloc=user + parts.netloc.rpartition("@")[2], query="").geturl()

    def nodes(self) -> list[str]:
        """The URL once for each node that it names."""
        parts = urlsplit(self.url)
        user, at, hosts = parts.netloc.rpartition("@")
        return [parts._replace(netloc=user + at + host).geturl() for host in hosts.split(",")]
