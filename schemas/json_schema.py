"""The published JSON Schemas (2020-12) of the records.

As published they are open: a consumer ignores properties it does not know, so that a producer may add one. What
we produce ourselves is held to the :func:`closed` variant in tests, so that nothing is sent that no schema names.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any, Final

FOLDER: Final = files("schemas") / "json"
SUFFIX: Final = ".schema.json"

Schema = dict[str, Any]


def names() -> list[str]:
    """The names of all schemas, such as ``ticket-event.v1``, sorted."""
    return sorted(entry.name.removesuffix(SUFFIX) for entry in FOLDER.iterdir() if entry.name.endswith(SUFFIX))


def load(name: str) -> Schema:
    """The schema of a name such as ``ticket-event.v1``, as published. Raises ``FileNotFoundError``."""
    loaded: Schema = json.loads((FOLDER / f"{name}{SUFFIX}").read_text(encoding="utf-8"))
    return loaded


def closed(schema: Schema) -> Schema:
    """A copy that refuses every property it does not name; maps with free names, such as labels, stay free.

    Our documents define objects at the top and in ``$defs`` only, so those are the places to close. The
    conditions in ``allOf`` name single properties of the whole and must stay open.
    """
    definitions = {name: _sealed(definition) for name, definition in schema.get("$defs", {}).items()}
    return {**_sealed(schema), "$defs": definitions}


def _sealed(node: Schema) -> Schema:
    return {**node, "additionalProperties": False} if "properties" in node else dict(node)
