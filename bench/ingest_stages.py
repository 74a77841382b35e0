"""Where ingest's processor time goes, stage by stage, and what a webhook of each vendor costs.

Verifying, normalising and encoding are pure and timed by themselves. What Redis and Kafka cost is the difference to an
ingest without them (``bench.ingest_parts``) in the same run; the clients' own work, not the servers'. What the HTTP
server costs is the difference to the app called without one. Of several measurements the least counts: whatever
disturbs one adds to it, and a table of differences cannot be made of medians of different moments.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import uvloop
from starlette.types import ASGIApp, Receive, Scope, Send

from bench.configuration import DOCUMENT, SECRET
from bench.ingest_parts import Acknowledging, NeverSeen
from schemas.codec import encode
from schemas.envelope import ticket_headers
from schemas.instant import from_datetime
from services import clock
from services.ingest.delivery import Delivery
from services.ingest.normalise import normalise
from services.ingest.raw import headers_of
from services.ingest.source import ready
from services.ingest.verify import Outcome, verify
from services.simulate import zendesk
from tests.support.fuzz import SOURCES, ask, fuzzing
from tests.support.mangle import Asked

_ROUNDS = 5
_TAKEN = re.compile(rb'"accepted":[1-9]|<Ack>true')


@dataclass(frozen=True, slots=True)
class Pure:
    """Processor time of the pure stages for one webhook, in µs."""

    verify: float
    normalise: float
    encode: float


def least(found: Sequence[Pure]) -> Pure:
    """Of each stage the least."""
    return Pure(min(one.verify for one in found), min(one.normalise for one in found), min(one.encode for one in found))


def pure(bodies: tuple[bytes, ...]) -> Pure:
    """Of Zendesk webhooks with these bodies."""
    source = ready(DOCUMENT)["zendesk"]
    at = clock.now()
    at_us = from_datetime(at)
    account = zendesk.Account()
    signed = [(zendesk.headers(account, SECRET, number, at_us, body), body) for number, body in enumerate(bodies)]
    deliveries = [Delivery(source.name, source.vendor, headers, body, at) for headers, body in signed]

    def verifying() -> None:
        for headers, body in signed:
            verdict = verify(source.scheme, headers, body, source.secrets, at_us, source.tolerance_s)
            assert verdict.outcome is Outcome.ACCEPTED

    def normalising() -> None:
        for delivery in deliveries:
            normalise(delivery, source.settings)

    made = [(delivery, normalise(delivery, source.settings)) for delivery in deliveries]

    def encoding() -> None:
        for delivery, events in made:
            headers_of(delivery)
            for event in events:
                encode(event)
                ticket_headers(event)

    number = len(bodies)
    return Pure(_us(verifying, number), _us(normalising, number), _us(encoding, number))


@dataclass(frozen=True, slots=True)
class InProcess:
    """Processor time of the app on an accepted webhook without Kafka and Redis, called as a server would call it, in
    µs: ``zendesk`` for the bodies of the bench, and by vendor for the fixtures of the tests."""

    zendesk: float
    vendors: Mapping[str, float]


def least_in_process(found: Sequence[InProcess]) -> InProcess:
    """Of each vendor the least."""
    vendors = {vendor: min(one.vendors[vendor] for one in found) for vendor in found[0].vendors}
    return InProcess(min(one.zendesk for one in found), vendors)


def in_process(bodies: tuple[bytes, ...], per_vendor: int) -> InProcess:
    """Measured in this process, without sockets."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_in_process(bodies, per_vendor))


async def _in_process(bodies: tuple[bytes, ...], per_vendor: int) -> InProcess:
    found: dict[str, float] = {}
    async with fuzzing(Acknowledging(), NeverSeen()) as fuzz:
        asking_us = await _asked_us(_answering, [Asked("/", "", [], [b"{}"])], per_vendor)
        for source in SOURCES:
            good = [fuzz.signed(source, body, headers) for body, headers in fuzz.good[source]]
            taken = [one for one in good if _TAKEN.search((await ask(fuzz.app, one)).body)]
            found[source] = await _asked_us(fuzz.app, taken, per_vendor) - asking_us
        signed = [fuzz.signed("zendesk", body, {}) for body in bodies]
        return InProcess(await _asked_us(fuzz.app, signed, len(signed)) - asking_us, found)


async def _answering(_scope: Scope, receive: Receive, send: Send) -> None:
    """An app that does nothing, to know what asking costs."""
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


async def _asked_us(app: ASGIApp, requests: list[Asked], number: int) -> float:
    rounds = []
    for _ in range(_ROUNDS):
        began_s = time.thread_time()
        for at in range(number // _ROUNDS):
            await ask(app, requests[at % len(requests)])
        rounds.append((time.thread_time() - began_s) / (number // _ROUNDS) * 1e6)
    return min(rounds)


def _us(work: Callable[[], None], number: int) -> float:
    """The least of a few rounds, for one of ``number``."""
    rounds = []
    for _ in range(_ROUNDS):
        began_s = time.thread_time()
        work()
        rounds.append((time.thread_time() - began_s) / number * 1e6)
    return min(rounds)


def stages(whole_us: float, without_kafka_us: float, alone_us: float, app: InProcess, pure: Pure) -> list[str]:
    """The table of stages. ``whole_us`` is all that ingest spends on a webhook, ``alone_us`` what is left of it without
    Kafka and Redis."""
    shares = {
        "http: server, sockets, event loop": alone_us - app.zendesk,
        "verify": pure.verify,
        "normalise": pure.normalise,
        "encode: two records with their headers": pure.encode,
        "dedupe: Redis client": without_kafka_us - alone_us,
        "kafka: producer": whole_us - without_kafka_us,
        "rest: door, limits, counting, answer": app.zendesk - pure.verify - pure.normalise - pure.encode,
    }
    rows = [f"{us:7.0f} µs {us / whole_us:7.1%}   {stage}" for stage, us in shares.items()]
    return [*rows, f"{whole_us:7.0f} µs {1:7.1%}   all"]


def vendors(app: InProcess, alone_us: float, bare_us: float) -> list[str]:
    """The table of vendors: a webhook's processor time without Kafka and Redis, beside a request at the bare route."""
    server_us = alone_us - app.zendesk
    return [
        f"{us + server_us:7.0f} µs {(us + server_us) / bare_us:6.2f} × bare   {vendor}"
        for vendor, us in sorted(app.vendors.items(), key=lambda item: item[1])
    ]
