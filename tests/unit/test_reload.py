"""A document that changes while a service runs: taken when it is valid, refused and told when it is not."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from services.config.document import ConfigInvalid, Document, load, parse
from services.config.reload import Outcome, Reload, Take
from services.operate.health import Health
from tests.support.wait import eventually


class Following:
    """A service that follows ``file``."""

    def __init__(self, file: Path, environment: dict[str, str] | None = None) -> None:
        self.used: list[Document] = []
        self.restart: list[str] = []
        self.registry, self.health = CollectorRegistry(), Health()
        document = load(file, environment or {})
        self.reload = Reload(file, document, self._prepared, self.registry, self.health, environment or {})

    def _prepared(self, document: Document) -> Take:
        if "1m" in document.windows:
            raise ConfigInvalid(["windows: this service cannot do 1m"])

        def take() -> list[str]:
            self.used.append(document)
            return self.restart

        return take

    def counted(self, outcome: Outcome) -> float | None:
        return self.registry.get_sample_value("deskpulse_config_reloads_total", {"outcome": outcome.value})

    async def note(self) -> str | None:
        [found] = [finding for finding in await self.health.readiness() if finding.name == "configuration"]
        assert found.problem is None, "a refused document is no reason to send the service nothing"
        return found.note


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "deskpulse.yaml"
    found.write_text("windows: [1h]")
    return found


async def test_a_change_is_taken_once_two_looks_agree(file: Path) -> None:
    following = Following(file)
    assert await following.reload.look() is None
    file.write_text("windows: [1h, 24h]")
    assert await following.reload.look() is None, "it may be half written"
    assert await following.reload.look() is Outcome.TAKEN
    assert [document.windows for document in following.used] == [("1h", "24h")]
    assert await following.reload.look() is None
    assert (following.counted(Outcome.TAKEN), following.counted(Outcome.REFUSED)) == (1, 0)
    assert await following.note() is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("windows: [soon]\nsegments: [[colour]]", "windows[0]"),
        ("windows: [1m]", "cannot do 1m"),
        ("sources: {z: {vendor: zendesk, secrets: ['${LATE}']}}", "LATE is not set"),
        ("windows: [", "not YAML"),
    ],
)
async def test_what_is_not_valid_is_refused_with_a_line_for_each_problem(file: Path, text: str, says: str) -> None:
    following = Following(file)
    file.write_text(text)
    with capture_logs() as logs:
        assert await following.reload.look(at_once=True) is Outcome.REFUSED
    assert any(says in line["problem"] for line in logs if line["event"] == "config_refused")
    assert following.used == []
    assert following.counted(Outcome.REFUSED) == 1
    assert "stays in use" in (await following.note() or "")
    assert await following.reload.look() is None, "and is not tried again"
    file.write_text("windows: [1h]")
    await following.reload.look()
    await following.reload.look()
    assert await following.note() is None, "the old text is back"


async def test_a_swapped_symbolic_link_and_a_file_that_went_away(file: Path, tmp_path: Path) -> None:
    """How a ConfigMap changes: the link to the folder that holds the file is replaced."""
    for name, text in (("one", "windows: [1h]"), ("two", "windows: [7d]")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "deskpulse.yaml").write_text(text)
    (tmp_path / "data").symlink_to("one")
    following = Following(tmp_path / "data" / "deskpulse.yaml")
    (tmp_path / "new").symlink_to("two")
    (tmp_path / "new").replace(tmp_path / "data")
    await following.reload.look()
    assert await following.reload.look() is Outcome.TAKEN
    assert following.used[-1].windows == ("7d",)
    (tmp_path / "two" / "deskpulse.yaml").unlink()
    await following.reload.look()
    assert await following.reload.look() is Outcome.REFUSED
    assert following.used[-1].windows == ("7d",)


async def test_secrets_are_those_of_the_start(file: Path) -> None:
    text = "sources: {z: {vendor: zendesk, secrets: ['${SECRET}']}}"
    file.write_text(text)
    environment = {"SECRET": "first"}
    following = Following(file, environment)
    environment["SECRET"] = "second"
    file.write_text(text + "\nwindows: [7d]")
    assert await following.reload.look(at_once=True) is Outcome.TAKEN
    assert following.used[-1].sources["z"].secrets[0].get_secret_value() == "first"


async def test_what_needs_a_restart_is_told(file: Path) -> None:
    following = Following(file)
    following.restart = ["receivers"]
    file.write_text("windows: [7d]")
    assert await following.reload.look(at_once=True) is Outcome.TAKEN
    assert "after a restart: receivers" in (await following.note() or "")


async def test_sighup_reads_at_once(file: Path) -> None:
    following, stop = Following(file), asyncio.Event()
    before = signal.getsignal(signal.SIGHUP)
    running = asyncio.create_task(following.reload.run(stop))
    await eventually(lambda: signal.getsignal(signal.SIGHUP) != before, "it listens")
    file.write_text("windows: [28d]")
    os.kill(os.getpid(), signal.SIGHUP)
    await eventually(lambda: bool(following.used), "the document is taken")
    stop.set()
    await running


def test_the_document_that_everything_else_is_compared_with_is_equal_to_itself() -> None:
    text = "sla_policies: [{name: a, targets: {resolution: {'*': 1h}}}]"
    assert parse(text, {}) == parse(text, {}) != parse(text.replace("1h", "2h"), {})
