"""The OpenAPI document of the query API reads well: everything in it is explained, shown, and true of who may ask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.alerts.access import table
from services.alerts.access.etag import Again
from services.alerts.api.description import TAGS
from services.alerts.api.examples import ANSWERS
from services.alerts.app import build
from services.alerts.feed import Feed
from services.config.document import parse
from services.operate.health import Health
from services.operate.problem import MEDIA_TYPE
from services.state import client


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    nowhere = "redis://127.0.0.1:1/0"  # never asked
    writer, reader, blocking = client.writer(nowhere), client.reader(nowhere), client.blocking(nowhere, connections=1)
    feed, health, registry = Feed(blocking, reader), Health(), CollectorRegistry()
    return build(parse("", {}), writer=writer, reader=reader, feed=feed, health=health, registry=registry).openapi()


Operation = tuple[str, str, dict[str, Any]]


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def test_every_operation_has_a_summary_a_description_and_a_tag_that_is_explained(document: dict[str, Any]) -> None:
    bare = [
        (method, path)
        for method, path, one in operations(document)
        if not one.get("summary") or not one.get("description") or not set(one["tags"]) <= TAGS.keys()
    ]
    assert bare == []
    assert {tag["name"] for tag in document["tags"]} == {tag for *_, one in operations(document) for tag in one["tags"]}


def test_every_answer_that_has_a_body_is_shown(document: dict[str, Any]) -> None:
    bare = [
        (method, path, status, media)
        for method, path, one in operations(document)
        for status, answer in one["responses"].items()
        for media, content in answer.get("content", {}).items()
        if "example" not in content and "examples" not in content and path != "/v1/reports/{name}"
    ]
    assert bare == []
    there = {(method, path) for method, path, _ in operations(document)}
    assert {place for place in ANSWERS if place not in there} <= {("GET", "/v1/reports")}


def test_who_may_ask_is_documented_as_it_is_enforced(document: dict[str, Any]) -> None:
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for method, path, one in operations(document):
        row = table.row_of(method, path)
        assert row is not None
        if row.role is None:
            assert one["security"] == []
            continue
        assert one["security"] == [{"token": []}]
        assert one["x-role"] == row.role.value
        assert f"**{row.role.value}**" in one["description"]
        assert {"401", "403", "429", "503"} <= one["responses"].keys()
        assert "Retry-After" in one["responses"]["429"]["headers"]
        assert "WWW-Authenticate" in one["responses"]["401"]["headers"]


def test_conditional_requests_are_documented_where_they_work(document: dict[str, Any]) -> None:
    for method, path, one in operations(document):
        row = table.row_of(method, path)
        assert row is not None
        works = row.again in (Again.SAME, Again.TICKING) and row.role is not None
        assert ("304" in one["responses"]) == works, path
        assert ("412" in one["responses"]) == (row.again is Again.OWN and method != "GET"), path


def test_every_error_is_a_problem_document_with_an_example(document: dict[str, Any]) -> None:
    for method, path, one in operations(document):
        for status, answer in one["responses"].items():
            if status >= "400":
                shown = answer["content"][MEDIA_TYPE]["example"]
                assert shown["status"] == int(status), (method, path)
                assert answer["description"]
