"""Errors over HTTP as RFC 9457 ``application/problem+json``, with stable types.

``type`` is ``urn:deskpulse:problem:<kind>``; clients may branch on it, texts may change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import orjson
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PREFIX = "urn:deskpulse:problem:"
MEDIA_TYPE = "application/problem+json"

_KINDS = {
    400: "bad-request",
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    408: "request-timeout",
    409: "conflict",
    413: "too-large",
    415: "unsupported-media-type",
    422: "invalid-request",
    429: "too-many-requests",
    503: "unavailable",
}

log = structlog.get_logger("http")


class Problem(Exception):
    """Raise it in a route: it becomes the answer.

    ``detail`` is for the reader of the answer: what is wrong and what to do. ``extra`` are further members of
    the document. ``headers`` go with it, such as ``Retry-After``.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        title: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(f"{status} {kind}: {detail}")
        self.status = status
        self.kind = kind
        self.title = title
        self.detail = detail
        self.headers = dict(headers or {})
        self.extra = extra

    def response(self) -> Response:
        """The answer that says so."""
        document = {
            "type": PREFIX + self.kind,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            **self.extra,
        }
        return Response(orjson.dumps(document), self.status, self.headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Makes every error answer of ``app`` a problem document, the framework's own ones included."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)
    # The framework's last resort would answer in plain text and let the server log the error a second time.
    app.add_middleware(Unexpected)


def pointer(location: Sequence[str | int]) -> str:
    """The JSON pointer (RFC 6901) of a location in a document."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)


async def _problem(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, Problem)
    return exc.response()


async def _http(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    title = HTTPStatus(exc.status_code).phrase
    match exc.status_code:
        case 404:
            detail = "There is nothing at this path."
        case 405:
            detail = f"This path does not take {request.method}."
        case _:
            detail = str(exc.detail)
    return Problem(
        exc.status_code, _KINDS.get(exc.status_code, "http-error"), title, detail, headers=exc.headers
    ).response()


async def _validation(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError)
    errors = []
    for error in exc.errors():
        where, *path = error["loc"]
        if where == "body":
            errors.append({"pointer": "#" + pointer(path), "detail": error["msg"]})
        else:
            errors.append({"parameter": ".".join(str(part) for part in path), "in": where, "detail": error["msg"]})
    return Problem(
        422, _KINDS[422], "Invalid request", "The request does not fit; 'errors' names each place.", errors=errors
    ).response()


class Unexpected:
    """An ASGI app around another. Turns a bug into a 500 with a trace id that is also in the log, once."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as exc:
            trace_id = uuid4().hex
            # The path only: a query string may carry a token.
            log.exception(
                "unexpected_error", trace_id=trace_id, method=scope["method"], path=scope["path"], exc_info=exc
            )
            if started:
                raise
            answer = Problem(
                500,
                "unexpected",
                "Unexpected error",
                "This is a bug; the log has more under the trace id.",
                trace_id=trace_id,
            ).response()
            await answer(scope, receive, send)
