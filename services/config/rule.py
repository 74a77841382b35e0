"""Alert rules over KPIs: what can be written, checked as far as a rule can be checked alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from schemas.alert import Severity
from services.config.amount import Amount, Unit, difference, level
from services.config.duration import percent, seconds
from services.kpi.catalogue import KPIS
from services.kpi.reading import reading

ALL: Final = "all"
"""The segment of every ticket."""
FAST_S: Final = 30
"""How often a rule over a window of up to an hour is judged, where it does not say so itself."""
TYPES: Final = ("threshold", "change", "trend", "anomaly", "burn_rate", "stale", "recognition")
_RULE_NAME: Final = r"^[a-z0-9][a-z0-9_-]{0,62}$"
_DIMENSIONS: Final = ("source", "channel", "team", "agent", "priority", "brand", "tier", "tag")
_FINEST_S: Final = 10
_USUAL: Final = ("p90_s", "ratio", "mean", "score", "age_s", "mean_s", "count")
_SHARES: Final = frozenset({"qa_score"})
"""KPIs whose mean is one of shares, and not a number of something."""
_FIELD: Final = re.compile(r"^[a-z_]+(\[\d+\])?(\.[a-z_]+)?: ")


def _duration(text: str) -> str:
    seconds(text)
    return text


def _window(text: str) -> str:
    if seconds(text) % _FINEST_S:
        raise ValueError(f"'{text}' is no multiple of 10s, the narrowest that is counted")
    return text


_Duration = Annotated[str, AfterValidator(_duration)]
_Window = Annotated[str, AfterValidator(_window)]
_Level = str | float
_Dimension = Literal["source", "channel", "team", "agent", "priority", "brand", "tier", "tag"]


@dataclass(frozen=True, slots=True)
class Statistic:
    """One number of a KPI's reading. ``counted``: the reading says from how many cases it is."""

    unit: Unit
    counted: bool


@cache
def statistics(kpi: str) -> Mapping[str, Statistic]:
    """What a rule can ask of a KPI: every number of its reading, by its path such as ``business.p90_s``."""
    return dict(_leaves(kpi, reading(KPIS[kpi], {}, {}, None)))


def _leaves(
    kpi: str, part: Mapping[str, Any], path: str = "", counted: bool = False
) -> Iterator[tuple[str, Statistic]]:
    counted = counted or "count" in part
    for name, value in part.items():
        if isinstance(value, Mapping):
            yield from _leaves(kpi, value, f"{path}{name}.", counted)
        elif value is None or isinstance(value, int | float):
            yield path + name, Statistic(_unit(kpi, name, value), counted)


def _unit(kpi: str, name: str, value: float | None) -> Unit:
    if name.endswith("_s"):
        return Unit.SECONDS
    if name == "ratio" or (name == "mean" and kpi in _SHARES):
        return Unit.SHARE
    return Unit.NUMBER if value is None else Unit.COUNT


def usual(kpi: str) -> str:
    """The statistic of a rule that names none."""
    there = statistics(kpi)
    parted = (name for end in _USUAL for name in there if name.endswith("." + end))
    return next((name for name in _USUAL if name in there), next(parted, next(iter(there))))


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Rule(_Part):
    """What every rule has."""

    name: Annotated[str, Field(pattern=_RULE_NAME)]
    description: str = Field("", max_length=500)
    kpi: str
    statistic: str = ""
    segment: str = ALL
    by: tuple[_Dimension, ...] = ()
    whole: bool | None = None
    most: int = Field(20, ge=1, le=200)
    min_count: int | None = Field(None, ge=0)
    severity: Severity = Severity.WARNING
    for_: _Duration | None = Field(None, alias="for")
    keep: _Duration | None = None
    every: _Duration | None = None
    labels: dict[str, str] = {}
    runbook: Annotated[str, Field(pattern=r"^https?://\S+$")] | None = None

    def __hash__(self) -> int:
        return id(self)

    @model_validator(mode="before")
    @classmethod
    def _known_kpi(cls, given: Any) -> Any:
        """The statistic by the kind of its KPI, and both known: everything else of a rule is read in its unit."""
        if not isinstance(given, dict):
            return given
        kpi = given.get("kpi", cls.model_fields["kpi"].get_default())
        if not isinstance(kpi, str):
            return given
        if kpi not in KPIS:
            raise ValueError(f"kpi: there is no KPI '{kpi}'; there is: {', '.join(KPIS)}")
        if not given.get("statistic"):
            given = given | {"statistic": usual(kpi)}
        if given["statistic"] not in statistics(kpi):
            there_is = ", ".join(statistics(kpi))
            raise ValueError(f"statistic: {kpi} has no '{given['statistic']}'; there is: {there_is}")
        return given

    @model_validator(mode="after")
    def _one_way_of_cutting(self) -> _Rule:
        if self.by and self.segment != ALL:
            raise ValueError("by: leave out 'segment' or 'by'; a rule looks at one segment or at each value of a cut")
        if len(set(self.by)) != len(self.by):
            raise ValueError("by: name each dimension once")
        return self

    @property
    def unit(self) -> Unit:
        """Of the statistic."""
        return statistics(self.kpi)[self.statistic].unit

    @property
    def for_s(self) -> int:
        """How long it must be bad before it fires."""
        return seconds(self.for_) if self.for_ else 0

    @property
    def keep_s(self) -> int:
        """How long it must be good before it ends."""
        return seconds(self.keep) if self.keep else self.for_s

    @property
    def evidence(self) -> int:
        """How many cases there must be."""
        if self.min_count is not None:
            return self.min_count
        found = statistics(self.kpi)[self.statistic]
        return 5 if found.counted and found.unit is not Unit.COUNT else 0

    @property
    def window_s(self) -> int:
        """The longest window that it looks at."""
        raise NotImplementedError

    @property
    def every_s(self) -> int:
        """How often it is judged: often for short windows, seldom for what cannot have changed meanwhile."""
        return seconds(self.every) if self.every else max(FAST_S, min(self.window_s // 120, 3600))

    @property
    def wide(self) -> bool:
        """Whether the wider segments are judged too, and hold back their parts. Not where a wider segment has more by
        its nature, as a count has."""
        return self.unit is not Unit.COUNT if self.whole is None else self.whole


class _Bounded(_Rule):
    """Rules with a level that is not to be crossed."""

    above: _Level | None = None
    below: _Level | None = None

    @property
    def high(self) -> float | None:
        """Above this it is bad."""
        return None if self.above is None else level(self.above, self.unit)

    @property
    def low(self) -> float | None:
        """Below this it is bad."""
        return None if self.below is None else level(self.below, self.unit)

    def _levels(self, *fields: str) -> None:
        for name in fields:
            value = getattr(self, name)
            if value is not None:
                try:
                    level(value, self.unit)
                except ValueError as exc:
                    raise ValueError(f"{name}: {exc}") from None


class _Moving(_Rule):
    """Rules about a change."""

    rises: _Level | None = None
    falls: _Level | None = None

    @property
    def amount(self) -> Amount:
        """How much it must change to be bad."""
        given = self.rises if self.rises is not None else self.falls
        assert given is not None
        return difference(given, self.unit)

    @property
    def sign(self) -> int:
        """1 where rising is bad, -1 where falling is."""
        return 1 if self.rises is not None else -1

    @model_validator(mode="after")
    def _one_direction(self) -> _Moving:
        if (self.rises is None) == (self.falls is None):
            raise ValueError("rises: give 'rises' or 'falls', one of the two, as in  rises: 50%")
        field = "rises" if self.rises is not None else "falls"
        try:
            _ = self.amount
        except ValueError as exc:
            raise ValueError(f"{field}: {exc}") from None
        return self


class Threshold(_Bounded):
    """A statistic over a window is above or below a level."""

    type: Literal["threshold"]
    window: _Window = "1h"
    clear: _Level | None = None

    @model_validator(mode="after")
    def _sound(self) -> Threshold:
        if (self.above is None) == (self.below is None):
            raise ValueError("above: give 'above' or 'below', one of the two, as in  above: 2h")
        self._levels("above", "below", "clear")
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


class Change(_Moving):
    """A statistic over a window moved against the same window so much earlier."""

    type: Literal["change"]
    window: _Window = "24h"
    against: _Window = "1w"

    @property
    def window_s(self) -> int:
        return seconds(self.window)

    @property
    def against_s(self) -> int:
        """How much earlier."""
        return seconds(self.against)


class Trend(_Moving):
    """A statistic worsens steadily over so many periods."""

    type: Literal["trend"]
    period: Literal["1d", "7d"] = "1d"
    periods: int = Field(21, ge=7, le=90)

    @property
    def window_s(self) -> int:
        return seconds(self.period)


class Anomaly(_Rule):
    """A statistic is far from what it was at the same hour of past weeks."""

    type: Literal["anomaly"]
    window: _Window = "1h"
    weeks: int = Field(4, ge=3, le=12)
    z: float = Field(5.0, ge=2, le=50)
    direction: Literal["high", "low", "both"] = "both"
    at_least: _Level | None = None

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


class Pair(_Part):
    """A long window shows that it matters, a short one that it still goes on: bad when both burn at ``rate``."""

    long: _Window
    short: _Window
    rate: float = Field(gt=0)

    def __str__(self) -> str:
        return f"{self.long} and {self.short} at {self.rate:g}"


class BurnRate(_Rule):
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


class Stale(_Rule):
    """Nothing has come for longer than the same hours of past weeks leave room for."""

    type: Literal["stale"]
    kpi: str = "tickets_created"
    by: tuple[_Dimension, ...] = ("source",)
    window: _Window = "1h"
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


class Recognition(_Bounded):
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
        self._levels("above", "below")
        return self

    @property
    def window_s(self) -> int:
        return seconds(self.period)


Rule = Threshold | Change | Trend | Anomaly | BurnRate | Stale | Recognition
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
