"""The acceptance cases: kept outside the project, found by ``DESKPULSE_CASES``."""

import os
from pathlib import Path

MISSING = "DESKPULSE_CASES is not set: the acceptance cases are kept outside the project"


def folder() -> Path | None:
    """The folder of the acceptance cases, None where the variable is unset; a wrong path is an error."""
    named = os.environ.get("DESKPULSE_CASES")
    if not named:
        return None
    path = Path(named)
    if not path.is_dir():
        raise FileNotFoundError(f"DESKPULSE_CASES is not a folder: {named}")
    return path
