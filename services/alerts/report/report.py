"""A report as data: what is stored, sent and answered. Every number is beside the words that say it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct

from schemas.alert import Cause
from schemas.instant import to_rfc3339


class Side(StrEnum):
    """The two sides of the scorecard."""

    OPERATIONS = "operations"
    PEOPLE = "people"


class Verdict(StrEnum):
    """How a number compares with a week earlier. ``steady``: what moved is no more than chance makes."""

    BETTER = "better"
    WORSE = "worse"
    MOVED = "moved"
    """Clearly, where no direction is good or bad."""
    STEADY = "steady"
    FEW = "few"
    """Too few cases to say, on one of the sides."""


class Figure(Struct, frozen=True, kw_only=True):
    """A statistic in the period and the same hours earlier. ``unit`` is that of rules: seconds, share, number, count.
    ``count`` are the cases behind it, where it has any."""

    kpi: str
    statistic: str
    unit: str
    now: float | None
    then: float | None
    count: int | None
    count_then: int | None
    verdict: Verdict
    segment: str
    said: str


class Finding(Struct, frozen=True, kw_only=True):
    """Something that changed for the worse, why, and what to ask."""

    figure: Figure
    why: str | None
    cause: Cause | None
    ask: str


class Win(Struct, frozen=True, kw_only=True):
    """Something that deserves a word. ``person`` only where the report may name people."""

    said: str
    segment: str
    figure: Figure | None = None
    person: str | None = None


class Focus(Struct, frozen=True, kw_only=True):
    """A KPI that the leader chose, by full local day: ``line`` are the last seven, the oldest first, ``before`` those
    before them."""

    kpi: str
    statistic: str
    unit: str
    figure: Figure
    line: tuple[float | None, ...]
    before: tuple[float | None, ...]
    said: str


class Risk(Struct, frozen=True, kw_only=True):
    """A ticket whose promise is broken or in danger."""

    source: str
    ticket_id: str
    url: str | None
    said: str


class Risks(Struct, frozen=True, kw_only=True):
    """Open ones as of when the report was made."""

    breached: int
    at_risk: int
    said: str
    tickets: tuple[Risk, ...] = ()


class Ahead(Struct, frozen=True, kw_only=True):
    """The coming week."""

    said: tuple[str, ...]
    expected: float | None = None
    low: int | None = None
    high: int | None = None
    last_week: int | None = None
    agent_hours: float | None = None
    usually_there: float | None = None


class Report(Struct, frozen=True, kw_only=True):
    """What one leader is told. Instants are µs since the epoch, UTC."""

    name: str
    leader: str | None
    scope: str
    timezone: str
    due_us: int
    since_us: int
    until_us: int
    ago_s: int
    composed_us: int
    headline: str
    changed: tuple[Finding, ...]
    noted: tuple[str, ...]
    wins: tuple[Win, ...]
    focus: tuple[Focus, ...]
    scorecard: dict[Side, tuple[Figure, ...]]
    risks: Risks | None
    ahead: Ahead | None
    notes: tuple[str, ...]


def without_people(report: Report) -> Report:
    """The same for whoever may not see numbers about single agents."""
    return msgspec.structs.replace(report, wins=tuple(win for win in report.wins if win.person is None))


def encoded(report: Report) -> bytes:
    """For the store."""
    return msgspec.json.encode(report)


def decoded(body: bytes) -> Report:
    """From the store."""
    return _report.decode(body)


def shown(report: Report) -> dict[str, Any]:
    """As JSON for people: instants as RFC 3339."""
    found: dict[str, Any] = msgspec.to_builtins(report)
    for name in ("due", "since", "until", "composed"):
        found[f"{name}_at"] = to_rfc3339(found.pop(f"{name}_us"))
    return found


_report = msgspec.json.Decoder(Report)
