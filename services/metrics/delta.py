"""Everything that one batch changes: what the store applies in one atomic step."""

from __future__ import annotations

from dataclasses import dataclass, field

from schemas.sla import SlaEvent
from schemas.state import TimerPlace

Amounts = dict[str, int]
"""By the field of a bucket."""
Place = tuple[str, int]
"""``(resolution, start in seconds)``."""


@dataclass(slots=True)
class Delta:
    """Counters (by place and segment) and gauges (by segment) are amounts to add; several of them may be the same
    dictionary. Entries replace; ``due`` of ``None`` takes a ticket off the schedule; ``dropped`` are segments, as they
    are stored, that are counted no more; ``forgotten`` are tickets that are deleted with their facts, before anything
    else is written."""

    entries: dict[str, bytes] = field(default_factory=dict)
    facts: dict[str, list[bytes]] = field(default_factory=dict)
    buckets: dict[Place, dict[str, Amounts]] = field(default_factory=dict)
    expires: dict[Place, int] = field(default_factory=dict)
    gauge: dict[str, Amounts] = field(default_factory=dict)
    due: dict[str, int | None] = field(default_factory=dict)
    listed: dict[TimerPlace, int] = field(default_factory=dict)
    unlisted: set[TimerPlace] = field(default_factory=set)
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
