"""Every error over HTTP is a problem document of a stable type."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import httpx
import pytest
import structlog
from fastapi import FastAPI, HTTPException, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from services.operate import logs, problem
from services.operate.problem import MEDIA_TYPE, Problem, pointer


class Body(BaseModel):
    names: list[int]


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    stream = io.StringIO()
    logs.configure("test", "info", stream)
    yield stream
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    root.handlers[:], root.level = before


@pytest.fixture
def http() -> httpx.AsyncClient:
    app = FastAPI()
    problem.install(app)

    @app.get("/teapot")
    async def teapot() -> None:
        raise Problem(418, "teapot", "Teapot", "Short and stout.", headers={"retry-after": "5"}, handle="here")

    @app.get("/forbidden")
    async def forbidden() -> None:
        raise HTTPException(403, "Not yours.")

    @app.get("/bug")
    async def bug() -> None:
        raise KeyError("x")

    @app.get("/half")
    async def half() -> StreamingResponse:
        async def parts() -> object:
            yield b"begun"
            raise KeyError("x")

        return StreamingResponse(parts())  # type: ignore[arg-type]

    @app.post("/body")
    async def body(body: Body, limit: int = Query(ge=1)) -> None:
        return None

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://test")


async def test_a_problem_carries_its_type_headers_and_extra_members(http: httpx.AsyncClient) -> None:
    answer = await http.get("/teapot")
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.headers["retry-after"] == "5"
    assert answer.json() == {
        "type": "urn:deskpulse:problem:teapot",
        "title": "Teapot",
        "status": 418,
        "detail": "Short and stout.",
        "handle": "here",
    }


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("PUT", "/teapot", 405, "method-not-allowed"),
        ("GET", "/forbidden", 403, "forbidden"),
    ],
)
async def test_the_frameworks_own_errors_are_problems_too(
    http: httpx.AsyncClient, method: str, path: str, status: int, kind: str
) -> None:
    answer = await http.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, MEDIA_TYPE)
    assert answer.json()["type"] == f"urn:deskpulse:problem:{kind}"
    assert answer.json()["status"] == status
    if status == 405:
        assert answer.headers["allow"] == "GET"


async def test_an_invalid_request_points_at_every_place_without_repeating_what_was_sent(
    http: httpx.AsyncClient,
) -> None:
    answer = await http.post("/body?limit=0", json={"names": [1, "secret text"]})
    assert answer.status_code == 422
    places = [(error.get("pointer"), error.get("parameter")) for error in answer.json()["errors"]]
    assert sorted(places, key=str) == [("#/names/1", None), (None, "limit")]
    assert "secret text" not in answer.text


async def test_a_bug_is_a_500_whose_trace_id_is_in_the_log_once(http: httpx.AsyncClient, lines: io.StringIO) -> None:
    answer = await http.get("/bug?token=hunter2")
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:deskpulse:problem:unexpected")
    logged = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [(line["event"], line["trace_id"], line["service"]) for line in logged] == [
        ("unexpected_error", answer.json()["trace_id"], "test")
    ]
    assert "KeyError" in logged[0]["exception"]
    assert "hunter2" not in lines.getvalue()


async def test_a_bug_after_the_answer_began_cuts_the_answer_instead_of_pretending(
    http: httpx.AsyncClient, lines: io.StringIO
) -> None:
    answer = await http.get("/half")
    assert "unexpected" not in answer.text
    assert "unexpected_error" in lines.getvalue()


def test_json_pointers_escape_their_own_characters() -> None:
    assert pointer(["a/b", 0, "c~d"]) == "/a~1b/0/c~0d"


def test_log_fields_that_speak_of_secrets_or_messages_are_blanked_at_any_depth(lines: io.StringIO) -> None:
    structlog.get_logger("x").info("sent", api_token="t", headers={"Authorization": "b", "accept": "c"}, body="hello")
    line = json.loads(lines.getvalue())
    assert (line["api_token"], line["body"], line["headers"]) == ("***", "***", {"Authorization": "***", "accept": "c"})
    assert line["time"].endswith("Z")
    assert line["level"] == "info"


def test_libraries_speak_json_too_and_only_from_warning_on(lines: io.StringIO) -> None:
    logging.getLogger("aiokafka.conn").info("chatter")
    logging.getLogger("aiokafka.conn").warning("lost %s", "it")
    logged = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [(line["event"], line["message"], line["logger"]) for line in logged] == [
        ("library_message", "lost it", "aiokafka.conn")
    ]


def test_repeated_lines_are_let_through_once_a_period_and_strangers_cannot_grow_the_memory() -> None:
    sampled = logs.Sampled(period_s=60, keys=2)
    assert [sampled.allows("a", now_s) for now_s in (0, 59, 60)] == [True, False, True]
    assert sampled.allows("b", 60)
    assert sampled.allows("c", 60)
    assert not sampled.allows("d", 61)
