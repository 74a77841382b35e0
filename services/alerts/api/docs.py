"""``/docs``: the API's description to read and try, from files of ours alone."""

from __future__ import annotations

from importlib.resources import files
from typing import Annotated, Final

from fastapi import APIRouter, Path
from fastapi.responses import HTMLResponse, Response

from services.operate.problem import Problem

router = APIRouter(include_in_schema=False)

_FOLDER: Final = files("services.alerts") / "swagger_ui"
_FILES: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "start.js": "text/javascript",
}
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing from elsewhere, and no script that is not one of the files. Swagger UI sets styles on its elements."""
_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Deskpulse: the query API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><link rel="stylesheet" href="docs/swagger-ui.css"></head>
<body><div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script><script src="docs/start.js"></script></body></html>
"""


@router.get("/docs")
async def page() -> HTMLResponse:
    """The page."""
    return HTMLResponse(_PAGE, headers={"content-security-policy": POLICY, "referrer-policy": "no-referrer"})


@router.get("/docs/{file}")
async def file(file: Annotated[str, Path(max_length=64)]) -> Response:
    """One of the files that the page is made of."""
    kind = _FILES.get(file)
    if kind is None:
        raise Problem(404, "not-found", "Not Found", "There is nothing at this path.")
    return Response((_FOLDER / file).read_bytes(), media_type=kind, headers={"cache-control": "public, max-age=86400"})
