"""Documents that are made from code are what the code says now, and links in the others lead somewhere."""

from __future__ import annotations

import base64
import re
import shlex
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import BaseModel

from schemas import standard_webhook
from schemas.sla import SlaKind, SlaMetric
from services import clock
from services.alerts import measures as alerts
from services.alerts.access import reference as access
from services.alerts.access.measures import Refusals
from services.alerts.api import reference as api
from services.alerts.calendars import CalendarMeasures
from services.alerts.state import RUNBOOKS
from services.config import reload
from services.config.document import Document, parse
from services.config.environment import Environment
from services.config.reference import document as keys
from services.config.reference import pages as settings
from services.config.reference import vendors
from services.fold.hours_form import KEYS
from services.ingest.measures import Measures as IngestMeasures
from services.ingest.normalise import VENDORS
from services.kpi import reference as kpis
from services.kpi.catalogue import KPIS, Shape
from services.metrics.exporter import _families
from services.metrics.meters import Meters
from tests.contract.house import ROOT, tracked

MADE = {
    "docs/settings.md": (settings.settings, "python -m services.config.reference > docs/settings.md"),
    ".env.example": (settings.example, "python -m services.config.reference --env > .env.example"),
    "docs/roles.md": (access.roles, "python -m services.alerts.access.reference > docs/roles.md"),
    "docs/api.md": (lambda: api.reference(api.description()), "python -m services.alerts.api.reference > docs/api.md"),
    "docs/kpis.md": (kpis.kpis, "python -m services.kpi.reference > docs/kpis.md"),
}
WRITTEN = [path for path in tracked(".md") if path.is_relative_to(ROOT)]


@pytest.mark.parametrize("name", MADE)
def test_a_made_document_is_what_the_code_says(name: str) -> None:
    made, command = MADE[name]
    assert (ROOT / name).read_text() == made(), f"out of date: {command}"


def test_a_new_setting_would_change_the_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    class More(Environment):
        colour: str = "red"

    monkeypatch.setattr(settings, "Environment", More)
    assert "DESKPULSE_COLOUR" in settings.settings()
    assert "# DESKPULSE_COLOUR=red" in settings.example()
    assert (ROOT / "docs/settings.md").read_text() != settings.settings()


def test_the_reference_of_the_api_has_every_route_with_its_role_and_an_answer() -> None:
    text = (ROOT / "docs/api.md").read_text()
    parts = dict(re.findall(r"^### (\w+ \S+)\n(.*?)(?=^##|\Z)", text, re.M | re.S))
    described = {
        f"{method.upper()} {path}" for path, methods in api.description()["paths"].items() for method in methods
    }
    assert set(parts) == described
    for route, part in parts.items():
        assert "For the role **" in part or "Needs no token" in part, route
        assert "Answers 2" in part, route


def _models(model: type[BaseModel]) -> set[type[BaseModel]]:
    """``model`` and every model that its fields hold, however deep."""
    found = {model}
    waiting: list[Any] = [field.annotation for field in model.model_fields.values()]
    while waiting:
        form = waiting.pop()
        if isinstance(form, type) and issubclass(form, BaseModel):
            found |= _models(form)
        waiting += getattr(form, "__args__", ())
    return found


def test_every_key_of_the_document_is_explained_and_no_other() -> None:
    assert {model: list(model.model_fields) for model in _models(Document)} == {
        model: list(keys) for model, keys in keys.KEYS.items()
    }


def test_every_option_of_every_vendor_is_explained() -> None:
    assert {vendor: set(found.options.__struct_fields__) for vendor, found in VENDORS.items()} == {
        vendor: set(options) for vendor, options in vendors.OPTIONS.items()
    }


def test_every_key_of_a_calendar_is_explained() -> None:
    assert tuple(keys.CALENDAR) == KEYS


def test_no_secret_of_the_environment_gets_a_default_into_the_example() -> None:
    for line in settings.example().splitlines():
        if re.search(r"(PASSWORD|SECRET)=", line):
            assert line.endswith("=")


def test_every_metric_and_every_announcement_is_explained() -> None:
    assert set(kpis.METRICS) == set(SlaMetric)
    assert set(kpis.KINDS) == set(SlaKind)
    assert set(kpis.SHAPES) == set(Shape)


@pytest.mark.parametrize("name", KPIS)
def test_the_reference_names_a_kpi_as_the_exporter_does(name: str) -> None:
    exported = [family.name for family in _families(KPIS[name], {})]
    assert kpis.prometheus(KPIS[name]) in exported


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_within_the_project_lead_somewhere(path: Path) -> None:
    assert _dead_links(path.read_text(), path.parent) == []


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    assert _dead_links("[a](nowhere.md) [b](https://example.com) ![c](#top)", tmp_path) == ["nowhere.md"]


def _dead_links(text: str, folder: Path) -> list[str]:
    targets = re.findall(
        r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"", re.sub(r"```.*?```", "", text, flags=re.S)
    )
    links = [first or second for first, second in targets]
    local = [link for link in links if not re.match(r"[a-z]+:|#", link)]
    return [link for link in local if not (folder / link.split("#")[0]).exists()]


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_settings_that_documents_speak_of_exist(path: Path) -> None:
    known = {f"DESKPULSE_{name.upper()}" for name in Environment.model_fields} | {"DESKPULSE_SECRETS_DIR"}
    tests_only = {"DESKPULSE_CASES", "DESKPULSE_REQUIRE_REAL", "DESKPULSE_NO_SKIP", "DESKPULSE_API_TOKEN"}
    tests_only |= {"DESKPULSE_FUZZ", "DESKPULSE_OUTAGE_S", "DESKPULSE_ORACLE_EVENTS", "DESKPULSE_SCREENSHOTS"}
    spoken = set(re.findall(r"DESKPULSE_[A-Z][A-Z_]*[A-Z]", path.read_text()))
    assert {name for name in spoken - known - tests_only if not name.startswith("DESKPULSE_TEST_")} == set()


def test_configurations_in_the_guides_are_ones_that_the_services_take() -> None:
    """Every YAML block of the guides is a document of its own."""
    texts = [block for path in WRITTEN for block in re.findall(r"```yaml\n(.*?)```", path.read_text(), re.S)]
    blocks = [textwrap.dedent(text) for text in texts]
    taken = [
        block
        for block in blocks
        if re.match(r"(#.*\n)*(sources|sla_policies|receivers|calendars|api|api_tokens):", block)
    ]
    assert taken
    for block in taken:
        parse(block, {name: _fitting(name) for name in re.findall(r"\$\{(\w+)\}", block)})


def _fitting(name: str) -> str:
    """A secret of the form that its name promises."""
    if name.endswith(("_URL", "_WEBHOOK", "_WORKFLOW", "HOOK")):
        return "https://hooks.example/s3cret"
    own = base64.b64encode(name.ljust(32, "0").encode()).decode()  # two tokens of one document differ
    return "0123456789abcdef0123456789abcdef" if name == "PAGERDUTY_KEY" else f"whsec_{own}"


def _exported() -> set[str]:
    """The pipeline's metrics by the names that Prometheus sees."""
    names = set()
    of_alerts = (alerts.LinkMeasures, alerts.Measures, alerts.RuleMeasures, alerts.Transitions, Refusals)
    for catalogue in (IngestMeasures, Meters, *of_alerts, CalendarMeasures, reload.Measures):
        registry = CollectorRegistry()
        catalogue(registry)
        names |= {f"{family.name}_total" if family.type == "counter" else family.name for family in registry.collect()}
    return names


def test_the_operators_guide_lists_every_metric() -> None:
    tables = [line for line in (ROOT / "docs/guides/watch.md").read_text().splitlines() if line.startswith("| `")]
    assert {name for line in tables for name in re.findall(r"`(deskpulse_\w+)`", line)} == _exported()


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_metrics_that_documents_speak_of_exist(path: Path) -> None:
    files_of_secrets = {f"deskpulse_{name}" for name in Environment.model_fields}
    spoken = set(re.findall(r"\bdeskpulse_[a-z_]+[a-z]\b", path.read_text())) - files_of_secrets
    assert spoken - _exported() == set()


def test_the_runbooks_that_alerts_name_are_there() -> None:
    assert [name for name in RUNBOOKS.values() if not (ROOT / name).is_file()] == []


SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"transition": "breached"}'


@pytest.fixture
def received() -> dict[str, str]:
    """The headers of a message that was signed now, with an old and a new secret."""
    return standard_webhook.headers(["another one", SECRET], "msg_1", clock.now_us() // 1_000_000, BODY)


def _block(language: str, beginning: str) -> str:
    text = (ROOT / "docs/guides/alerts.md").read_text()
    blocks: list[str] = re.findall(rf"```{language}\n(.*?)```", text, re.S)
    return next(block for block in blocks if beginning in block)


def test_the_guides_python_verifies_what_we_sign_and_nothing_else(received: dict[str, str]) -> None:
    names: dict[str, Any] = {}
    exec(_block("python", "def verified"), names)
    verified = names["verified"]
    assert verified(SECRET, received, BODY)
    assert not verified(SECRET, received, BODY + b" ")
    assert not verified("whsec_" + "AAAA", received, BODY)
    old = standard_webhook.headers([SECRET], "msg_1", clock.now_us() // 1_000_000 - 600, BODY)
    assert not verified(SECRET, old, BODY)


@pytest.mark.parametrize(("body", "said"), [(BODY, "good"), (BODY + b" ", "bad")])
def test_the_guides_shell_lines_verify_what_we_sign(
    received: dict[str, str], tmp_path: Path, body: bytes, said: str
) -> None:
    (tmp_path / "body.json").write_bytes(body)
    given = {
        "ONCALL_SECRET": SECRET,
        "id": received["webhook-id"],
        "timestamp": received["webhook-timestamp"],
        "signature": received["webhook-signature"],
    }
    script = "".join(f"{name}={shlex.quote(value)}\n" for name, value in given.items()) + _block("bash", "body.json")
    ran = subprocess.run(["bash", "-euc", script], cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert (ran.stdout.strip(), ran.stderr) == (said, "")
