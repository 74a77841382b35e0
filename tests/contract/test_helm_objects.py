"""What the Helm chart renders fits together: selectors, ports, volumes, settings, and the document."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.config.document import parse
from services.config.environment import Environment
from tests.contract import chart
from tests.contract.chart import (
    CHART,
    DOCUMENT,
    SECRETS,
    SERVICES,
    SETS,
    THEIRS,
    Sets,
    changed,
    variables,
)
from tests.contract.deployment import SETTINGS
from tests.contract.house import ROOT
from tests.support import helm as helm_support
from tests.support.helm import Helm, Object, Rendered

# What fits together.


def test_every_container_may_do_only_what_it_must(rendered: Rendered) -> None:
    for pod in chart.pods(rendered).values():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
        assert {kind for volume in spec["volumes"] for kind in volume} <= {"name", "configMap", "secret", "emptyDir"}
        for container in chart.containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])
            assert "memory" in container["resources"]["limits"]
            assert not container.get("privileged")


def test_the_ids_are_those_of_the_image_unless_the_cluster_chooses_them(sets: Sets) -> None:
    user = re.search(r"^USER (\d+):(\d+)", (ROOT / "deploy/Dockerfile").read_text(), re.MULTILINE)
    assert user is not None
    for pod in chart.pods(sets.of("least")).values():
        context = pod["spec"]["securityContext"]
        assert (context["runAsUser"], context["runAsGroup"]) == (int(user[1]), int(user[2]))
        assert context["fsGroup"] == int(user[2])
    for pod in chart.pods(sets.of("bare")).values():
        assert not {"runAsUser", "runAsGroup", "fsGroup"} & set(pod["spec"]["securityContext"])


def test_every_service_is_probed_where_it_listens(rendered: Rendered) -> None:
    defaults = Environment(_env_file=None)
    for name in SERVICES:
        (container,) = chart.containers(chart.pods(rendered)[name])
        port = getattr(defaults, f"{name}_port")
        assert container["args"] == [name]
        assert container["ports"] == [{"name": "http", "containerPort": port}]
        assert {"name": f"DESKPULSE_{name.upper()}_PORT", "value": str(port)} in container["env"]
        probed = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
        assert {probe["port"] for probe in probed.values()} == {"http"}
        assert [probe["path"] for probe in probed.values()] == ["/livez", "/livez", "/readyz"]


def test_a_stopping_service_has_the_time_that_it_may_take(rendered: Rendered) -> None:
    for name in SERVICES:
        pod = chart.pods(rendered)[name]
        (container,) = chart.containers(pod)
        settle = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["sleep", "0"])
        assert pod["spec"]["terminationGracePeriodSeconds"] > 30 + int(settle[1])


def test_every_selector_finds_the_pods_of_one_workload(rendered: Rendered) -> None:
    for kind in ("StatefulSet", "Deployment", "PodDisruptionBudget"):
        for one in rendered.of(kind):
            assert chart.selected(one["spec"]["selector"], rendered) == {chart.component(one)}
    for one in rendered.of("Service"):
        assert chart.selected({"matchLabels": one["spec"]["selector"]}, rendered) == {chart.component(one)}
    for one in rendered.of("NetworkPolicy"):
        assert chart.selected(one["spec"]["podSelector"], rendered) == {chart.component(one)}


def test_a_service_sends_to_a_port_that_its_pods_have(rendered: Rendered) -> None:
    for one in rendered.of("Service"):
        (container,) = chart.containers(chart.pods(rendered)[chart.component(one)])
        names = {port["name"] for port in container["ports"]}
        assert {port["targetPort"] for port in one["spec"]["ports"]} <= names
        if one["spec"].get("clusterIP") == "None":  # without an address of its own there is nothing that translates
            assert [port["port"] for port in one["spec"]["ports"]] == [container["ports"][0]["containerPort"]]


def test_every_stateful_set_has_its_headless_service(rendered: Rendered) -> None:
    headless = {one["metadata"]["name"] for one in rendered.of("Service") if one["spec"].get("clusterIP") == "None"}
    assert {one["spec"]["serviceName"] for one in rendered.of("StatefulSet")} == headless


def test_every_workload_that_has_a_budget_can_still_be_drained(rendered: Rendered) -> None:
    for one in rendered.of("PodDisruptionBudget"):
        assert one["spec"]["maxUnavailable"] not in (0, "0%")
        assert "minAvailable" not in one["spec"]
        assert one["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_pods_are_spread_among_their_own(sets: Sets) -> None:
    for name in SERVICES:
        pod = chart.pods(sets.of("least"))[name]
        for constraint in pod["spec"]["topologySpreadConstraints"]:
            assert chart.selected(constraint["labelSelector"], sets.of("least")) == {name}
    (own,) = chart.pods(sets.of("everything"))["ingest"]["spec"]["topologySpreadConstraints"]
    assert own["labelSelector"] == {"matchLabels": {"team": "support"}}


def test_what_a_pod_needs_is_in_the_release_or_the_operators(rendered: Rendered) -> None:
    there = {(one["kind"], one["metadata"]["name"]) for one in rendered.objects}
    for name, pod in chart.pods(rendered).items():
        if name != "topics":
            assert [one for one in chart.references(pod) if one not in there and one[1] not in THEIRS] == []


def test_a_variable_that_comes_from_a_secret_of_ours_is_in_it(rendered: Rendered) -> None:
    ours = {one["metadata"]["name"]: one["data"] for one in rendered.of("Secret")}
    for pod in chart.pods(rendered).values():
        for container in chart.containers(pod):
            asked = [one["valueFrom"]["secretKeyRef"] for one in container["env"] if "secretKeyRef" in str(one)]
            assert [one for one in asked if one["name"] not in THEIRS and one["key"] not in ours[one["name"]]] == []


def test_helm_knows_what_is_a_hook(helm: Helm, sets: Sets) -> None:
    assert list(helm.released(SETS["everything"])) == list(sets.of("everything").objects)
    kinds = {one["kind"] for one in sets.of("everything").hooks}
    assert kinds == {"ServiceAccount", "ConfigMap", "Secret", "NetworkPolicy", "Job", "Pod"}


def test_on_a_first_install_the_job_needs_nothing_of_the_release(rendered: Rendered) -> None:
    for job in rendered.of("Job"):
        weight = int(job["metadata"]["annotations"]["helm.sh/hook-weight"])
        earlier = {
            (one["kind"], one["metadata"]["name"])
            for one in rendered.hooks
            if int(one["metadata"]["annotations"].get("helm.sh/hook-weight", 0)) < weight
        }
        needed = set(chart.references(job["spec"]["template"]))
        assert {one for one in needed if one[1] not in THEIRS} <= earlier
        released = {(one["kind"], one["metadata"]["name"]) for one in rendered.objects}
        assert not earlier & released, "a hook would replace what belongs to the release"


def test_the_topics_are_made_before_every_install_and_upgrade(sets: Sets) -> None:
    (job,) = sets.of("everything").of("Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    (container,) = chart.containers(job["spec"]["template"])
    assert container["args"] == ["topics", "apply", "--replication-factor", "2"]
    assert sets.of("bare").of("Job") == []


def test_only_ingest_has_a_volume_and_it_stays_when_the_release_goes(sets: Sets) -> None:
    found = {one["metadata"]["name"]: one["spec"] for one in sets.of("least").of("StatefulSet")}
    assert [name for name, spec in found.items() if spec.get("volumeClaimTemplates")] == ["deskpulse-ingest"]
    spec = found["deskpulse-ingest"]
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    (container,) = spec["template"]["spec"]["containers"]
    (claim,) = spec["volumeClaimTemplates"]
    mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounted[claim["metadata"]["name"]] == variables(container)["DESKPULSE_SPOOL_DIR"]["value"]
    bare = sets.of("bare").one("StatefulSet", "-ingest")["spec"]
    assert "volumeClaimTemplates" not in bare
    assert variables(bare["template"]["spec"]["containers"][0])["DESKPULSE_SPOOL_MAX_BYTES"]["value"] == "0"


def test_nothing_is_written_but_to_volumes(rendered: Rendered) -> None:
    """What a container may write to, and no more: its spool, and /tmp."""
    for name, pod in chart.pods(rendered).items():
        (container,) = chart.containers(pod)
        writable = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
        assert writable - {"/var/lib/deskpulse/spool"} == {"/tmp"}
        assert ("/var/lib/deskpulse/spool" in writable) <= (name == "ingest")


@pytest.mark.parametrize("release", ["deskpulse", "a", "an-enormously-long-name-of-a-release-of-53-letters-abc"[:53]])
def test_names_fit_however_the_release_is_called(helm: Helm, release: str) -> None:
    rendered = helm.render(chart.EVERYTHING | {"fullnameOverride": ""}, release=release)
    names = [(one["kind"], one["metadata"]["name"]) for one in rendered.everything]
    assert len(names) == len(set(names))
    for one in rendered.everything:
        assert len(one["metadata"]["name"]) <= 63
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", one["metadata"]["name"])
        assert all(len(value) <= 63 for value in one["metadata"].get("labels", {}).values())
        if one["kind"] == "StatefulSet":  # its pods have a label with the hash of their revision
            assert len(one["metadata"]["name"]) <= 52


def test_two_releases_in_one_namespace_leave_each_other_alone(helm: Helm) -> None:
    one, other = helm.render(chart.LEAST, release="one"), helm.render(chart.LEAST, release="other")
    for found in (*one.of("StatefulSet"), *one.of("Deployment"), *one.of("PodDisruptionBudget")):
        assert chart.selected(found["spec"]["selector"], other) == set()
    names = {(found["kind"], found["metadata"]["name"]) for found in one.everything}
    assert not names & {(found["kind"], found["metadata"]["name"]) for found in other.everything}


# Settings.


def test_every_variable_of_a_container_is_a_setting(rendered: Rendered) -> None:
    for pod in chart.pods(rendered).values():
        for container in chart.containers(pod):
            ours = [one["name"] for one in container["env"] if one["name"].startswith("DESKPULSE_")]
            assert set(ours) <= SETTINGS
            assert len(ours) == len(set(ours))


def test_every_setting_of_the_services_can_be_given(sets: Sets) -> None:
    given: set[str] = set()
    for pod in chart.pods(sets.of("everything")).values():
        given |= {name for container in chart.containers(pod) for name in variables(container)}
    assert given & SETTINGS == SETTINGS - {"DESKPULSE_DATA_DIR"}, "see GIVEN in deploy/helm/values_schema.py"


def test_the_services_understand_what_they_are_given(sets: Sets, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers, flags and files as the code reads them: a values file's numbers are floating point."""
    (container,) = chart.containers(chart.pods(sets.of("everything"))["ingest"])
    for name, variable in variables(container).items():
        monkeypatch.setenv(name, variable.get("value", "hush"))
    found = Environment(_env_file=None)
    assert (found.max_body_bytes, found.spool_max_bytes) == (2_097_152, 1_000_000_000_000)
    assert (found.kafka_session_timeout_s, found.body_deadline_s) == (20.5, 7.0)
    assert (found.bind_host, found.dedupe_horizon, found.trusted_proxies) == ("::", "48h", "10.0.0.0/8")
    kafka, redis = found.kafka(), found.redis()
    assert (kafka.security_protocol, kafka.sasl_mechanism, kafka.sasl_username) == ("SASL_SSL", "SCRAM-SHA-256", "desk")
    assert (found.kafka_ssl_check_hostname, found.redis_ssl_check_hostname) == (False, True)
    assert (redis.url, redis.cluster, redis.username) == ("rediss://one:6380,two:6381", True, "desk")


def test_files_that_settings_name_are_mounted(sets: Sets) -> None:
    for name, pod in chart.pods(sets.of("everything")).items():
        (container,) = chart.containers(pod)
        folders = {mount["mountPath"] for mount in container["volumeMounts"]}
        files = [one["value"] for key, one in variables(container).items() if key.endswith("FILE")]
        assert len(files) == (3 if name in ("api", "topics") else 6)
        assert {file.rpartition("/")[0] for file in files} <= folders


def test_what_kubernetes_says_of_services_cannot_be_taken_for_a_setting(rendered: Rendered) -> None:
    """A Service called deskpulse-ingest would put DESKPULSE_INGEST_PORT=tcp://… into every pod."""
    links = {
        f"{one['metadata']['name'].upper().replace('-', '_')}_PORT"
        for one in rendered.of("Service")
        if one["spec"].get("clusterIP") != "None"
    }
    assert links & SETTINGS or rendered.of("Service")[0]["metadata"]["name"].startswith("desk-")
    assert all(pod["spec"]["enableServiceLinks"] is False for pod in chart.pods(rendered).values())


def test_only_workers_that_keep_their_name_are_told_it(rendered: Rendered) -> None:
    """Two members of one name would throw each other out of the group: a StatefulSet never has two pods of one name."""
    told = {
        name
        for name, pod in chart.pods(rendered).items()
        for container in chart.containers(pod)
        if "DESKPULSE_INSTANCE_ID" in variables(container)
    }
    assert told == {"metrics", "alerts"}
    assert told <= {chart.component(one) for one in rendered.of("StatefulSet")}


def test_secrets_are_nowhere_but_in_secrets(helm: Helm, sets: Sets) -> None:
    rendered = sets.of("everything")
    hidden = ["kafka-says-hush", "redis-says-hush", *SECRETS.values()]
    there = [*(json.dumps(one) for one in rendered.everything if one["kind"] != "Secret"), helm.notes(chart.EVERYTHING)]
    assert [text for text in there if any(secret in text for secret in hidden)] == []
    kept = {key for one in rendered.of("Secret") for key in one["data"]}
    assert kept == {*SECRETS, "kafka-username", "kafka-password", "redis-password"}


# The document.


@pytest.mark.parametrize("given", ["as values", "as a file"])
def test_the_document_arrives_as_it_was_meant(helm: Helm, given: str) -> None:
    if given == "as values":
        rendered = helm.render(chart.LEAST)
    else:
        values = {key: value for key, value in chart.LEAST.items() if key != "config"}
        rendered = helm.render(values, document=DOCUMENT)
    meant = parse(DOCUMENT.read_text(), SECRETS)
    maps = rendered.of("ConfigMap")
    assert len(maps) == 2
    for found in maps:
        assert parse(found["data"]["deskpulse.yaml"], SECRETS) == meant


def templates(rendered: Rendered) -> dict[str, str]:
    return {name: json.dumps(pod, sort_keys=True) for name, pod in chart.pods(rendered).items() if name in SERVICES}


@pytest.mark.parametrize(
    ("key", "value", "restarted"),
    [
        ("windows", ["1h"], set()),
        ("sla_policies", [], set()),
        ("sources", {"mine": {"vendor": "zendesk", "secrets": ["x"]}}, set()),
        ("receivers", {"oncall": {"webhook": {"url": "https://example.com", "secrets": ["x"]}}}, {"alerts", "api"}),
        ("board_url", "https://board.example.com", {"alerts"}),
        ("runbooks_url", "https://runbooks.example.com", {"alerts"}),
        ("links", {"secrets": ["x"]}, {"alerts"}),
    ],
)
def test_a_changed_document_restarts_only_whom_it_must(
    helm: Helm, sets: Sets, key: str, value: Any, restarted: set[str]
) -> None:
    before = templates(sets.of("least"))
    after = templates(helm.render(changed(chart.LEAST, **{f"config__{key}": value})))
    assert {name for name in SERVICES if before[name] != after[name]} == restarted


def test_what_takes_a_restart_is_what_the_services_say() -> None:
    from services.alerts.worker import _AT_THE_START

    assert set(_AT_THE_START) == {"receivers", "board_url", "runbooks_url", "links"}


def fixed(rendered: Rendered) -> dict[str, Object]:
    """What Kubernetes lets nobody change in what is there."""
    free = ("replicas", "template", "updateStrategy", "minReadySeconds", "persistentVolumeClaimRetentionPolicy")
    found = {
        one["metadata"]["name"]: {key: value for key, value in one["spec"].items() if key not in free}
        for one in rendered.of("StatefulSet")
    }
    return found | {one["metadata"]["name"]: one["spec"]["selector"] for one in rendered.of("Deployment")}


def test_a_changed_secret_restarts_all_and_a_new_chart_none(helm: Helm, tmp_path: Path) -> None:
    rendered = helm.render(chart.EVERYTHING)
    before = templates(rendered)
    after = templates(helm.render(changed(chart.EVERYTHING, secrets__values__ZENDESK_SECRET="another")))
    assert [name for name in SERVICES if before[name] == after[name]] == []
    folder = shutil.copytree(CHART, tmp_path / "deskpulse")
    described = yaml.safe_load((folder / "Chart.yaml").read_text())
    (folder / "Chart.yaml").write_text(json.dumps(described | {"version": "9.9.9"}))
    with helm_support.serving(folder, tmp_path) as newer:
        upgraded = newer.render(chart.EVERYTHING)
    assert templates(upgraded) == before
    assert fixed(upgraded) == fixed(rendered)


def test_a_changed_document_reaches_the_file(rendered: Rendered) -> None:
    """A file that is mounted by itself (subPath) stays what it was when the pod began."""
    for pod in chart.pods(rendered).values():
        (container,) = chart.containers(pod)
        mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
        assert "subPath" not in mounts["config"]
        file = variables(container)["DESKPULSE_CONFIG"]["value"]
        assert file == f"{mounts['config']['mountPath']}/deskpulse.yaml"
    assert not any(one.get("immutable") for one in rendered.of("ConfigMap"))


@pytest.mark.parametrize(
    "parts",
    [
        {"image__tag": "9.9.9"},
        {"metrics__autoscaling__enabled": True},
        {"ingest": {"replicas": 7, "podLabels": {"a": "b"}, "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}},
        {"kafka__partitions__tickets": 99, "metrics__replicas": 20},
        {"settings__logLevel": "debug"},
        {"networkPolicy__enabled": False, "serviceAccount__create": False},
    ],
)
def test_an_upgrade_changes_nothing_that_kubernetes_never_changes(
    helm: Helm, sets: Sets, parts: dict[str, Any]
) -> None:
    assert fixed(helm.render(changed(chart.LEAST, **parts))) == fixed(sets.of("least"))
