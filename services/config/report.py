"""``reports`` of the document: who gets a digest of which tickets, when, and what it looks at closely."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import time
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from services.config.duration import seconds
from services.config.receiver import Receiver
from services.config.schedule import WEEKDAYS, Schedule, Somebody, Zone
from services.config.segment import problem as segment_problem
from services.kpi.catalogue import KPIS

WITHOUT_WORDS: Final = frozenset({"pagerduty", "alertmanager"})
"""Kinds of receivers that take alerts only: a report is nothing that one acknowledges."""
_WHEN: Final = re.compile(
    r"^(?:(daily)|(weekdays)|weekly ((?:mon|tue|wed|thu|fri|sat|sun)(?:,(?:mon|tue|wed|thu|fri|sat|sun))*))"
    r" (([01]\d|2[0-3]):[0-5]\d)$"
)


def _when(text: str) -> str:
    if _WHEN.match(text) is None:
        raise ValueError(f"'{text}' is no time; write  daily 08:30,  weekdays 08:30  or  weekly mon 08:30")
    return text


def _late(text: str) -> str:
    if not 60 <= seconds(text) <= 7 * 86_400:
        raise ValueError("must be from 1m to 7d")
    return text


def _focus(text: str) -> str:
    if text not in KPIS:
        raise ValueError(f"there is no KPI '{text}'; there is: {', '.join(KPIS)}")
    return text


class ReportPlan(BaseModel):
    """A digest of the tickets in ``scope``, for ``leader``, who is one of ``people``, or to ``receiver`` (a receiver, a
    schedule: whoever is on call then, or a person). Who is away is stood in for by their cover. ``focus`` are KPIs that
    are shown day by day. ``people`` lets it praise agents by name. It is not sent on days on which ``calendar`` is
    closed, nor in quiet hours unless ``in_quiet_hours``, nor more than ``late_by`` too late."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    leader: str | None = None
    receiver: str | None = None
    when: Annotated[str, AfterValidator(_when)]
    timezone: Zone | None = None
    scope: str = "all"
    focus: tuple[Annotated[str, AfterValidator(_focus)], ...] = Field((), max_length=3)
    calendar: str | None = None
    people: bool = False
    in_quiet_hours: bool = False
    late_by: Annotated[str, AfterValidator(_late)] = "6h"

    @property
    def days(self) -> frozenset[int]:
        """The weekdays on which it may be due, Monday is 0."""
        found = _WHEN.match(self.when)
        assert found is not None
        if found[1]:
            return frozenset(range(7))
        return frozenset(range(5)) if found[2] else frozenset(WEEKDAYS.index(day) for day in found[3].split(","))

    @property
    def clock(self) -> time:
        """The time of day at which it is due."""
        return time.fromisoformat(self.when.rpartition(" ")[2])

    @property
    def weekly(self) -> bool:
        """Whether it tells of a whole week."""
        return len(self.days) == 1

    @property
    def to(self) -> str:
        """The name of whoever gets it."""
        return self.receiver or self.leader or ""


def problems(
    reports: Sequence[ReportPlan],
    people: Mapping[str, Somebody],
    schedules: Mapping[str, Schedule],
    receivers: Mapping[str, Receiver],
    calendars: Mapping[str, object],
    segments: Sequence[Sequence[str]],
) -> list[str]:
    """What is wrong with reports beside the rest of the document, a line for each."""
    found = []
    for number, report in enumerate(reports):
        where = f"reports[{number}]"
        if report.name in {other.name for other in reports[:number]}:
            found.append(f"{where}.name: '{report.name}' is used twice; names identify a report")
        if report.leader is None and report.receiver is None:
            found.append(f"{where}: say who gets it, with leader (one of people) or receiver")
        if report.leader is not None and report.leader not in people:
            found.append(f"{where}.leader: no person '{report.leader}' (there is: {', '.join(people) or 'none'})")
        named = [*receivers, *schedules, *people]
        if report.receiver is not None and report.receiver not in named:
            there = ", ".join(named) or "none"
            found.append(f"{where}.receiver: no receiver, schedule or person '{report.receiver}' (there is: {there})")
        if report.calendar is not None and report.calendar not in calendars:
            there = ", ".join(calendars) or "none"
            found.append(f"{where}.calendar: no calendar '{report.calendar}' (there is: {there})")
        if (wrong := segment_problem(report.scope, segments)) is not None:
            found.append(f"{where}.scope: {wrong}")
        direct = receivers.get(report.to)
        own = people[report.to].receivers if report.to in people and direct is None else ()
        reached = [direct] if direct is not None else [receivers[name] for name in own if name in receivers]
        if reached and all(one.kind in WITHOUT_WORDS for one in reached):
            found.append(f"{where}: {reached[0].kind} takes alerts only; send reports by mail, chat or webhook")
    return found
