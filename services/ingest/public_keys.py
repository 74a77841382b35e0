"""The public keys of a vendor that signs with its own: fetched when one is missing, never often, never for long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import httpx
import structlog

from schemas.failure import NotNow
from services.ingest.verify import Key
from services.ingest.verify.json_web_token import keys_of

FETCH_S: Final = 2.0
"""Zoho gives up on its webhook after 5 seconds, and Kafka needs its part of them."""
FRESH_S: Final = 3600.0
"""After this the set is fetched again, so that a key that was withdrawn stops working."""
STALE_S: Final = 86_400.0
"""While the vendor's server is away, an older set is used this long."""
AGAIN_S: Final = 60.0
"""A key that is not in the set is looked for again at most this often: anyone can name one."""
FAILED_S: Final = 5.0
"""After a failure it is tried again at most this often."""
_LARGEST: Final = 65_536

log = structlog.get_logger("ingest")


class PublicKeys:
    """The keys at one URL, by their id."""

    def __init__(
        self, url: str, steady: Callable[[], float], fetch: Callable[[str], Awaitable[bytes]] | None = None
    ) -> None:
        self._url = url
        self._steady = steady
        self._fetch = fetch or _fetched
        self._keys: Mapping[str, Key] = {}
        self._fetched_at = float("-inf")
        self._usable_until = float("-inf")
        self._not_before = float("-inf")
        self._turn = asyncio.Lock()

    @property
    def known(self) -> Mapping[str, Key]:
        """What can be used now; empty when it is so old that it must be looked up first."""
        return self._keys if self._steady() < self._usable_until else {}

    async def look_up(self) -> None:
        """Asks the vendor, unless that was done a moment ago; :attr:`known` is then the newest that can be had.
        Raises :class:`NotNow` when there are none."""
        async with self._turn:
            if self._steady() >= self._not_before:
                await self._ask()
        if not self.known:
            raise NotNow("The sender's public keys cannot be fetched", FAILED_S)

    async def _ask(self) -> None:
        try:
            async with asyncio.timeout(FETCH_S):
                found = keys_of(await self._fetch(self._url))
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError) as exc:
            self._not_before = self._steady() + FAILED_S
            if self._steady() < self._fetched_at + STALE_S:
                self._usable_until = max(self._usable_until, self._not_before)
            log.warning("public_keys_away", url=self._url, problem=type(exc).__name__)
            return
        self._keys, self._fetched_at = found, self._steady()
        self._not_before = self._fetched_at + AGAIN_S
        self._usable_until = self._fetched_at + FRESH_S
        log.info("public_keys_fetched", url=self._url, count=len(found))


async def _fetched(url: str) -> bytes:
    """The document at ``url``: no redirects, and no more of it than a key set can need."""
    async with (
        httpx.AsyncClient(timeout=FETCH_S, follow_redirects=False, trust_env=True) as client,
        client.stream("GET", url, headers={"accept": "application/json", "accept-encoding": "identity"}) as answer,
    ):
        if answer.status_code != 200:
            raise ValueError(f"answered {answer.status_code}")
        document = b""
        async for chunk in answer.aiter_raw():
            document += chunk
            if len(document) > _LARGEST:
                raise ValueError("too large")
        return document
