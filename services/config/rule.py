"""Alert rules over KPIs: what can be written, checked as far as a rule can be checked alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import Discriminator, Field, TypeAdapter, ValidationError, model_validator

from schemas.alert import Severity
from services.config.amount import Amount, Unit, difference, level
from services.config.duration import percent, seconds
from services.config.rule_ahead import PredictedBreach, Topic
from services.config.rule_base import ALL, BaseRule, Bounded, Dimension, Level, Moving, Part, Window, statistics, usual

__all__ = [
    "ALL",
    "RULE",
    "TYPES",
    "Anomaly",
    "AnyRule",
    "BurnRate",
    "Change",
    "Pair",
    "PredictedBreach",
    "Recognition",
    "Rule",
    "Stale",
    "Threshold",
    "Topic",
    "Trend",
    "cut_problem",
    "problems",
    "spelt",
    "statistics",
    "usual",
]

TYPES: Final = (
    *("threshold", "change", "trend", "anomaly", "burn_rate", "stale", "recognition"),
    *("predicted_breach", "topic"),
)
_DIMENSIONS: Final = get_args(Dimension)
_FIELD: Final = re.compile(r"^[a-z_]+(\[\d+\])?(\.[a-z_]+)?: ")


class Threshold(Bounded):
    """A statistic over a window is above or below a level."""

    type: Literal["threshold"]
    window: Window = "1h"
    clear: Level | None = None

    @model_validator(mode="after")
    def _sound(self) -> Threshold:
        if (self.above is None) == (self.below is None):
            raise ValueError("above: give 'above' or 'below', one of the two, as in  above: 2h")
        self.check_levels("above", "below", "clear")
        bound, clear = self.high if self.high is not None else self.low, self.cleared
        assert bound is not None
        if clear is not None and (clear > bound if self.high is not None else clear < bound):
            side = "below" if self.high is not None else "above"
            raise ValueError(f"clear: it must lie {side} the level that fires, or it would end at once")
        return self

    @property
    def cleared(self) -> float | None:
        """From here on it is good again."""
        return None if self.clear is None else level(self.clear, self.unit)

    @property
    def window_s(self) -> int:
        return seconds(self.window)


class Change(Moving):
    """A statistic over a window moved against the same window so much earlier."""

    type: Literal["change"]
    window: Window = "24h"
    against: Window = "1w"

    @property
    def window_s(self) -> int:
        return seconds(self.window)

    @property
    def against_s(self) -> int:
        """How much earlier."""
        return seconds(self.against)


class Trend(Moving):
    """A statistic worsens steadily over so many periods."""

    type: Literal["trend"]
    period: Literal["1d", "7d"] = "1d"
    periods: int = Field(21, ge=7, le=90)

    @property
    def window_s(self) -> int:
        return seconds(self.period)


class Anomaly(BaseRule):
    """A statistic is far from what it was at the same hour of past weeks."""

    type: Literal["anomaly"]
    window: Window = "1h"
    weeks: int = Field(4, ge=3, le=12)
    z: float = Field(5.0, ge=2, le=50)
    direction: Literal["high", "low", "both"] = "both"
    at_least: Level | None = None

    @model_validator(mode="after")
    def _sound(self) -> Anomaly:
        try:
            _ = self.least
        except ValueError as exc:
            raise ValueError(f"at_least: {exc}") from None
        if self.window_s > 86_400:
            raise ValueError("window: at most 1d; the week is what repeats")
        return self

    @property
    def least(self) -> Amount | None:
        """A smaller difference is not worth a message."""
        return None if self.at_least is None else difference(self.at_least, self.unit)

    @property
    def window_s(self) -> int:
        return seconds(self.window)


class Pair(Part):
    """A long window shows that it matters, a short one that it still goes on: bad when both burn at ``rate``."""

    long: Window
    short: Window
    rate: float = Field(gt=0)

    def __str__(self) -> str:
        return f"{self.long} and {self.short} at {self.rate:g}"


class BurnRate(BaseRule):
    """An objective's error budget is used up faster than it lasts."""

    type: Literal["burn_rate"]
    objective: str
    pairs: tuple[Pair, ...] = Field(
        (
            Pair(long="1h", short="5m", rate=14.4),
            Pair(long="6h", short="30m", rate=6),
            Pair(long="3d", short="6h", rate=1),
        ),
        min_length=1,
        max_length=6,
    )

    @model_validator(mode="after")
    def _sound(self) -> BurnRate:
        if percent(self.objective) is None:
            raise ValueError(f"objective: '{self.objective}' is no share under 100 %; write for example 95%")
        if self.unit is not Unit.SHARE:
            raise ValueError(f"statistic: an objective needs a ratio, and {self.kpi}.{self.statistic} is none")
        for number, pair in enumerate(self.pairs):
            if seconds(pair.short) >= seconds(pair.long):
                raise ValueError(f"pairs[{number}].short: it must be shorter than 'long'")
        return self

    @property
    def budget(self) -> float:
        """The share of cases that may fail."""
        share = percent(self.objective)
        assert share is not None
        return 1 - share

    @property
    def window_s(self) -> int:
        return min(seconds(pair.long) for pair in self.pairs)


class Stale(BaseRule):
    """Nothing has come for longer than the same hours of past weeks leave room for."""

    type: Literal["stale"]
    kpi: str = "tickets_created"
    by: tuple[Dimension, ...] = ("source",)
    window: Window = "1h"
    weeks: int = Field(4, ge=2, le=12)
    at_least: int = Field(10, ge=3)

    @model_validator(mode="before")
    @classmethod
    def _of_one_segment(cls, given: Any) -> Any:
        if isinstance(given, dict) and "segment" in given and "by" not in given:
            return given | {"by": ()}
        return given

    @model_validator(mode="after")
    def _sound(self) -> Stale:
        if self.unit is not Unit.COUNT:
            raise ValueError(f"statistic: silence is told from counts, and {self.kpi}.{self.statistic} is none")
        return self

    @property
    def window_s(self) -> int:
        return seconds(self.window)


class Recognition(Bounded):
    """Something went well: the best period of many, or one good period after another."""

    type: Literal["recognition"]
    severity: Severity = Severity.INFO
    period: Literal["1d", "7d"] = "7d"
    best_of: int | None = Field(None, ge=4, le=52)
    best: Literal["high", "low"] = "high"
    streak: int | None = Field(None, ge=2, le=52)

    @model_validator(mode="after")
    def _sound(self) -> Recognition:
        if (self.best_of is None) == (self.streak is None):
            raise ValueError("best_of: give 'best_of' (periods to be the best of) or 'streak' (good ones in a row)")
        if (self.streak is not None) != ((self.above is None) != (self.below is None)):
            raise ValueError("streak: it goes with 'above' or 'below', which say what a good period is")
        self.check_levels("above", "below")
        return self

    @property
    def window_s(self) -> int:
        return seconds(self.period)


Rule = Threshold | Change | Trend | Anomaly | BurnRate | Stale | Recognition | PredictedBreach | Topic
"""Any rule."""

AnyRule = Annotated[
    Rule,
    Discriminator("type"),
]
RULE: Final[TypeAdapter[Rule]] = TypeAdapter(AnyRule)
"""Reads one rule."""


def problems(exc: ValidationError) -> list[str]:
    """A line for each mistake in a rule: ``where: what and the fix``. Of a document's mistakes, those in its rules."""
    errors = exc.errors(include_url=False, include_input=False)
    if exc.title == "Document":
        errors = [error for error in errors if error["loc"][:1] == ("rules",) and len(error["loc"]) > 1]
    lines = []
    for error in errors:
        place = [part for part in error["loc"] if part not in TYPES]
        inside = place[2:] if place[:1] == ["rules"] else place
        message = error["msg"].removeprefix("Value error, ")
        if error["type"] == "union_tag_invalid":
            message = f"type: '{error['ctx']['tag']}' is no kind of rule; one of {', '.join(TYPES)}"
        elif error["type"] == "union_tag_not_found":
            message = f"type: say what kind of rule it is; one of {', '.join(TYPES)}"
        elif error["type"] == "missing":
            message = "it is needed"
        elif error["type"] == "extra_forbidden":
            message = "a rule of this type has no such field; remove it or correct its name"
        where = spelt(place)
        if not inside and _FIELD.match(message):
            where = f"{where}.{message}" if where else message
            lines.append(where)
        else:
            lines.append(f"{where or 'rule'}: {message}")
    return lines


def spelt(place: Sequence[str | int]) -> str:
    """A place in the document as people write it: ``pairs[0].short``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")


def cut_problem(rule: Rule, segments: Sequence[Sequence[str]]) -> str | None:
    """Why ``rule`` cannot be judged with these configured ``segments``, as ``field: what and the fix``."""
    there = "; ".join(",".join(names) for names in segments) or "none"
    if rule.by:
        if list(rule.by) not in [list(names) for names in segments]:
            return f"by: {list(rule.by)} is no configured segment (there is: {there}); add it to `segments`"
        return None
    if rule.segment == ALL:
        return None
    parts = rule.segment.split(",")
    names = [part.partition(":")[0] for part in parts if part.partition(":")[0] in _DIMENSIONS]
    if not names or not all(part.partition(":")[2] for part in parts if part.partition(":")[0] in names):
        return f"segment: '{rule.segment}' is no segment; write  team:billing  or  team:billing,priority:high"
    if names not in [list(given) for given in segments]:
        return f"segment: {names} is no configured segment (there is: {there}); add it to `segments`"
    return None
