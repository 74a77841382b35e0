"""The board's files, as they are: no build step, and nothing is fetched from anywhere else.

The pages hold no data, so that they need no token; what they show they ask of the API, with the reader's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

_STATIC: Final = files("services.alerts.board") / "static"
_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
    "webmanifest": "application/manifest+json",
}
_PAGES: Final = {"/": "board.html", "/kpis/{kpi}": "kpi.html", "/tickets/{source}/{ticket_id}": "ticket.html"}
SECURITY: Final[Mapping[str, str]] = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
"""Headers of every page and file."""


class _File:
    """A file with its type and the tag of its content."""

    def __init__(self, found: Traversable) -> None:
        self.body = found.read_bytes()
        self.tag = f'"{blake2b(self.body, digest_size=9).hexdigest()}"'
        self.headers = {**SECURITY, "content-type": _TYPES[found.name.rpartition(".")[2]], "etag": self.tag}

    def answer(self, request: Request) -> Response:
        """The file, or that the browser's copy is still right. Asked for anew each time: they are small, and a board
        that is open for weeks must not mix files of two versions."""
        headers = {**self.headers, "cache-control": "no-cache"}
        if self.tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(self.body, headers=headers)


def router() -> APIRouter:
    """The routes of all pages and files, outside of ``/v1`` and open to everybody."""
    routes = APIRouter(include_in_schema=False)
    for path, name in _PAGES.items():
        routes.add_api_route(path, _route(_File(_STATIC / name)), methods=["GET"])
    for found in sorted(_STATIC.iterdir(), key=lambda one: one.name):
        if found.is_file() and found.name not in _PAGES.values():
            routes.add_api_route(f"/static/{found.name}", _route(_File(found)), methods=["GET"])
    return routes


def _route(file: _File):  # type: ignore[no-untyped-def]  # FastAPI wants a function, and reads its annotations
    async def answer(request: Request) -> Response:
        return file.answer(request)

    return answer
