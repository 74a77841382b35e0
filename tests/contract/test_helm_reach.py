"""The Helm chart: what scales, who reaches whom, and what watches it."""

from __future__ import annotations

import json

import pytest
import yaml

from schemas.topics import TICKETS, TOPICS
from services.alerts.access.table import PROBES, ROWS
from services.metrics import main as metrics
from services.metrics.worker import _COMMIT_S
from tests.contract import chart
from tests.contract.chart import (
    SERVICES,
    SETS,
    THEIRS,
    Sets,
    changed,
)
from tests.contract.house import ROOT
from tests.support.helm import Helm
from tests.support.kubernetes import Peer, allowed

# Scaling.


@pytest.mark.parametrize("name", ["everything", "foreign"])
def test_the_scaler_looks_at_the_group_and_topic_of_the_workers(sets: Sets, name: str) -> None:
    rendered = sets.of(name)
    (scaled,) = rendered.of("ScaledObject")
    spec = scaled["spec"]
    target = next(one for one in rendered.of("StatefulSet") if chart.component(one) == "metrics")
    assert spec["scaleTargetRef"] == {
        "apiVersion": target["apiVersion"],
        "kind": "StatefulSet",
        "name": target["metadata"]["name"],
    }
    assert "replicas" not in target["spec"], "an upgrade would undo what KEDA chose"
    (trigger,) = spec["triggers"]
    looked = trigger["metadata"]
    assert trigger["type"] == "kafka"
    assert (looked["consumerGroup"], looked["topic"]) == (metrics.GROUP, TICKETS)
    assert looked["bootstrapServers"] == SETS[name]["kafka"]["bootstrap"]
    assert 1 <= spec["minReplicaCount"] <= spec["maxReplicaCount"] <= TOPICS[TICKETS].partitions
    assert (looked["allowIdleConsumers"], looked["excludePersistentLag"]) == ("false", "true")
    assert spec["pollingInterval"] > 2 * _COMMIT_S, (
        "between two looks at a healthy partition its offset must have moved"
    )
    assert tuple(map(int, looked["version"].split("."))) >= (2, 1, 0), "Kafka 4 speaks no older protocol"


def test_only_metrics_is_scaled_by_itself(sets: Sets) -> None:
    assert {chart.component(one) for one in sets.of("everything").of("ScaledObject")} == {"metrics"}
    assert sets.of("least").of("ScaledObject") == []


def test_the_scaler_gets_in_as_the_services_do(sets: Sets) -> None:
    rendered = sets.of("everything")
    (trigger,) = rendered.of("ScaledObject")[0]["spec"]["triggers"]
    assert (trigger["metadata"]["sasl"], trigger["metadata"]["tls"]) == ("scram_sha256", "enable")
    (authentication,) = rendered.of("TriggerAuthentication")
    assert trigger["authenticationRef"]["name"] == authentication["metadata"]["name"]
    given = {one["parameter"]: one for one in authentication["spec"]["secretTargetRef"]}
    assert set(given) == {"username", "password", "ca", "cert", "key", "keyPassword"}
    made = {one["metadata"]["name"]: one["data"] for one in rendered.of("Secret")}
    for one in given.values():
        assert one["name"] in THEIRS or one["key"] in made[one["name"]]
    foreign = sets.of("foreign")
    assert foreign.of("TriggerAuthentication") == []
    assert foreign.of("ScaledObject")[0]["spec"]["triggers"][0]["authenticationRef"] == {"name": "of-the-cluster"}


# Who reaches whom.


NGINX = Peer({"app": "nginx"}, "ingress-nginx")
PROMETHEUS = Peer({"app.kubernetes.io/name": "prometheus"}, "monitoring")
STRANGER = Peer({"app": "stranger"})
HELPER = Peer({"app.kubernetes.io/name": "prometheus", "app": "stranger"}, "elsewhere")
OUTSIDE = Peer(address="203.0.113.9")
METADATA = Peer(address="169.254.169.254")
KAFKA, REDIS, DNS = (
    Peer({"app": "kafka"}, "kafka"),
    Peer({"app": "redis"}),
    Peer({"k8s-app": "kube-dns"}, "kube-system"),
)


@pytest.mark.parametrize(
    ("source", "target", "port", "passes"),
    [
        *((NGINX, "ingest", 8080, True), (NGINX, "api", 8090, True), (NGINX, "metrics", 8081, False)),
        *((NGINX, "alerts", 8082, False), (NGINX, "ingest", 8081, False)),
        *((STRANGER, name, port, False) for name, port in zip(SERVICES, (8080, 8081, 8082, 8090), strict=True)),
        *((OUTSIDE, name, port, False) for name, port in zip(SERVICES, (8080, 8081, 8082, 8090), strict=True)),
        *((PROMETHEUS, name, port, True) for name, port in zip(SERVICES, (8080, 8081, 8082, 8090), strict=True)),
        *((name, DNS, 53, True) for name in (*SERVICES, "topics", "doctor")),
        *((name, KAFKA, 9192, name != "api") for name in (*SERVICES, "topics", "doctor")),
        *((name, REDIS, 6380, name != "topics") for name in (*SERVICES, "topics", "doctor")),
        *((name, REDIS, 6379, False) for name in SERVICES),
        *((name, OUTSIDE, 443, name in ("ingest", "alerts", "api")) for name in (*SERVICES, "topics")),
        *((name, METADATA, 443, False) for name in SERVICES),
        *((name, METADATA, 80, False) for name in SERVICES),
        *(("alerts", OUTSIDE, 587, True), ("alerts", OUTSIDE, 25, False), ("metrics", "api", 8090, False)),
        *(("ingest", "metrics", 8081, False), ("ingest", STRANGER, 8080, False)),
    ],
)
def test_network_policies_let_through_what_is_needed_and_nothing_else(
    sets: Sets, source: Peer | str, target: Peer | str, port: int, passes: bool
) -> None:
    rendered = sets.of("least")
    ends = [
        Peer(chart.pods(rendered)[end]["metadata"]["labels"]) if isinstance(end, str) else end
        for end in (source, target)
    ]
    assert allowed(rendered.of("NetworkPolicy"), ends[0], ends[1], port, "UDP" if port == 53 else "TCP") is passes


def test_without_policies_everybody_reaches_everything(sets: Sets) -> None:
    assert sets.of("bare").of("NetworkPolicy") == []
    assert allowed([], STRANGER, Peer({"any": "pod"}), 8081)


def test_peers_and_rules_of_the_operator_count(sets: Sets) -> None:
    rendered = sets.of("everything")
    policies, pods = rendered.of("NetworkPolicy"), chart.pods(rendered)
    mesh, here = Peer({}, "mesh"), {name: Peer(pods[name]["metadata"]["labels"]) for name in SERVICES}
    assert allowed(policies, mesh, here["metrics"], 9999)
    assert allowed(policies, here["metrics"], Peer({"app": "kafka"}), 9096)
    assert not allowed(policies, here["metrics"], KAFKA, 9096), "the broker of another namespace"
    assert not allowed(policies, here["metrics"], Peer({"app": "kafka"}), 9092)
    assert allowed(policies, here["metrics"], Peer({"app": "redis"}), 6381), "every node of the Cluster"
    assert allowed(policies, here["alerts"], Peer({"app": "collector"}, "tracing"), 4317)


def test_the_world_sees_webhooks_and_the_board_and_no_metrics(sets: Sets) -> None:
    found = {chart.component(one): one for one in sets.of("everything").of("Ingress")}
    assert chart.shown(found["ingest"], "/webhooks/zendesk")
    assert not any(chart.shown(found["ingest"], path) for path in (*PROBES, "/", "/openapi.json"))
    assert not any(chart.shown(found["api"], path) for path in PROBES)
    assert [row.path for row in ROWS if row.path not in PROBES and not chart.shown(found["api"], row.path)] == []
    for one in found.values():
        (rule,) = one["spec"]["rules"]
        services = {path["backend"]["service"]["name"] for path in rule["http"]["paths"]}
        assert services == {f"desk-{chart.component(one)}"}


# What watches it.


def test_prometheus_finds_every_service_under_the_names_that_rules_know(sets: Sets) -> None:
    rendered = sets.of("everything")
    (monitor,) = rendered.of("ServiceMonitor")
    wanted = monitor["spec"]["selector"]["matchLabels"]
    scraped = [one for one in rendered.of("Service") if wanted.items() <= one["metadata"]["labels"].items()]
    assert sorted(map(chart.component, scraped)) == sorted(SERVICES)
    (endpoint,) = monitor["spec"]["endpoints"]
    assert all(endpoint["port"] in {port["name"] for port in one["spec"]["ports"]} for one in scraped)
    relabelled = {one["targetLabel"]: one for one in endpoint["relabelings"]}
    assert relabelled["job"]["replacement"] == "deskpulse"
    assert 'job="deskpulse"' in (ROOT / "deploy/prometheus/rules/deskpulse.yml").read_text()
    assert relabelled["service"]["sourceLabels"] == ["__meta_kubernetes_service_label_app_kubernetes_io_component"]
    compose = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"][0]
    assert {one["labels"]["service"] for one in compose["static_configs"]} == set(map(chart.component, scraped))


def test_the_rules_come_along_as_they_are_but_for_where_runbooks_lie(helm: Helm, sets: Sets) -> None:
    shipped = yaml.safe_load((ROOT / "deploy/prometheus/rules/deskpulse.yml").read_text())["groups"]
    plain = helm.render(changed(chart.LEAST, prometheusRule__enabled=True)).of("PrometheusRule")[0]["spec"]["groups"]
    assert plain == shipped
    linked = sets.of("everything").of("PrometheusRule")[0]["spec"]["groups"]
    books = [rule["annotations"]["runbook_url"] for group in linked for rule in group["rules"] if "alert" in rule]
    assert books
    assert all((ROOT / book.removeprefix("https://example.com/d/")).is_file() for book in books)


def test_every_dashboard_comes_along_as_it_is(sets: Sets) -> None:
    shipped = {path.name: path.read_text() for path in (ROOT / "deploy/grafana/dashboards").glob("*.json")}
    found: dict[str, str] = {}
    for one in sets.of("everything").of("ConfigMap"):
        if one["metadata"]["labels"].get("grafana_dashboard"):
            found |= one["data"]
    assert {name: json.loads(text) for name, text in found.items()} == {
        name: json.loads(text) for name, text in shipped.items()
    }
