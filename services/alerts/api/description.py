"""The query API's own part of its OpenAPI document: who may ask what, what else may be answered, and examples.

Most of it comes from the table of roles, so that the document and what is enforced cannot differ.
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI

from services.alerts.access import table
from services.alerts.access.etag import Again
from services.alerts.access.table import Row
from services.alerts.api.examples import ANSWERS
from services.operate.problem import MEDIA_TYPE, PREFIX

TAGS: Final = {
    "kpis": "The numbers: by window, by segment, over time, beside what they were, and why. What each means.",
    "sla": "Promises to customers: which run, which are at risk, which are broken.",
    "tickets": "One ticket as Deskpulse knows it, and why its timers read what they read.",
    "alerts": "What is wrong, who has taken it on, silences, and the messages about it.",
    "on call": "Who is reached when.",
    "rules": "When a number is worth a message, and trying that on the past.",
    "forecast": "What will come, and what that means in agents' hours.",
    "reports": "Leaders' digests, as sent.",
    "board": "What the live board shows.",
    "configuration": "What is configured, without a secret in it.",
    "operation": "For orchestrators and Prometheus; no token needed.",
}
_BEARER: Final = "token"
_SECURITY: Final = (
    "One of `api_tokens`, or an access token of the configured issuer. Where neither is configured, none."
)
_LIMIT: Final = {
    "RateLimit-Policy": ("The allowance: `q` requests at once, back within `w` seconds.", '"default";q=5000;w=10'),
    "RateLimit": ("What is left of it: `r` requests now, all of them in `t` seconds.", '"default";r=4998;t=1'),
}
_WAIT: Final = {"Retry-After": ("Seconds until the same request may work.", "2")}
_CHALLENGE: Final = {"WWW-Authenticate": ("How to ask (RFC 6750).", 'Bearer realm="deskpulse"')}
_ETAG: Final = {"ETag": ("For `If-None-Match`.", '"8c1f0a3b5d7e9f2a4c6e8b0d"')}
_SAID: Final = {
    401: "Nobody known asks: the token is missing, unknown, or of the issuer and not good.",
    403: "Who asks may not: `needed` is the role that may. Also numbers about single agents, and other teams' alerts.",
    429: "Too many requests of this caller, or too many of its streams.",
    503: "Redis, or the issuer that a token must be checked with, does not answer.",
}
_PROBLEMS: Final[dict[str, tuple[str, str, str]]] = {
    "400": (
        "unknown-parameter",
        "Unknown parameter",
        "There is no parameter 'sate' here. There is: cursor, limit, state.",
    ),
    "401": ("unauthorized", "Unauthorized", "Send a token as 'Authorization: Bearer <token>'."),
    "403": ("forbidden", "Forbidden", "PUT /v1/rules/{name} is for the role 'admin' and above; yours is 'viewer'."),
    "404": ("not-found", "Not Found", "There is nothing of this name. There is: …"),
    "409": ("conflict", "Conflict", "It stands so that this cannot be done to it."),
    "412": ("rule-has-changed", "Rule has changed", "The rule 'full' is not the one that the request speaks of: …"),
    "422": ("invalid-request", "Invalid request", "The request does not fit; 'errors' names each place."),
    "429": (
        "too-many-requests",
        "Too many requests",
        "At most 30000 requests a minute, 5000 at once. Come again in 1 s.",
    ),
    "503": ("unavailable", "Unavailable", "Redis does not answer."),
}


def complete(app: FastAPI) -> None:
    """Adds it to the document of ``app``; after :func:`services.operate.openapi.describe`."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _add(made())
        return made()

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend it


def _add(found: dict[str, Any]) -> None:
    schemes: dict[str, Any] = {_BEARER: {"type": "http", "scheme": "bearer", "description": _SECURITY}}
    found.setdefault("components", {})["securitySchemes"] = schemes
    spoken = {tag for operations in found["paths"].values() for one in operations.values() for tag in one["tags"]}
    found["tags"] = [{"name": name, "description": said} for name, said in TAGS.items() if name in spoken]
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            row = table.row_of(method.upper(), path)
            assert row is not None, "table.complete was asked before"
            _operation(operation, row)


def _operation(operation: dict[str, Any], row: Row) -> None:
    responses = operation["responses"]
    if row.role is not None:
        operation["security"] = [{_BEARER: []}]
        operation["x-role"] = row.role.value
        said = operation.get("description", "").rstrip()
        operation["description"] = f"{said}\n\nFor the role **{row.role.value}** and above."
        for number, meaning in _SAID.items():
            responses[str(number)] = responses.get(str(number), {}) | {"description": meaning}
        _headers(responses["401"], _CHALLENGE)
        _headers(responses["403"], _CHALLENGE)
        for status in ("429", "503"):
            _headers(responses[status], _WAIT)
    else:
        operation["security"] = []
        operation.setdefault("description", "Needs no token.")
    if row.again in (Again.SAME, Again.TICKING) and row.role is not None:
        responses["304"] = {"description": "What the client has, by `If-None-Match`, is what it would get."}
        operation.setdefault("parameters", []).append(
            {
                "name": "If-None-Match",
                "in": "header",
                "schema": {"type": "string"},
                "description": "An ETag, or several.",
            }
        )
        for status in ("200", "304"):
            _headers(responses[status], _ETAG)
    if row.again is Again.OWN and "200" in responses:
        _headers(responses["200"], {"ETag": ("The rule's version, for `If-Match`.", '"a9279db0a7c3e304"')})
    example = ANSWERS.get((row.method, row.path))
    for status, response in responses.items():
        if row.path not in table.PROBES:
            _headers(response, _LIMIT)
        if status < "300" and example is not None:
            _example(response, example)
        elif status >= "400":
            kind, title, detail = _PROBLEMS[status]
            shown = {"type": PREFIX + kind, "title": title, "status": int(status), "detail": detail}
            reference = {"schema": {"$ref": "#/components/schemas/Problem"}}
            response["content"] = {
                MEDIA_TYPE: response.get("content", {}).get(MEDIA_TYPE, reference) | {"example": shown}
            }


def _headers(response: dict[str, Any], headers: dict[str, tuple[str, str]]) -> None:
    known = response.setdefault("headers", {})
    for name, (meaning, example) in headers.items():
        known[name] = {"description": meaning, "schema": {"type": "string"}, "example": example}


def _example(response: dict[str, Any], example: Any) -> None:
    for content in response.get("content", {}).values():
        content.setdefault("example", example)
