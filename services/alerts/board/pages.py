"""The board's files, as they are: no build step, and nothing is fetched from anywhere else.

The pages hold no data, so that they need no token; what they show they ask of the API, with the reader's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from services.alerts.asset import Asset

_STATIC: Final = files("services.alerts.board") / "static"
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


def router() -> APIRouter:
    """The routes of all pages and files, outside of ``/v1`` and open to everybody."""
    routes = APIRouter(include_in_schema=False)
    for path, name in _PAGES.items():
        routes.add_api_route(path, _route(Asset(_STATIC / name, SECURITY)), methods=["GET"])
    for found in sorted(_STATIC.iterdir(), key=lambda one: one.name):
        if found.is_file() and found.name not in _PAGES.values():
            routes.add_api_route(f"/static/{found.name}", _route(Asset(found, SECURITY)), methods=["GET"])
    return routes


def _route(file: Asset):  # type: ignore[no-untyped-def]  # FastAPI wants a function, and reads its annotations
    async def answer(request: Request) -> Response:
        return file.answer(request)

    return answer
