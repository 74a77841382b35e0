"""What shows that an alert of a rule is right: the question to the query API that draws it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlencode

from services.config.duration import UNIT_S
from services.config.rule import Rule
from services.config.segment import values

_STEPS_S: Final = (10, 60, 300, 900, 3600, 21_600, 86_400)
_NARROWEST: Final = ((2 * 3600, 10), (2 * 86_400, 60), (35 * 86_400, 3600))
"""Windows and the narrowest step that is kept for them; beyond the last one a day."""
_AROUND: Final = 24
"""How many times the rule's own window should be seen."""


def query(rule: Rule, segment: str, windows_s: Mapping[str, int]) -> str:
    """The path of the series that shows the KPI around the alert, in one of the configured windows."""
    wanted = rule.window_s * _AROUND
    ranked = sorted(windows_s.items(), key=lambda pair: pair[1])
    window, length_s = next((pair for pair in ranked if pair[1] >= wanted), ranked[-1])
    narrowest = next((step for bound, step in _NARROWEST if length_s <= bound), 86_400)
    fitting = [step for step in _STEPS_S if narrowest <= step <= max(narrowest, rule.window_s) and step <= length_s]
    step = fitting[-1] if fitting else narrowest
    return f"/v1/kpis/{rule.kpi}/series?" + urlencode({"window": window, "step": _spelt(step), "segment": segment})


def wider(segment: str, cuts: Sequence[Sequence[str]], dimensions: Sequence[str]) -> list[str]:
    """The segments that hold all of ``segment``, ``all`` first: its leading dimensions, where they are configured."""
    parts = values(segment)
    found = ["all"]
    for count in range(1, len(dimensions)):
        names = list(dimensions[:count])
        if names in [list(cut) for cut in cuts]:
            found.append(",".join(f"{name}:{parts[name]}" for name in names if name in parts))
    return found


def _spelt(seconds: int) -> str:
    unit, length = next((u, s) for u, s in reversed(UNIT_S.items()) if seconds % s == 0)
    return f"{seconds // length}{unit}"
