"""A note in the data folder of what ``deskpulse up`` runs: the addresses of its broker and its Redis are new ones with
every start, and other commands on this machine look for them here."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

FILE_NAME: Final = "running.json"


@dataclass(frozen=True, slots=True)
class Running:
    """Where things are. ``pid`` is of ``up`` itself; ``ports`` by service."""

    pid: int
    kafka: str | None
    redis: str | None
    config: str
    ports: dict[str, int]


def note(folder: Path, running: Running) -> None:
    """Writes the note, readable by its owner only. Raises ``OSError``."""
    path = folder / FILE_NAME
    temporary = path.with_suffix(f".{running.pid}")
    temporary.touch(mode=0o600)
    temporary.write_text(json.dumps(asdict(running), indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)


def found(folder: Path) -> Running | None:
    """What runs now; ``None`` when nothing does, also after an ``up`` that was killed."""
    try:
        said = Running(**json.loads((folder / FILE_NAME).read_text(encoding="utf-8")))
        os.kill(said.pid, 0)
    except (OSError, ValueError, TypeError):
        return None
    return said


def forget(folder: Path) -> None:
    """Takes the note away, if it is of this process."""
    said = found(folder)
    if said is not None and said.pid == os.getpid():
        (folder / FILE_NAME).unlink(missing_ok=True)
