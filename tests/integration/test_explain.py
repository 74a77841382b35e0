"""``deskpulse explain`` reads what the metrics worker wrote, and asks an API where it is told to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
import redis
from click.testing import Result
from typer.testing import CliRunner

from schemas.state import PARTITIONS_KEY, Entry, pack, ticket_key, with_facts
from schemas.ticket import ActorKind
from services.cli.app import app
from services.config.document import parse
from services.fold.fact import fact
from services.fold.rules import compiled
from tests.support.story import Story

Run = Callable[..., Result]

CONFIG = """
calendars:
  support: {timezone: Europe/Paris, country: FR, weekly: {mon: [["09:00","18:00"]], tue: [["09:00","18:00"]]}}
sla_policies:
  - {name: all, calendar: support, targets: {first_response: {"*": 4h}, resolution: {"*": 8h}}}
"""


@pytest.fixture
def explain(redis_db: str, tmp_path: Path) -> Run:
    """Runs the command; one ticket, answered five minutes too late, is in Redis."""
    file = tmp_path / "deskpulse.yaml"
    file.write_text(CONFIG)
    story = Story(source="zendesk", ticket_id="51:58")
    story.created()
    story.message(20, ActorKind.BOT)
    story.reply(245)
    with redis.Redis.from_url(redis_db) as state:
        state.sadd(PARTITIONS_KEY, 3)
        facts = with_facts(b"", [fact(told) for told in story.events])
        entry = Entry(story.ticket(compiled(parse(CONFIG, {}))), newest=facts)
        state.set(ticket_key(3, story.source, story.ticket_id), pack(entry))

    def run(*arguments: str) -> Result:
        environment = {"DESKPULSE_REDIS_URL": redis_db, "DESKPULSE_CONFIG": str(file)}
        return CliRunner().invoke(app, ["explain", *arguments], env=environment)

    return run


def test_a_ticket_is_explained_from_redis_in_words_and_as_json(explain: Run) -> None:
    told = explain("zendesk:51:58")
    assert told.exit_code == 0, told.output
    assert "First response: breached at 2026-03-02 13:00:00 UTC" in told.output
    assert "5 min later; what a bot wrote at 2026-03-02 09:20:00 UTC does not count. Policy all." in told.output
    shown = json.loads(explain("zendesk:51:58", "--json", "--metric", "resolution").output)
    assert [timer["metric"] for timer in shown["timers"]] == ["resolution"]
    assert shown["notes"] == []


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("zendesk:1",), "no event of ticket '1' of source 'zendesk' has been counted"),
        (("5158",), "'5158' is not SOURCE:TICKET; write for example zendesk:5158"),
        (("zendesk:1", "--api", "http://127.0.0.1:1"), "no answer of a Deskpulse API (ConnectError)"),
        (("zendesk:1", "--api", "nonsense"), "no answer of a Deskpulse API (UnsupportedProtocol)"),
    ],
)
def test_what_cannot_be_explained_is_told_and_the_exit_code_is_1(
    explain: Run, arguments: tuple[str, ...], complaint: str
) -> None:
    told = explain(*arguments)
    assert told.exit_code == 1
    assert complaint in told.output


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
        """Says nothing."""


@pytest.fixture
def api() -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """An API that knows no ticket, and what it was asked: path, query and token."""
    asked: list[tuple[str, str, str]] = []

    def answer(environ: dict[str, str], start_response: object) -> list[bytes]:
        assert callable(start_response)
        asked.append((environ["PATH_INFO"], environ["QUERY_STRING"], environ.get("HTTP_AUTHORIZATION", "")))
        start_response("404 Not Found", [("Content-Type", "application/problem+json")])
        return [b'{"status": 404, "detail": "No event of ticket 1 has been counted."}']

    server = make_server("127.0.0.1", 0, answer, handler_class=_Quiet)
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_api_is_asked_with_its_token_and_its_problem_is_told(
    explain: Run, api: tuple[str, list[tuple[str, str, str]]]
) -> None:
    url, asked = api
    told = explain("zendesk:a/b", "--api", url, "--token", "t0ken", "--metric", "resolution")
    assert (told.exit_code, "No event of ticket 1 has been counted." in told.output) == (1, True)
    assert asked == [("/v1/tickets/zendesk/a/b/explain", "metric=resolution", "Bearer t0ken")]


def test_check_names_a_country_whose_holidays_are_not_known(tmp_path: Path) -> None:
    file = tmp_path / "deskpulse.yaml"
    file.write_text(CONFIG.replace("country: FR", "country: FRA"))
    told = CliRunner().invoke(app, ["check", str(file)])
    assert told.exit_code == 1
    assert 'calendars.support.country: "FRA" is not a country whose holidays are known; did you mean FR?' in told.output
