"""The command line as a program: what it prints, where, and its exit code."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from schemas.topics import TOPICS
from services.cli.app import app
from services.embedded.broker import BrokerProcess
from tests.support import command
from tests.support.kafka import Kafka, KafkaKind

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "deploy" / "config" / "deskpulse.yaml"
SECRETS = {"ZENDESK_SECRET": "a-secret-of-ours", "GENERIC_SECRET": "whsec_c2VjcmV0"}
NOBODY = "127.0.0.1:1"
COMMANDS = (
    *("up", "ingest", "metrics", "alerts", "api", "topics", "topics apply", "check", "simulate", "doctor"),
    *("normalise", "explain", "replay", "dlq", "dlq list", "dlq show", "dlq replay"),
    *("receivers", "receivers test", "receivers listen", "send-test", "init"),
    "version",
)


def run(*arguments: str, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    ours = ("DESKPULSE_", *SECRETS)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    told = command.ran(arguments, kept | variables, folder=cwd)
    return subprocess.CompletedProcess(told.args, told.returncode, told.stdout.decode(), told.stderr.decode())


@pytest.mark.parametrize("command", COMMANDS)
def test_help_tells_what_the_command_does_with_an_example(command: str) -> None:
    told = CliRunner().invoke(app, [*command.split(), "--help"], prog_name="deskpulse")
    assert told.exit_code == 0, told
    assert f"Usage: deskpulse {command}" in told.stdout
    if command not in ("topics", "dlq", "receivers"):
        assert "Example" in told.stdout
        assert f"deskpulse {command}" in told.stdout.partition("Example")[2]


def test_the_list_of_commands_names_each() -> None:
    told = run("--help").stdout
    assert all(f"\n  {command} " in told for command in COMMANDS if " " not in command)


def test_the_version_is_the_projects() -> None:
    version = json.loads(run("version", "--json").stdout)["deskpulse"]
    assert f'\nversion = "{version}"\n' in (ROOT / "pyproject.toml").read_text()
    assert run("version").stdout.startswith(f"deskpulse {version} (Python ")


class TestCheck:
    def test_a_good_configuration_is_ok(self) -> None:
        told = run("check", str(SHIPPED), **SECRETS)
        assert (told.returncode, told.stdout, told.stderr) == (0, f"{SHIPPED}: ok\n", "")

    def test_without_a_file_it_is_the_one_that_services_use(self, tmp_path: Path) -> None:
        file = tmp_path / "other.yaml"
        file.write_text("{}")
        assert run("check", DESKPULSE_CONFIG=str(file)).stdout == f"{file}: ok\n"
        assert run("check", **SECRETS).stdout == "deploy/config/deskpulse.yaml: ok\n"

    def test_problems_of_every_service_are_lines_of_file_place_and_mistake(self, tmp_path: Path) -> None:
        file = tmp_path / "bad.yaml"
        file.write_text(
            """
sources:
  shop: {vendor: nobody, secrets: [x]}
  erp: {vendor: generic, secrets: ["whsec_%%%"]}
calendars:
  support: {timezone: Mars/Olympus, weekly: {mon: [["09:00", "17:00"]]}}
"""
        )
        told = run("check", str(file))
        assert (told.returncode, told.stdout) == (1, "")
        lines = told.stderr.splitlines()
        assert [line.split(": ")[:2] for line in lines] == [
            [str(file), "sources.shop.vendor"],
            [str(file), "sources.erp.secrets[0]"],
            [str(file), "calendars.support.timezone"],
        ]

    def test_secrets_that_are_not_set_are_named(self) -> None:
        told = run("check", str(SHIPPED), "--json")
        answer = json.loads(told.stdout)
        assert (told.returncode, answer["ok"]) == (1, False)
        assert [problem.split()[-4] for problem in answer["problems"]] == list(SECRETS)

    def test_json_says_so_when_all_is_well(self) -> None:
        told = run("check", str(SHIPPED), "--json", **SECRETS)
        assert json.loads(told.stdout) == {"file": str(SHIPPED), "ok": True, "problems": []}


class TestMistakesOfAUser:
    """One line on stderr, exit code 1."""

    @pytest.mark.parametrize(
        ("arguments", "variables", "line"),
        [
            (["ingest"], {}, "DESKPULSE_KAFKA_BOOTSTRAP is not set; `deskpulse up` starts an embedded broker"),
            (["api"], {}, "DESKPULSE_REDIS_URL is not set; `deskpulse up` starts an embedded Redis"),
            (["topics", "apply"], {}, "DESKPULSE_KAFKA_BOOTSTRAP is not set; `deskpulse up` starts an embedded broker"),
            (
                ["topics", "apply"],
                {"DESKPULSE_KAFKA_BOOTSTRAP": NOBODY},
                f"{NOBODY}: Kafka does not answer: nobody listens on 127.0.0.1:1; is DESKPULSE_KAFKA_BOOTSTRAP right?",
            ),
            (["check"], {"DESKPULSE_CONFIG": "no.yaml"}, "no.yaml: cannot be read (No such file or directory)"),
            (["version-of-nothing"], {}, None),
            (
                ["doctor"],
                {"DESKPULSE_API_PORT": "x"},
                "DESKPULSE_API_PORT: Input should be a valid integer, unable to parse string as an integer",
            ),
            (
                ["doctor"],
                {"DESKPULSE_LOG_LEVEL": "loud"},
                "DESKPULSE_LOG_LEVEL: 'loud' is none of debug, info, warning, error",
            ),
            (
                ["doctor"],
                {"DESKPULSE_SECRETS_DIR": "/nowhere"},
                "DESKPULSE_SECRETS_DIR: there is no folder /nowhere",
            ),
            (
                ["api"],
                {"DESKPULSE_REDIS_URL": "http://:hush@redis"},
                "DESKPULSE_REDIS_URL: not an address; write redis://host:6379/0, rediss://… for TLS, or unix://…",
            ),
            (["simulate", "--rate", "0"], {"ZENDESK_SECRET": "x"}, "rate must be more than 0"),
            (
                ["simulate", "--secret-env", "SHOP_SECRET"],
                {},
                "SHOP_SECRET is not set: it must hold the source's secret, or --secret-env name another variable",
            ),
        ],
    )
    def test_is_told_in_one_line(self, arguments: list[str], variables: dict[str, str], line: str | None) -> None:
        told = run(*arguments, **{**({} if "simulate" in arguments else SECRETS), **variables})
        if line is None:
            assert told.returncode == 2, "a wrong command line is told with its usage"
            return
        assert (told.returncode, told.stderr.splitlines()) == (1, [line])

    def test_a_taken_port_is_told_with_its_variable(self, tmp_path: Path) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            told = run(
                *("ingest", "--config", str(SHIPPED)),
                **SECRETS,
                DESKPULSE_KAFKA_BOOTSTRAP=NOBODY,
                DESKPULSE_REDIS_URL=f"redis://{NOBODY}/0",
                DESKPULSE_INGEST_PORT=str(port),
                DESKPULSE_SPOOL_DIR=str(tmp_path / "spool"),
            )
        assert told.returncode == 1
        last = told.stderr.splitlines()[-1]
        assert f":{port}" in last
        assert last.endswith("DESKPULSE_INGEST_PORT.")
        assert "Traceback" not in told.stderr

    def test_a_secret_may_come_from_a_folder_of_files(self, tmp_path: Path) -> None:
        (tmp_path / "DESKPULSE_KAFKA_BOOTSTRAP").write_text(NOBODY)
        told = run("topics", "apply", DESKPULSE_SECRETS_DIR=str(tmp_path))
        assert told.stderr.startswith(f"{NOBODY}: Kafka does not answer")


class TestDoctor:
    def test_a_machine_with_nothing_configured_is_fine_for_up(self, tmp_path: Path) -> None:
        free = {f"DESKPULSE_{name}_PORT": "0" for name in ("INGEST", "METRICS", "ALERTS", "API")}
        told = run("doctor", cwd=tmp_path, **free)
        assert told.returncode == 0, told
        assert "`deskpulse up` makes up ZENDESK_SECRET, GENERIC_SECRET" in told.stdout
        assert all(line.startswith("ok ") for line in told.stdout.splitlines())

    def test_what_is_wrong_is_a_problem_with_its_fix_and_no_password_is_shown(self, tmp_path: Path) -> None:
        told = run(
            "doctor",
            "--json",
            cwd=tmp_path,
            DESKPULSE_KAFKA_BOOTSTRAP=NOBODY,
            DESKPULSE_REDIS_URL=f"redis://me:hush@{NOBODY}/0?password=hush",
        )
        assert told.returncode == 1
        assert "hush" not in told.stdout + told.stderr
        problems = {one["what"]: one for one in json.loads(told.stdout)["findings"] if not one["ok"]}
        assert set(problems) >= {"configuration", "kafka", "redis"}
        assert all(one["fix"] for one in problems.values())

    def test_it_makes_no_topic_by_asking(self, redis_url: str) -> None:
        with BrokerProcess() as broker:
            asked = {"DESKPULSE_KAFKA_BOOTSTRAP": broker.bootstrap, "DESKPULSE_REDIS_URL": redis_url}
            for _ in range(2):
                told = run("doctor", "--json", **SECRETS, **asked)
                found = {one["what"]: one for one in json.loads(told.stdout)["findings"]}
                assert found["kafka"]["ok"]
                assert found["redis"]["ok"]
                assert found["topics"] == {
                    "what": "topics",
                    "ok": False,
                    "level": "problem",
                    "detail": f"missing: {', '.join(TOPICS)}",
                    "fix": "deskpulse topics apply",
                }


class TestTopicsApply:
    def test_topics_are_there_afterwards_and_doctor_sees_them(self, kafka: Kafka) -> None:
        if kafka.kind in (KafkaKind.EMBEDDED, KafkaKind.CONFIGURED):
            pytest.skip("needs a broker of this session that takes CreateTopics")
        first = run("topics", "apply", "--json", DESKPULSE_KAFKA_BOOTSTRAP=kafka.bootstrap)
        assert first.returncode == 0, first
        assert [row["topic"] for row in json.loads(first.stdout)] == list(TOPICS)
        again = run("topics", "apply", DESKPULSE_KAFKA_BOOTSTRAP=kafka.bootstrap)
        assert again.returncode == 0, again
        assert all(" unchanged " in line for line in again.stdout.splitlines())
        told = run("doctor", "--json", DESKPULSE_KAFKA_BOOTSTRAP=kafka.bootstrap)
        found = {one["what"]: one for one in json.loads(told.stdout)["findings"]}
        assert found["topics"]["ok"], found

    def test_on_a_broker_that_cannot_create_topics_it_says_so_and_fails(self) -> None:
        with BrokerProcess() as broker:
            told = run("topics", "apply", DESKPULSE_KAFKA_BOOTSTRAP=broker.bootstrap)
        assert told.returncode == 1
        assert all(" not supported " in line for line in told.stdout.splitlines())
