"""Who may do what: one row for each route of the query API. The gate enforces it, docs/roles.md is made from it, and an
app with a route that has no row does not start.

A request that fits no row is answered 404 or 405 by the gate, so that a route can never be open by being forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import compile_path

from services.alerts.access.etag import Again
from services.config.access import Role

PROBES: Final = ("/livez", "/readyz", "/metrics")


@dataclass(frozen=True, slots=True)
class Row:
    """``role`` ``None``: everybody, without a token. ``personal``: the answer names people or tickets, and is never to
    be stored on the way or in a browser."""

    method: str
    path: str
    role: Role | None
    again: Again = Again.AFRESH
    personal: bool = True


_VIEWER, _LEAD, _ADMIN = Role.VIEWER, Role.LEAD, Role.ADMIN

ROWS: Final = (
    Row("GET", "/v1/kpis", _VIEWER),
    Row("GET", "/v1/kpis/{kpi}", _VIEWER),
    Row("GET", "/v1/kpis/{kpi}/series", _VIEWER),
    Row("GET", "/v1/kpis/{kpi}/why", _VIEWER),
    Row("GET", "/v1/sla/timers", _VIEWER, Again.TICKING),
    Row("GET", "/v1/tickets/{source}/{ticket_id}", _VIEWER, Again.TICKING),
    Row("GET", "/v1/tickets/{source}/{ticket_id}/explain", _VIEWER, Again.TICKING),
    Row("GET", "/v1/alerts/stream", _VIEWER),
    Row("GET", "/v1/alerts", _VIEWER, Again.SAME),
    Row("GET", "/v1/alerts/{alert_id}", _VIEWER, Again.SAME),
    Row("POST", "/v1/alerts/{alert_id}/acknowledge", _LEAD),
    Row("POST", "/v1/alerts/{alert_id}/snooze", _LEAD),
    Row("POST", "/v1/alerts/{alert_id}/resolve", _LEAD),
    Row("GET", "/v1/forecast", _VIEWER),
    Row("GET", "/v1/forecast/backtest", _VIEWER),
    Row("GET", "/v1/silences", _VIEWER, Again.SAME),
    Row("POST", "/v1/silences", _LEAD),
    Row("POST", "/v1/silences/preview", _VIEWER),
    Row("GET", "/v1/silences/{silence_id}", _VIEWER, Again.SAME),
    Row("DELETE", "/v1/silences/{silence_id}", _LEAD),
    Row("GET", "/v1/deliveries", _VIEWER, Again.SAME),
    Row("GET", "/v1/deliveries/{delivery_id}", _VIEWER, Again.SAME),
    Row("POST", "/v1/deliveries/{delivery_id}/resend", _ADMIN),
    Row("GET", "/v1/receivers", _VIEWER, Again.SAME, personal=False),
    Row("POST", "/v1/receivers/{name}/enable", _ADMIN),
    Row("POST", "/v1/receivers/{name}/test", _ADMIN),
    Row("GET", "/v1/oncall", _VIEWER, Again.TICKING),
    Row("GET", "/v1/rules", _VIEWER, Again.SAME, personal=False),
    Row("POST", "/v1/rules/test", _ADMIN),
    Row("GET", "/v1/rules/{name}", _VIEWER, Again.OWN),
    Row("PUT", "/v1/rules/{name}", _ADMIN, Again.OWN),
    Row("DELETE", "/v1/rules/{name}", _ADMIN, Again.OWN),
    Row("GET", "/v1/policies", _VIEWER, Again.SAME, personal=False),
    Row("GET", "/v1/policies/recompute", _VIEWER, Again.SAME, personal=False),
    Row("POST", "/v1/policies/recompute", _ADMIN),
    Row("GET", "/v1/sources", _VIEWER, Again.SAME, personal=False),
    Row("GET", "/v1/reports", _LEAD, Again.TICKING),
    Row("GET", "/v1/reports/{name}", _LEAD, Again.TICKING),
    Row("GET", "/v1/definitions", _VIEWER, Again.SAME, personal=False),
    Row("GET", "/v1/definitions/{kpi}", _VIEWER, Again.SAME, personal=False),
    Row("GET", "/v1/board", _VIEWER),
    Row("GET", "/v1/board/about", _VIEWER),
    Row("GET", "/v1/board/stream", _VIEWER),
    Row("GET", "/", None, personal=False),
    Row("GET", "/static/{file}", None, personal=False),
    Row("GET", "/kpis/{kpi}", None, personal=False),
    Row("GET", "/tickets/{source}/{ticket_id}", None, personal=False),
    Row("GET", "/link", None),  # the signature in the link says who may
    Row("POST", "/link", None),
    Row("GET", "/docs", None, personal=False),
    Row("GET", "/docs/{file}", None, personal=False),
    Row("GET", "/openapi.json", None, Again.SAME, personal=False),
    *(Row("GET", path, None, personal=False) for path in PROBES),
)
_COMPILED: Final = [(compile_path(row.path)[0], row) for row in ROWS]


@lru_cache(maxsize=4096)  # pollers ask the same few paths, and fifty patterns take longer than the rest of the gate
def rows(path: str) -> Mapping[str, Row]:
    """The rows that a path fits, by method; the first one counts where two fit. Empty: there is no such path."""
    found: dict[str, Row] = {}
    for pattern, row in _COMPILED:
        if pattern.match(path):
            found.setdefault(row.method, row)
    return found


def row_of(method: str, path: str) -> Row | None:
    """The row of a route, by its path as it is declared; the board's files may be routes each."""
    declared = "/static/{file}" if path.startswith("/static/") else path
    return next((row for row in ROWS if (row.method, row.path) == (method, declared)), None)


def routes(app: FastAPI) -> Iterable[tuple[str, str]]:
    """Method and path of every route of ``app``."""
    for context in iter_route_contexts(app.routes):
        for method in sorted(getattr(context.original_route, "methods", None) or ()):
            if method != "HEAD":
                yield method, str(context.path)


def complete(app: FastAPI) -> None:
    """Raises ``RuntimeError`` when a route of ``app`` has no row: nobody could ask it."""
    missing = sorted({f"{method} {path}" for method, path in routes(app) if row_of(method, path) is None})
    if missing:
        raise RuntimeError(f"services/alerts/access/table.py says of no role that it may: {', '.join(missing)}")
