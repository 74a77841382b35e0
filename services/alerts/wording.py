"""What an alert says: plain words first, numbers after. Only ids of the helpdesk, never names or texts."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from schemas.sla import SlaEvent, SlaKind, SlaMetric
from services.config.duration import written

_PROMISE: Final = {
    SlaMetric.FIRST_RESPONSE: "First response",
    SlaMetric.NEXT_RESPONSE: "Next response",
    SlaMetric.REQUESTER_WAIT: "Waiting time",
    SlaMetric.AGENT_WORK: "Agent work time",
    SlaMetric.RESOLUTION: "Resolution",
    SlaMetric.PERIODIC_UPDATE: "Regular update",
    SlaMetric.PAUSABLE_UPDATE: "Regular update",
    SlaMetric.GROUP_OWNERSHIP: "Team's time",
}
_DUE: Final = {
    SlaMetric.FIRST_RESPONSE: "The first answer",
    SlaMetric.NEXT_RESPONSE: "The next answer",
    SlaMetric.REQUESTER_WAIT: "An end of the customer's wait",
    SlaMetric.AGENT_WORK: "An end of the agents' work",
    SlaMetric.RESOLUTION: "The solution",
    SlaMetric.PERIODIC_UPDATE: "The next update",
    SlaMetric.PAUSABLE_UPDATE: "The next update",
    SlaMetric.GROUP_OWNERSHIP: "A handover or the solution",
}
_MISSING: Final = {
    SlaMetric.FIRST_RESPONSE: "No answer yet",
    SlaMetric.NEXT_RESPONSE: "No answer yet",
    SlaMetric.REQUESTER_WAIT: "The customer still waits",
    SlaMetric.AGENT_WORK: "The work goes on",
    SlaMetric.RESOLUTION: "Not solved yet",
    SlaMetric.PERIODIC_UPDATE: "No update yet",
    SlaMetric.PAUSABLE_UPDATE: "No update yet",
    SlaMetric.GROUP_OWNERSHIP: "The team still has the ticket",
}
_DONE: Final = {
    SlaMetric.FIRST_RESPONSE: "Answered",
    SlaMetric.NEXT_RESPONSE: "Answered",
    SlaMetric.REQUESTER_WAIT: "The wait ended",
    SlaMetric.AGENT_WORK: "The work ended",
    SlaMetric.RESOLUTION: "Solved",
    SlaMetric.PERIODIC_UPDATE: "Updated",
    SlaMetric.PAUSABLE_UPDATE: "Updated",
    SlaMetric.GROUP_OWNERSHIP: "Handed over or solved",
}
_IN_FACT: Final = {
    SlaMetric.FIRST_RESPONSE: "the answer had in fact come",
    SlaMetric.NEXT_RESPONSE: "the answer had in fact come",
    SlaMetric.REQUESTER_WAIT: "the wait had in fact ended",
    SlaMetric.AGENT_WORK: "the work had in fact ended",
    SlaMetric.RESOLUTION: "the ticket had in fact been solved",
    SlaMetric.PERIODIC_UPDATE: "the update had in fact come",
    SlaMetric.PAUSABLE_UPDATE: "the update had in fact come",
    SlaMetric.GROUP_OWNERSHIP: "the team had in fact handed the ticket over or solved it",
}


def title(event: SlaEvent) -> str:
    """One line that says what is the matter, with which ticket."""
    promise, about = _PROMISE[event.metric], _about(event)
    match event.kind:
        case SlaKind.BREACHED:
            return f"{promise} promise broken: {about}"
        case SlaKind.WARNING:
            return f"{promise} promise in danger: {about}"
        case SlaKind.FULFILLED if event.breached_at is not None:
            return f"{promise} promise kept too late: {about}"
        case SlaKind.FULFILLED:
            return f"{promise} promise kept: {about}"
        case SlaKind.CANCELLED:
            return f"{promise} promise no longer applies: {about}"
        case SlaKind.RETRACTED:
            return f"{promise} alert taken back: {about}"


def detail(event: SlaEvent) -> str:
    """What was promised, what happened, and when we knew."""
    due = f"{_DUE[event.metric]} was due {_when(event.due_at, event.detected_at)}" if event.due_at else ""
    target = f"target {written(event.target_s)}" + (f" of {event.calendar} hours" if event.calendar else "")
    match event.kind:
        case SlaKind.BREACHED:
            found = ""
            if event.breached_at is not None:
                found = f", found {_span((event.detected_at - event.breached_at).total_seconds())} later"
            return f"{due or 'The promised time is over'} ({target}). {_MISSING[event.metric]}{found}."
        case SlaKind.WARNING:
            used = f"{written(event.elapsed_s)} of {written(event.target_s)} are used up"
            if event.threshold:
                used += f" (warning at {event.threshold})"
            due = due.replace(" was due ", " is due ") or "The clock is stopped for now"
            return f"{due}. {used[0].upper()}{used[1:]}."
        case SlaKind.FULFILLED:
            done = _DONE[event.metric]
            if event.fulfilled_at is not None:
                done += f" {_when(event.fulfilled_at, event.detected_at)}"
            took = f"after {written(event.elapsed_s)}, {target}"
            return f"{done}, {'too late' if event.breached_at is not None else 'in time'} ({took})."
        case SlaKind.CANCELLED:
            return (
                "Nothing is due any more: the ticket was merged, deleted or imported anew, or no policy promises this "
                f"for it now ({target})."
            )
        case SlaKind.RETRACTED:
            if event.fulfilled_at is not None:
                at = _when(event.fulfilled_at, event.detected_at)
                fact = f"{_IN_FACT[event.metric]} {at}, in time"
            else:
                fact = "the promise was not broken"
            return f"This should not have been an alert. News that came late shows that {fact} ({target})."


def _about(event: SlaEvent) -> str:
    who = event.ticket
    facts = [who.priority.value] if who.priority else []
    facts += [f"team {who.team}"] if who.team else []
    return f"{event.source} ticket {event.ticket_id}" + (f" ({', '.join(facts)})" if facts else "")


def _when(at: datetime, seen_from: datetime) -> str:
    """``10:30 UTC``; with the date where it is another day than ``seen_from``."""
    return at.strftime("%H:%M UTC" if at.date() == seen_from.date() else "%Y-%m-%d %H:%M UTC")


def _span(value_s: float) -> str:
    return f"{max(value_s, 0.0):.1f} s" if value_s < 10 else written(value_s)
