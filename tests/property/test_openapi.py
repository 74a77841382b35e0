"""Both HTTP services are held to their own OpenAPI documents: what they answer is documented, and never a failure.

Schemathesis makes requests that fit the document, and requests that do not; DESKPULSE_FUZZ makes more of them.
"""

from __future__ import annotations

import itertools
import json
import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from prometheus_client import CollectorRegistry
from schemathesis import APIOperation, Case, GenerationMode, Response
from schemathesis.checks import not_a_server_error
from schemathesis.core import NotSet
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from schemas.json_schema import load
from services.alerts import app as alerts
from services.alerts.feed import Feed
from services.config.document import parse
from services.config.environment import Environment
from services.ingest.app import build
from services.ingest.dedupe import MemoryDedupe
from services.ingest.measures import Measures
from services.operate.health import Health
from services.operate.problem import MEDIA_TYPE, PREFIX
from services.state import client
from tests.support import signing
from tests.support.fuzz import Accepting
from tests.support.in_a_thread import Made, served

EXAMPLES: Final = max(20, int(os.environ.get("DESKPULSE_FUZZ", "1600")) // 80)
CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
TOKEN: Final = "a-token-for-tests"
CONFIG: Final = f"""
sources:
  shop: {{vendor: generic, secrets: [whsec_c2VjcmV0]}}
  desk: {{vendor: zendesk, secrets: [hush], allow_from: [192.0.2.0/24]}}
calendars:
  office: {{timezone: Europe/Paris, weekly: {{mon: [["09:00", "17:00"]]}}}}
sla_policies:
  - {{name: all, calendar: office, targets: {{first_response: {{"*": 4h}}}}}}
segments: [[channel], [team], [priority], [team, priority]]
api_tokens: ["{TOKEN}"]
api: {{requests_per_minute: 10000000, burst: 1000000}}
"""
SHOP: Final = {"source": "shop"}


def ingest() -> Made:
    registry = CollectorRegistry()
    app = build(
        parse(CONFIG, {}),
        Environment(),
        Accepting(),
        MemoryDedupe(),
        health=Health(),
        measures=Measures(registry),
        registry=registry,
    )

    async def close() -> None:
        return None

    return app, close


def operations(url: str, document: dict[str, Any]) -> list[APIOperation[Any, Any]]:
    """The operations of ``document``; what streams without end is left out."""
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=url)
    return [found.ok() for found in schema.get_all_operations() if not found.ok().path.endswith("/stream")]


def hold(case: Case, answer: Response) -> None:
    """The answer is documented, and an error is a problem document."""
    case.validate_response(answer, checks=CHECKS)
    if answer.status_code >= 400 and case.method != "HEAD":
        assert answer.headers["content-type"] == [MEDIA_TYPE]
        said = answer.json()
        assert said["status"] == answer.status_code
        assert said["type"].startswith(PREFIX)
        assert said["title"]
        assert said["detail"]


def asked(
    operation: APIOperation[Any, Any], mode: GenerationMode, ask: Callable[[Case], Response], **parts: Any
) -> Counter[int]:
    """What was answered, by status. Nothing where no request of this kind can be made."""
    answers: Counter[int] = Counter()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode, **parts))
    def every(case: Case) -> None:
        answer = ask(case)
        answers[answer.status_code] += 1
        hold(case, answer)

    with suppress(Unsatisfiable):
        every()
    return answers


def signed(url: str) -> Callable[[Case], Response]:
    """Posts with the signature of the generic source ``shop``, so that what the body says is looked at."""
    number = itertools.count()

    def ask(case: Case) -> Response:
        said = b"" if isinstance(case.body, NotSet) else case.body
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        headers = signing.standard(body, b"secret", f"msg_{next(number)}") | {"content-type": "application/json"}
        answer = requests.post(url + "/webhooks/shop", data=body, headers=headers, timeout=10)
        return Response.from_requests(answer, verify=False)

    return ask


def with_events(document: dict[str, Any]) -> dict[str, Any]:
    """The document of ingest in which a webhook's body is the canonical event."""
    event = load("ticket-event.v1")
    text = json.dumps(event | {"$schema": None}).replace('"#/$defs/', '"#/components/schemas/')
    schemas = json.loads(text)
    document["components"]["schemas"] |= schemas.pop("$defs")
    kept = {"type": "object", "properties": schemas["properties"], "required": ["kind", "ticket_id", "occurred_at"]}
    body = document["paths"]["/webhooks/{source}"]["post"]["requestBody"]
    body["content"] = {"application/json": {"schema": kept}}
    return document


MODES: Final = list(GenerationMode)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_ingest_answers_what_it_documents(mode: GenerationMode) -> None:
    document = ingest()[0].openapi()
    with served(ingest) as url:
        answers = {
            one.label: asked(one, mode, lambda case: case.call(base_url=url)) for one in operations(url, document)
        }
    assert answers["POST /webhooks/{source}"][404]
    if mode is GenerationMode.POSITIVE:
        assert all(answers.values())


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_ingest_answers_what_it_documents_when_a_source_signs(mode: GenerationMode) -> None:
    document = with_events(ingest()[0].openapi())
    with served(ingest) as url:
        [post] = [one for one in operations(url, document) if one.label == "POST /webhooks/{source}"]
        answers = asked(post, mode, signed(url), path_parameters={"source": "shop"})
    assert answers[200]
    assert answers.keys() <= {200, 400}


def test_ingest_answers_what_it_documents_to_whom_it_does_not_know() -> None:
    document = ingest()[0].openapi()
    with served(ingest) as url:
        for one in operations(url, document):
            if one.path != "/webhooks/{source}":
                continue
            for source, status in (("shop", 401 if one.method == "post" else 200), ("desk", 403)):
                there = {"source": source}
                found = asked(one, GenerationMode.POSITIVE, lambda c: c.call(base_url=url), path_parameters=there)
                assert found.keys() == {status}


@pytest.mark.timeout(600)  # it asks every operation, and there are fifty
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_the_query_api_answers_what_it_documents(mode: GenerationMode, redis_db: str) -> None:
    def api() -> Made:
        writer, reader = client.writer(redis_db), client.reader(redis_db)
        blocking = client.blocking(redis_db, connections=2)
        app = alerts.build(
            parse(CONFIG, {}),
            writer=writer,
            reader=reader,
            feed=Feed(blocking, reader),
            health=Health(),
            registry=CollectorRegistry(),
        )

        async def close() -> None:
            for one in (writer, reader, blocking):
                await one.aclose()

        return app, close

    with served(api) as url:
        document = requests.get(url + "/openapi.json", timeout=10).json()
        bearer = {"authorization": f"Bearer {TOKEN}"}
        answers = {
            one.label: asked(one, mode, lambda case: case.call(base_url=url, headers=bearer))
            for one in operations(url, document)
        }
        for one in operations(url, document):
            if "{kpi}" in one.path:
                known = {"kpi": "first_response_time"}
                answers[one.label] += asked(
                    one, mode, lambda c: c.call(base_url=url, headers=bearer), path_parameters=known
                )
        refused = requests.get(url + "/v1/kpis", timeout=10)
    assert refused.status_code == 401
    assert sum(1 for found in answers.values() if found) > 5
