"""What we ship for Prometheus and Grafana: rules that promtool accepts and tests, dashboards as code makes them."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from services.alerts import measures as alerts
from services.config import reload
from services.ingest.measures import Fate
from services.ingest.measures import Measures as IngestMeasures
from services.ingest.verify.presented import Outcome
from services.kpi.catalogue import KPIS
from services.metrics.exporter import _families
from services.metrics.meters import Meters
from services.metrics.partition import Resumed
from tests.support.prometheus import ROOT, RULES, missing, queries

TESTS = ROOT / "deploy/prometheus/tests/deskpulse.yml"
DASHBOARDS = sorted((ROOT / "deploy/grafana/dashboards").glob("*.json"))
needs_promtool = pytest.mark.skipif(missing() is not None, reason=missing() or "")


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


ALERTS = [rule for rule in rules() if "alert" in rule]


def made() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_dashboards", ROOT / "deploy/grafana/make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def metrics() -> set[str]:
    """Every name that a service exports, and what Prometheus records of them."""
    registry = CollectorRegistry()
    IngestMeasures(registry)
    Meters(registry)
    for part in (alerts.Measures, alerts.Transitions, alerts.RuleMeasures):
        part(registry)
    reload.Measures(registry)
    found = {"up", "process_resident_memory_bytes", "process_cpu_seconds_total"}
    for family in registry.collect():
        ends = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
        found |= {family.name + end for end in ends}
    found |= {family.name for kpi in KPIS.values() for family in _families(kpi, {})}
    return found | {rule["record"] for rule in rules() if "record" in rule}


def named(expression: str) -> set[str]:
    """The metrics of an expression."""
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\"[^\"]*\"", " ", re.sub(r"(by|without) *\([^)]*\)", " ", expression))
    return set(re.findall(r"\b(?:up|(?:deskpulse|helpdesk|process)[a-z0-9_:]*)\b", bare))


@needs_promtool
def test_promtool_accepts_the_rules() -> None:
    done = subprocess.run(["promtool", "check", "rules", RULES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_the_rules_fire_when_they_should_and_not_before() -> None:
    done = subprocess.run(["promtool", "test", "rules", TESTS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_promtool_accepts_the_configuration() -> None:
    file = ROOT / "deploy/prometheus/prometheus.yml"
    done = subprocess.run(["promtool", "check", "config", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested() -> None:
    tested = {
        one["alertname"] for test in yaml.safe_load(TESTS.read_text())["tests"] for one in test["alert_rule_test"]
    }
    assert tested == {rule["alert"] for rule in ALERTS}


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_every_alert_has_a_runbook_and_the_runbook_speaks_of_it(rule: dict[str, Any]) -> None:
    runbook = ROOT / rule["annotations"]["runbook_url"]
    assert runbook.is_file()
    text = runbook.read_text()
    assert rule["alert"] in text or any(metric in text for metric in named(rule["expr"]) - {"up"})


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_every_rule_asks_for_metrics_that_there_are(rule: dict[str, Any]) -> None:
    asked = named(rule["expr"])
    assert asked
    assert asked <= metrics()


def test_the_outcomes_that_rules_ask_for_are_outcomes() -> None:
    known = {outcome.value for enum in (Fate, Outcome) for outcome in enum}
    known |= {"dead_letter", "too_late", "given_up", "failed", "refused"}
    for rule in rules():
        for found in re.findall(r'outcome=~?"([^"]+)"', rule["expr"]):
            assert set(found.split("|")) <= known, rule
    assert {how for rule in rules() for how in re.findall(r'how="([^"]+)"', rule["expr"])} <= set(Resumed)


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_what_its_code_makes(path: Path) -> None:
    module = made()
    sheets = {sheet.uid: sheet for sheet in (make() for make in module.SHEETS)}
    assert path.read_text() == sheets[path.stem].json(), "out of date: python deploy/grafana/make.py"


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_panel_asks_for_metrics_that_there_are(path: Path) -> None:
    asked = [(title, named(expression)) for title, expression in queries(path)]
    assert asked
    assert [(title, sorted(names - metrics())) for title, names in asked if not names or names - metrics()] == []
