"""What every request of the query API goes through first: who it comes from, how many of them, and whether they may.

It stands before the body is read and before FastAPI looks for a route, by the table alone. Behind it every request has
its identity in ``scope["state"]["identity"]``. On the way back it adds what is true of every answer: what is left of
the allowance, who may store it, and the ETag.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.stdlib import BoundLogger

from services.alerts.access import etag, table
from services.alerts.access.access import Access, caller
from services.alerts.access.bucket import Allowance
from services.alerts.access.etag import Again
from services.alerts.access.identity import SOMEBODY, Identity
from services.alerts.access.table import Row
from services.operate.problem import Problem

_READS: Final = ("GET", "HEAD", "OPTIONS")
log: BoundLogger = structlog.get_logger("api")


class Gate:
    """An ASGI app around another."""

    def __init__(self, app: ASGIApp, access: Access, steady: Callable[[], float]) -> None:
        self._app = app
        self._access = access
        self._steady = steady

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, method, path = Headers(scope=scope), scope["method"], scope["path"]
        address = scope["client"][0] if scope.get("client") else ""
        known = table.rows(path)
        row = known.get("GET" if method == "HEAD" and _static(path) else method)
        if row is not None and row.path in table.PROBES:  # asked by machines that must never be turned away
            await self._app(scope, receive, send)
            return
        identity: Identity | None = None
        refusal: Problem | None = None
        if row is None or row.role is not None:
            try:
                identity = await self._access.sender(headers.get("authorization"), address)
            except Problem as exc:
                refusal = exc
        allowance = self._access.buckets.take(
            identity.key if identity is not None else f"address {caller(address)}", self._steady()
        )
        if allowance.wait_s:
            refusal = self._access.too_many(allowance.wait_s)
        elif identity is not None and row is not None and row.role is not None:
            try:
                self._access.allow(identity, row.role, method, row.path)
            except Problem as exc:
                refusal = exc
        if refusal is None and row is None:
            refusal = _nothing(method, known)
        back = _Back(send, headers, row, self._policy(allowance))
        if refusal is not None:
            await refusal.response()(scope, receive, back)
            return
        scope.setdefault("state", {})["identity"] = identity
        await self._app(scope, receive, back)
        if method not in _READS and row is not None and identity is not None:
            log.info(
                "acted",
                who=identity.name or SOMEBODY,
                proof=identity.proof.value,
                role=identity.role.value,
                method=method,
                route=row.path,
                status=back.status,
            )

    def _policy(self, allowance: Allowance) -> dict[str, str]:
        """https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/: the quota and what is left of it."""
        buckets = self._access.buckets
        whole_s = max(1, round(buckets.burst * 60 / buckets.per_minute))
        return {
            "RateLimit-Policy": f'"default";q={buckets.burst};w={whole_s}',
            "RateLimit": f'"default";r={allowance.left};t={allowance.full_s}',
        }


class _Back:
    """The way of an answer: headers are added, and an answer with an ETag is held until it is whole."""

    def __init__(self, send: Send, asked: Headers, row: Row | None, extra: dict[str, str]) -> None:
        self._send = send
        self._asked = asked
        self._row = row
        self._extra = extra
        self._start: Message | None = None
        self._body: list[bytes] = []
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in self._extra.items():
                headers[name] = value
            headers.setdefault("X-Content-Type-Options", "nosniff")
            row = self._row
            if row is None or row.role is not None:
                kept = row is not None and not row.personal and self.status < 400
                headers.setdefault("Cache-Control", "private, no-cache" if kept else "no-store")
                headers.add_vary_header("Authorization")
            if self._held(headers.get("content-type", "")):
                self._start = message
                return
        elif self._start is not None:
            self._body.append(message.get("body", b""))
            if not message.get("more_body", False):
                await self._whole(self._start, b"".join(self._body))
            return
        await self._send(message)

    def _held(self, form: str) -> bool:
        held = self._row is not None and self._row.again in (Again.SAME, Again.TICKING)
        return held and self.status == 200 and form.startswith("application/json")

    async def _whole(self, start: Message, body: bytes) -> None:
        assert self._row is not None
        tag = etag.etag(body, self._row.again)
        headers = MutableHeaders(scope=start)
        if tag is not None:
            headers["ETag"] = tag
            if etag.same(self._asked.get("if-none-match"), tag):
                self.status = start["status"] = 304
                body = b""
                for name in ("content-length", "content-type"):
                    del headers[name]
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})


def _static(path: str) -> bool:
    return path.startswith(("/docs", "/openapi.json"))


def _nothing(method: str, known: Mapping[str, Row]) -> Problem:
    if known:
        allowed = ", ".join(sorted(known))
        detail = f"This path does not take {method}. It takes: {allowed}."
        return Problem(405, "method-not-allowed", "Method Not Allowed", detail, headers={"Allow": allowed})
    return Problem(404, "not-found", "Not Found", "There is nothing at this path.")
