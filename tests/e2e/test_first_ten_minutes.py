"""docs/guides/first-ten-minutes.md, followed: every command of it in its order, from nothing to the alert."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from services.embedded.port import free_port
from tests.contract.house import ROOT
from tests.support.documented import SHELL, in_text
from tests.support.wait import until

PAGE: Final = "docs/guides/first-ten-minutes.md"
LISTENS: Final = "9009"

pytestmark = pytest.mark.timeout(300)


class Shell:
    """A terminal in the folder of a clone in which `pip install` has just ended."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[subprocess.Popen[bytes]] = []
        programs = folder / ".venv" / "bin"
        programs.mkdir(parents=True)
        for name, command in (("deskpulse", f'exec "{sys.executable}" -m services.cli "$@"'), ("pip", "exit 0")):
            path = programs / name
            path.write_text(f"#!/bin/sh\n{command}\n")
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("DESKPULSE_")}
        ports = {f"DESKPULSE_{name}_PORT": "0" for name in ("INGEST", "METRICS", "ALERTS", "API")}
        self.environment = {**kept, **ports, "PYTHONPATH": str(ROOT), "PATH": f"{programs}:{os.environ['PATH']}"}

    def run(self, text: str) -> str:
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ran.returncode == 0, f"{text}\n{ran.stdout}\n{ran.stderr}"
        return ran.stdout

    def start(self, text: str, word: str) -> Path:
        """In a terminal of its own, until it has said ``word``; where it writes."""
        log = self.folder / f"terminal-{len(self.running) + 1}.txt"
        with log.open("wb") as sink:
            command = ["bash", "-c", f"exec {text}"]
            process = subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=sink, stderr=sink)
        self.running.append(process)
        until(lambda: word in log.read_text() or process.poll() is not None, f"'{text}' says {word}", timeout_s=120)
        assert process.poll() is None, log.read_text()
        return log

    def stop(self) -> None:
        for process in reversed(self.running):
            process.send_signal(signal.SIGINT)
        for process in self.running:
            process.wait(30)


def test_who_follows_the_page_has_the_first_alert_at_the_end(tmp_path: Path) -> None:
    blocks = [block.text for block in in_text((ROOT / PAGE).read_text(), PAGE) if block.language in SHELL]
    port, shell = str(free_port()), Shell(tmp_path)
    heard = told = None
    try:
        for text in blocks:
            if text.startswith("python3 -m venv"):
                continue  # installing takes a minute, and needs the network; CI's own run does it from the lock
            if text.startswith("deskpulse up"):
                shell.start(text.strip(), "Deskpulse is running")
            elif text.startswith("deskpulse receivers listen"):
                heard = shell.start(f"{text.strip()} --port {port}", "listening on")
            elif text.startswith("deskpulse send-test"):
                told = shell.run(text)
            else:
                said = shell.run(text)
                if "init" in text:
                    trial = tmp_path / "trial.yaml"
                    if trial.is_file():  # another port than the page's: somebody on this machine may follow it too
                        trial.write_text(trial.read_text().replace(LISTENS, port))
                if "doctor" in text:
                    assert "still the placeholder that `deskpulse init` wrote" in said
                    assert "PROBLEM" not in said
        assert told is not None
        assert heard is not None
        assert [line.split()[0] for line in told.splitlines()] == ["ok"] * 10
        assert re.search(r"receivers .*breached to leads: delivered", told)
        until(lambda: "cancelled: [critical]" in heard.read_text(), "the end of the alert is told too")
        assert "ok  breached: [critical] First response promise broken: zendesk ticket 99" in heard.read_text()
    finally:
        shell.stop()


def test_what_the_page_shows_of_the_answer_is_what_it_looks_like() -> None:
    page = (ROOT / PAGE).read_text()
    shown = re.findall(r"^ok +(\w+(?: \w+)?) +\d+ ms  ", page, re.M)
    assert shown == ["before", "http", "kafka", "ticket", "kpis", "timers", "breach", "alert", "receivers", "taken out"]
