"""Writing both files: whole or not at all, and nothing that is there already is lost."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from services.cli.init.secret import Secret
from services.config import env_file
from services.ingest.verify.secret import PLACEHOLDER


def merged(text: str, secrets: Sequence[Secret]) -> tuple[str, list[Secret]]:
    """``text`` of an ``.env`` with the secrets that it lacks at its end, and all as they stand in it now: values
    that are there already stay. Pure."""
    known = env_file.read(text)
    lines = [text if not text or text.endswith("\n") else f"{text}\n"]
    for secret in secrets:
        if secret.name in known:
            continue
        lines.append(f"\n# {secret.use}\n")
        if secret.where is not None:
            lines.append(f"# A PLACEHOLDER: replace it by what is shown at: {secret.where}\n")
        lines.append(f"{secret.name}={_quoted(secret.value)}\n")
    now = [_kept(secret, known[secret.name]) if secret.name in known else secret for secret in secrets]
    return "".join(lines), now


def _kept(secret: Secret, value: str) -> Secret:
    return replace(secret, value=value, where=secret.where if PLACEHOLDER in value else None)


def write(path: Path, text: str, *, mode: int, over: bool) -> None:
    """The file at once, or not at all. Raises ``FileExistsError`` without ``over``, and ``OSError``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600 from the start
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(handle)
        Path(temporary).chmod(mode)
        if over:
            Path(temporary).replace(path)
        else:
            os.link(temporary, path)  # unlike a rename, it does not take the place of what came meanwhile
    finally:
        Path(temporary).unlink(missing_ok=True)


def _quoted(value: str) -> str:
    plain = all(character.isalnum() or character in "_-./:+=" for character in value)
    return value if plain else f"'{value}'"
