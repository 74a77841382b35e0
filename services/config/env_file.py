"""``.env`` beside a configuration: the values of the ``${NAME}`` in it, as ``deskpulse init`` writes them and Docker
Compose reads them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

NAME: Final = ".env"
_LINE: Final = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_QUOTED: Final = re.compile(r"""(["'])(.*)\1(?:\s+#.*)?""")
_REFERENCE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def read(text: str) -> dict[str, str]:
    """Names with their values. A value may be in quotes; without, it ends before a `` #``. What is no ``NAME=value`` is
    passed over, and so are names without a value."""
    found = {}
    for line in text.splitlines():
        if (match := _LINE.fullmatch(line.strip())) is None:
            continue
        quoted = _QUOTED.fullmatch(match[2])
        value = quoted[2] if quoted else re.split(r"\s+#", match[2])[0].strip()
        if value:
            found[match[1]] = value
    return found


def beside(document: Path) -> dict[str, str]:
    """The values of the names that ``document`` refers to, out of the ``.env`` in its folder; of others none, so that a
    file that is there for something else changes nothing. Empty when either cannot be read."""
    try:
        wanted = set(_REFERENCE.findall(document.read_text(encoding="utf-8")))
        known = read((document.parent / NAME).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return {}
    return {name: value for name, value in known.items() if name in wanted}
