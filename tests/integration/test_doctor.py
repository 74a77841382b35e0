"""What `deskpulse doctor` finds on brokers and Redis of its own: clocks that are off, a helpdesk that fell silent, a
Cluster. What a running line can show is in test_send_test.py."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from typer.testing import CliRunner

from schemas import topics
from services import clock
from services.cli.app import app
from services.embedded.broker import BrokerProcess
from services.stream import admin
from services.stream.producer import Connection
from tests.support.redis_cluster import RedisCluster

CONFIG = """
sources:
  shop: {vendor: generic, secrets: ["a-secret-that-nobody-guesses"]}
  desk: {vendor: zendesk, secrets: ["another-that-nobody-guesses"]}
"""
PORTS = {f"DESKPULSE_{name}_PORT": "0" for name in ("INGEST", "METRICS", "ALERTS", "API")}


def doctor(folder: Path, **variables: str) -> dict[str, list[dict[str, Any]]]:
    file = folder / "deskpulse.yaml"
    file.write_text(CONFIG)
    environment = {**PORTS, "DESKPULSE_DATA_DIR": str(folder / "data"), **variables}
    told = CliRunner().invoke(app, ["doctor", "--json", "--config", str(file)], env=environment)
    found: dict[str, list[dict[str, Any]]] = {}
    for one in json.loads(told.stdout)["findings"]:
        found.setdefault(one["what"], []).append(one)
    return found


async def written(bootstrap: str, events: list[dict[str, Any]], at_ms: int) -> None:
    await admin.ensure_exist(Connection(bootstrap))
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    for event in events:
        await producer.send_and_wait(topics.TICKETS, json.dumps(event).encode(), timestamp_ms=at_ms)
    await producer.stop()


def test_a_helpdesk_that_fell_silent_and_brokers_whose_clock_is_ahead(tmp_path: Path) -> None:
    old = (clock.now() - timedelta(days=3)).isoformat()
    with BrokerProcess() as broker:
        ahead_ms = clock.now_us() // 1000 + 60_000
        asyncio.run(written(broker.bootstrap, [{"source": "shop", "received_at": old}], ahead_ms))
        found = doctor(tmp_path, DESKPULSE_KAFKA_BOOTSTRAP=broker.bootstrap)
    told = {one["detail"].partition(":")[0]: one for one in found["sources"]}
    assert told["shop"]["level"] == "warning"
    assert told["shop"]["detail"].endswith(", 3 days ago")
    assert "docs/guides/connect-generic.md" in told["shop"]["fix"]
    assert "no webhook has ever been received" in told["desk"]["detail"]
    [off] = found["clocks"]
    assert off["level"] == "problem"
    assert "the clock of Kafka is " in off["detail"]
    assert " s ahead" in off["detail"]


def test_brokers_whose_clock_is_behind_that_of_ingest(tmp_path: Path) -> None:
    with BrokerProcess() as broker:
        event = {"source": "shop", "received_at": clock.now().isoformat()}
        asyncio.run(written(broker.bootstrap, [event], clock.now_us() // 1000 - 5000))
        found = doctor(tmp_path, DESKPULSE_KAFKA_BOOTSTRAP=broker.bootstrap)
    [off] = found["clocks"]
    assert off["level"] == "warning"
    assert " s behind" in off["detail"]


def test_a_cluster_is_looked_at_as_one_redis(tmp_path: Path, redis_cluster: RedisCluster) -> None:
    found = doctor(tmp_path, DESKPULSE_REDIS_URL=redis_cluster.url, DESKPULSE_REDIS_CLUSTER="true")
    assert found["redis"][0]["ok"], found["redis"]
    assert found["clocks"][0]["detail"] == "this machine and Redis agree within 1 s"
    assert "redis disk" not in found
