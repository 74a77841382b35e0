"""A question for each finding. It points at the system before it points at anybody: hours, routing, tools, demand."""

from __future__ import annotations

from typing import Final

from schemas.alert import Cause
from services.alerts.explain.sentence import where

_ABOUT: Final = {
    "csat": "What do the tickets with bad answers have in common: a product, a policy, a wait?",
    "nps": "What do the detractors have in common: a product, a policy, a wait?",
    "ces": "Where did customers have to ask twice or do our work?",
    "qa_score": "Which criterion lost the points, and is the guidance for it good enough?",
    "reopen_rate": "What was missing in answers that were reopened: information, a right, a check with the customer?",
    "escalation_rate": "Which kind of request is escalated, and what would the first line need to finish it?",
    "question_answer_time": "Who can answer agents' questions, and was that somebody's job at those hours?",
    "decision_velocity": "Which decisions waited, for whom, and could the first line be allowed to take them?",
    "after_hours_share": "What keeps people writing after hours: late demand, long queues, or shifts that do not fit?",
    "knowledge_contribution": "Is there time in the week to write down what was learnt?",
    "agent_retention": "What did those who left say, and what of it can be changed?",
    "sla_attainment": "Are these promises, hours and priorities the right ones, and which queue breaks them?",
}
_BY_CAUSE: Final = {
    Cause.LOAD_ON_EVERYBODY: "Will this demand stay, and what would take work away: a fix at its source, self-service, "
    "a macro, more hours?",
    Cause.EVERYWHERE: "What do all queues share that changed then: a release, an outage, the helpdesk, a policy?",
    Cause.AS_BEFORE: "It has been so for a while: is the way of working, or the aim, what should change?",
    Cause.UNCLEAR: "What would each queue name first as being in its way?",
}


def question(kpi: str, cause: Cause | None, part: str | None) -> str:
    """What to ask about a KPI that got worse for ``cause``, which is about ``part`` if about one."""
    place = where(part) if part is not None else None
    match cause:
        case Cause.LOAD_ON_ONE if place is not None:
            return f"What sends so much to {place}, can routing share it, and can it be had less of?"
        case Cause.ONE_PART if place is not None:
            return f"What changed for {place}: a tool, a macro, a hand-over, its hours, somebody away?"
        case Cause.MIX if place is not None:
            return f"Work is another mix, above all {place}: is that meant, and are hours and skills set for it?"
        case _:
            pass
    if kpi in _ABOUT:
        return _ABOUT[kpi]
    return _BY_CAUSE.get(cause or Cause.UNCLEAR, _BY_CAUSE[Cause.UNCLEAR])
