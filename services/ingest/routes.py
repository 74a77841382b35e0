"""``/webhooks/{source}``: the one door for helpdesks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from schemas.failure import Invalid, NotNow
from schemas.instant import from_datetime
from services.ingest import answer
from services.ingest.address import Network, client, within
from services.ingest.body import CutOff, TooLarge, TooSlow, read
from services.ingest.delivery import Delivery
from services.ingest.intake import Busy, Intake, Receipt
from services.ingest.limit import Full, Limit
from services.ingest.measures import UNKNOWN_SOURCE, Fate, Measures
from services.ingest.public_keys import PublicKeys
from services.ingest.source import Ready
from services.ingest.spool import Full as SpoolFull
from services.ingest.spool import Unwritable
from services.ingest.verify import Outcome, Verdict, verify
from services.operate.logs import Sampled
from services.operate.problem import MEDIA_TYPE, Problem

log = structlog.get_logger("ingest")

_WHY: Final[Mapping[type[NotNow], Fate]] = {
    Busy: Fate.BUSY,
    SpoolFull: Fate.SPOOL_FULL,
    Unwritable: Fate.SPOOL_UNWRITABLE,
}

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


@dataclass(frozen=True, slots=True)
class Door:
    """What the routes need."""

    sources: Mapping[str, Ready]
    limits: Mapping[str, Limit]
    keys: Mapping[str, PublicKeys]
    proxies: Sequence[Network]
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

    def known(name: str, request: Request) -> Ready:
        source = door.sources.get(name)
        if source is None:
            problem = Problem(404, "unknown-source", "Unknown source", "No source of this name is configured.")
            raise refused(problem, UNKNOWN_SOURCE, Fate.UNKNOWN_SOURCE)
        if source.allow_from:
            peer = request.client.host if request.client is not None else None
            sender = client(peer, request.headers.getlist("x-forwarded-for"), door.proxies)
            if not within(sender, source.allow_from):
                detail = "The source does not take webhooks from this address."
                raise refused(Problem(403, "not-allowed", "Not allowed", detail), source.name, Fate.NOT_ALLOWED)
        return source

    def too_many(source: Ready, full: Full) -> Problem:
        status, headers = answer.overload(source.vendor, full.wait_s, status=429)
        detail = "The source is over its limits. Nothing is lost when the same is sent again."
        problem = Problem(status, "too-many-requests", "Too many requests", detail, headers=headers)
        return refused(problem, source.name, Fate.TOO_MANY)

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

    async def proved(source: Ready, request: Request, body: bytes, at: datetime) -> None:
        headers, query = dict(request.headers), dict(request.query_params)
        target = _target(source, request)
        keys = door.keys.get(source.name)

        def verdict() -> Verdict:
            known = keys.known if keys is not None else None
            at_us = from_datetime(at)
            return verify(source.scheme, headers, body, source.secrets, at_us, source.tolerance_s, target, query, known)

        found = verdict()
        if found.outcome is Outcome.UNKNOWN_KEY and keys is not None:
            try:
                await keys.look_up()
            except NotNow as exc:
                raise not_now(source, exc, Fate.KEYS_AWAY) from None
            found = verdict()
        if found.outcome is not Outcome.ACCEPTED:
            raise refused(_unproved(found.outcome, source), source.name, found.outcome)
        door.measures.secrets.labels(source.name, str(found.secret_index)).inc()

    async def proved_delivery(source: Ready, request: Request) -> Delivery:
        body = await body_of(request, source)
        at = door.now()
        await proved(source, request, body, at)
        kept = {name: value for name, value in request.headers.items() if name not in source.scheme.private}
        return Delivery(source.name, source.vendor, kept, body, at)

    def not_now(source: Ready, exc: NotNow, fate: Fate) -> Problem:
        status, headers = answer.overload(source.vendor, exc.retry_after_s)
        detail = f"{exc.what}. Nothing is lost when the same is sent again."
        return refused(Problem(status, "unavailable", "Not now", detail, headers=headers), source.name, fate)

    async def taken(delivery: Delivery, source: Ready) -> Receipt:
        try:
            return await door.intake.take(delivery, source)
        except Invalid as exc:
            problem = Problem(400, "not-json", "Not JSON", exc.detail)
            raise refused(problem, source.name, Fate.NOT_JSON) from None
        except NotNow as exc:
            raise not_now(source, exc, _WHY.get(type(exc), Fate.KAFKA_AWAY)) from None

    @routes.post("/webhooks/{source}", responses=_DOCUMENTED, response_model=None, summary="Take a signed webhook")
    async def post(source: str, request: Request) -> Response:
        began_s = door.steady()
        ready = known(source, request)
        limit = door.limits[ready.name]
        try:
            with limit.inside():
                delivery = await proved_delivery(ready, request)
                if (greeted := answer.greeting(delivery)) is not None:
                    door.measures.webhooks.labels(ready.name, Fate.GREETED.value).inc()
                    return greeted
                limit.spend(door.steady())
                receipt = await taken(delivery, ready)
        except Full as full:
            raise too_many(ready, full) from None
        door.measures.webhooks.labels(ready.name, receipt.fate.value).inc()
        door.measures.seconds.labels(ready.name).observe(door.steady() - began_s)
        if receipt.failure is not None and lines.allows(f"{source} {receipt.failure.reason.value}", door.steady()):
            reason, detail = receipt.failure.reason.value, receipt.failure.detail
            log.warning("webhook_dead_lettered", source=ready.name, reason=reason, detail=detail)
        return answer.taken(delivery, receipt)

    @routes.api_route(
        "/webhooks/{source}", methods=["GET", "HEAD"], response_model=None, summary="Check that the address is right"
    )
    async def check(source: str, request: Request) -> Response:
        ready = known(source, request)
        return JSONResponse({"source": ready.name, "vendor": ready.vendor, "accepts": "POST"})

    return routes


def _target(source: Ready, request: Request) -> str:
    """The method and the URL as the sender knows it: from the configuration, since anyone can write a Host."""
    if not source.public_url:
        return ""
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    query: bytes = request.scope["query_string"]
    path = raw + (b"?" + query if query else b"")
    return request.method + source.public_url + path.decode("latin-1")


def _unproved(outcome: Outcome, source: Ready) -> Problem:
    scheme = source.scheme
    detail = {
        Outcome.MISSING_SIGNATURE: f"The header {scheme.signature_header} is missing.",
        Outcome.BAD_SIGNATURE: "None of the source's secrets made this signature over these bytes.",
        Outcome.MISSING_TIMESTAMP: f"The header {scheme.timestamp_header} is missing.",
        Outcome.MALFORMED_TIMESTAMP: f"The header {scheme.timestamp_header} does not hold a time as it should.",
        Outcome.STALE: f"Signed more than {source.tolerance_s} s from now; check the clocks.",
        Outcome.MISSING_ID: f"The header {scheme.id_header} is missing.",
        Outcome.MISSING_TOKEN: f"Needed is {scheme.asks}.",
        Outcome.BAD_TOKEN: "What was sent is none of the source's secrets.",
        Outcome.UNKNOWN_KEY: f"The token in {scheme.signature_header} is signed with a key that its issuer lacks.",
        Outcome.WRONG_ACCOUNT: "This was made for another organisation or another webhook than the configured one.",
    }[outcome]
    kind = outcome.value.replace("_", "-")
    title = outcome.value.replace("_", " ").capitalize()
    if outcome is Outcome.MALFORMED_TIMESTAMP:
        return Problem(400, kind, title, detail)
    return Problem(401, kind, title, detail, headers={"www-authenticate": _asked(outcome)})


def _asked(outcome: Outcome) -> str:
    return "Bearer" if outcome in (Outcome.MISSING_TOKEN, Outcome.BAD_TOKEN) else "Signature"
