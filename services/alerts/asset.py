"""A file that browsers are given as it is: read once, told apart from another version by its tag."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from importlib.resources.abc import Traversable
from typing import Final

from fastapi import Request
from fastapi.responses import Response

_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}


class Asset:
    """``found`` with the type of its ending, answered with ``headers``."""

    def __init__(self, found: Traversable, headers: Mapping[str, str]) -> None:
        self._body = found.read_bytes()
        self._tag = f'"{blake2b(self._body, digest_size=9).hexdigest()}"'
        kind = _TYPES[found.name.rpartition(".")[2]]
        self._headers = {**headers, "content-type": kind, "etag": self._tag, "cache-control": "no-cache"}

    def answer(self, request: Request) -> Response:
        """The file, or that the browser's copy is still right. Asked for anew each time: a page that is open for weeks
        must not mix files of two versions."""
        if self._tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=self._headers)
        return Response(self._body, headers=self._headers)
