"""Secrets for a first try: random ones, made once and kept in the data folder. There is no well-known secret."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from services.embedded import Unavailable

FILE_NAME: Final = "secrets.json"
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SECRET_KEYS: Final = frozenset({"secrets", "hash_key", "api_tokens"})


def names(text: str) -> list[str]:
    """The variables that a configuration takes secrets from, in the order of their first use.

    A ``${NAME}`` elsewhere (an address, say) is no secret: nothing random would do there. A text that is not YAML
    has none; checking it is somebody else's work.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError:
        return []
    return list(dict.fromkeys(_referred(document, secret=False)))


def source_variables(text: str) -> dict[str, str]:
    """For each source whose first secret is a ``${NAME}`` and nothing else, that name."""
    sources = (yaml.safe_load(text) or {}).get("sources") or {}
    found = {name: _REFERENCE.fullmatch(str(source["secrets"][0])) for name, source in sources.items()}
    return {str(name): match[1] for name, match in found.items() if match}


def kept(folder: Path) -> dict[str, str]:
    """The secrets in the folder's file; none without one. Unavailable when the file cannot be used."""
    path = folder / FILE_NAME
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) and value for value in found.values()):
        raise Unavailable(f"{path} is not a JSON object of texts: repair it, or remove it to get new secrets")
    return found


def provide(folder: Path, wanted: Collection[str], environment: Mapping[str, str]) -> dict[str, str]:
    """A value for each of ``wanted`` that the environment does not set: the kept one, else a new one that is kept.

    The file is readable by its owner only and is replaced as a whole.
    """
    unset = [name for name in wanted if not environment.get(name)]
    if not unset:
        return {}
    known = kept(folder)
    new = {name: _new() for name in unset if name not in known}
    path = folder / FILE_NAME
    try:
        if new:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _replace(path, json.dumps(known | new, indent=2, sort_keys=True) + "\n")
        path.chmod(0o600)
    except OSError as error:
        raise Unavailable(f"{path} cannot be written: {error.strerror}") from None
    return {name: (known | new)[name] for name in unset}


def _new() -> str:
    # Base64 without padding fits every vendor: it can be the key as it stands and, for Standard Webhooks
    # libraries, decode to one.
    return base64.b64encode(secrets.token_bytes(24)).decode()


def _replace(path: Path, text: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")  # mode 0600 from the start
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    Path(temporary).replace(path)


def _referred(value: Any, *, secret: bool) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _referred(item, secret=secret or key in _SECRET_KEYS)
    elif isinstance(value, list):
        for item in value:
            yield from _referred(item, secret=secret)
    elif isinstance(value, str) and secret:
        yield from _REFERENCE.findall(value)
