"""``/webhooks/{source}``: the one door for helpdesks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from schemas.failure import Invalid, NotNow
from schemas.instant import from_datetime
from services.ingest.body import CutOff, TooLarge, TooSlow, read
from services.ingest.delivery import Delivery
from services.ingest.intake import Busy, Intake, Receipt
from services.ingest.measures import UNKNOWN_SOURCE, Fate, Measures
from services.ingest.source import Ready
from services.ingest.verify import Outcome, verify
from services.operate.logs import Sampled
from services.operate.problem import MEDIA_TYPE, Problem

LONGEST_WAIT_S: Final = 59
"""Zendesk tries again only when ``Retry-After`` is below 60."""

log = structlog.get_logger("ingest")

_DOCUMENTED: Final[dict[int | str, dict[str, Any]]] = {
    status: {"description": meaning, "content": {MEDIA_TYPE: {}}}
    for status, meaning in {
        400: "Not JSON, or the timestamp is malformed.",
        401: "The signature is missing, wrong or too old.",
        404: "No source has this name.",
        408: "The body took too long.",
        413: "The body is too large.",
        503: "Kafka is away; nothing was taken; see Retry-After.",
    }.items()
}


@dataclass(frozen=True, slots=True)
class Door:
    """What the routes need."""

    sources: Mapping[str, Ready]
    intake: Intake
    measures: Measures
    now: Callable[[], datetime]
    steady: Callable[[], float]
    max_body_bytes: int
    read_deadline_s: float


def router(door: Door) -> APIRouter:
    """The routes of ingest."""
    routes = APIRouter(tags=["webhooks"])
    lines = Sampled()

    def refused(problem: Problem, source: str, outcome: Fate | Outcome) -> Problem:
        door.measures.webhooks.labels(source, outcome.value).inc()
        if lines.allows(f"{source} {outcome.value}", door.steady()):
            log.warning("webhook_refused", source=source, outcome=outcome.value, status=problem.status)
        return problem

    def known(name: str) -> Ready:
        source = door.sources.get(name)
        if source is None:
            problem = Problem(404, "unknown-source", "Unknown source", "No source of this name is configured.")
            raise refused(problem, UNKNOWN_SOURCE, Fate.UNKNOWN_SOURCE)
        return source

    async def body_of(request: Request, source: Ready) -> bytes:
        try:
            return await read(request, door.max_body_bytes, door.read_deadline_s)
        except TooLarge as exc:
            # Without an announced length there is no end to wait for: the connection goes.
            headers = {"connection": "close"} if exc.endless else None
            detail = f"At most {exc.limit} bytes are read."
            problem = Problem(413, "too-large", "Body too large", detail, headers=headers)
            raise refused(problem, source.name, Fate.TOO_LARGE) from None
        except TooSlow:
            problem = Problem(
                408, "too-slow", "Body too slow", "The body did not arrive in time.", headers={"connection": "close"}
            )
            raise refused(problem, source.name, Fate.TOO_SLOW) from None
        except CutOff:
            problem = Problem(400, "cut-off", "Body cut off", "The connection closed before the body was complete.")
            raise refused(problem, source.name, Fate.CUT_OFF) from None

    def proved(source: Ready, headers: Mapping[str, str], body: bytes, at: datetime) -> None:
        verdict = verify(source.scheme, headers, body, source.secrets, from_datetime(at), source.tolerance_s)
        if verdict.outcome is not Outcome.ACCEPTED:
            raise refused(_unproved(verdict.outcome, source), source.name, verdict.outcome)
        door.measures.secrets.labels(source.name, str(verdict.secret_index)).inc()

    async def taken(delivery: Delivery, source: Ready) -> Receipt:
        try:
            return await door.intake.take(delivery, source)
        except Invalid as exc:
            problem = Problem(400, "not-json", "Not JSON", exc.detail)
            raise refused(problem, source.name, Fate.NOT_JSON) from None
        except NotNow as exc:
            wait_s = min(LONGEST_WAIT_S, max(1, math.ceil(exc.retry_after_s)))
            fate = Fate.BUSY if isinstance(exc, Busy) else Fate.KAFKA_AWAY
            detail = f"{exc.what}. Nothing is lost when the same is sent again."
            problem = Problem(503, "unavailable", "Not now", detail, headers={"retry-after": str(wait_s)})
            raise refused(problem, source.name, fate) from None

    @routes.post("/webhooks/{source}", responses=_DOCUMENTED, response_model=None, summary="Take a signed webhook")
    async def post(source: str, request: Request) -> Response:
        began_s = door.steady()
        ready = known(source)
        body = await body_of(request, ready)
        headers = dict(request.headers)
        at = door.now()
        proved(ready, headers, body, at)
        delivery = Delivery(ready.name, ready.vendor, headers, body, at)
        receipt = await taken(delivery, ready)
        door.measures.webhooks.labels(ready.name, receipt.fate.value).inc()
        door.measures.seconds.labels(ready.name).observe(door.steady() - began_s)
        if receipt.failure is not None and lines.allows(f"{source} {receipt.failure.reason.value}", door.steady()):
            reason, detail = receipt.failure.reason.value, receipt.failure.detail
            log.warning("webhook_dead_lettered", source=ready.name, reason=reason, detail=detail)
        return JSONResponse(_said(receipt))

    @routes.api_route(
        "/webhooks/{source}", methods=["GET", "HEAD"], response_model=None, summary="Check that the address is right"
    )
    async def check(source: str) -> Response:
        ready = known(source)
        return JSONResponse({"source": ready.name, "vendor": ready.vendor, "accepts": "POST"})

    return routes


def _said(receipt: Receipt) -> dict[str, Any]:
    said: dict[str, Any] = {"accepted": receipt.accepted, "duplicates": receipt.duplicates, "dead_lettered": 0}
    if receipt.failure is not None:
        said |= {"dead_lettered": 1, "reason": receipt.failure.reason.value, "detail": receipt.failure.detail}
    elif receipt.fate is Fate.NOTHING_TO_SAY:
        said["note"] = "Nothing in this webhook concerns a number that is kept."
    return said


def _unproved(outcome: Outcome, source: Ready) -> Problem:
    scheme = source.scheme
    detail = {
        Outcome.MISSING_SIGNATURE: f"The header {scheme.signature_header} is missing.",
        Outcome.BAD_SIGNATURE: "None of the source's secrets made this signature over these bytes.",
        Outcome.MISSING_TIMESTAMP: f"The header {scheme.timestamp_header} is missing.",
        Outcome.MALFORMED_TIMESTAMP: f"The header {scheme.timestamp_header} does not hold a time as it should.",
        Outcome.STALE: f"Signed more than {source.tolerance_s} s from now; check the clocks.",
        Outcome.MISSING_ID: f"The header {scheme.id_header} is missing.",
    }[outcome]
    kind = outcome.value.replace("_", "-")
    title = outcome.value.replace("_", " ").capitalize()
    if outcome is Outcome.MALFORMED_TIMESTAMP:
        return Problem(400, kind, title, detail)
    return Problem(401, kind, title, detail, headers={"www-authenticate": "Signature"})
