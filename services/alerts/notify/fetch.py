"""Reading a calendar from an address: under the same rules as requests to receivers (``outbound``), with a bound on
what is read, and without reading what has not changed (RFC 9110, 13.1)."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass

import httpx

from services.alerts.notify.outbound import (
    CONNECT_S,
    PRIVATE,
    TIMEOUT_S,
    PrivateAddress,
    port,
    resolved,
    trusted,
)


@dataclass(frozen=True, slots=True)
class Fetched:
    """``body`` is ``None`` when it is as it was. ``etag`` and ``modified`` are for asking again."""

    body: bytes | None
    etag: str | None
    modified: str | None


@dataclass(frozen=True, slots=True)
class Failed:
    """In a few words, without the address and without anything that was answered."""

    problem: str


async def fetch(
    url: str, etag: str | None, modified: str | None, *, most_bytes: int, allow_private: bool
) -> Fetched | Failed:
    """One attempt; never raises for anything that network or server do. Redirects are not followed."""
    target = httpx.URL(url)
    headers = {"user-agent": "Deskpulse", "accept": "text/calendar, */*;q=0.1", "accept-encoding": "identity"}
    headers |= {"if-none-match": etag} if etag else {}
    headers |= {"if-modified-since": modified} if modified and not etag else {}
    try:
        async with asyncio.timeout(CONNECT_S):
            address = await resolved(target.host, port(target), allow_private=allow_private)
    except PrivateAddress:
        return Failed(PRIVATE)
    except (TimeoutError, socket.gaierror, UnicodeError):
        return Failed("the name cannot be resolved")
    client = httpx.AsyncClient(
        timeout=httpx.Timeout(TIMEOUT_S, connect=CONNECT_S), follow_redirects=False, trust_env=False, verify=trusted()
    )
    try:
        async with asyncio.timeout(TIMEOUT_S), client:
            request = client.build_request(
                "GET",
                target.copy_with(host=address),
                headers={**headers, "host": target.netloc.decode()},
                extensions={"sni_hostname": target.host},
            )
            response = await client.send(request, stream=True)
            try:
                return await _read(response, most_bytes)
            finally:
                await response.aclose()
    except (TimeoutError, httpx.TimeoutException):
        return Failed(f"no answer within {TIMEOUT_S:.0f} s")
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as exc:
        return Failed(f"the connection broke ({type(exc).__name__})")


async def _read(response: httpx.Response, most_bytes: int) -> Fetched | Failed:
    etag, modified = (_bounded(response.headers.get(name)) for name in ("etag", "last-modified"))
    if response.status_code == 304:
        return Fetched(None, etag, modified)
    if response.status_code != 200:
        redirect = ", a redirect, which is not followed" if 300 <= response.status_code < 400 else ""
        return Failed(f"HTTP {response.status_code}{redirect}")
    found = bytearray()
    async for chunk in response.aiter_raw():
        found += chunk
        if len(found) > most_bytes:
            return Failed(f"larger than {most_bytes // 1_000_000} MB")
    return Fetched(bytes(found), etag, modified)


def _bounded(value: str | None) -> str | None:
    return value if value is not None and len(value) <= 500 and value.isascii() and value.isprintable() else None
