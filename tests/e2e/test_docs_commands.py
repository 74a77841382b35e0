"""Every block of commands in the documents is run as it stands, against a running line: ingest, metrics, alerts and the
API on a real Kafka and a real Redis.

Nothing in a block is edited. ``curl`` is led from the addresses of the documents to the line by its own configuration
(``connect-to``), through a TLS door where the documents say https; secrets and ids come from the environment. What
needs an engine, a cluster or an hour (docker, kubectl, helm, Kafka's scripts, make, bench) is answered by a stand-in
that only looks at whether what it was asked for exists.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from fastapi import FastAPI, Request, Response

from services.config.document import parse
from services.ingest.source import problems
from tests.contract.house import ROOT, tracked
from tests.contract.test_docs_inline import wrong
from tests.support import signing
from tests.support.documented import SHELL, Block, blocks, in_text, typed_unmarked
from tests.support.in_a_thread import served
from tests.support.kafka import Kafka
from tests.support.line import Line
from tests.support.redis import RedisServer
from tests.support.tls_door import tls_door
from tests.support.wait import until
from tests.support.warm import warm

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

BLOCKS: Final = [block for block in blocks() if block.language in SHELL]

ELSEWHERE: Final = {
    "docs/guides/backup.md": "tests/integration/test_docs_drill.py",  # loses its Redis
    "docs/guides/query-the-api.md": "tests/integration/test_api_guide.py",  # needs tokens of three roles
    "docs/guides/first-ten-minutes.md": "tests/e2e/test_first_ten_minutes.py",  # begins with nothing
}
"""Pages whose every block another test runs."""

APART: Final = {
    "docs/guides/alerts.md": ("expected=v1,", "tests/contract/test_docs.py"),  # verifies a signature made there
}
"""Single blocks that another test runs: how to know them, and the test."""

UNTIL_STOPPED: Final = {
    "deskpulse up --config": "runs until Ctrl-C; tests/integration/test_up.py starts it",
    "deskpulse receivers listen": "runs until Ctrl-C; tests/integration/test_send_test.py starts it",
    ".venv/bin/pip install": "fetches what is installed here already, from the network",
}
"""Beginnings of lines that are only looked at: whether the command and its options exist. With the reason."""

DOMAIN: Final = "deskpulse.example.com"

KEY: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="
CONFIG: Final = """
sla_policies:
  - {name: vip, warn_at: ["75%"], targets: {first_response: {urgent: 15m, "*": 4h}, resolution: {"*": 3d}}}
segments: [[channel], [team], [priority]]
windows: [15m, 1h, 24h, 7d, 28d]
business_calendar: support
calendars:
  support: {timezone: Europe/Paris, weekly: {mon: [["09:00", "18:00"]], tue: [["09:00", "18:00"]]}}
people:
  ana: {receivers: [oncall], timezone: Europe/Paris}
  ben: {receivers: [oncall]}
schedules:
  support:
    timezone: Europe/Paris
    rotations: [{people: [ana, ben], start: 2026-11-02, length: 1w, hand_over: "09:00"}]
routes: [{receiver: oncall}, {receiver: other, match: {team: [billing]}}]
reports:
  - {name: morning, receiver: oncall, when: "daily 08:30", timezone: UTC}
rules:
  - {name: slow-first-answers, type: threshold, kpi: first_response_time, window: 1h, by: [team], above: 2h,
     clear: 90m, for: 10m, min_count: 10}
"""


def guides_sources() -> dict[str, Any]:
    """The sources of the guides for helpdesks, as they are written there: ingest runs with all of them."""
    sources: dict[str, Any] = {}
    for path in sorted((ROOT / "docs/guides").glob("connect-*.md")):
        first = next(block for block in in_text(path.read_text(), path.name) if block.language == "yaml")
        for name, source in yaml.safe_load(first.text)["sources"].items():
            assert name not in sources, f"{path.name}: two guides call their source {name}"
            sources[name] = source
    sources["zendesk"].setdefault("options", {})["teams"] = {"4001": "billing"}
    return {"generic": {"vendor": "generic", "secrets": ["${GENERIC_SECRET}"]}, **sources}


class Desk:
    """The line with something in it, and the environment in which a reader of the documents would type."""

    def __init__(
        self, line: Line, folder: Path, door: tuple[int, Path], received: list[dict[str, Any]], quick: str
    ) -> None:
        self.line, self.folder, self.received = line, folder, received
        self.bin = folder / "bin"
        self.bin.mkdir()
        for name in (
            "docker",
            "kubectl",
            "helm",
            "kafka-delete-records.sh",
            "kafka-topics.sh",
            "make",
            "pytest",
            "bench",
        ):
            self._script(name, f'exec {quick} python -m tests.support.stand_in {name} "$@"')
        self._script("deskpulse", f'exec {quick} deskpulse "$@"')
        self._script("python", f'exec {quick} python "$@"')
        port, certificate = door
        ports = line.ports
        ways = [f"{DOMAIN}:443:127.0.0.1:{port}"]
        ways += [f"{host}:8080:127.0.0.1:{ports['ingest']}" for host in ("127.0.0.1", "localhost", "ingest")]
        ways += [f"{host}:8090:127.0.0.1:{ports['api']}" for host in ("127.0.0.1", "localhost", "api")]
        curl = "".join(f'connect-to = "{way}"\n' for way in ways)
        (folder / ".curlrc").write_text(f'{curl}cacert = "{certificate}"\nfail-with-body\nnoproxy = "*"\n')

    def _script(self, name: str, command: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{command}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def page(self, name: str) -> Path:
        """The folder in which the commands of a page are typed."""
        found = self.folder / "pages" / name
        found.mkdir(parents=True, exist_ok=True)
        return found

    def environment(self) -> dict[str, str]:
        """What the documents take from the environment."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("DESKPULSE_")},
            **self.line.environment,
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "CURL_HOME": str(self.folder),
            "API": self.line.url("api"),
            "BOARD": self.line.url("api"),
            "TOKEN": "t0ken",
            "HASH_KEY": "any long random text",
        }

    def run(self, text: str, folder: Path, **given: str) -> subprocess.CompletedProcess[str]:
        """A block, typed by somebody who stops at the first command that fails."""
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=folder,
            env={**self.environment(), **given},
            capture_output=True,
            text=True,
            timeout=120,
        )


@pytest.fixture(scope="module")
def desk(kafka: Kafka, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    if not kafka.can_create_topics:
        pytest.skip(f"{kafka.kind} cannot create topics")
    folder = tmp_path_factory.mktemp("documents")
    redis_server.empty()
    received: list[dict[str, Any]] = []
    app = FastAPI()

    @app.post("/hook")
    async def hook(request: Request) -> None:
        received.append(await request.json())

    @app.post("/refuses")
    async def refuses() -> Response:
        return Response(status_code=400)

    async def nothing() -> None:
        return None

    with ExitStack() as stack:
        url = stack.enter_context(served(lambda: (app, nothing)))
        document = yaml.safe_load(CONFIG) | {"sources": guides_sources()}
        document["receivers"] = {
            "oncall": {"webhook": {"url": f"{url}/hook", "secrets": [KEY], "allow_private": True}, "digest": False},
            "other": {"webhook": {"url": f"{url}/refuses", "secrets": [KEY], "allow_private": True}, "digest": False},
        }
        text = yaml.safe_dump(document, allow_unicode=True, sort_keys=False)
        secrets = {name: secret_of(name) for name in re.findall(r"\$\{(\w+)\}", text)}
        assert problems(parse(text, secrets)) == []
        line = Line(folder, text, kafka.bootstrap, redis_server.url, secrets)
        stack.callback(line.stop)
        door = stack.enter_context(tls_door(DOMAIN, line.ports["ingest"], folder))
        made = Desk(line, folder, door, received, stack.enter_context(warm(folder)))
        fill(made)
        yield made


def secret_of(name: str) -> str:
    """A secret of the form that its source wants."""
    return KEY if name in ("GENERIC_SECRET", "ERP_SECRET") else f"{name.lower()}-0123456789abcdef0123456789"


def fill(desk: Desk) -> None:
    """A ticket of Zendesk whose first answer is overdue and alerted on, and webhooks that could not be understood."""
    secret = desk.line.environment["ZENDESK_SECRET"]

    def post(body: dict[str, Any]) -> dict[str, Any]:
        raw = json.dumps(body).encode()
        answer = desk.line.post("zendesk", raw, signing.zendesk(raw, secret))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    created = json.loads((ROOT / "tests/fixtures/webhooks/zendesk/created.json").read_text())
    at = (datetime.now(UTC) - timedelta(minutes=15, seconds=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    created |= {"subject": "zen:ticket:5158", "time": at, "id": "docs-5158"}
    created["detail"] |= {"id": "5158", "created_at": at, "updated_at": at, "priority": "URGENT"}
    assert post(created)["accepted"] == 1
    trigger = {"schema": "zendesk.trigger.v1", "event": "ticket.updated", "ticket_id": "17", "status": "en attente"}
    assert post(trigger)["dead_lettered"] == 1
    config = Path(desk.line.environment["DESKPULSE_CONFIG"])
    corrected = yaml.safe_load(config.read_text())
    corrected["sources"]["zendesk"]["options"]["statuses"] = {"en attente": "pending"}
    config.write_text(yaml.safe_dump(corrected, allow_unicode=True, sort_keys=False))
    until(lambda: desk.received, "the breach was told", timeout_s=60)
    until(lambda: desk.line.get("/v1/alerts", state="firing")["alerts"], "the alert is there", timeout_s=30)


def _letter(desk: Desk, folder: Path) -> dict[str, str]:
    said = desk.run("deskpulse dlq list --reason bad_value --source zendesk --json", folder)
    assert said.returncode == 0, said.stderr
    return {"letter": json.loads(said.stdout)["letters"][0]["id"]}


Given = Callable[[Desk, Path], dict[str, str]]


def _silence(desk: Desk, folder: Path) -> dict[str, str]:
    """An id as the page's reader has it: of a silence, or of a message that was refused."""
    asked = {"match": {"team": ["sales"]}, "for": "1h", "by": "ana", "comment": "To be ended."}
    answer = desk.line.client.post(f"{desk.line.url('api')}/v1/silences", json=asked)
    return {"id": answer.json()["silence_id"]}


def _message(desk: Desk, folder: Path) -> dict[str, str]:
    until(lambda: desk.line.get("/v1/deliveries", state="dead")["deliveries"], "a message was refused")
    return {"id": desk.line.get("/v1/deliveries", state="dead")["deliveries"][0]["delivery_id"]}


def _alert(desk: Desk, folder: Path) -> dict[str, str]:
    return {"alert": desk.line.get("/v1/alerts", state="firing")["alerts"][0]["alert_id"]}


def _payloads(desk: Desk, folder: Path) -> dict[str, str]:
    """Saved webhooks, and history."""
    (folder / "saved").mkdir(exist_ok=True)
    shutil.copy(ROOT / "tests/fixtures/webhooks/zendesk/created.json", folder / "saved")
    trigger = {"schema": "zendesk.trigger.v1", "event": "ticket.updated", "ticket_id": "7", "status": "en attente"}
    (folder / "ticket.json").write_text(json.dumps(trigger))
    (folder / "headers.txt").write_text("content-type: application/json\n")
    created = json.loads((ROOT / "tests/fixtures/webhooks/zendesk/created.json").read_text())
    (folder / "history.jsonl").write_text(json.dumps({"source": "zendesk", "headers": {}, "body": created}) + "\n")
    return {}


def _rules(desk: Desk, folder: Path) -> dict[str, str]:
    rule = {"name": "full", "type": "threshold", "kpi": "backlog", "above": 40, "for": "10m"}
    (folder / "my-rules.yaml").write_text(yaml.safe_dump({"rules": [rule]}))
    return {}


def _checkout(desk: Desk, folder: Path) -> dict[str, str]:
    """A copy of what git tracks, in which documents are made anew; its Python looks at what bench is asked."""
    for path in tracked():
        to = folder / path.relative_to(ROOT)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, to)
    (folder / "pictures").mkdir(exist_ok=True)
    shutil.copy2(ROOT / "docs/board.png", folder / "pictures/board-light.png")
    python = folder / ".venv/bin/python"
    python.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(desk.bin / "bench", python)
    return {}


GIVEN: Final[dict[str, list[tuple[str, Given]]]] = {
    "README.md": [("", _checkout)],
    "CONTRIBUTING.md": [("", _checkout)],
    "docs/performance.md": [("", _checkout)],
    "docs/guides/alerts.md": [("silences", _silence), ("deliveries", _message)],
    "docs/guides/replay-and-dead-letters.md": [("", _payloads), ("$letter", _letter)],
    "docs/runbooks/dead-letters.md": [("$letter", _letter)],
    "docs/guides/write-a-rule.md": [("", _rules)],
    "docs/runbooks/sla-breach.md": [("", _alert)],
}
"""By page: a word of the block (every block where it is empty), and what its reader has at hand."""


def _id(block: Block) -> str:
    return str(block)


@pytest.mark.parametrize("block", BLOCKS, ids=_id)
def test_a_block_of_commands_works_as_it_stands(block: Block, desk: Desk) -> None:
    """The blocks of a page share a folder, as they do for who reads it."""
    if block.page in ELSEWHERE or _apart(block):
        return
    if any(line.startswith(tuple(UNTIL_STOPPED)) for line in block.text.splitlines()):
        assert [
            said for line in block.text.splitlines() if line.startswith("deskpulse") and (said := wrong(line))
        ] == []
        return
    given: dict[str, str] = {}
    tmp_path = desk.page(block.page)
    for word, make in GIVEN.get(block.page, []):
        if word in block.text:
            given |= make(desk, tmp_path)
    ran = desk.run(block.text, tmp_path, **given)
    assert ran.returncode == 0, f"{block.text}\n{ran.stdout}\n{ran.stderr}"
    shown = promised(block.text)
    said = [value for line in ran.stdout.splitlines() for value in _json(line)]
    assert [one for one in said if one in shown][: len(shown)] == shown, f"{shown} is not what was said: {ran.stdout}"
    for name, text in made_anew(block.text):
        assert (tmp_path / name).read_text() == (ROOT / name).read_text(), f"{text} makes something else"


def _apart(block: Block) -> bool:
    word, _ = APART.get(block.page, ("", ""))
    return bool(word) and word in block.text


def promised(text: str) -> list[Any]:
    """What the comments of a block say that its commands answer."""
    return [value for line in re.findall(r"#\s+(\{.*\})\s*$", text, re.M) for value in _json(line)]


def _json(line: str) -> Iterator[Any]:
    """The JSON values of a line of output: two answers without a line break between them are two."""
    rest = line.strip()
    while rest.startswith("{"):
        try:
            value, end = json.JSONDecoder().raw_decode(rest)
        except ValueError:
            return
        yield value
        rest = rest[end:].strip()


def made_anew(text: str) -> Iterator[tuple[str, str]]:
    """The files of the project that a block writes by ``>``, with the command."""
    for line in text.splitlines():
        if found := re.match(r"\s*(python -m \S+.*?) > (\S+)$", line):
            yield found[2], found[1]


def test_blocks_that_another_test_runs_are_run_there() -> None:
    for page, test in [*ELSEWHERE.items(), *((page, test) for page, (_, test) in APART.items())]:
        assert page in (ROOT / test).read_text(), f"{test} does not speak of {page}"
    apart = [str(block) for block in BLOCKS if _apart(block)]
    assert len(apart) == len(APART)


def test_whatever_is_to_be_typed_is_marked_as_shell() -> None:
    assert [str(block) for block in blocks() if typed_unmarked(block)] == []


def test_commands_that_are_not_marked_or_do_not_answer_as_shown_are_found() -> None:
    [unmarked] = in_text("```\n$ deskpulse doctor\n```\n", "page.md")
    assert typed_unmarked(unmarked)
    assert promised('curl x\n# {"accepted":1}\ncurl y   # {"a": "b"}\n') == [{"accepted": 1}, {"a": "b"}]
    assert list(made_anew("python -m a.b --env > .env.example")) == [(".env.example", "python -m a.b --env")]
