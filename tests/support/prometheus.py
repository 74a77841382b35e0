"""A real Prometheus that scrapes services of a test, and what it answers."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from services import clock
from services.embedded.port import free_port
from tests.support.wait import until

ROOT: Final = Path(__file__).parents[2]
RULES: Final = ROOT / "deploy/prometheus/rules/deskpulse.yml"


def missing() -> str | None:
    """Why there can be none on this machine."""
    if shutil.which("prometheus") and shutil.which("promtool"):
        return None
    return "no Prometheus on this machine (Debian: apt install prometheus)"


class Prometheus:
    """A running one. ``expression`` is PromQL."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=20, trust_env=False)

    def close(self) -> None:
        self._client.close()

    def ready(self) -> bool:
        try:
            return self._client.get("/-/ready").status_code == 200
        except httpx.TransportError:
            return False

    def asked(self, expression: str) -> list[dict[str, Any]]:
        """The series that the expression gives now."""
        answer = self._client.get("/api/v1/query", params={"query": expression}).json()
        assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def drawn(self, expression: str, seconds: int = 300) -> bool:
        """Whether the expression gave a number at any time of the last ``seconds``, as a panel would show them."""
        now = clock.now_us() / 1e6
        asked = {"query": expression, "start": f"{now - seconds}", "end": f"{now}", "step": "5"}
        answer = self._client.get("/api/v1/query_range", params=asked).json()
        assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
        return any(value != "NaN" for row in answer["data"]["result"] for _, value in row["values"])

    def values(self, label: str, series: str) -> list[str]:
        """As Grafana's ``label_values(series, label)``."""
        answer = self._client.get(f"/api/v1/label/{label}/values", params={"match[]": series}).json()
        found: list[str] = answer["data"]
        return found

    def rules(self) -> list[dict[str, Any]]:
        """Every rule with its health."""
        groups = self._client.get("/api/v1/rules").json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]


@contextmanager
def prometheus(folder: Path, targets: Mapping[str, str]) -> Iterator[Prometheus]:
    """One that scrapes ``targets`` (service to host:port) each second, with the rules that we ship."""
    document = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [
            {
                "job_name": "deskpulse",
                "static_configs": [{"targets": [at], "labels": {"service": name}} for name, at in targets.items()],
            }
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(document))
    port = free_port()
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
        found = Prometheus(f"http://127.0.0.1:{port}")
        try:
            until(found.ready, "Prometheus is ready", timeout_s=60)
            yield found
        finally:
            found.close()
            process.terminate()
            process.wait(20)


def queries(dashboard: Path) -> Iterator[tuple[str, str]]:
    """Every query of a dashboard, by the title of its panel."""
    document = json.loads(dashboard.read_text())
    for panel in document["panels"]:
        for inner in [panel, *panel.get("panels", ())]:
            for target in inner.get("targets", ()):
                yield inner["title"], target["expr"]
    for annotation in document.get("annotations", {}).get("list", ()):
        if "expr" in annotation:
            yield f"annotation {annotation['name']}", annotation["expr"]


def variables(dashboard: Path) -> dict[str, str]:
    """The variables of a dashboard that are asked of Prometheus, with their queries."""
    listed = json.loads(dashboard.read_text())["templating"]["list"]
    return {one["name"]: one["query"] for one in listed if one["type"] == "query"}
