"""What the Helm chart renders, run: its job, its workloads with their probes, a changed ConfigMap, and the stop."""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from schemas.topics import ALERTS, TOPICS
from services import clock
from services.stream.producer import Connection
from tests.contract import chart
from tests.contract.chart import CHART, SERVICES
from tests.support import helm as helm_support
from tests.support import signing
from tests.support.helm import Helm, Object, Rendered
from tests.support.kafka import Kafka
from tests.support.kubelet import Pod
from tests.support.redis import RedisServer
from tests.support.topics import renewed
from tests.support.wait import until

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.redis,
    pytest.mark.timeout(300),
    pytest.mark.skipif(helm_support.missing() is not None, reason=helm_support.missing() or ""),
]

KEY = b"of the generic source"
SECRET = "whsec_b2YgdGhlIGdlbmVyaWMgc291cmNl"
CONFIG: Object = {
    "sources": {"desk": {"vendor": "generic", "secrets": ["${DESK_SECRET}"]}},
    "segments": [["channel"]],
    "windows": ["1h"],
}


@pytest.fixture(scope="module")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Helm]:
    with helm_support.serving(CHART, tmp_path_factory.mktemp("helm")) as found:
        yield found


class Cluster:
    """The release on this machine: two metrics workers, since their names matter, and one of each other."""

    def __init__(self, helm: Helm, kafka: Kafka, redis: RedisServer, folder: Path) -> None:
        self._helm = helm
        self.folder = folder
        self.values: Object = {
            "kafka": {"bootstrap": kafka.bootstrap},
            "redis": {"url": redis.url},
            "config": CONFIG,
            "secrets": {"values": {"DESK_SECRET": SECRET}},
            "settings": {"bindHost": "127.0.0.1", "kafkaSessionTimeoutS": 6},
            "metrics": {"replicas": 2},
            **{name: {"replicas": 1} for name in ("ingest", "alerts", "api")},
        }
        self.rendered = self.render(CONFIG)
        self.pods: list[Pod] = []

    def render(self, config: Object) -> Rendered:
        """As with this document."""
        return self._helm.render({**self.values, "config": config})

    def run(self, workload: Object, number: int | None = None, *, hooks: bool = False) -> Pod:
        """One pod of a workload. A hook sees no object of the release."""
        spec = workload["spec"]
        name = f"{workload['metadata']['name']}-{'x' if number is None else number}"
        there = self.rendered.hooks if hooks else self.rendered.objects
        template = workload if workload["kind"] == "Pod" else spec["template"]
        pod = Pod(name, template, spec.get("volumeClaimTemplates", []), list(there), self.folder / name)
        self.pods.append(pod)
        return pod

    def start(self) -> None:
        """All workloads, until each is ready by its own probe."""
        for name in SERVICES:
            kind = "Deployment" if name == "api" else "StatefulSet"
            workload = self.rendered.one(kind, f"-{name}")
            for number in range(workload["spec"]["replicas"]):
                self.run(workload, number)
        for pod in self.serving():
            until(
                lambda pod=pod: not pod.running or (pod.probed("startup") and pod.probed("readiness")),
                f"{pod.name} is ready",
                timeout_s=90,
            )
            assert pod.running, pod.said()

    def serving(self) -> list[Pod]:
        """The pods of the workloads."""
        return [pod for pod in self.pods if pod.container["name"] in SERVICES]

    def of(self, service: str) -> list[Pod]:
        """The pods of one."""
        return [pod for pod in self.pods if pod.container["name"] == service]


@pytest.fixture(scope="module")
def cluster(
    helm: Helm, kafka: Kafka, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    if not kafka.can_create_topics:
        pytest.skip(f"{kafka.kind} cannot create topics")
    redis_server.empty()
    asyncio.run(renewed(Connection(kafka.bootstrap)))
    asyncio.run(deleted(kafka.bootstrap, ALERTS))
    found = Cluster(helm, kafka, redis_server, tmp_path_factory.mktemp("cluster"))
    try:
        yield found
    finally:
        for pod in found.pods:
            pod.kill()


async def deleted(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([topic])
    finally:
        await admin.close()


@pytest.fixture(scope="module")
def job(cluster: Cluster) -> Pod:
    """The job that Helm runs first, at its end."""
    pod = cluster.run(cluster.rendered.one("Job", "-topics"), hooks=True)
    assert pod.wait(60) == 0, pod.said()
    return pod


@pytest.fixture(scope="module")
def serving(cluster: Cluster, job: Pod) -> Cluster:
    """All workloads, ready."""
    cluster.start()
    return cluster


def test_the_job_makes_the_topics_with_nothing_but_its_hooks(job: Pod) -> None:
    rows = dict(line.split(maxsplit=1) for line in job.said().splitlines())
    assert set(rows) == set(TOPICS)
    assert rows[ALERTS].startswith("created")


def test_every_workload_becomes_ready_and_counts_a_ticket(serving: Cluster) -> None:
    (ingest,), (api,) = serving.of("ingest"), serving.of("api")
    assert all(pod.probed("liveness") for pod in serving.serving())
    assert post(ingest, "desk").status_code == 200

    def counted() -> bool:
        answer = httpx.get(f"{api.url}/v1/kpis", params={"window": "1h"}, trust_env=False)
        return answer.status_code == 200 and answer.json()["kpis"]["tickets_created"]["count"] == 1

    until(counted, "the ticket is counted", timeout_s=30)


def test_helm_test_finds_the_release_in_order(serving: Cluster) -> None:
    doctor = serving.run(serving.rendered.one("Pod", "-doctor"))
    code = doctor.wait(60)
    assert code == 0, doctor.said()


def test_a_changed_config_map_reaches_every_service_without_a_restart(serving: Cluster) -> None:
    changed = {**CONFIG, "sources": {**CONFIG["sources"], "other": CONFIG["sources"]["desk"]}}
    after = serving.render(changed)
    restarted = [name for name, pod in chart.pods(after).items() if pod != chart.pods(serving.rendered)[name]]
    assert restarted == [], "Kubernetes would replace these"
    data = after.one("ConfigMap", "-config")["data"]
    (ingest,) = serving.of("ingest")
    assert post(ingest, "other").status_code == 404
    for pod in serving.serving():
        assert pod.config is not None
        pod.config.hold(data)
    told = f'hash="{hashlib.sha256(data["deskpulse.yaml"].encode()).hexdigest()[:12]}"'
    for pod in serving.serving():
        until(metric(pod, "deskpulse_config_info", told), f"{pod.name} follows the changed document", timeout_s=20)
        assert pod.probed("readiness")
    assert post(ingest, "other").status_code == 200


def test_every_pod_ends_well_within_its_time_and_wrote_only_to_its_volumes(serving: Cluster) -> None:
    assert {pod.name: pod.terminate() for pod in serving.serving()} == {pod.name: 0 for pod in serving.serving()}
    assert [path for pod in serving.pods for path in pod.work.iterdir()] == []


def metric(pod: Pod, name: str, labels: str) -> Callable[[], bool]:
    """Whether the pod exports this series."""
    return lambda: f"{name}{{{labels}}}" in httpx.get(f"{pod.url}/metrics", trust_env=False).text


def post(pod: Pod, source: str) -> httpx.Response:
    """A ticket is created, says a signed webhook."""
    event: dict[str, Any] = {
        "vendor_event_id": uuid.uuid4().hex,
        "ticket_id": uuid.uuid4().hex,
        "kind": "ticket.created",
        "occurred_at": clock.now().isoformat().replace("+00:00", "Z"),
        "actor": {"kind": "customer"},
        "ticket": {"status": "new", "channel": "email"},
    }
    body = json.dumps(event).encode()
    headers = signing.standard(body, KEY, uuid.uuid4().hex)
    return httpx.post(f"{pod.url}/webhooks/{source}", content=body, headers=headers, trust_env=False)
