"""The parts of the Helm chart that are made of others: values.schema.json, the table of README.md, and copies of the
Prometheus rules and Grafana dashboards, since a chart holds all of its files.

After a change of values.yaml, of a setting, a rule or a dashboard:

    python deploy/helm/make.py
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]  # as a script, Python looks only beside it

from values_schema import schema  # noqa: E402

CHART = Path(__file__).parent / "deskpulse"
_BEGINS, _ENDS = "<!-- values -->\n", "<!-- /values -->\n"


def made() -> dict[Path, str]:
    """What each made file should hold."""
    values = (CHART / "values.yaml").read_text()
    before, after = (CHART / "README.md").read_text().split(_BEGINS)
    found = {
        CHART / "values.schema.json": json.dumps(schema(), indent=2) + "\n",
        CHART / "README.md": before + _BEGINS + table(values) + _ENDS + after.split(_ENDS)[1],
        CHART / "files/prometheus-rules.yml": (ROOT / "deploy/prometheus/rules/deskpulse.yml").read_text(),
    }
    for path in sorted((ROOT / "deploy/grafana/dashboards").glob("*.json")):
        found[CHART / "files/dashboards" / path.name] = path.read_text()
    return found


def table(values: str) -> str:
    """The rows of every explained value, in the order of the file."""
    rows = "".join(f"| `{name}` | {_code(default)} | {text} |\n" for name, default, text in explained(values))
    return f"\n| value | default | |\n|---|---|---|\n{rows}\n"


def explained(values: str) -> Iterator[tuple[str, Any, str]]:
    """Name, default and explanation of each value that has a comment beginning with ``# --`` above it."""
    data = yaml.safe_load(values)
    place: list[str] = []
    said: list[str] = []
    for line in values.splitlines():
        comment = re.match(r"\s*# (-- )?(.*)", line)
        key = re.match(r"(\s*)([A-Za-z]+):", line)
        if comment:
            said = [comment[2]] if comment[1] else [*said, comment[2]] if said else []
        elif key:
            place[len(key[1]) // 2 :] = [key[2]]
            if said:
                default: Any = data
                for part in place:
                    default = default[part]
                yield ".".join(place), default, " ".join(said)
            said = []
        else:
            said = []


def _code(default: Any) -> str:
    text = json.dumps(default, ensure_ascii=False).strip('"')
    return f"`{text}`" if text not in ("", "null") else ""


def main() -> int:
    """Writes the files, and says which were out of date."""
    for path, text in made().items():
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            sys.stdout.write(f"{path.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
