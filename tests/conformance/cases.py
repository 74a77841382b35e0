"""The acceptance cases: kept outside the project, found by ``DESKPULSE_CASES``."""

import json
import os
from pathlib import Path
from typing import Any

MISSING = "DESKPULSE_CASES is not set: the acceptance cases are kept outside the project"

FORMS = ("scenarios", "cases")
"""What a file of cases holds: SLA scenarios, or questions about business time."""


def folder() -> Path | None:
    """The folder of the acceptance cases, None where the variable is unset or names one file; a wrong path is an
    error."""
    path = _named()
    return path if path is not None and path.is_dir() else None


def documents(form: str) -> list[dict[str, Any]]:
    """Every file of that form: the one that is named, or all that lie in the named folder, whatever their names."""
    path = _named()
    if path is None:
        return []
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    loaded = [(file, json.loads(file.read_text(encoding="utf-8"))) for file in files]
    for file, document in loaded:
        if not any(known in document for known in FORMS):
            raise ValueError(f"{file.name} has none of {', '.join(FORMS)}: no file of cases")
    return [document for _, document in loaded if form in document]


def _named() -> Path | None:
    named = os.environ.get("DESKPULSE_CASES")
    if not named:
        return None
    path = Path(named)
    if not path.exists():
        raise FileNotFoundError(f"DESKPULSE_CASES names neither a folder nor a file: {named}")
    return path
