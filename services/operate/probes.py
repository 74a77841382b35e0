"""GET /livez, /readyz and /metrics: what orchestrators and Prometheus ask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import REGISTRY, CollectorRegistry, disable_created_metrics
from prometheus_client.exposition import choose_encoder

from services.operate.health import Finding, Health
from services.operate.problem import Problem

_PROBE: dict[int | str, dict[str, Any]] = {503: {"description": "Not so; the detail says why."}}


def router(health: Health, registry: CollectorRegistry = REGISTRY) -> APIRouter:
    """The three routes. ``?verbose`` adds every check by name, good or bad. ``notes`` are what a ready process has to
    say nevertheless."""
    disable_created_metrics()  # type: ignore[no-untyped-call]
    routes = APIRouter(tags=["operation"])

    @routes.get("/livez", responses=_PROBE, summary="Alive: every loop of this process turned within its bound")
    async def livez(request: Request) -> Response:
        return _answer(health.liveness(), "not-alive", "Not alive", request)

    @routes.get("/readyz", responses=_PROBE, summary="Ready: the dependencies answer and the process is not stopping")
    async def readyz(request: Request) -> Response:
        return _answer(await health.readiness(), "not-ready", "Not ready", request)

    @routes.get(
        "/metrics",
        summary="Prometheus metrics; OpenMetrics where the Accept header asks for it",
        response_class=PlainTextResponse,
        responses={200: {"content": {"application/openmetrics-text": {"schema": {"type": "string"}}}}},
    )
    async def metrics(request: Request) -> Response:
        try:
            encode, content_type = choose_encoder(request.headers.get("accept", ""))
        except (TypeError, ValueError):  # a version that is not a number is no reason to hide the metrics
            encode, content_type = choose_encoder("")
        return Response(encode(registry), headers={"content-type": content_type})

    return routes


def _answer(findings: Sequence[Finding], kind: str, title: str, request: Request) -> Response:
    checks = [{"name": f.name, "ok": f.problem is None, "problem": f.problem} for f in findings]
    extra: dict[str, Any] = {"checks": checks} if "verbose" in request.query_params else {}
    if notes := [f"{f.name}: {f.note}" for f in findings if f.note is not None]:
        extra["notes"] = notes
    bad = [f"{f.name}: {f.problem}" for f in findings if f.problem is not None]
    if bad:
        raise Problem(503, kind, title, " ".join(bad), **extra)
    return JSONResponse({"status": "ok", **extra}, headers={"cache-control": "no-store"})
