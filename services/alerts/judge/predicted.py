"""Promises that will be broken at the present pace, before they are."""

from __future__ import annotations

from typing import Final

from services.alerts.judge import words
from services.alerts.judge.queue import Estimate, Queue, by_history, by_queue
from services.alerts.judge.verdict import Judgement, Verdict, Why, unknown
from services.config.rule import PredictedBreach

MOST_TICKETS: Final = 5
LEAST_HISTORY: Final = 50
"""Waits that must have ended in the past before one can say how they usually end."""
_HALF: Final = 0.5
"""While firing it must come back this far: half of what fires, and of what is expected, not of what is sure."""
_WAITED_FOR: Final = {
    "first_response_time": "first answer",
    "next_response_time": "next answer",
    "resolution_time": "solution",
}


def judge(rule: PredictedBreach, segment: str, queue: Queue, *, firing: bool) -> Verdict:
    """Bad when at least so many promises, not announced one by one already, are broken with the rule's certainty."""
    noun = _WAITED_FOR[rule.kpi]
    if not queue.done or queue.done_in_all < rule.evidence:
        few = f"Only {queue.done_in_all} {noun}s in the last {_hours(queue.seen_s)}, {rule.evidence} are needed."
        return unknown(Why.TOO_FEW, few)
    history = rule.estimate == "history"
    if history and sum((queue.usual or {}).values()) < LEAST_HISTORY:
        return unknown(Why.NOTHING_TO_COMPARE, f"Fewer than {LEAST_HISTORY} {noun}s in the last 28 days.")
    found = (by_history if history else by_queue)(queue, rule.within_s, rule.certainty)
    due = len(found.waits)
    amount = rule.amount
    needed = max(amount.value * (due if amount.relative else 1), 1.0)
    # One promise in danger has its own warning; those are no second news. What fires is what nobody was told.
    bad = found.expected >= needed * _HALF if firing else found.untold >= needed
    title = words.titled(f"{noun}s will be late", segment)
    said = _said(rule, segment, queue, found)
    if not bad:
        return Verdict(Judgement.GOOD, Why.IN_TIME, found.expected, needed, title, said)
    ranked = sorted(
        zip(found.chances, found.waits, strict=True), key=lambda pair: (pair[1].warned, -pair[0], pair[1].left_s)
    )
    tickets = tuple(wait.ticket for _, wait in ranked[:MOST_TICKETS])
    excess = found.expected / needed
    return Verdict(Judgement.BAD, Why.WILL_BREAK, found.expected, needed, title, said, excess, tickets)


def _said(rule: PredictedBreach, segment: str, queue: Queue, found: Estimate) -> str:
    noun, due, pace = _WAITED_FOR[rule.kpi], len(found.waits), _hours(queue.seen_s)
    until = f"due before {queue.until}" if queue.until else f"due within {words.span(rule.within_s)}"
    if not due:
        return f"No {noun} of {words.where(segment)} is {until}."
    hour = queue.done_in_all / queue.seen_s * 3600
    said = (
        f"At the pace of the last {pace}, {round(found.expected)} ({found.low:.0f} to {found.high:.0f}) of {due} "
        f"{noun}s of {words.where(segment)} {until} will be late."
    )
    if rule.estimate == "queue" and found.needed * 3600 >= 0.5 and round(found.expected):
        said += (
            f" Keeping all of them, in the order due, needs "
            f"{max(1, round(found.needed * 3600))} more an hour than the {hour:.0f} of now."
        )
    warned = sum(wait.warned for wait in found.waits)
    if warned:
        said += f" {warned} of them had a warning of their own."
    broken = sum(wait.left_s < 0 for wait in queue.waits)
    if broken:
        said += f" {broken} more are late already."
    return said


def _hours(length_s: float) -> str:
    return words.span(round(length_s))
