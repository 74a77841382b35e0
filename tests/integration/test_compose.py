"""What docker-compose.yml says, run without an engine: its Kafka settings on Apache Kafka, its Redis command, its
commands and variables for our services, and its health checks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from redis import Redis
from redis.exceptions import RedisError

from services.embedded.child import Child
from services.embedded.port import free_port
from services.embedded.redis import redis_binary
from tests.support import apache_kafka
from tests.support.wait import until

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
SERVICES = ("ingest", "metrics", "alerts", "api")
SECRETS = {"ZENDESK_SECRET": "not one", "GENERIC_SECRET": "whsec_bm90IG9uZQ=="}
JAVA = ("java", "-Xms256m", "-Xmx768m")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.kafka,
    pytest.mark.skipif(not apache_kafka.obtainable(), reason="needs java, and mvn to fetch Apache Kafka"),
]


class Here:
    """Where the containers' addresses lie on this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kafka, self.redis = free_port(), free_port()
        self.ports = {name: free_port() for name in SERVICES}
        self.image = {"DESKPULSE_SPOOL_DIR": str(folder / "spool")}  # set in the Dockerfile
        self._moved = {
            "kafka:9092": f"127.0.0.1:{self.kafka}",
            "redis:6379": f"127.0.0.1:{self.redis}",
            "ingest:8080": f"127.0.0.1:{self.ports['ingest']}",
            "://:9092": f"://:{self.kafka}",
            "29092": str(free_port()),
            "9093": str(free_port()),
            "/var/lib/kafka/data": str(folder / "data"),
            "/etc/deskpulse/": f"{ROOT}/deploy/config/",
            "127.0.0.1:8080/": f"127.0.0.1:{self.ports['ingest']}/",
            "127.0.0.1:8081/": f"127.0.0.1:{self.ports['metrics']}/",
            "127.0.0.1:8082/": f"127.0.0.1:{self.ports['alerts']}/",
            "127.0.0.1:8090/": f"127.0.0.1:{self.ports['api']}/",
        }

    def variables(self, service: str) -> dict[str, str]:
        """The service's environment with the addresses of this machine."""
        written = {name: self._local(str(value)) for name, value in COMPOSE[service]["environment"].items()}
        ports = {f"DESKPULSE_{name.upper()}_PORT": str(port) for name, port in self.ports.items()}
        return {
            **written,
            **SECRETS,
            **ports,
            "DESKPULSE_BIND_HOST": "127.0.0.1",
            "PYTHONPATH": str(ROOT),
            **self.image,
        }

    def command(self, service: str) -> list[str]:
        """What the service's container runs."""
        return [sys.executable, "-m", "services.cli", *map(self._local, COMPOSE[service]["command"])]

    def properties(self) -> str:
        """Kafka's, as the image makes them of its environment: ``KAFKA_NODE_ID`` is ``node.id``."""
        given = COMPOSE["kafka"]["environment"].items()
        named = ((name.removeprefix("KAFKA_").replace("_", ".").lower(), str(value)) for name, value in given)
        return "".join(f"{name}={self._local(value)}\n" for name, value in named)

    def _local(self, value: str) -> str:
        # In one pass: a port of this machine may look like an address that is still to be replaced.
        anywhere = "|".join(map(re.escape, self._moved))
        return re.sub(anywhere, lambda found: self._moved[found[0]], value)


def _healthy(here: Here, service: str) -> bool:
    """What the engine would find with the service's own health check."""
    how, program, *arguments = COMPOSE[service]["healthcheck"]["test"]
    assert (how, program) == ("CMD", "python")
    ran = subprocess.run([sys.executable, *arguments], env=here.variables(service), capture_output=True, timeout=20)
    return ran.returncode == 0


def _up_or_dead(here: Here, service: str, child: Child) -> bool:
    return not child.running or _healthy(here, service)


def _answers(redis: Redis) -> bool:
    try:
        return bool(redis.ping())
    except RedisError:
        return False


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Here, ExitStack]]:
    """Kafka and Redis as the file has them, serving."""
    here = Here(tmp_path)
    (tmp_path / "server.properties").write_text(here.properties())
    java = [*JAVA, "-cp", f"{apache_kafka.obtain(lambda said: None)}/*"]
    format_ = [*java, "kafka.tools.StorageTool", "format", "-t", "5L6g3nShT-eMCtK--X86sw", "-c", "server.properties"]
    subprocess.run(format_, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    redis = [str(redis_binary()), *COMPOSE["redis"]["command"][1:], "--port", str(here.redis), "--dir", str(tmp_path)]
    with ExitStack() as stack:
        kafka = Child("kafka", [*java, "kafka.Kafka", "server.properties"], cwd=tmp_path)
        stack.callback(kafka.terminate, 20.0)
        state = Child("redis", redis)
        stack.callback(state.terminate, 10.0)
        with Redis(port=here.redis) as client:
            until(lambda: _answers(client), "Redis answers", timeout_s=20)
        yield here, stack


@pytest.mark.timeout(300)
def test_everything_in_the_compose_file_becomes_healthy_and_stops_when_asked(
    running: tuple[Here, ExitStack],
) -> None:
    here, stack = running
    path = {"PATH": os.environ["PATH"]}

    def applied() -> bool:
        command = here.command("topics")
        return subprocess.run(command, env=here.variables("topics") | path, capture_output=True).returncode == 0

    until(applied, "the topics are there", timeout_s=60)

    children = {}
    for name in SERVICES:
        children[name] = Child(name, here.command(name), env=here.variables(name) | path)
        stack.callback(children[name].kill)
    for name, child in children.items():
        until(partial(_up_or_dead, here, name, child), f"{name} is healthy", timeout_s=90)
        assert child.running, child.tail()

    tool = {"cli": ["--json"], "simulate": ["--rate", "10", "--duration", "2", "--json"]}
    for name, more in tool.items():
        command = [*here.command(name), *more]
        ran = subprocess.run(command, env=here.variables(name) | path, capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, f"{name}: {ran.stdout}{ran.stderr}"

    for name, child in children.items():
        assert child.terminate(30.0) == 0, f"{name}: {child.tail()}"
    assert not _healthy(here, "api"), "a health check that a stopped service passes shows nothing"
