"""What rules are judged by, and what comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from schemas.alert import Evidence


@dataclass(frozen=True, slots=True, order=True)
class Need:
    """A window that a rule looks at: ``window_s`` long, ended ``ago_s`` before the look. Of the rule's own KPI and
    statistic, unless it names others."""

    window_s: int
    ago_s: int = 0
    kpi: str = ""
    statistic: str = ""


@dataclass(frozen=True, slots=True)
class Point:
    """The statistic over such a window, ``None`` without a case, and from how many cases it is."""

    value: float | None
    count: int


class Judgement(StrEnum):
    """How a rule stands. ``unknown`` neither fires nor ends anything: nothing is not good."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"


class Why(StrEnum):
    """The named reason of a judgement: log field and API value."""

    WITHIN = "within"
    CHANCE = "chance"
    """As large as the rule asks for, and no larger than chance makes it with so few cases."""
    BEYOND = "beyond"
    NOT_CLEARED = "not_cleared"
    """Back over the level that fires, but not over the one that ends it."""
    TOO_FEW = "too_few"
    """Fewer cases than the rule asks for."""
    NOTHING_TO_COMPARE = "nothing_to_compare"
    """The past that it would be compared with is not kept, or had too few cases."""
    NO_TREND = "no_trend"
    ONE_WAY = "one_way"
    """A steady change, large for this series."""
    USUAL = "usual"
    UNUSUAL = "unusual"
    BURNING = "burning"
    SILENT = "silent"
    HEARD = "heard"
    WILL_BREAK = "will_break"
    """At the present pace more promises are broken than the rule allows."""
    IN_TIME = "in_time"
    STANDS_OUT = "stands_out"
    """A topic beyond its usual share."""
    WON = "won"
    NOT_WON = "not_won"


@dataclass(frozen=True, slots=True)
class Verdict:
    """``value`` is what was observed, ``baseline`` what it was compared with; both in the statistic's unit.

    ``title`` and ``said`` are for people: what is the matter, and the numbers. ``excess`` orders bad verdicts of one
    rule: the larger the worse. ``evidence`` are the tickets that the verdict is about, where it is about some.
    """

    judgement: Judgement
    why: Why
    value: float | None = None
    baseline: float | None = None
    title: str = ""
    said: str = ""
    excess: float = 0.0
    evidence: tuple[Evidence, ...] = ()


def unknown(why: Why, said: str, value: float | None = None) -> Verdict:
    """Nothing can be said."""
    return Verdict(Judgement.UNKNOWN, why, value, said=said)


def begun(points: Sequence[Point]) -> list[Point]:
    """``points``, the latest first, without the oldest that have nothing: before anything was counted, zero is no
    number of cases but the absence of them."""
    kept = list(points)
    while kept and not kept[-1].value:
        kept.pop()
    return kept
