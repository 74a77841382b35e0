"""What all alert rules have in common: the KPI, its statistic, the segment, and how patient they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from schemas.alert import Severity
from services.config.amount import Amount, Unit, difference, level
from services.config.duration import seconds
from services.kpi.catalogue import KPIS
from services.kpi.reading import reading

ALL: Final = "all"
"""The segment of every ticket."""
FAST_S: Final = 30
"""How often a rule over a window of up to an hour is judged, where it does not say so itself."""
_NAME: Final = r"^[a-z0-9][a-z0-9_-]{0,62}$"
_FINEST_S: Final = 10
_USUAL: Final = ("p90_s", "ratio", "mean", "score", "age_s", "mean_s", "count")
_SHARES: Final = frozenset({"qa_score"})
"""KPIs whose mean is one of shares, and not a number of something."""


def _duration(text: str) -> str:
    seconds(text)
    return text


def _window(text: str) -> str:
    if seconds(text) % _FINEST_S:
        raise ValueError(f"'{text}' is no multiple of 10s, the narrowest that is counted")
    return text


Duration = Annotated[str, AfterValidator(_duration)]
Window = Annotated[str, AfterValidator(_window)]
Level = str | float
Dimension = Literal["source", "channel", "team", "agent", "priority", "brand", "tier", "tag"]


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


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BaseRule(Part):
    """What every rule has."""

    name: Annotated[str, Field(pattern=_NAME)]
    description: str = Field("", max_length=500)
    kpi: str
    statistic: str = ""
    segment: str = ALL
    by: tuple[Dimension, ...] = ()
    whole: bool | None = None
    most: int = Field(20, ge=1, le=200)
    min_count: int | None = Field(None, ge=0)
    severity: Severity = Severity.WARNING
    for_: Duration | None = Field(None, alias="for")
    keep: Duration | None = None
    every: Duration | None = None
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
    def _one_way_of_cutting(self) -> BaseRule:
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


class Bounded(BaseRule):
    """Rules with a level that is not to be crossed."""

    above: Level | None = None
    below: Level | None = None

    @property
    def high(self) -> float | None:
        """Above this it is bad."""
        return None if self.above is None else level(self.above, self.unit)

    @property
    def low(self) -> float | None:
        """Below this it is bad."""
        return None if self.below is None else level(self.below, self.unit)

    def check_levels(self, *fields: str) -> None:
        for name in fields:
            value = getattr(self, name)
            if value is not None:
                try:
                    level(value, self.unit)
                except ValueError as exc:
                    raise ValueError(f"{name}: {exc}") from None


class Moving(BaseRule):
    """Rules about a change."""

    rises: Level | None = None
    falls: Level | None = None

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
    def _one_direction(self) -> Moving:
        if (self.rises is None) == (self.falls is None):
            raise ValueError("rises: give 'rises' or 'falls', one of the two, as in  rises: 50%")
        field = "rises" if self.rises is not None else "falls"
        try:
            _ = self.amount
        except ValueError as exc:
            raise ValueError(f"{field}: {exc}") from None
        return self
