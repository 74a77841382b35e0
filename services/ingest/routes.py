"""``/webhooks/{source}``: the one door for helpdesks."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from services.ingest.door import Door
from services.operate.problem import MEDIA_TYPE

_DOCUMENTED: Final[dict[int | str, dict[str, Any]]] = {
    status: {"description": meaning, "content": {MEDIA_TYPE: {}}}
    for status, meaning in {
        400: "Not JSON, or the timestamp is malformed.",
        401: "The signature or the secret is missing or wrong, or the signature is too old.",
        403: "The source does not take webhooks from this address.",
        404: "No source has this name.",
        408: "The body took too long.",
        413: "The body is too large.",
        429: "The source is over its limits, or, for some vendors, what 503 says; see Retry-After.",
        503: "Kafka is away; nothing was taken; see Retry-After.",
    }.items()
}


_BODY: Final = {
    "description": "What the helpdesk posts, signed in its way; for a generic source one event or a list of them.",
    "content": {
        "application/json": {"schema": {"type": ["object", "array"]}},
        "text/xml": {"schema": {"type": "string"}},
    },
}


def router(door: Door) -> APIRouter:
    """The routes of ingest, as they are documented. In a running ingest, webhooks of configured sources do not come
    through here but by ``services.ingest.direct``, to the same ``door`` and the same answers."""
    routes = APIRouter(tags=["webhooks"])

    @routes.post(
        "/webhooks/{source}",
        responses=_DOCUMENTED,
        response_model=None,
        summary="Take a signed webhook",
        openapi_extra={"requestBody": _BODY},
    )
    async def post(source: str, request: Request) -> Response:
        return await door.answered(source, request.scope, request.receive)

    # HEAD apart: one operation with two methods would have one id twice in the document.
    @routes.head("/webhooks/{source}", response_model=None, include_in_schema=False)
    @routes.get(
        "/webhooks/{source}",
        responses={status: _DOCUMENTED[status] for status in (403, 404)},
        response_model=None,
        summary="Check that the address is right",
    )
    async def check(source: str, request: Request) -> Response:
        ready = door.known(source, request.scope)
        return JSONResponse({"source": ready.name, "vendor": ready.vendor, "accepts": "POST"})

    return routes
