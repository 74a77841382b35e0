"""One definition for each KPI: the source of docs/kpis.md, the API's descriptions and Prometheus help texts.

Definitions follow semantics.md §a; where products disagree, the text says what is counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Shape(StrEnum):
    """How a KPI is aggregated and what a reading of it looks like."""

    COUNT = "count"
    GAUGE = "gauge"
    DURATION = "duration"
    RATIO = "ratio"


class Cell(StrEnum):
    """The counters that buckets hold. Values are short: they are field names in every bucket, stored for ever."""

    CREATED = "c"
    SOLVED = "s"
    REOPENED = "o"
    FIRST_RESPONSE = "f"
    FIRST_RESOLUTION = "r"
    FULL_RESOLUTION = "R"
    RATED = "q"
    SATISFIED = "Q"
    BACKLOG = "b"


@dataclass(frozen=True, slots=True)
class Kpi:
    """A KPI. ``cells`` are what it is read from: for a ratio numerator then denominator."""

    name: str
    shape: Shape
    cells: tuple[Cell, ...]
    summary: str
    definition: str


KPIS: Final[dict[str, Kpi]] = {
    kpi.name: kpi
    for kpi in (
        Kpi(
            "tickets_created",
            Shape.COUNT,
            (Cell.CREATED,),
            "Tickets created.",
            "Tickets whose creation lies in the window, in the segment that they were created in. A deleted ticket is "
            "taken out again, a restored one put back.",
        ),
        Kpi(
            "tickets_solved",
            Shape.COUNT,
            (Cell.SOLVED,),
            "Tickets solved.",
            "Tickets whose most recent solve lies in the window, each once, in the segment that solved them. A "
            "reopened ticket keeps counting where it was solved until it is solved again.",
        ),
        Kpi(
            "backlog",
            Shape.GAUGE,
            (Cell.BACKLOG,),
            "Tickets neither solved nor closed.",
            "Tickets that are new, open, pending or on hold at the instant of the reading, in the segment that holds "
            "them now. Merged and deleted tickets are not in it.",
        ),
        Kpi(
            "first_response_time",
            Shape.DURATION,
            (Cell.FIRST_RESPONSE,),
            "From creation to the first public reply of a human agent.",
            "Counts at the time of the reply. Bots, automations and private notes never count; for a ticket that an "
            "agent created, the message it was created with does not count either.",
        ),
        Kpi(
            "resolution_time",
            Shape.DURATION,
            (Cell.FULL_RESOLUTION, Cell.FIRST_RESOLUTION),
            "From creation to solved.",
            "Full resolution runs to the most recent solve and is withdrawn while the ticket is reopened; first "
            "resolution runs to the first solve and stays. Both count at the time of their solve.",
        ),
        Kpi(
            "csat",
            Shape.RATIO,
            (Cell.SATISFIED, Cell.RATED),
            "Share of satisfied customers among those who answered.",
            "Positive answers (good, or 4 and 5 of 5) over all answers, at the time of the answer. A customer who "
            "answers again replaces the earlier answer. No answer is no answer: it is left out.",
        ),
        Kpi(
            "reopen_rate",
            Shape.RATIO,
            (Cell.REOPENED, Cell.SOLVED),
            "Share of solved tickets that were reopened.",
            "Of the tickets counted as solved in the window, those that left solved at least once.",
        ),
    )
}
