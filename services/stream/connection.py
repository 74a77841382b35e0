"""How to reach the brokers: the one description that every client of ours is made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from ssl import SSLContext
from typing import Any, Final

from services.tls import SYSTEM, Tls

PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


@dataclass(frozen=True, slots=True)
class Connection:
    """The same for producers, consumers, admin clients and Faust."""

    bootstrap: str
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = "PLAIN"
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    tls: Tls = SYSTEM

    @property
    def sasl(self) -> bool:
        """Whether the brokers ask for a user and a password."""
        return self.security_protocol.startswith("SASL")

    @property
    def encrypted(self) -> bool:
        """Whether the brokers speak TLS."""
        return self.security_protocol.endswith("SSL")

    def context(self) -> SSLContext | None:
        """The TLS context where the brokers speak TLS: one for all clients of the process."""
        return _context(self.tls) if self.encrypted else None

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of every aiokafka client."""
        return {"bootstrap_servers": self.bootstrap.split(","), **self.credentials()}

    def credentials(self) -> dict[str, Any]:
        """The part of :meth:`arguments` that says who we are and whom we trust."""
        chosen: dict[str, Any] = {"security_protocol": self.security_protocol}
        if self.sasl:
            chosen |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.sasl_username,
                "sasl_plain_password": self.sasl_password,
            }
        if self.encrypted:
            chosen["ssl_context"] = self.context()
        return chosen


@lru_cache(maxsize=8)
def _context(tls: Tls) -> SSLContext:
    return tls.context()
