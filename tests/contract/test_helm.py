"""The Helm chart by Helm itself: what it accepts, what it refuses, and what the documents say to type."""

from __future__ import annotations

import copy
import json
import re
import runpy
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.topics import SLA, TICKETS, TOPICS
from tests.contract import chart
from tests.contract.chart import (
    CHART,
    SETS,
    Sets,
    changed,
    leaves,
    values_file,
)
from tests.contract.house import ROOT
from tests.support.helm import Helm, Object, Refused, Rendered
from tests.support.kubernetes import VERSIONS, problems

# What is made of others.


def test_schema_table_rules_and_dashboards_of_the_chart_are_made_of_what_there_is() -> None:
    """When this fails, run ``python deploy/helm/make.py``."""
    for path, text in runpy.run_path(str(ROOT / "deploy/helm/make.py"))["made"]().items():
        assert path.read_text() == text, f"{path.relative_to(ROOT)} is out of date: python deploy/helm/make.py"


def test_every_value_is_explained_and_in_the_schema_and_nothing_else_is() -> None:
    explained = {row[0] for row in runpy.run_path(str(ROOT / "deploy/helm/make.py"))["explained"](values_file())}
    known = set(leaves(json.loads((CHART / "values.schema.json").read_text())))
    known = {name for name in known if not name.startswith(("settings.", "global"))} | {"settings", "settings.bindHost"}
    assert explained == known
    defaults = set(paths(yaml.safe_load(values_file()), known))
    assert defaults == known


def paths(values: Object, known: set[str], name: str = "") -> Iterator[str]:
    """The names of all values that a file gives."""
    for key, value in values.items():
        here = f"{name}.{key}".lstrip(".")
        if here in known:
            yield here
        if isinstance(value, dict) and (here not in known or here == "settings"):
            yield from paths(value, known, here)


def test_the_chart_has_the_version_of_the_project() -> None:
    described = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert f'version = "{described["appVersion"]}"' in (ROOT / "pyproject.toml").read_text()
    assert f"deskpulse:{described['appVersion']}" in (ROOT / "docker-compose.yml").read_text()


# What Helm and Kubernetes accept.


def test_this_is_helm(helm: Helm) -> None:
    assert re.match(r"v3\.\d+\.\d+", helm.version)


@pytest.mark.parametrize("name", [None, *sorted(SETS)])
def test_helm_finds_nothing_to_say_against_the_chart(helm: Helm, tmp_path: Path, name: str | None) -> None:
    folder = shutil.copytree(CHART, tmp_path / "deskpulse")
    if name is not None:
        (folder / "values.yaml").write_text(json.dumps(merged(yaml.safe_load(values_file()), SETS[name])))
    report = helm.lint(folder)
    assert report.splitlines() == ["[INFO] Chart.yaml: icon is recommended", "Failed: false"]


def merged(defaults: Object, given: Object) -> Object:
    both = {key: merged(defaults[key], value) for key, value in given.items() if isinstance(defaults.get(key), dict)}
    return {**defaults, **given, **{key: value for key, value in both.items() if isinstance(given[key], dict)}}


def test_helm_would_find_a_mistake_in_a_template(helm: Helm, tmp_path: Path) -> None:
    folder = shutil.copytree(CHART, tmp_path / "deskpulse")
    (folder / "templates/broken.yaml").write_text("kind: {{ .Values.nowhere.at.all }}\n")
    assert "Failed: true" in helm.lint(folder)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", sorted(SETS))
def test_every_object_is_what_kubernetes_and_the_operators_declare(sets: Sets, name: str, version: str) -> None:
    objects = sets.of(name).everything
    assert len(objects) > 10
    assert [problem for one in objects for problem in problems(one, version)] == []


@pytest.mark.parametrize(
    ("kind", "place", "value", "problem"),
    [
        ("StatefulSet", ("spec", "template", "spec", "terminationGracePeriod"), 60, "terminationGracePeriod"),
        ("StatefulSet", ("spec", "replicas"), "two", "'two' is not of type"),
        ("ScaledObject", ("spec", "minReplicas"), 1, "minReplicas"),
        ("ScaledObject", ("spec", "triggers", 0, "metadata", "lagThreshold"), 5, "5 is not of type 'string'"),
        ("ServiceMonitor", ("spec", "endpoints", 0, "port"), 8081, "8081 is not of type"),
        ("NetworkPolicy", ("spec", "ingres"), [], "ingres"),
    ],
)
def test_a_mistake_in_an_object_is_found(
    sets: Sets, kind: str, place: tuple[Any, ...], value: Any, problem: str
) -> None:
    broken = copy.deepcopy(sets.of("everything").of(kind)[0])
    inner: Any = broken
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    assert [found for found in problems(broken, VERSIONS[-1]) if problem in found]


def test_an_older_kubernetes_is_refused(helm: Helm) -> None:
    with pytest.raises(Refused, match="kubeVersion"):
        helm.render(chart.LEAST, kubernetes="1.26.9")


# What is refused.


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ({"kafka__bootstrp": "kafka:9092"}, "at '/kafka': additional properties 'bootstrp' not allowed"),
        ({"settings__kafkaBootstrap": "x"}, "at '/settings': additional properties 'kafkaBootstrap' not allowed"),
        ({"settings__maxBodyBytes": "many"}, "at '/settings/maxBodyBytes'"),
        ({"metrics__autoscaling__minReplicas": 0}, "at '/metrics/autoscaling/minReplicas': minimum: got 0, want 1"),
        ({"image__digest": "latest"}, "at '/image/digest'"),
        ({"secrets__values": {"A-B": "x"}}, "invalid propertyName 'A-B'"),
        ({"kafka__bootstrap": ""}, "kafka.bootstrap: name your brokers"),
        ({"redis__url": ""}, "redis: give url, or existingSecret with urlKey"),
        ({"redis__url": "redis://:hush@redis:6379/0"}, "redis.url: has a password in it"),
        ({"config": {}}, "config: give the document"),
        ({"existingConfigMap": "mine"}, "config: both config and existingConfigMap"),
        ({"config": "sources: ["}, "config: not YAML"),
        ({"secrets__existing": []}, "secrets: config names ${ZENDESK_SECRET}"),
        ({"metrics__replicas": 13}, "metrics.replicas: 13 workers for 12 partitions"),
        (
            {"metrics__autoscaling": {"enabled": True, "maxReplicas": 13}},
            "metrics.autoscaling.maxReplicas: 13 workers for 12 partitions",
        ),
        (
            {"metrics__autoscaling": {"enabled": True, "minReplicas": 5, "maxReplicas": 4}},
            "minReplicas is more than maxReplicas",
        ),
        ({"alerts__replicas": 13}, "alerts.replicas: 13 workers for 12 partitions"),
        (
            {"kafka__securityProtocol": "SASL_SSL"},
            "kafka.sasl: SASL_SSL needs existingSecret, or username and password",
        ),
        ({"kafka__sasl": {"existingSecret": "user"}}, "kafka.sasl: not used with kafka.securityProtocol PLAINTEXT"),
        ({"kafka__tls": {"existingSecret": "tls"}}, "kafka.tls: not used with kafka.securityProtocol PLAINTEXT"),
        ({"redis__tls": {"existingSecret": "tls"}}, "redis.tls: not used with this redis.url; TLS is rediss://"),
        ({"redis__tls": {"keyKey": "tls.key"}}, "redis.tls: keyKey is the key of a certificate"),
        ({"ingest__spool__size": "512Mi"}, "a volume of 512Mi has no room for maxBytes 1073741824"),
        ({"ingest__settleSeconds": 30}, "ingest.terminationGracePeriodSeconds: a service needs up to 30 to stop"),
        ({"metrics__terminationGracePeriodSeconds": 30}, "at '/metrics/terminationGracePeriodSeconds'"),
        ({"ingress__board__enabled": True}, "ingress.board.host: name the host"),
    ],
)
def test_values_that_could_not_work_are_refused_with_the_way_out(
    helm: Helm, parts: dict[str, Any], problem: str
) -> None:
    with pytest.raises(Refused) as refused:
        helm.render(changed(chart.LEAST, **parts))
    assert problem in str(refused.value)


def test_everything_that_is_wrong_is_said_at_once(helm: Helm) -> None:
    with pytest.raises(Refused) as refused:
        helm.render({})
    assert [line.partition(":")[0] for line in str(refused.value).splitlines() if ": " in line][-3:] == [
        *("kafka.bootstrap", "redis", "config")
    ]


def test_more_partitions_allow_more_workers(helm: Helm) -> None:
    values = changed(chart.LEAST, metrics__replicas=13, kafka__partitions__tickets=24)
    assert helm.render(values).one("StatefulSet", "-metrics")["spec"]["replicas"] == 13


def test_the_partitions_are_those_that_the_topics_declare() -> None:
    given = yaml.safe_load(values_file())["kafka"]["partitions"]
    assert given == {"tickets": TOPICS[TICKETS].partitions, "sla": TOPICS[SLA].partitions}


# What the operator is told.


def test_the_notes_say_what_to_do_next(helm: Helm) -> None:
    notes = helm.notes(chart.LEAST)
    for word in ("helm -n support test deskpulse", "/webhooks/zendesk", "/webhooks/generic", "port-forward"):
        assert word in notes
    assert "CAREFUL" in notes, "an API that everybody may ask"
    shown = helm.notes(chart.EVERYTHING)
    assert "https://hooks.example.com/webhooks/zendesk" in shown
    assert "http://board.example.com/" in shown
    assert "/webhooks/<source>" in helm.notes(chart.FOREIGN)


def test_a_protected_api_needs_no_warning(helm: Helm) -> None:
    assert "CAREFUL" not in helm.notes(changed(chart.LEAST, config__api_tokens=["a-token"]))


def test_the_image_is_the_one_that_was_named(helm: Helm, sets: Sets) -> None:
    def images(rendered: Rendered) -> set[str]:
        return {one["image"] for pod in chart.pods(rendered).values() for one in chart.containers(pod)}

    assert images(sets.of("least")) == {"deskpulse:0.1.0"}
    assert images(helm.render(changed(chart.LEAST, image={"repository": "r/d", "tag": "1"}))) == {"r/d:1"}
    assert images(sets.of("everything")) == {"registry.example.com/deskpulse@sha256:" + "0a" * 32}


# What the documents tell people to type.

PAGES = (ROOT / "docs/guides/kubernetes.md", CHART / "README.md")


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def commands() -> list[tuple[str, list[str]]]:
    """The installs and upgrades of the documents, in words."""
    lines = [
        (page.name, line)
        for page in PAGES
        for block in blocks(page, "bash")
        for line in block.replace("\\\n", "").split("\n")
    ]
    words = [(name, shlex.split(line)) for name, line in lines if line.startswith("helm ")]
    return [(name, found[1:]) for name, found in words if found[1] in ("install", "upgrade", "template")]


@pytest.mark.parametrize(
    ("page", "words"), commands(), ids=lambda one: one if isinstance(one, str) else " ".join(one[:2])
)
def test_helm_does_what_the_documents_say(helm: Helm, tmp_path: Path, page: str, words: list[str]) -> None:
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    (tmp_path / "my-values.yaml").write_text(blocks(PAGES[0], "yaml")[0])
    helm.typed(words, tmp_path)


def test_a_command_that_helm_would_refuse_is_found(helm: Helm, tmp_path: Path) -> None:
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    with pytest.raises(Refused, match="additional properties 'bootstrp' not allowed"):
        helm.typed(["install", "deskpulse", "deploy/helm/deskpulse", "--set", "kafka.bootstrp=kafka:9092"], tmp_path)


def test_every_file_of_values_in_the_guide_is_accepted(helm: Helm) -> None:
    found = [yaml.safe_load(block) for block in blocks(PAGES[0], "yaml")]
    assert len(found) == 3
    for values in found:
        helm.render(merged(chart.LEAST, values))


def test_the_guide_speaks_of_objects_and_values_that_there_are(sets: Sets) -> None:
    text = PAGES[0].read_text()
    there = {one["metadata"]["name"] for one in sets.of("least").everything}
    named = set(re.findall(r"(?:statefulset|job|deployment|service)[ /](deskpulse-[a-z]+)", text))
    assert named
    assert named <= there
    known = set(leaves(json.loads((CHART / "values.schema.json").read_text())))
    tops = {name.partition(".")[0] for name in known}
    dotted = {
        name
        for name in re.findall(r"`([a-z][A-Za-z]+(?:\.[A-Za-z]+)+)(?::[^`]*)?`", text)
        if name.partition(".")[0] in tops
    }
    assert len(dotted) > 20
    assert [name for name in dotted if not any(one == name or one.startswith(f"{name}.") for one in known)] == []
