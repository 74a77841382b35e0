"""Silences as pure decisions: which one covers an alert, and what that makes of a step.

A silenced alert lives on as any other: it is judged, changes and can be seen. It names the silence that covers it, and
nobody is told of it but of its end, by whoever heard of its beginning. An alert that still stands when its silence ends
is told as if it had fired then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from schemas.alert import Alert, AlertState
from schemas.instant import SECOND_US, from_datetime, to_datetime
from services.alerts import route, state
from services.alerts.state import Step
from services.config.silence import PlannedSilence
from services.fold.calendar import Calendar

LONGEST_US: Final = 90 * 86_400 * SECOND_US
"""What is to be quiet for longer needs another route, not a silence that somebody will have forgotten."""
FILE: Final = "the configuration"
"""Who is named for a silence of the document."""


class SilenceState(StrEnum):
    """How a silence stands. API value and log field."""

    PLANNED = "planned"
    ACTIVE = "active"
    OVER = "over"
    ENDED_BY_HAND = "ended_by_hand"


class Silence(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Alerts that fit ``match`` (as a route's) are told to nobody from ``from_us`` to before ``until_us``. ``by`` asked
    for it, ``ended_by`` ended it before its time."""

    silence_id: str
    match: dict[str, tuple[str, ...]]
    from_us: int
    until_us: int
    by: str
    comment: str
    created_us: int
    ended_us: int | None = None
    ended_by: str | None = None

    def stands(self, at_us: int) -> SilenceState:
        """How it stands at the instant."""
        if self.ended_us is not None:
            return SilenceState.ENDED_BY_HAND
        if at_us >= self.until_us:
            return SilenceState.OVER
        return SilenceState.ACTIVE if at_us >= self.from_us else SilenceState.PLANNED


class Plan:
    """The silences of a document."""

    def __init__(self, planned: Sequence[PlannedSilence]) -> None:
        self._planned = {one.name: (one, _hours(one)) for one in planned}
        self._found: dict[str, tuple[int, Silence]] = {}

    def __contains__(self, silence_id: str) -> bool:
        return silence_id in self._planned

    def at(self, at_us: int) -> list[Silence]:
        """Each that is not over: as it stands then, or will stand next."""
        found = [self._one(name, at_us) for name in self._planned]
        return [silence for silence in found if silence is not None]

    def _one(self, name: str, at_us: int) -> Silence | None:
        known = self._found.get(name)
        if known is not None and known[0] <= at_us < known[1].until_us:
            return known[1]
        found = _next(*self._planned[name], at_us)
        if found is not None:
            self._found[name] = at_us, found
        return found


def covering(silences: Iterable[Silence], alert: Alert, at_us: int) -> Silence | None:
    """The silence that covers an open alert: the one that does already, else the one that lasts longest."""
    if alert.state is AlertState.RESOLVED:
        return None
    fitting = [one for one in silences if one.stands(at_us) is SilenceState.ACTIVE and route.fits(one.match, alert)]
    return max(
        fitting, key=lambda one: (one.silence_id == alert.silenced_by, one.until_us, one.silence_id), default=None
    )


def applied(step: Step, silences: Sequence[Silence], at_us: int) -> Step:
    """``step`` with the silence that covers its alert afterwards, or with none."""
    if step.event is None:
        return step
    found = covering(silences, step.after, at_us)
    until = to_datetime(found.until_us) if found is not None else None
    after = replace(step.after, silenced_by=found.silence_id if found else None, silenced_until=until)
    return Step(step.before, after, replace(step.event, alert=after))


def due(alert: Alert, silences: Sequence[Silence], at: datetime) -> Step | None:
    """The step of an alert that a silence began to cover, or covers no longer; ``None`` when all is as it was. Where
    only the end of the silence moved, the step has no event."""
    if alert.state is AlertState.RESOLVED:
        return None
    found = covering(silences, alert, from_datetime(at))
    if found is None:
        return state.end_silence(alert, at) if alert.silenced_by is not None else None
    until = to_datetime(found.until_us)
    if found.silence_id != alert.silenced_by:
        return state.silence(alert, found.silence_id, until, found.by, at)
    return Step(alert, replace(alert, silenced_until=until), None) if until != alert.silenced_until else None


def fitting(match: Mapping[str, Sequence[str]], alerts: Iterable[Alert]) -> list[Alert]:
    """The open alerts that a silence would cover."""
    return [alert for alert in alerts if alert.state is not AlertState.RESOLVED and route.fits(match, alert)]


def _next(one: PlannedSilence, hours: Calendar | None, at_us: int) -> Silence | None:
    span = _once(one) if hours is None else _weekly(hours, at_us)
    if span is None or span[1] <= at_us:
        return None
    return Silence(
        silence_id=one.name,
        match=dict(one.match),
        from_us=span[0],
        until_us=span[1],
        by=FILE,
        comment=one.comment,
        created_us=span[0],
    )


def _once(one: PlannedSilence) -> tuple[int, int]:
    assert one.since is not None
    assert one.until is not None
    zone = ZoneInfo(one.timezone)
    end = one.until if isinstance(one.until, datetime) else one.until + timedelta(days=1)
    return _us(one.since, zone), _us(end, zone)


def _weekly(hours: Calendar, at_us: int) -> tuple[int, int] | None:
    """The span that the instant is in, or the next. Before it lies a gap within the week: hours are never all of every
    day."""
    try:
        begin_us, end_us = next(hours.periods_after(at_us - 8 * 86_400 * SECOND_US, 1))
        while end_us <= at_us:
            begin_us = hours.next_open(end_us)
            end_us = hours.next_close(begin_us)
    except OverflowError:
        return None  # hours that there never are, such as those that every change of clocks leaves out
    return begin_us, end_us


def _hours(one: PlannedSilence) -> Calendar | None:
    if one.hours is None:
        return None
    return Calendar.from_mapping(one.name, {"timezone": one.timezone, "weekly": one.weekly})


def _us(at: date | datetime, zone: ZoneInfo) -> int:
    wall = at if isinstance(at, datetime) else datetime.combine(at, time())
    return from_datetime((wall if wall.tzinfo is not None else wall.replace(tzinfo=zone)).astimezone(UTC))
