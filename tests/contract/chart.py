"""The chart as tests see it: sets of values that matter, and what its rendered objects say of each other."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

import yaml

from services.config.environment import Environment
from tests.contract.house import ROOT
from tests.support.helm import Helm, Object, Rendered
from tests.support.kubernetes import selects

CHART: Final = ROOT / "deploy" / "helm" / "deskpulse"
DOCUMENT: Final = ROOT / "deploy" / "config" / "deskpulse.yaml"
SERVICES: Final = ("ingest", "metrics", "alerts", "api")
WORKLOADS: Final = ("StatefulSet", "Deployment", "Job")
SETTINGS: Final = frozenset(
    json.loads((CHART / "values.schema.json").read_text())["properties"]["settings"]["properties"]
)
"""What may stand in the value ``settings``."""
SECRETS: Final = {"ZENDESK_SECRET": "zendesk-says-hush", "GENERIC_SECRET": "whsec_Z2VuZXJpYy1zYXlzLWh1c2g="}


def camel(name: str) -> str:
    """``produce_deadline_s`` as it stands in ``settings``."""
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


LEAST: Final[Object] = {
    "kafka": {"bootstrap": "kafka-0.kafka:9092,kafka-1.kafka:9192"},
    "redis": {"url": "redis://redis:6380/0"},
    "config": yaml.safe_load(DOCUMENT.read_text()),
    "secrets": {"existing": ["helpdesks"]},
}
"""What must be given, with secrets that exist."""

EVERYTHING: Final[Object] = {
    "fullnameOverride": "desk",
    "image": {"repository": "registry.example.com/deskpulse", "digest": "sha256:" + "0a" * 32, "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "registry"}],
    "config": yaml.safe_load(DOCUMENT.read_text()),
    "secrets": {"existing": ["more"], "values": SECRETS},
    "kafka": {
        "bootstrap": "kafka:9096",
        "securityProtocol": "SASL_SSL",
        "sasl": {"mechanism": "SCRAM-SHA-256", "username": "desk", "password": "kafka-says-hush"},
        "tls": {
            "existingSecret": "kafka-tls",
            "certKey": "tls.crt",
            "keyKey": "tls.key",
            "keyPasswordKey": "password",
            "checkHostname": False,
        },
    },
    "redis": {
        "url": "rediss://one:6380,two:6381",
        "cluster": True,
        "username": "desk",
        "password": "redis-says-hush",
        "tls": {
            "existingSecret": "redis-tls",
            "certKey": "tls.crt",
            "keyKey": "tls.key",
            "keyPasswordKey": "password",
        },
    },
    "settings": {
        **{
            camel(name): field.default
            for name, field in Environment.model_fields.items()
            if field.default is not None and camel(name) in SETTINGS
        },
        "bindHost": "::",
        "kafkaSessionTimeoutS": 20.5,
        "maxBodyBytes": 2_097_152,
        "bodyDeadlineS": 7,
        "trustedProxies": "10.0.0.0/8",
        "dedupeHorizon": "48h",
        "produceDeadlineS": 4,
        "logLevel": "debug",
    },
    "topics": {"replicationFactor": 2},
    "ingest": {
        "replicas": 3,
        "spool": {"size": "1Ti", "maxBytes": 1_000_000_000_000, "storageClass": "fast"},
        "service": {"type": "LoadBalancer", "port": 8080, "annotations": {"a": "b"}},
        "extraEnv": [{"name": "TZ", "value": "UTC"}],
        "podLabels": {"team": "support"},
        "podAnnotations": {"a": "b"},
        "nodeSelector": {"disk": "ssd"},
        "priorityClassName": "high",
        "tolerations": [{"key": "support", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {"nodeAffinity": {}},
        "podDisruptionBudget": {"maxUnavailable": "50%"},
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "rack",
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchLabels": {"team": "support"}},
            }
        ],
    },
    "metrics": {"autoscaling": {"enabled": True, "metadata": {"unsafeSsl": "true"}, "annotations": {"a": "b"}}},
    "serviceAccount": {"annotations": {"a": "b"}},
    "ingress": {
        "webhooks": {"enabled": True, "className": "nginx", "host": "hooks.example.com", "tlsSecret": "hooks-tls"},
        "board": {"enabled": True, "host": "board.example.com", "annotations": {"a": "b"}},
    },
    "networkPolicy": {
        "kafka": {"to": [{"podSelector": {"matchLabels": {"app": "kafka"}}}], "ports": [9096]},
        "extraIngress": [{"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "mesh"}}}]}],
        "extraEgress": [{"ports": [{"protocol": "TCP", "port": 4317}]}],
    },
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}, "runbooksUrl": "https://example.com/d/"},
    "dashboards": {"enabled": True, "annotations": {"grafana_folder": "Deskpulse"}},
}
"""Everything that can be switched on, with secrets of its own."""

FOREIGN: Final[Object] = {
    "existingConfigMap": "document",
    "kafka": {
        "bootstrap": "kafka:9096",
        "securityProtocol": "SASL_SSL",
        "sasl": {"existingSecret": "kafka-user"},
        "tls": {"existingSecret": "kafka-tls"},
    },
    "redis": {"existingSecret": "redis-user", "urlKey": "url", "usernameKey": "user"},
    "secrets": {"existing": ["helpdesks"]},
    "serviceAccount": {"create": False},
    "topics": {"apply": True},
    "metrics": {"autoscaling": {"enabled": True, "authentication": "of-the-cluster"}},
}
"""Everything that may come from objects of the operator's own."""

BARE: Final[Object] = {
    **LEAST,
    "topics": {"apply": False},
    "networkPolicy": {"enabled": False},
    "serviceAccount": {"create": False, "name": "mine"},
    "ingest": {"spool": {"enabled": False}, "podDisruptionBudget": {"enabled": False}, "settleSeconds": 0},
    "podSecurityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": None},
}
"""Everything switched off that can be."""

SETS: Final[Mapping[str, Object]] = {"least": LEAST, "everything": EVERYTHING, "foreign": FOREIGN, "bare": BARE}
THEIRS: Final = frozenset(
    {"helpdesks", "more", "registry", "kafka-tls", "redis-tls", "kafka-user", "redis-user", "document", "mine"}
)
"""What the operator made."""


def pods(rendered: Rendered) -> dict[str, Object]:
    """The pod of each workload, with ``metadata`` and ``spec``, by what it is for."""
    found = {component(one): one["spec"]["template"] for kind in WORKLOADS for one in rendered.of(kind)}
    return found | {component(one): one for one in rendered.of("Pod")}


def component(this: Object) -> str:
    """What an object is for."""
    return str(this["metadata"]["labels"]["app.kubernetes.io/component"])


def containers(pod: Object) -> list[Object]:
    """All of them."""
    return [*pod["spec"]["containers"], *pod["spec"].get("initContainers", [])]


def selected(selector: Object, rendered: Rendered) -> set[str]:
    """The workloads whose pods a selector finds."""
    return {name for name, pod in pods(rendered).items() if selects(selector, pod["metadata"]["labels"])}


def references(pod: Object) -> Iterator[tuple[str, str]]:
    """The kind and name of everything that must be there before a pod can start."""
    spec = pod["spec"]
    if (account := spec["serviceAccountName"]) != "default":
        yield "ServiceAccount", account
    for volume in spec["volumes"]:
        if "configMap" in volume:
            yield "ConfigMap", volume["configMap"]["name"]
        if "secret" in volume:
            yield "Secret", volume["secret"]["secretName"]
    for container in containers(pod):
        for source in container.get("envFrom", []):
            yield "Secret", source["secretRef"]["name"]
        for variable in container["env"]:
            if (found := variable.get("valueFrom", {}).get("secretKeyRef")) is not None:
                yield "Secret", found["name"]


def shown(ingress: Object, path: str) -> bool:
    """Whether an Ingress sends requests for ``path`` anywhere."""
    (rule,) = ingress["spec"]["rules"]
    return any(
        path == one["path"] or (one["pathType"] == "Prefix" and path.startswith(one["path"].rstrip("/") + "/"))
        for one in rule["http"]["paths"]
    )


def changed(values: Object, **parts: Any) -> Object:
    """Values with other parts: ``changed(LEAST, kafka__bootstrap="…")``."""
    found = copy.deepcopy(values)
    for path, value in parts.items():
        *places, last = path.split("__")
        place = found
        for name in places:
            place = place.setdefault(name, {})
        place[last] = value
    return found


def variables(container: Object) -> dict[str, Object]:
    """Its variables by name."""
    return {one["name"]: one for one in container["env"]}


def values_file() -> str:
    """The values that the chart brings."""
    return (CHART / "values.yaml").read_text()


def leaves(schema: Object, name: str = "") -> Iterator[str]:
    """The names of all values that a schema knows."""
    if "properties" not in schema:
        yield name
    for key, inner in schema.get("properties", {}).items():
        yield from leaves(inner, f"{name}.{key}".lstrip("."))


class Sets:
    """Each set of values, rendered once."""

    def __init__(self, helm: Helm) -> None:
        self.of = cache(lambda name: helm.render(SETS[name]))
