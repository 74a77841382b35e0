"""Rules that look for what no single level shows: promises that will be broken, and topics that stand out."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from schemas.sla import SlaMetric
from services.config.amount import Amount, Unit, difference
from services.config.duration import percent, seconds
from services.config.rule_base import BaseRule, Dimension, Duration, Level, Window

_PROMISES = {
    "first_response_time": SlaMetric.FIRST_RESPONSE,
    "next_response_time": SlaMetric.NEXT_RESPONSE,
    "resolution_time": SlaMetric.RESOLUTION,
}


class PredictedBreach(BaseRule):
    """At the present pace, open promises will be broken."""

    type: Literal["predicted_breach"]
    kpi: str = "first_response_time"
    above: Level
    within: Duration = "4h"
    pace: Window = "2h"
    sure: str = "80%"
    estimate: Literal["queue", "history"] = "queue"

    @model_validator(mode="before")
    @classmethod
    def _of_cases(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        kpi = given.get("kpi", "first_response_time")
        if isinstance(kpi, str) and kpi not in _PROMISES:
            raise ValueError(f"kpi: '{kpi}' has no promises that wait for it; one of {', '.join(_PROMISES)}")
        return given if given.get("statistic") else given | {"statistic": "count"}

    @model_validator(mode="after")
    def _sound(self) -> PredictedBreach:
        if self.statistic != "count":
            raise ValueError("statistic: leave it out; tickets are predicted, and counted")
        try:
            amount = self.amount
        except ValueError as exc:
            raise ValueError(f"above: {exc}") from None
        if amount.relative and amount.value >= 1:
            raise ValueError("above: a share of the promises that are due lies under 100 %")
        share = percent(self.sure)
        if share is None or not 0.5 <= share <= 0.99:
            raise ValueError(f"sure: '{self.sure}' is no share between 50% and 99%")
        if self.window_s < 900:
            raise ValueError("pace: at least 15m; less tells no pace")
        if self.window_s > 86_400:
            raise ValueError("pace: at most 24h; more is no present pace")
        return self

    @property
    def amount(self) -> Amount:
        """How many late are worth a message: a number, or a share of what is due."""
        return difference(self.above, Unit.COUNT)

    @property
    def certainty(self) -> float:
        """How probable it must be that so many are late."""
        share = percent(self.sure)
        assert share is not None
        return share

    @property
    def promise(self) -> SlaMetric:
        """The promise whose timers are looked at."""
        return _PROMISES[self.kpi]

    @property
    def evidence(self) -> int:
        """How many must have been done within the pace window, and 50 in the past for ``history``."""
        return 10 if self.min_count is None else self.min_count

    @property
    def window_s(self) -> int:
        return seconds(self.pace)

    @property
    def within_s(self) -> int:
        """How far it looks ahead, on the promises' own clock."""
        return seconds(self.within)


class Topic(BaseRule):
    """A tag or category grows, is reopened or escalates beyond its own usual share."""

    type: Literal["topic"]
    kpi: Literal["tickets_created"] = "tickets_created"
    by: tuple[Dimension, ...] = ("tag",)
    window: Window = "7d"
    weeks: int = Field(4, ge=2, le=12)
    signals: tuple[Literal["volume", "reopens", "escalations"], ...] = ("volume", "reopens", "escalations")
    times: float = Field(2.0, ge=1.2, le=100)
    at_least: int = Field(10, ge=3)
    false: str = "5%"

    @model_validator(mode="after")
    def _sound(self) -> Topic:
        if self.segment != "all" or not self.by:
            raise ValueError("by: name the cut whose values are topics, as in  by: [tag]")
        if not self.signals or len(set(self.signals)) != len(self.signals):
            raise ValueError("signals: name each once: volume, reopens, escalations")
        share = percent(self.false)
        if share is None or share > 0.2:
            raise ValueError(f"false: '{self.false}' is no share up to 20%; write for example 5%")
        if self.window_s > 7 * 86_400:
            raise ValueError("window: at most 7d; the week is what repeats")
        return self

    @property
    def false_share(self) -> float:
        """The share of alerts that may be chance: the false discovery rate."""
        share = percent(self.false)
        assert share is not None
        return share

    @property
    def wide(self) -> bool:
        """Never: a topic is compared with the whole already."""
        return False

    @property
    def window_s(self) -> int:
        return seconds(self.window)
