"""Which way a KPI is better, where there is one: what colours a change, and what deserves praise."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Better(StrEnum):
    """A change in this direction is good news."""

    LOWER = "lower"
    HIGHER = "higher"
    NEITHER = "neither"
    """How much there was to do, or how it was done: no judgement follows from the number alone."""


_LOWER: Final = frozenset(
    {
        "backlog",
        "unassigned_backlog",
        "oldest_ticket_age",
        "open_breached",
        "net_flow",
        "first_response_time",
        "next_response_time",
        "resolution_time",
        "requester_wait_time",
        "agent_work_time",
        "reopen_rate",
        "escalation_rate",
        "tickets_escalated",
        "agent_handoffs",
        "team_handoffs",
        "replies_per_resolution",
        "after_hours_share",
        "sla_breach_rate",
        "decision_velocity",
        "question_answer_time",
    }
)
_HIGHER: Final = frozenset(
    {
        "one_touch_rate",
        "first_contact_resolution",
        "sla_attainment",
        "csat",
        "ces",
        "nps",
        "qa_score",
        "bot_resolution_rate",
        "knowledge_contribution",
        "agent_retention",
    }
)
_NEITHER: Final = frozenset(
    {
        "tickets_created",
        "tickets_solved",
        "zero_touch_rate",
        "time_in_status",
        "agent_replies",
        "headcount",
    }
)
DIRECTIONS: Final = {
    **dict.fromkeys(_LOWER, Better.LOWER),
    **dict.fromkeys(_HIGHER, Better.HIGHER),
    **dict.fromkeys(_NEITHER, Better.NEITHER),
}
"""Of every KPI."""


def better(kpi: str) -> Better:
    """The direction of a KPI of the catalogue."""
    return DIRECTIONS[kpi]


def good(kpi: str, now: float, then: float) -> bool | None:
    """Whether going from ``then`` to ``now`` is good news; ``None`` where it is no news or neither."""
    direction = DIRECTIONS[kpi]
    if now == then or direction is Better.NEITHER:
        return None
    return (now < then) is (direction is Better.LOWER)
