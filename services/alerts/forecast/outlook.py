"""A volume with what it means for agents, as people and programs are shown it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from schemas.instant import SECOND_US, to_rfc3339
from services.alerts.forecast import words
from services.alerts.forecast.backtest import Backtest, Score
from services.alerts.forecast.labour import Presence, Work
from services.alerts.forecast.slots import HOUR_S, Slot, by_day
from services.alerts.forecast.volume import Span, Volume


@dataclass(frozen=True, slots=True)
class Need:
    """Agents that an hour or a day needs, at most (upper end of the interval), and those who are usually there."""

    needed: float | None
    most: float | None
    seen: float | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """``last_week`` is what came in the same days a week earlier, as far as it is known."""

    segment: str
    timezone: str
    volume: Volume
    work: Work
    occupancy: float
    presence: Presence
    last_week: int | None

    @property
    def said(self) -> str:
        """In words, without agents."""
        return words.said(self.volume)

    @property
    def assumed(self) -> str:
        """What agents' hours are made of, in words."""
        return words.assumed(self.work, self.occupancy)

    def hours(self) -> list[Need]:
        """Of each hour. What comes while usually nobody is there waits, and is spread over the next stretch of hours in
        which somebody is."""
        slots = self.volume.slots[: len(self.volume.hours)]
        there = [self.presence.at(slot) for slot in slots]
        expected = [span.expected for span in self.volume.hours]
        most = [float(span.high) for span in self.volume.hours]
        for some in (expected, most):
            _carry(some, there)
        return [
            Need(self._hours(one), self._hours(high), agents)
            for one, high, agents in zip(expected, most, there, strict=True)
        ]

    def days(self) -> dict[date, Need]:
        """Agents' hours of each day, as :meth:`hours` has them; at most what the day's own interval adds."""
        hours = self.hours()
        widths = {day.day: day.span.high - day.span.expected for day in self.volume.days}
        found = {}
        for day, places in by_day(self.volume.slots[: len(hours)]).items():
            needs = [hours[place] for place in places]
            needed = _sum(need.needed for need in needs)
            more = self._hours(widths[day]) or 0.0
            seen = _sum(need.seen for need in needs)
            found[day] = Need(needed, needed + more if needed else needed, seen)
        return found

    def whole(self) -> Need:
        """Agents' hours of all days together."""
        span = self.volume.whole
        if span is None:
            return Need(None, None, None)
        return Need(self._hours(span.expected), self._hours(span.high), _sum(need.seen for need in self.hours()))

    def tightest(self, most: int = 3) -> list[tuple[Slot, Need]]:
        """The hours in which most agents are lacking, the worst first; only those that lack half an agent or more."""
        lacking = []
        for place, (slot, need) in enumerate(zip(self.volume.slots, self.hours(), strict=False)):
            if need.needed is not None and need.seen is not None and need.needed - need.seen >= 0.5:
                lacking.append((need.needed - need.seen, place, slot, need))
        return [(slot, need) for _, _, slot, need in sorted(lacking, key=lambda one: (-one[0], one[1]))[:most]]

    def _hours(self, tickets: float) -> float | None:
        per_ticket_s = self.work.per_ticket_s
        return None if per_ticket_s is None else tickets * per_ticket_s / HOUR_S


def _carry(amounts: list[float], there: Sequence[float | None]) -> None:
    """Moves what lies in hours with nobody to the stretch of hours after them."""
    waiting, place = 0.0, 0
    while place < len(amounts):
        if there[place] == 0:
            waiting += amounts[place]
            amounts[place] = 0.0
            place += 1
            continue
        end = next((n for n in range(place, len(amounts)) if there[n] == 0), len(amounts))
        for n in range(place, end):
            amounts[n] += waiting / (end - place)
        waiting, place = 0.0, end


def _sum(values: Iterable[float | None]) -> float | None:
    """Of what is known; ``None`` where nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def shown(outlook: Outlook) -> dict[str, Any]:
    """As JSON: hours begin at ``at``, days are local dates of ``timezone``."""
    volume, needs = outlook.volume, outlook.days()
    return {
        "segment": outlook.segment,
        "timezone": outlook.timezone,
        "method": volume.method.value,
        "reason": volume.reason.value,
        "said": outlook.said,
        "assumed": outlook.assumed,
        "interval": 0.8,
        "known_days": volume.known_days,
        "total": {
            **_span(volume.whole),
            "last_week": outlook.last_week,
            "agent_hours": _need(outlook.whole()),
        },
        "work": {
            "basis": outlook.work.basis.value,
            "per_ticket_s": _round(outlook.work.per_ticket_s, 1),
            "solved": outlook.work.solved,
            "agent_hours_seen": outlook.work.agent_hours,
        },
        "days": [
            {
                "day": day.day.isoformat(),
                "holiday": day.holiday,
                **_span(day.span),
                "agent_hours": _need(needs[day.day]),
            }
            for day in volume.days
        ],
        "hours": [
            {"at": to_rfc3339(slot.start_s * SECOND_US), **_span(span), "agents": _need(need)}
            for slot, span, need in zip(volume.slots, volume.hours, outlook.hours(), strict=False)
        ],
        "backtest": summary(volume.backtest),
    }


def summary(test: Backtest | None) -> dict[str, Any] | None:
    """A backtest as JSON."""
    if test is None:
        return None
    return {
        "origins": test.origins,
        "hours": test.hours,
        "from": test.first.isoformat(),
        "to": test.last.isoformat(),
        "better": test.better,
        "profile": _score(test.model),
        "last_week": _score(test.naive),
    }


def _score(score: Score) -> dict[str, Any]:
    return {
        "mae": round(score.mae, 4),
        "mase": _round(score.mase, 4),
        "pinball": round(score.pinball, 4),
        "coverage": round(score.coverage, 4),
        "mean_width": round(score.width, 2),
        "day_mae": round(score.day_mae, 3),
        "day_coverage": round(score.day_coverage, 4),
    }


def _span(span: Span | None) -> dict[str, Any]:
    if span is None:
        return {"expected": None, "low": None, "high": None}
    return {"expected": round(span.expected, 2), "low": span.low, "high": span.high}


def _need(need: Need) -> dict[str, Any]:
    return {"needed": _round(need.needed, 2), "at_most": _round(need.most, 2), "usually_there": _round(need.seen, 2)}


def _round(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
