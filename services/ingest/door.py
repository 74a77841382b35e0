"""What every webhook passes, whichever way it came in: limits, proof, and what its sender is answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import structlog
from starlette.datastructures import Headers, QueryParams
from starlette.responses import Response
from starlette.types import Receive, Scope

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
from services.ingest.verify import Outcome, Verdict, keys_url, verify
from services.operate.logs import Sampled
from services.operate.problem import Problem

log = structlog.get_logger("ingest")

_WHY: Final[Mapping[type[NotNow], Fate]] = {
    Busy: Fate.BUSY,
    SpoolFull: Fate.SPOOL_FULL,
    Unwritable: Fate.SPOOL_UNWRITABLE,
}


@dataclass(slots=True)
class Door:
    """Takes the webhooks of all sources. It knows ASGI and no web framework: see ``services.ingest.direct``.

    A request is taken by its source as it was when the request came; :meth:`follow` is for those that come after.
    """

    sources: Mapping[str, Ready]
    proxies: Sequence[Network]
    intake: Intake
    measures: Measures
    now: Callable[[], datetime]
    steady: Callable[[], float]
    max_body_bytes: int
    read_deadline_s: float
    lines: Sampled = field(default_factory=Sampled)
    _limits: dict[str, Limit] = field(default_factory=dict)
    _keys: dict[str, PublicKeys] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.follow(self.sources)

    def follow(self, sources: Mapping[str, Ready]) -> None:
        """Takes the webhooks of these sources from now on. What a source has spent of its limits stays spent."""
        limits, urls = {}, {}
        for name, source in sources.items():
            limits[name] = self._limits.get(name) or Limit(source.max_per_s, source.max_concurrent)
            limits[name].change(source.max_per_s, source.max_concurrent)
            if url := keys_url(source.scheme):
                urls[url] = self._keys.get(url) or PublicKeys(url, self.steady)
        self.sources, self._limits, self._keys = sources, limits, urls

    def known(self, name: str, scope: Scope) -> Ready:
        """The source of this name, if it takes requests from where this one comes from. Raises ``Problem``."""
        source = self.sources.get(name)
        if source is None:
            problem = Problem(404, "unknown-source", "Unknown source", "No source of this name is configured.")
            raise self._refused(problem, UNKNOWN_SOURCE, Fate.UNKNOWN_SOURCE)
        if source.allow_from:
            peer = scope["client"][0] if scope.get("client") else None
            sender = client(peer, Headers(scope=scope).getlist("x-forwarded-for"), self.proxies)
            if not within(sender, source.allow_from):
                detail = "The source does not take webhooks from this address."
                raise self._refused(Problem(403, "not-allowed", "Not allowed", detail), source.name, Fate.NOT_ALLOWED)
        return source

    async def answered(self, name: str, scope: Scope, receive: Receive) -> Response:
        """Takes a POST for the source ``name``: the answer once Kafka or the spool has it. Raises ``Problem``."""
        began_s = self.steady()
        source = self.known(name, scope)
        limit = self._limits[name]
        try:
            limit.enter()
        except Full as full:
            raise self._too_many(source, full) from None
        try:
            delivery = await self._proved_delivery(source, scope, receive)
            if (greeted := answer.greeting(delivery)) is not None:
                self.measures.webhook(name, Fate.GREETED).inc()
                return greeted
            limit.spend(self.steady())
            receipt = await self._taken(delivery, source)
        except Full as full:
            raise self._too_many(source, full) from None
        finally:
            limit.leave()
        self.measures.webhook(name, receipt.fate).inc()
        self.measures.seconds(name).observe(self.steady() - began_s)
        if receipt.failure is not None and self.lines.allows(f"{name} {receipt.failure.reason.value}", self.steady()):
            reason, detail = receipt.failure.reason.value, receipt.failure.detail
            log.warning("webhook_dead_lettered", source=name, reason=reason, detail=detail)
        return answer.taken(delivery, receipt)

    async def _proved_delivery(self, source: Ready, scope: Scope, receive: Receive) -> Delivery:
        headers = _headers(scope)
        body = await self._body(source, headers, receive)
        at = self.now()
        await self._proved(source, scope, headers, body, at)
        for name in source.scheme.private:
            headers.pop(name, None)
        return Delivery(source.name, source.vendor, headers, body, at)

    async def _body(self, source: Ready, headers: Mapping[str, str], receive: Receive) -> bytes:
        try:
            return await read(receive, headers.get("content-length", ""), self.max_body_bytes, self.read_deadline_s)
        except TooLarge as exc:
            # Without an announced length there is no end to wait for: the connection goes.
            closing = {"connection": "close"} if exc.endless else None
            detail = f"At most {exc.limit} bytes are read."
            problem = Problem(413, "too-large", "Body too large", detail, headers=closing)
            raise self._refused(problem, source.name, Fate.TOO_LARGE) from None
        except TooSlow:
            problem = Problem(
                408, "too-slow", "Body too slow", "The body did not arrive in time.", headers={"connection": "close"}
            )
            raise self._refused(problem, source.name, Fate.TOO_SLOW) from None
        except CutOff:
            problem = Problem(400, "cut-off", "Body cut off", "The connection closed before the body was complete.")
            raise self._refused(problem, source.name, Fate.CUT_OFF) from None

    async def _proved(self, source: Ready, scope: Scope, headers: Mapping[str, str], body: bytes, at: datetime) -> None:
        query = dict(QueryParams(scope["query_string"])) if scope["query_string"] else {}
        target = _target(source, scope) if source.public_url else ""
        keys = self._keys_of(source)

        def verdict() -> Verdict:
            known = keys.known if keys is not None else None
            at_us = from_datetime(at)
            return verify(source.scheme, headers, body, source.secrets, at_us, source.tolerance_s, target, query, known)

        found = verdict()
        if found.outcome is Outcome.UNKNOWN_KEY and keys is not None:
            try:
                await keys.look_up()
            except NotNow as exc:
                raise self._not_now(source, exc, Fate.KEYS_AWAY) from None
            found = verdict()
        if found.outcome is not Outcome.ACCEPTED:
            raise self._refused(_unproved(found.outcome, source), source.name, found.outcome)
        self.measures.secret(source.name, found.secret_index).inc()

    def _keys_of(self, source: Ready) -> PublicKeys | None:
        url = keys_url(source.scheme)
        if not url:
            return None
        # A source that was taken out while its request was read is still asked for by this one.
        return self._keys.get(url) or PublicKeys(url, self.steady)

    async def _taken(self, delivery: Delivery, source: Ready) -> Receipt:
        try:
            return await self.intake.take(delivery, source)
        except Invalid as exc:
            problem = Problem(400, "not-json", "Not JSON", exc.detail)
            raise self._refused(problem, source.name, Fate.NOT_JSON) from None
        except NotNow as exc:
            raise self._not_now(source, exc, _WHY.get(type(exc), Fate.KAFKA_AWAY)) from None

    def _refused(self, problem: Problem, source: str, outcome: Fate | Outcome) -> Problem:
        self.measures.webhook(source, outcome).inc()
        if self.lines.allows(f"{source} {outcome.value}", self.steady()):
            log.warning("webhook_refused", source=source, outcome=outcome.value, status=problem.status)
        return problem

    def _too_many(self, source: Ready, full: Full) -> Problem:
        status, headers = answer.overload(source.vendor, full.wait_s, status=429)
        detail = "The source is over its limits. Nothing is lost when the same is sent again."
        problem = Problem(status, "too-many-requests", "Too many requests", detail, headers=headers)
        return self._refused(problem, source.name, Fate.TOO_MANY)

    def _not_now(self, source: Ready, exc: NotNow, fate: Fate) -> Problem:
        status, headers = answer.overload(source.vendor, exc.retry_after_s)
        detail = f"{exc.what}. Nothing is lost when the same is sent again."
        return self._refused(Problem(status, "unavailable", "Not now", detail, headers=headers), source.name, fate)


def _headers(scope: Scope) -> dict[str, str]:
    """The request's headers, which the server gives in lower case; of several with one name the first."""
    sent: list[tuple[bytes, bytes]] = scope["headers"]
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in sent}
    if len(headers) != len(sent):
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(sent)}
    return headers


def _target(source: Ready, scope: Scope) -> str:
    """The method and the URL as the sender knows it: from the configuration, since anyone can write a Host."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    path = raw + (b"?" + query if query else b"")
    return str(scope["method"]) + source.public_url + path.decode("latin-1")


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
