"""Alerts as signed webhooks (Standard Webhooks): a POST of the AlertEvent as JSON.

The receiver's address is resolved once and that very address is connected to, so that a name cannot turn into an
internal address between the check and the connection.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from datetime import UTC
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import Final

import httpx

from schemas import standard_webhook
from schemas.instant import from_datetime
from services.alerts.delivery import Delivered, Outcome, Refused, Retry
from services.config.document import WebhookReceiver

TIMEOUT_S: Final = 15.0
"""From the look-up of the name to the end of the answer's head."""

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_AGENT: Final = "Deskpulse (Standard Webhooks)"
_NOT_NOW: Final = frozenset({408, 409, 423, 425, 429})
"""Answers below 500 that say "later" and not "never"."""


class PrivateAddress(Exception):
    """The receiver's name leads into a private network, which this receiver was not allowed to."""


class Webhook:
    """One receiver. Keeps connections open between messages."""

    def __init__(self, receiver: WebhookReceiver) -> None:
        self._url = httpx.URL(receiver.url)
        self._secrets = [secret.get_secret_value() for secret in receiver.secrets]
        self._allow_private = receiver.allow_private
        self._client = httpx.AsyncClient(
            timeout=TIMEOUT_S,
            follow_redirects=False,
            trust_env=False,
            limits=httpx.Limits(max_connections=8, keepalive_expiry=30),
        )
        for secret in self._secrets:
            standard_webhook.key(secret)

    @property
    def address(self) -> str:
        """A digest of the URL: tells whether a receiver that was switched off was given another one."""
        return sha256(str(self._url).encode()).hexdigest()[:16]

    async def send(self, message_id: str, body: bytes, at_us: int) -> Outcome:
        """One attempt, within :data:`TIMEOUT_S`. Never raises for anything that the network or the receiver does."""
        headers = {
            **standard_webhook.headers(self._secrets, message_id, at_us // 1_000_000, body),
            "content-type": "application/json",
            "user-agent": _AGENT,
        }
        try:
            async with asyncio.timeout(TIMEOUT_S):
                address = await self._resolved()
                # TLS is for the name, the connection to the address that was checked.
                request = self._client.build_request(
                    "POST",
                    self._url.copy_with(host=address),
                    content=body,
                    headers={**headers, "host": self._url.netloc.decode()},
                    extensions={"sni_hostname": self._url.host},
                )
                response = await self._client.send(request, stream=True)
                try:
                    return outcome(response.status_code, response.headers.get("retry-after"), at_us)
                finally:
                    await response.aclose()
        except PrivateAddress:
            return Refused("the name leads to a private address; set allow_private to allow it")
        except (TimeoutError, httpx.TimeoutException):
            return Retry(f"no answer within {TIMEOUT_S:.0f} s")
        except socket.gaierror:
            return Retry("the name cannot be resolved")
        except (httpx.HTTPError, OSError) as exc:
            return Retry(f"no connection ({type(exc).__name__})")

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def _resolved(self) -> str:
        port = self._url.port or (443 if self._url.scheme == "https" else 80)
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(self._url.host, port, type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]) for entry in found]
        if not self._allow_private and any(not is_public(address) for address in addresses):
            raise PrivateAddress
        return addresses[0]


def outcome(status: int, retry_after: str | None, at_us: int) -> Outcome:
    """What an answer means. 2xx: taken. 410: never again anything. 5xx and "later" codes: again. The rest: never."""
    if 200 <= status < 300:
        return Delivered()
    problem = f"HTTP {status}"
    if status == 410:
        return Refused(problem, gone=True)
    if status >= 500 or status in _NOT_NOW:
        return Retry(problem, _seconds(retry_after, at_us))
    return Refused(f"{problem}, a redirect, which is not followed" if 300 <= status < 400 else problem)


def is_public(address: str) -> bool:
    """Whether ``address`` is on the public internet: not private, loopback, link-local, shared or reserved."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        nat64 = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF) if ip in _NAT64 else None
        inner = ip.ipv4_mapped or ip.sixtofour or nat64
        if inner is not None:
            ip = inner
    return ip.is_global and not ip.is_multicast


def _seconds(retry_after: str | None, at_us: int) -> float | None:
    """``Retry-After`` is seconds or a date (RFC 9110); what is neither says nothing."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return max((from_datetime(at) - at_us) / 1e6, 0.0)
