"""The OpenAPI document as it is true: errors are problem documents, and only those that can be are named.

FastAPI documents a 422 of its own form for everything that has a parameter, and none of the errors that come from
further in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI

from services.operate.problem import MEDIA_TYPE

_PROBLEM: Final[dict[str, Any]] = {
    "title": "Problem",
    "description": "RFC 9457. `type` is stable, clients may branch on it; texts may change.",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "urn:deskpulse:problem:<kind>"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong, and what to do."},
    },
}
_OF_FASTAPI: Final = ("HTTPValidationError", "ValidationError")
_INVALID: Final = "A parameter or the body is not what it must be; the answer names it."


def describe(app: FastAPI, everywhere: Mapping[int, str] | None = None, below: str = "/") -> None:
    """Makes the document of ``app`` say so. Every operation whose path begins with ``below`` may answer
    ``everywhere``: status to meaning."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _correct(made(), everywhere or {}, below)
        return made()

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend it


def _correct(document: dict[str, Any], everywhere: Mapping[int, str], below: str) -> None:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in _OF_FASTAPI:
        schemas.pop(name, None)
    schemas["Problem"] = _PROBLEM
    for path, operations in document["paths"].items():
        for operation in operations.values():
            responses = operation["responses"]
            if path.startswith(below):
                named = {404: "There is nothing of this name."} if "{" in path else {}
                for status, meaning in {**everywhere, **named}.items():
                    responses.setdefault(str(status), {"description": meaning})
            if not _can_be_invalid(operation):
                responses.pop("422", None)
            for status, response in responses.items():
                if status >= "400":
                    if status == "422":
                        response["description"] = _INVALID
                    response["content"] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}


def _can_be_invalid(operation: Mapping[str, Any]) -> bool:
    """Any text is good as a part of the path that is no more than text."""
    plain = [one for one in operation.get("parameters", ()) if one["in"] == "path" and _any_text(one["schema"])]
    return "requestBody" in operation or len(plain) < len(operation.get("parameters", ()))


def _any_text(schema: Mapping[str, Any]) -> bool:
    rules = {"pattern", "enum", "minLength", "maxLength", "format"}
    return schema.get("type") == "string" and not schema.keys() & rules
