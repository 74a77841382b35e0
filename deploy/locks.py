"""The locks of the container image, cut out of the project's own, so that all of them agree.

After every change of requirements.lock or requirements-dev.lock, where these are installed:

    python deploy/locks.py
"""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
DEPLOY = Path(__file__).parent


def locks() -> dict[Path, str]:
    """What each lock of this folder should hold."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return {
        # What runs: the product without the extra `embedded`, which brings a broker and a Redis for trying it out.
        DEPLOY / "requirements-image.lock": _cut("requirements.lock", project["project"]["dependencies"]),
        # What builds the wheel and stays out of the image.
        DEPLOY / "requirements-build.lock": _cut("requirements-dev.lock", project["build-system"]["requires"]),
    }


def _cut(lock: str, requirements: list[str]) -> str:
    """The entries of a lock, as they are, that these requirements need."""
    wanted = _closure(requirements)
    entries = re.findall(r"^\S.*(?:\n[ \t].*)*\n", (ROOT / lock).read_text(), re.MULTILINE)
    return "".join(entry for entry in entries if _name(entry) in wanted)


def _closure(requirements: list[str]) -> set[str]:
    """The names of everything that these requirements bring, by the metadata of what is installed here."""
    found: set[tuple[str, tuple[str, ...]]] = set()
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        requirement = waiting.pop()
        this = (canonicalize_name(requirement.name), tuple(sorted(requirement.extras)))
        if this in found:
            continue
        found.add(this)
        for child in map(Requirement, requires(requirement.name) or ()):
            extras = ("", *requirement.extras)
            if child.marker is None or any(child.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(child)
    return {name for name, _ in found}


def _name(entry: str) -> str:
    return canonicalize_name(re.split(r"[=\[ ;]", entry, maxsplit=1)[0])


def main() -> int:
    """Writes the locks."""
    for path, lock in locks().items():
        path.write_text(lock)
        sys.stdout.write(f"{path.relative_to(ROOT)}: {lock.count('==')} packages\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
