"""What a volume means in agents' hours, and who was there in such hours lately.

Helpdesks do not tell how long agents work on a ticket. So either the configuration says it (``handle_time``, and
``occupancy``: which part of an hour of presence can be handled), or it is the pace that was seen: hours in which agents
were active over the tickets that were solved. By that pace the need of a usual week is what is there in a usual week;
what it tells is where volume and presence part. The time that a ticket was the team's turn (``agent_work_time``) is no
labour: most of it is waiting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from services.alerts.forecast.slots import HOLIDAY, HOUR_S, Slot

SEEN_DAYS: Final = 28
LEAST_SOLVED: Final = 20
"""Tickets solved; of fewer no pace is told."""


class Basis(StrEnum):
    """What the work of one ticket is taken from. API value."""

    CONFIGURED = "configured"
    PACE = "pace"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Work:
    """``per_ticket_s`` of an agent's presence, ``None`` where nothing tells it."""

    basis: Basis
    per_ticket_s: float | None
    solved: int = 0
    agent_hours: int = 0


@dataclass(frozen=True, slots=True)
class Presence:
    """How many agents were active in such an hour, on average, by kind of day and hour."""

    agents: dict[tuple[int, int], float]

    def at(self, slot: Slot) -> float | None:
        """``None`` where no such hour was seen."""
        return self.agents.get((slot.kind, slot.hour))


def work(
    handle_s: float | None, occupancy: float, slots: Sequence[Slot], active: Sequence[int], solved: Sequence[int]
) -> Work:
    """By the configuration's ``handle_s`` if there is one, else by the pace of the last :data:`SEEN_DAYS`."""
    place = _since(slots)
    hours, tickets = sum(active[place:]), sum(solved[place:])
    if handle_s is not None:
        return Work(Basis.CONFIGURED, handle_s / occupancy, tickets, hours)
    if tickets < LEAST_SOLVED or not hours:
        return Work(Basis.UNKNOWN, None, tickets, hours)
    return Work(Basis.PACE, hours * HOUR_S / tickets, tickets, hours)


def presence(slots: Sequence[Slot], active: Sequence[int]) -> Presence:
    """From the last :data:`SEEN_DAYS`; none where nobody was ever seen."""
    cells: dict[tuple[int, int], list[int]] = {}
    place = _since(slots)
    for slot, agents in zip(slots[place:], active[place:], strict=True):
        if slot.kind != HOLIDAY:
            cells.setdefault((slot.kind, slot.hour), []).append(agents)
    if not any(active[place:]):
        return Presence({})
    return Presence({cell: sum(values) / len(values) for cell, values in cells.items()})


def _since(slots: Sequence[Slot]) -> int:
    days = list(dict.fromkeys(slot.day for slot in slots))[-SEEN_DAYS:]
    return next((place for place, slot in enumerate(slots) if days and slot.day == days[0]), len(slots))
