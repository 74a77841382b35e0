"""Everything that one batch changes: what the store applies in one atomic step."""

from __future__ import annotations

from dataclasses import dataclass, field

from schemas.sla import SlaEvent
from schemas.state import TimerState

BucketId = tuple[str, int, str]
"""``(resolution, start in seconds, segment)``."""


@dataclass(slots=True)
class Delta:
    """Counters and gauges (by segment and cell) are amounts to add; entries replace; ``due`` of ``None`` takes a ticket
    off the schedule; ``dropped`` are segments, as they are stored, that are counted no more; ``forgotten`` are tickets
    that are deleted with their facts, before anything else is written."""

    entries: dict[str, bytes] = field(default_factory=dict)
    facts: dict[str, list[bytes]] = field(default_factory=dict)
    buckets: dict[BucketId, dict[str, int]] = field(default_factory=dict)
    expires: dict[BucketId, int] = field(default_factory=dict)
    gauge: dict[str, dict[str, int]] = field(default_factory=dict)
    due: dict[str, int | None] = field(default_factory=dict)
    listed: dict[tuple[TimerState, str], int] = field(default_factory=dict)
    unlisted: set[tuple[TimerState, str]] = field(default_factory=set)
    events: list[SlaEvent] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Tally:
    """What happened in a batch, for the pipeline's own metrics."""

    events: int = 0
    duplicates: int = 0
    refolds: int = 0
    expired: int = 0
    forgotten: int = 0
    refused: int = 0
