"""The table of a run: what was measured, what stood beside it, and whether the budget holds. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

HEADINGS: Final = ("what", "measured", "beside it", "ratio", "budget", "verdict")


class Sense(StrEnum):
    """Which side of its bound a budget allows; the bound itself is allowed."""

    AT_LEAST = "≥"
    AT_MOST = "≤"


class Verdict(StrEnum):
    """What became of a budget; ``none`` where there is none."""

    WITHIN = "within"
    OVER = "over"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Budget:
    """A bound and how it is written, such as ``≥ 4 ×, aim 7 ×``."""

    sense: Sense
    bound: float
    unit: str = ""
    aim: float | None = None

    def verdict(self, value: float) -> Verdict:
        """Whether ``value`` keeps it; a value that is not a number does not."""
        kept = value >= self.bound if self.sense is Sense.AT_LEAST else value <= self.bound
        return Verdict.WITHIN if kept else Verdict.OVER

    def __str__(self) -> str:
        said = f"{self.sense.value} {self.bound:g} {self.unit}".rstrip()
        return said if self.aim is None else f"{said}, aim {self.aim:g} {self.unit}".rstrip()


@dataclass(frozen=True, slots=True)
class Line:
    """One row. ``judged`` is the number that the budget is about, in the budget's unit."""

    what: str
    measured: str
    beside: str = ""
    ratio: float | None = None
    judged: float | None = None
    budget: Budget | None = None

    @property
    def verdict(self) -> Verdict:
        """``none`` without a budget; a budget whose number is missing is not kept."""
        if self.budget is None:
            return Verdict.NONE
        return self.budget.verdict(math.nan if self.judged is None else self.judged)


@dataclass(slots=True)
class Findings:
    """What one measurement has to say: rows, notes on how far to trust them, and a profile by its heading."""

    lines: list[Line] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    profiles: dict[str, list[str]] = field(default_factory=dict)


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least ``share`` (0 to 1) of all values do not exceed: nearest rank, never
    interpolated. Raises ``ValueError`` for no values at all."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("a percentile of nothing")
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def ratios(pairs: Iterable[tuple[float, float]]) -> list[float]:
    """First by second of each pair; raises ``ValueError`` where the second is not more than nothing."""
    found = []
    for first, second in pairs:
        if not second > 0:
            raise ValueError(f"a ratio to {second}")
        found.append(first / second)
    return found


def median_ratio(pairs: Sequence[tuple[float, float]]) -> float:
    """The median of the pairs' own ratios: what disturbs both halves of a pair leaves it alone."""
    return statistics.median(ratios(pairs))


def spread(values: Sequence[float]) -> str:
    """How far repetitions lie apart, for a note: ``4.1 to 5.0 in 3 pairs``."""
    noun = "pair" if len(values) == 1 else "pairs"
    return f"{min(values):.2f} to {max(values):.2f} in {len(values)} {noun}"


def rendered(lines: Sequence[Line]) -> str:
    """The rows under their headings, in columns; numbers of the ratio column to the right."""
    rows = [HEADINGS, *(_cells(line) for line in lines)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(HEADINGS))]
    ratio = HEADINGS.index("ratio")
    shown = []
    for row in rows:
        cells = [
            cell.rjust(width) if at == ratio else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        shown.append("  ".join(cells).rstrip())
    shown.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(shown)


def document(line: Line) -> dict[str, Any]:
    """The row for ``--json``."""
    return {
        "what": line.what,
        "measured": line.measured,
        "beside": line.beside or None,
        "ratio": line.ratio,
        "judged": line.judged,
        "budget": str(line.budget) if line.budget is not None else None,
        "verdict": line.verdict.value,
    }


def _cells(line: Line) -> tuple[str, ...]:
    return (
        line.what,
        line.measured,
        line.beside,
        f"{line.ratio:.2f}" if line.ratio is not None else "",
        str(line.budget) if line.budget is not None else "",
        line.verdict.value if line.budget is not None else "",
    )
