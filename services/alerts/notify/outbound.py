"""Requests to receivers: where they may go, how long they may take, and how much of an answer is read.

A name is resolved once and that very address is connected to, so that it cannot turn into an internal address between
the check and the connection. Redirects are not followed, proxies of the environment not used.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import cache
from hashlib import sha256
from typing import Any, Final

import httpx
import msgspec

from schemas.instant import from_datetime
from services.alerts.delivery import Delivered, Outcome, Refused, Retry

TIMEOUT_S: Final = 15.0
"""From the look-up of the name to the end of the answer."""
CONNECT_S: Final = 5.0
"""Shorter, so that a receiver that is not there can be told from one that does not answer."""
ANSWER_BYTES: Final = 65_536
DRAIN_S: Final = 1.0
"""For the rest of an answer that nobody reads; a new connection costs less than waiting longer."""

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_AGENT: Final = "Deskpulse"
_NOT_NOW: Final = frozenset({408, 409, 423, 425, 429})
"""Answers below 500 that say "later" and not "never"."""


class PrivateAddress(Exception):
    """The receiver's name leads into a private network, which this receiver was not allowed to."""


@dataclass(frozen=True, slots=True)
class Answer:
    """``text`` is the beginning of the body. It may say anything: nothing of it belongs in a log."""

    status: int
    retry_after_s: float | None
    text: str

    @property
    def json(self) -> dict[str, Any]:
        """The body where it is a JSON object, else an empty one."""
        try:
            found = msgspec.json.decode(self.text)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


class Outbound:
    """Posts to one receiver. Keeps connections open between messages."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(TIMEOUT_S, connect=CONNECT_S),
            follow_redirects=False,
            trust_env=False,
            verify=trusted(),
            limits=httpx.Limits(max_connections=8, keepalive_expiry=30),
        )

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], at_us: int, *, read: bool = True
    ) -> Answer | Retry | Refused:
        """One attempt, within :data:`TIMEOUT_S`; never raises for anything that network or receiver do. Without
        ``read`` the answer has no text."""
        target = httpx.URL(url)
        try:
            async with asyncio.timeout(CONNECT_S):
                address = await resolved(target.host, port(target), allow_private=self._allow_private)
        except PrivateAddress:
            return Refused(PRIVATE)
        except TimeoutError:
            return Retry("the name cannot be resolved in time")
        except (socket.gaierror, UnicodeError):
            return Retry("the name cannot be resolved")
        try:
            async with asyncio.timeout(TIMEOUT_S) as limit:
                # TLS is for the name, the connection to the address that was checked.
                request = self._client.build_request(
                    "POST",
                    target.copy_with(host=address),
                    content=body,
                    headers={
                        "content-type": "application/json",
                        "user-agent": _AGENT,
                        "accept-encoding": "identity",
                        **headers,
                        "host": target.netloc.decode(),
                    },
                    extensions={"sni_hostname": target.host},
                )
                response = await self._client.send(request, stream=True)
                try:
                    if not read:
                        limit.reschedule(None)  # the answer is known: what is left of it can change nothing
                    text = await _beginning(response) if read else await _drained(response)
                    after = seconds_after(response.headers.get("retry-after"), at_us)
                    return Answer(response.status_code, after, text)
                finally:
                    await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as exc:
            return Retry(f"no connection ({type(exc).__name__})")
        except (TimeoutError, httpx.TimeoutException):
            return Retry(f"no answer within {TIMEOUT_S:.0f} s", perhaps=True)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as exc:
            return Retry(f"the connection broke ({type(exc).__name__})", perhaps=True)

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()


@cache
def trusted() -> ssl.SSLContext:
    """Whom we believe. Reading it takes long, and it is the same for every receiver."""
    return httpx.create_ssl_context(trust_env=False)


PRIVATE: Final = "the name leads to a private address; set allow_private to allow it"


async def resolved(host: str, port: int, *, allow_private: bool) -> str:
    """The address to connect to. Raises :class:`PrivateAddress`, and ``socket.gaierror`` for an unknown name."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(entry[4][0]) for entry in found]
    if not allow_private and any(not is_public(address) for address in addresses):
        raise PrivateAddress
    return addresses[0]


def outcome(status: int, retry_after_s: float | None) -> Outcome:
    """What an answer means where the vendor says nothing else. 2xx: taken. 410: never again anything. 5xx and "later"
    codes: again. The rest: never."""
    if 200 <= status < 300:
        return Delivered()
    problem = f"HTTP {status}"
    if status == 410:
        return Refused(problem, gone=True)
    if status >= 500 or status in _NOT_NOW:
        return Retry(problem, retry_after_s)
    return Refused(f"{problem}, a redirect, which is not followed" if 300 <= status < 400 else problem)


def fingerprint(*parts: str) -> str:
    """A digest of where and with what a receiver is reached: a receiver that was switched off gets messages again when
    it changes."""
    return sha256("\n".join(parts).encode()).hexdigest()[:16]


def is_public(address: str) -> bool:
    """Whether ``address`` is on the public internet: not private, loopback, link-local, shared or reserved."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        nat64 = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF) if ip in _NAT64 else None
        inner = ip.ipv4_mapped or ip.sixtofour or nat64
        if inner is not None:
            ip = inner
    return ip.is_global and not ip.is_multicast


def seconds_after(retry_after: str | None, at_us: int) -> float | None:
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


async def _drained(response: httpx.Response) -> str:
    """Reads a short body to its end, since a connection with something left in it cannot be used again."""
    with suppress(TimeoutError, httpx.HTTPError, OSError):
        async with asyncio.timeout(DRAIN_S):
            await _beginning(response)
    return ""


async def _beginning(response: httpx.Response) -> str:
    found = bytearray()
    async for chunk in response.aiter_raw():
        found += chunk
        if len(found) >= ANSWER_BYTES:
            break
    return bytes(found[:ANSWER_BYTES]).decode("utf-8", "replace")


def port(url: httpx.URL) -> int:
    """Where to connect."""
    return url.port or (443 if url.scheme == "https" else 80)
