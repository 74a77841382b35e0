"""An issuer's public keys: found by discovery, fetched when they are needed, kept while the issuer is away.

https://openid.net/specs/openid-connect-discovery-1_0.html, RFC 7517. Fetching never holds up a request whose key is
known: a set that is no longer fresh serves on while the next one is fetched beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import jwt
import orjson
import structlog
from structlog.stdlib import BoundLogger

from schemas.failure import NotNow

FETCH_S: Final = 5.0
FRESH_S: Final = 3600.0
"""After this the set is fetched again, so that a key that was withdrawn stops working."""
STALE_S: Final = 86_400.0
"""While the issuer is away, an older set is used for so long."""
AGAIN_S: Final = 30.0
"""A key that is not in the set is looked for again at most this often: anybody can name one."""
FAILED_S: Final = 5.0
"""After a failure it is tried again at most this often."""
_LARGEST: Final = 262_144
_MOST_KEYS: Final = 64
_SMALLEST_RSA_BITS: Final = 2048
_CURVES: Final = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}

Fetch = Callable[[str], Awaitable[bytes]]
log: BoundLogger = structlog.get_logger("oidc")


class KeySet:
    """The keys of ``issuer``. ``steady`` reads seconds of a clock that never goes back."""

    def __init__(self, issuer: str, steady: Callable[[], float], fetch: Fetch | None = None) -> None:
        self._issuer = issuer
        self._steady = steady
        self._fetch = fetch or fetched
        self._keys: list[dict[str, Any]] = []
        self._read: dict[tuple[str | None, str], jwt.PyJWK | None] = {}
        self._fresh_until = self._usable_until = self._not_before = float("-inf")
        self._failed = False
        self._turn = asyncio.Lock()
        self._beside: asyncio.Task[None] | None = None

    async def key(self, kid: str | None, algorithm: str) -> jwt.PyJWK | None:
        """The key of this id for this algorithm; ``None`` when the issuer has none such. Raises :class:`NotNow` when
        that cannot be known because the issuer is away."""
        if self._steady() >= self._usable_until:
            await self._look_up()
            if self._steady() >= self._usable_until:
                raise NotNow("The issuer's keys cannot be fetched", FAILED_S)
        elif self._steady() >= self._fresh_until and (self._beside is None or self._beside.done()):
            self._beside = asyncio.create_task(self._look_up(), name="oidc-keys")
        found = self._found(kid, algorithm)
        if found is None:  # perhaps it is newer than the set
            await self._look_up()
            found = self._found(kid, algorithm)
            if found is None and self._failed:
                raise NotNow("The issuer's keys cannot be fetched", FAILED_S)
        return found

    def _found(self, kid: str | None, algorithm: str) -> jwt.PyJWK | None:
        place = (kid, algorithm)
        if place not in self._read:
            fitting = [one for one in self._keys if kid is None or one.get("kid") == kid]
            read = [key for one in fitting if (key := usable(one, algorithm)) is not None]
            found = read[0] if len(read) == 1 or (read and kid is not None) else None
            if found is None:
                return None  # not kept: anybody can ask for any id
            self._read[place] = found
        return self._read[place]

    async def _look_up(self) -> None:
        async with self._turn:
            if self._steady() < self._not_before:
                return
            try:
                async with asyncio.timeout(FETCH_S):
                    keys = await self._asked()
            except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError) as exc:
                self._failed, self._not_before = True, self._steady() + FAILED_S
                log.warning("issuer_away", issuer=self._issuer, problem=f"{type(exc).__name__}: {exc}"[:200])
                return
            at_s = self._steady()
            self._keys, self._read, self._failed = keys, {}, False
            self._not_before, self._fresh_until, self._usable_until = at_s + AGAIN_S, at_s + FRESH_S, at_s + STALE_S
            log.info("issuer_keys_fetched", issuer=self._issuer, count=len(keys))

    async def _asked(self) -> list[dict[str, Any]]:
        about = _object(await self._fetch(self._issuer.rstrip("/") + "/.well-known/openid-configuration"))
        if about.get("issuer") != self._issuer:
            raise ValueError("the discovery document is of another issuer")
        where = about.get("jwks_uri")
        if not isinstance(where, str) or urlsplit(where).scheme not in ("https", urlsplit(self._issuer).scheme):
            raise ValueError("the discovery document names no jwks_uri that can be used")
        keys = _object(await self._fetch(where)).get("keys")
        if not isinstance(keys, list):
            raise ValueError("no JSON Web Key Set")  # noqa: TRY004  # a wrong document is one kind of mistake
        return [one for one in keys[:_MOST_KEYS] if isinstance(one, dict)]


def usable(key: dict[str, Any], algorithm: str) -> jwt.PyJWK | None:
    """The key, where it may check signatures of ``algorithm``."""
    if key.get("use", "sig") != "sig" or key.get("alg", algorithm) != algorithm:
        return None
    family = "OKP" if algorithm == "EdDSA" else {"R": "RSA", "P": "RSA", "E": "EC"}[algorithm[0]]
    if key.get("kty") != family or ("d" in key):
        return None
    if algorithm in _CURVES and key.get("crv") != _CURVES[algorithm]:
        return None
    try:
        found = jwt.PyJWK(key, algorithm)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    return None if family == "RSA" and found.key.key_size < _SMALLEST_RSA_BITS else found


async def fetched(url: str) -> bytes:
    """The document at ``url``: no redirects, and no more of it than it can need."""
    context = await asyncio.to_thread(httpx.create_ssl_context)  # reads files, and takes its time
    async with (
        httpx.AsyncClient(timeout=FETCH_S, follow_redirects=False, trust_env=True, verify=context) as client,
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


def _object(document: bytes) -> dict[str, Any]:
    found = orjson.loads(document)
    if not isinstance(found, dict):
        raise ValueError("no JSON object")  # noqa: TRY004  # as above
    return found
