"""Messages in the operator's own words: text with ``{placeholders}`` that an alert fills."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Final

NAMES: Final = (
    *("title", "detail", "severity", "state", "transition", "actor"),
    *("team", "agent", "priority", "channel", "brand", "tier", "source", "metric", "policy"),
    *("ticket", "ticket_url", "alert_id", "alert_url", "runbook"),
)
"""What a template can name. What an alert does not have is written as a dash."""


@dataclass(frozen=True, slots=True)
class Template:
    """``pieces`` are the operator's literal text, or with ``named`` a placeholder's name."""

    pieces: tuple[tuple[str, bool], ...]

    def filled(self, values: Mapping[str, str | None], escape: Callable[[str], str]) -> str:
        """The text. Values are escaped for the channel; the operator's own text is markup and stays as it is."""
        return "".join(escape(values.get(text) or "-") if named else text for text, named in self.pieces)


def parse(text: str) -> Template:
    """Raises ValueError, with what there is, for a placeholder that does not exist."""
    pieces: list[tuple[str, bool]] = []
    try:
        parsed = list(Formatter().parse(text))
    except ValueError as exc:
        raise ValueError(f"{exc}; write a brace that is no placeholder twice: {{{{ or }}}}") from None
    for literal, name, form, conversion in parsed:
        if literal:
            pieces.append((literal, False))
        if name is None:
            continue
        if name not in NAMES or form or conversion:
            written = "{" + name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "") + "}"
            raise ValueError(f"there is no placeholder {written}; there is: {', '.join(NAMES)}")
        pieces.append((name, True))
    return Template(tuple(pieces))
