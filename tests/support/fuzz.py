"""Ingest under mangled webhooks of every vendor, in this process and without a socket; Kafka takes everything.

The same seed asks the same, but for the times and the signatures over them.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import io
import json
import resource
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final
from urllib.parse import quote
from xml.etree import ElementTree

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message

from schemas import topics
from schemas.codec import decode_ticket
from services import clock
from services.config.document import parse
from services.config.environment import Environment
from services.ingest.app import build
from services.ingest.dedupe import Dedupe
from services.ingest.intake import Sender
from services.ingest.measures import Measures
from services.ingest.verify import WAYS
from services.operate import logs
from services.operate.health import Health
from services.operate.problem import MEDIA_TYPE
from services.operate.server import Server
from services.stream.record import Outgoing
from tests.support import mangle, signing
from tests.support.mangle import Asked
from tests.support.webhooks import FIXTURES

SECRET: Final = "a-secret-that-nobody-guesses"
SOAP: Final = "salesforce_soap"
SOURCES: Final = (*WAYS, SOAP)
FINE: Final = frozenset({200, 400, 401, 403, 404, 405, 408, 411, 413, 415, 422, 429})
MEBIBYTE: Final = 1024 * 1024

_ADDRESS: Final = "https://deskpulse.example.com"
_ORGANISATION: Final = "00D000000000001EAA"
_OUTBOUND: Final = f"""<?xml version="1.0"?><e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>
<notifications xmlns="http://soap.sforce.com/2005/09/outbound"><OrganizationId>{_ORGANISATION}</OrganizationId>
<Notification><Id>04l000000000001AAA</Id><sObject><Id>500000000000001AAA</Id><Status>New</Status></sObject>
</Notification></notifications></e:Body></e:Envelope>"""
_BOMB: Final = """<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">
<!ENTITY f SYSTEM "file:///etc/passwd">]>"""


class Accepting:
    """A sender that accepts and keeps nothing; what goes to the tickets' topic must be readable there."""

    async def send(self, records: Sequence[Outgoing], deadline_s: float) -> None:
        for record in records:
            if record.topic == topics.TICKETS:
                decode_ticket(record.value)


class Forgetful:
    """A dedupe of the last few ids, so that whatever else grows with the deliveries can be seen."""

    def __init__(self, most: int = 200) -> None:
        self._most = most
        self._marked: dict[str, None] = {}

    async def seen(self, ids: Sequence[str]) -> list[bool]:
        return [one in self._marked for one in ids]

    async def mark(self, ids: Sequence[str]) -> None:
        self._marked |= dict.fromkeys(ids)
        while len(self._marked) > self._most:
            del self._marked[next(iter(self._marked))]


@dataclass
class Report:
    """What was answered. ``wrong`` holds the first few answers that must not be, and how to make them again;
    the growth is from a fifth of the way to the end: of resident memory, and of objects that Python holds."""

    statuses: dict[str, Counter[int]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    grown_bytes: int = 0
    grown_blocks: int = 0
    resident_bytes: int = 0

    def count(self, status: int) -> int:
        return sum(one[status] for one in self.statuses.values())

    def __str__(self) -> str:
        lines = [f"{source:16} {dict(sorted(one.items()))}" for source, one in sorted(self.statuses.items())]
        total: Counter[int] = sum(self.statuses.values(), Counter())
        return "\n".join(
            [
                *lines,
                f"{'all':16} {dict(sorted(total.items()))}",
                (
                    f"resident {self.resident_bytes / MEBIBYTE:.0f} MiB, grown {self.grown_bytes / MEBIBYTE:+.1f} MiB "
                    f"and {self.grown_blocks:+} objects"
                ),
                *self.wrong,
            ]
        )


@dataclass
class Answer:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


async def ask(app: ASGIApp, asked: Asked) -> Answer:
    """The answer of ``app``, called as a server would."""
    waiting = list(asked.chunks) or [b""]
    answer = Answer()

    async def receive() -> Message:
        if not waiting or (asked.cut_off and len(waiting) == 1):
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in message["headers"]}
        else:
            answer.body += message.get("body", b"")

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": asked.method,
        "scheme": "http",
        "path": asked.path,
        "raw_path": quote(asked.path, errors="replace").encode(),
        "root_path": "",
        "query_string": asked.query.encode(),
        "headers": [(b"host", b"deskpulse.example.com"), *asked.headers],
        "client": ("192.0.2.7", 40000),
        "server": ("127.0.0.1", 8000),
    }
    await app(scope, receive, send)
    return answer


@dataclass
class Fuzz:
    """The app with a source for every vendor, and the good webhooks that the bad ones are made of."""

    app: ASGIApp
    token: str
    errors: io.StringIO
    good: dict[str, list[tuple[bytes, dict[str, str]]]] = field(
        default_factory=lambda: {one: _good(one) for one in SOURCES}
    )

    async def run(self, deliveries: int, seed: int = 0) -> Report:
        """Asks ``deliveries`` times."""
        rng, report = Random(seed), Report({source: Counter() for source in SOURCES})
        begin = (0, 0)
        for number in range(deliveries):
            if number == deliveries // 5:
                begin = _memory()
            source = rng.choice(SOURCES)
            asked = self.asked(rng, source)
            self.errors.seek(0)
            self.errors.truncate()
            answer = await ask(self.app, asked)
            await asyncio.sleep(0)  # without its turn the loop keeps the deadlines that are over
            report.statuses[source][answer.status] += 1
            if (problem := _problem(answer, asked)) and len(report.wrong) < 20:
                if answer.status == 500:
                    problem += self.errors.getvalue()[-600:]
                body = base64.b64encode(b"".join(asked.chunks)[:600]).decode()
                report.wrong.append(
                    f"#{number} of seed {seed}, {source} {asked.method} {asked.path} {asked.changes}: {problem}; {body}"
                )
        end = _memory()
        report.resident_bytes = end[0]
        report.grown_bytes, report.grown_blocks = end[0] - begin[0], end[1] - begin[1]
        return report

    def asked(self, rng: Random, source: str) -> Asked:
        """The next request to ``source``: seven of ten are signed as they should be, whatever their body says."""
        good, meant = rng.choice(self.good[source])
        body = mangle.body(rng, good)
        if source == SOAP and rng.random() < 0.1:
            body = _BOMB.encode() + good.replace(b"New", b"&c;&f;").partition(b"?>")[2]
        proof, query = self._proof(source, body, SECRET if rng.random() < 0.9 else "guessed")
        if source == "front" and rng.random() < 0.1:
            meant = {"x-front-challenge": rng.choice(("abc", "", "é" * 100, "x" * 600))}
        headers = {"content-type": "application/json", **meant, **proof}
        pairs = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
        asked = Asked(f"/webhooks/{source}", query, pairs, [body])
        if rng.random() < 0.1:
            asked.content_type(rng)
        if rng.random() < 0.22:
            asked.change(rng, [name.encode() for name in headers])
        return asked

    def signed(self, source: str, body: bytes, meant: dict[str, str]) -> Asked:
        """A request to ``source`` as its helpdesk would send it now; ``meant`` are the headers that mean something."""
        proof, query = self._proof(source, body, SECRET)
        headers = {"content-type": "application/json", **meant, **proof}
        pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        return Asked(f"/webhooks/{source}", query, pairs, [body])

    def _proof(self, source: str, body: bytes, secret: str) -> tuple[dict[str, str], str]:
        at_ms = clock.now_us() // 1000
        target = f"{_ADDRESS}/webhooks/{source}"
        signs: dict[str, Callable[[], dict[str, str]]] = {
            "chatwoot": lambda: signing.chatwoot(body, secret, at_ms),
            "cloudevents": lambda: signing.standard(body, secret.encode(), f"m-{at_ms}"),
            "freescout": lambda: signing.freescout(body, secret),
            "freshdesk": lambda: {"x-webhook-token": secret},
            "front": lambda: signing.front(body, secret, at_ms),
            "generic": lambda: signing.standard(body, secret.encode(), f"m-{at_ms}"),
            "gorgias": dict,
            "helpscout": lambda: signing.helpscout(body, secret),
            "hubspot": lambda: signing.hubspot(body, secret, at_ms, target),
            "intercom": lambda: signing.intercom(body, secret),
            "jira": lambda: signing.jira(body, secret),
            "salesforce": lambda: signing.bearer(secret),
            SOAP: lambda: {"soapaction": '""'},
            "servicenow": lambda: signing.basic("deskpulse", secret),
            "zammad": lambda: signing.zammad(body, secret),
            "zendesk": lambda: signing.zendesk(body, secret),
            "zoho_desk": lambda: {"x-zdesk-jwt": self.token},
        }
        return signs[source](), f"token={secret}" if source in ("gorgias", "zoho_desk", SOAP) else ""


@asynccontextmanager
async def fuzzing(sender: Sender, dedupe: Dedupe | None = None) -> AsyncIterator[Fuzz]:
    """Ingest with ``sender`` for Kafka, and a server with the key that Zoho signs with."""
    key = rsa.generate_private_key(65537, 2048)
    errors = io.StringIO()

    async def jwks(request: Request) -> Response:
        return JSONResponse({"keys": [{**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "k1"}]})

    server = Server(Starlette(routes=[Route("/jwks.json", jwks)]), "127.0.0.1", 0)
    await server.start()
    logs.configure("fuzz", "ERROR", errors)
    try:
        options: dict[str, dict[str, Any]] = {
            "hubspot": {"public_url": _ADDRESS},
            "zoho_desk": {"org_id": 4242, "webhook_id": 77, "jwks_url": f"{server.url}/jwks.json"},
            SOAP: {"auth": "soap", "organization_id": _ORGANISATION},
        }
        sources = {
            source: {
                "vendor": source.removesuffix("_soap"),
                "secrets": [SECRET],
                "options": options.get(source, {}),
                "max_per_s": 1_000_000,
            }
            for source in SOURCES
        }
        registry = CollectorRegistry()
        app = build(
            parse(json.dumps({"sources": sources}), {}),
            Environment(),
            sender,
            dedupe or Forgetful(),
            health=Health(),
            measures=Measures(registry),
            registry=registry,
        )
        claims = {"iss": "orgId:4242", "aud": "webhookId:77", "exp": clock.now_us() // 1_000_000 + 86_400}
        yield Fuzz(app, jwt.encode(claims, key, "RS256", headers={"kid": "k1"}), errors)
    finally:
        logs.configure("test")
        await server.stop()


def _good(source: str) -> list[tuple[bytes, dict[str, str]]]:
    """What ``source`` posts: bodies and the headers that mean something. ``generic`` takes the canonical events."""
    if source == SOAP:
        return [(_OUTBOUND.encode(), {"content-type": "text/xml; charset=UTF-8"})]
    if source == "generic":
        found = [path.read_bytes() for path in sorted(FIXTURES.glob("*/*.events.json"))]
        return [(one, {}) for one in found if one.strip() != b"[]"]
    good = []
    for path in sorted((FIXTURES / source).glob("*.json")):
        if "." not in path.stem:
            beside = path.with_suffix(".headers.json")
            headers = json.loads(beside.read_text()) if beside.exists() else {}
            good.append((path.read_bytes(), headers))
    return good


def _problem(answer: Answer, asked: Asked) -> str | None:
    """What is wrong with the answer."""
    if answer.status not in FINE:
        return f"answered {answer.status}: {answer.body[:200]!r}"
    kind = answer.headers.get("content-type", "")
    try:
        if kind.startswith("text/xml"):
            ElementTree.fromstring(answer.body)
        elif asked.method != "HEAD":
            said = json.loads(answer.body)
            if answer.status != 200 and (kind != MEDIA_TYPE or said["status"] != answer.status or not said["type"]):
                return f"{answer.status} is no problem document: {kind} {answer.body[:200]!r}"
    except (ValueError, KeyError, TypeError, ElementTree.ParseError):
        return f"{answer.status} with a body that cannot be read: {kind} {answer.body[:200]!r}"
    return f"{answer.status} with a secret" if SECRET.encode() in answer.body else None


def _memory() -> tuple[int, int]:
    """Resident bytes (where the system does not tell, the most there ever were), and blocks that Python holds."""
    gc.collect()
    statm = Path("/proc/self/statm")
    if statm.exists():
        resident = int(statm.read_text().split()[1]) * resource.getpagesize()
    else:
        resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return resident, sys.getallocatedblocks()
