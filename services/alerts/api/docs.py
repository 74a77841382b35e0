"""``/docs``: the API's description to read and try, from files of ours alone."""

from __future__ import annotations

from importlib.resources import files
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, Response

from services.alerts.asset import Asset
from services.operate.problem import Problem

router = APIRouter(include_in_schema=False)

_FOLDER: Final = files("services.alerts") / "swagger_ui"
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing from elsewhere, and no script that is not one of the files. Swagger UI sets styles on its elements."""
_FILES: Final = {
    name: Asset(_FOLDER / name, {"x-content-type-options": "nosniff"})
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "start.js")
}
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
async def file(request: Request, file: Annotated[str, Path(max_length=64)]) -> Response:
    """One of the files that the page is made of."""
    found = _FILES.get(file)
    if found is None:
        raise Problem(404, "not-found", "Not Found", "There is nothing at this path.")
    return found.answer(request)
