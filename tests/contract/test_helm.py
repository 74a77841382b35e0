"""The Helm chart, rendered by Helm: what Kubernetes would refuse, and what it would take and then not work."""

from __future__ import annotations

import copy
import json
import re
import runpy
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.topics import SLA, TICKETS, TOPICS
from services.alerts.access.table import PROBES, ROWS
from services.config.document import parse
from services.config.environment import Environment
from services.metrics import main as metrics
from services.metrics.worker import _COMMIT_S
from tests.contract import chart
from tests.contract.chart import CHART, DOCUMENT, SECRETS, SERVICES, SETS, THEIRS
from tests.contract.deployment import SETTINGS
from tests.contract.house import ROOT
from tests.support import helm as helm_support
from tests.support.helm import Helm, Object, Refused, Rendered
from tests.support.kubernetes import VERSIONS, Peer, allowed, problems

pytestmark = pytest.mark.skipif(helm_support.missing() is not None, reason=helm_support.missing() or "")


@pytest.fixture(scope="module")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Helm]:
    with helm_support.serving(CHART, tmp_path_factory.mktemp("helm")) as found:
        yield found


class Sets:
    """Each set of values, rendered once."""

    def __init__(self, helm: Helm) -> None:
        self.of = cache(lambda name: helm.render(SETS[name]))


@pytest.fixture(scope="module")
def sets(helm: Helm) -> Sets:
    return Sets(helm)


@pytest.fixture(params=sorted(SETS))
def rendered(sets: Sets, request: pytest.FixtureRequest) -> Rendered:
    return sets.of(request.param)


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


def values_file() -> str:
    return (CHART / "values.yaml").read_text()


def leaves(schema: Object, name: str = "") -> Iterator[str]:
    """The names of all values that a schema knows."""
    if "properties" not in schema:
        yield name
    for key, inner in schema.get("properties", {}).items():
        yield from leaves(inner, f"{name}.{key}".lstrip("."))


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


# What fits together.


def test_every_container_may_do_only_what_it_must(rendered: Rendered) -> None:
    for pod in chart.pods(rendered).values():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
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


def variables(container: Object) -> dict[str, Object]:
    return {one["name"]: one for one in container["env"]}


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


def test_a_changed_secret_restarts_all_and_a_new_chart_none(helm: Helm, tmp_path: Path) -> None:
    before = templates(helm.render(chart.EVERYTHING))
    after = templates(helm.render(changed(chart.EVERYTHING, secrets__values__ZENDESK_SECRET="another")))
    assert [name for name in SERVICES if before[name] == after[name]] == []
    folder = shutil.copytree(CHART, tmp_path / "deskpulse")
    described = yaml.safe_load((folder / "Chart.yaml").read_text())
    (folder / "Chart.yaml").write_text(json.dumps(described | {"version": "9.9.9"}))
    with helm_support.serving(folder, tmp_path) as newer:
        assert templates(newer.render(chart.EVERYTHING)) == before


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
    def fixed(rendered: Rendered) -> dict[str, Object]:
        free = ("replicas", "template", "updateStrategy", "minReadySeconds", "persistentVolumeClaimRetentionPolicy")
        found = {
            one["metadata"]["name"]: {key: value for key, value in one["spec"].items() if key not in free}
            for one in rendered.of("StatefulSet")
        }
        return found | {one["metadata"]["name"]: one["spec"]["selector"] for one in rendered.of("Deployment")}

    assert fixed(helm.render(changed(chart.LEAST, **parts))) == fixed(sets.of("least"))


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
