"""A timer instance from its beginning to now: what it read, and what happened to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from schemas.state import Mode, Timer


class Reads(StrEnum):
    """What a timer reads at an instant."""

    RUNNING = "running"
    PAUSED = "paused"
    BREACHED = "breached"
    MET = "met"
    MET_LATE = "met_late"


class Happened(StrEnum):
    """What a step did to a timer."""

    STARTED = "started"
    PAUSED = "paused"
    RESUMED = "resumed"
    ENDED = "ended"
    RETARGETED = "retargeted"
    WARNED = "warned"
    BREACHED = "breached"
    CANCELLED = "cancelled"


@dataclass(slots=True)
class Life:
    """A timer instance from its beginning to now."""

    timer: Timer
    began_us: int
    promised_us: int
    due_us: int | None = None
    ended_us: int | None = None
    ended_by: str = ""
    cancelled_us: int | None = None
    pauses: list[tuple[int, int | None, str]] = field(default_factory=list)
    warnings: list[tuple[int, str]] = field(default_factory=list)
    uncounted: list[tuple[int, str]] = field(default_factory=list)
    summary: str = ""


def reads(timer: Timer) -> Reads:
    """The state of a timer whose breach, if it came to that, is recorded."""
    if timer.mode is Mode.MET:
        return Reads.MET if timer.breached_us is None else Reads.MET_LATE
    if timer.breached_us is not None:
        return Reads.BREACHED
    return Reads.RUNNING if timer.mode is Mode.RUNNING else Reads.PAUSED
