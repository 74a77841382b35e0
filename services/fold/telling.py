"""The sentences of an explanation: plain words first, numbers after. Ids of the helpdesk, never names or texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from schemas.instant import SECOND_US, to_datetime
from schemas.sla import SlaMetric
from schemas.state import Fact, Gone, Mode, Ticket, Timer
from schemas.ticket import DONE, ActorKind, Kind, Visibility
from services.config.duration import written
from services.fold import sla
from services.fold.life import Happened, Life, Reads
from services.fold.rules import Rules

NAMES: Final = {
    SlaMetric.FIRST_RESPONSE: "First response",
    SlaMetric.NEXT_RESPONSE: "Next response",
    SlaMetric.REQUESTER_WAIT: "Requester wait",
    SlaMetric.AGENT_WORK: "Agent work",
    SlaMetric.RESOLUTION: "Resolution",
    SlaMetric.PERIODIC_UPDATE: "Periodic update",
    SlaMetric.PAUSABLE_UPDATE: "Pausable update",
    SlaMetric.GROUP_OWNERSHIP: "Group ownership",
}
VOID: Final = "It began and ended at the same instant, so it never was."

_REPLIES: Final = frozenset(
    {SlaMetric.FIRST_RESPONSE, SlaMetric.NEXT_RESPONSE, SlaMetric.PERIODIC_UPDATE, SlaMetric.PAUSABLE_UPDATE}
)
_REPEATING: Final = _REPLIES - {SlaMetric.FIRST_RESPONSE} | {SlaMetric.GROUP_OWNERSHIP}
_WRITERS: Final = {
    ActorKind.CUSTOMER: "a customer",
    ActorKind.AGENT: "a human agent",
    ActorKind.BOT: "a bot",
    ActorKind.SYSTEM: "the system",
    None: "somebody unknown",
}
_BEGINS: Final = {
    SlaMetric.FIRST_RESPONSE: "it runs from the ticket's creation",
    SlaMetric.NEXT_RESPONSE: "a customer wrote and nobody had answered",
    SlaMetric.REQUESTER_WAIT: "it runs from the ticket's creation",
    SlaMetric.AGENT_WORK: "it runs from the ticket's creation",
    SlaMetric.RESOLUTION: "it runs from the ticket's creation",
    SlaMetric.PERIODIC_UPDATE: "an agent wrote publicly, and the next update is due from there",
    SlaMetric.PAUSABLE_UPDATE: "an agent wrote publicly, and the next update is due from there",
    SlaMetric.GROUP_OWNERSHIP: "a team got the ticket",
}
_ANSWER: Final = {
    SlaMetric.FIRST_RESPONSE: "the first public human reply came",
    SlaMetric.NEXT_RESPONSE: "the next public human reply came",
    SlaMetric.PERIODIC_UPDATE: "the next public human message came",
    SlaMetric.PAUSABLE_UPDATE: "the next public human message came",
    SlaMetric.GROUP_OWNERSHIP: "the team gave the ticket away or solved it",
}
_SOLVED: Final = "the ticket was solved"
_SAME: Final = {Mode.RUNNING: "runs", Mode.PAUSED: "stands still", Mode.MET: "has ended"}
_OTHER: Final = {
    Kind.CSAT_RECEIVED: "The customer rated the ticket.",
    Kind.CES_RECEIVED: "The customer said how much effort it took.",
    Kind.NPS_RECEIVED: "The customer said whether they would recommend.",
    Kind.QA_SCORED: "The work was reviewed.",
    Kind.ESCALATION_RAISED: "The ticket was escalated.",
    Kind.ESCALATION_CLEARED: "The escalation was cleared.",
    Kind.DELETED: "The ticket was deleted.",
    Kind.RESTORED: "The ticket was restored.",
    Kind.MESSAGE_RETRACTED: "A message turned out not to be public: it counts as if it had never been.",
}


def fact(fact: Fact, before: Ticket, after: Ticket) -> str:
    """What happened."""
    if fact.kind is Kind.CREATED:
        told = f"The ticket was created by {_WRITERS[fact.actor]}." if fact.actor else "The ticket was created."
    elif fact.kind is Kind.MESSAGE_ADDED:
        way = "privately" if fact.visibility is Visibility.PRIVATE else "publicly"
        told = f"{_capital(who_wrote(fact).split(' (')[0])} wrote {way}."
    elif fact.kind is Kind.MERGED:
        told = f"The ticket was merged into {fact.into}." if fact.into else "The ticket was merged."
    else:
        told = _OTHER.get(fact.kind, "")
    changed = _changed(before, after)
    if changed:
        told = f"{told} {_capital(', '.join(changed))}.".strip()
    return told or "Nothing that counts changed."


def ignored(fact: Fact, before: Ticket, after: Ticket, *, late: bool) -> str | None:
    """Why a fact does not count, or counts otherwise than it came."""
    reason = None
    if fact.kind is Kind.MESSAGE_ADDED:
        if fact.message_id in after.withdrawn:
            reason = "The message was taken back later, so it counts as if it had never been public."
        elif fact.visibility is Visibility.PRIVATE:
            reason = "A private note neither asks nor answers."
        elif fact.actor in (ActorKind.BOT, ActorKind.SYSTEM, None):
            reason = "Only a human agent's message answers, and only a customer's asks."
        elif not after.born:
            reason = "The ticket's creation was not seen, so it is not known whether this is the first."
        elif fact.actor is ActorKind.AGENT and after.replies == before.replies:
            reason = "The message that a ticket is opened with is no reply to it."
        elif fact.actor is ActorKind.CUSTOMER and before.awaiting_us is not None:
            reason = "An earlier message was unanswered still: the clock runs from that one."
    if late:
        came = "It arrived after what happened later, so everything since was computed anew."
        return f"{reason} {came}" if reason else came
    return reason


def would_answer(metric: SlaMetric, fact: Fact) -> bool:
    """Whether people may have taken the fact for an answer that ends such a timer."""
    return metric in _REPLIES and fact.kind is Kind.MESSAGE_ADDED and fact.actor is not ActorKind.CUSTOMER


def who_wrote(fact: Fact) -> str:
    """Who wrote, such as ``a bot`` or ``an agent (private note)``."""
    return _WRITERS[fact.actor] + (" (private note)" if fact.visibility is Visibility.PRIVATE else "")


def stands_still(ticket: Ticket) -> str:
    """What a clock stands still on."""
    if ticket.gone is not None:
        return ticket.gone.value
    return ticket.status.value if ticket.status is not None else "unknown"


def why(
    happened: Sequence[Happened],
    fact: Fact,
    before: Ticket,
    after: Ticket,
    old: Timer | None,
    new: Timer,
    rules: Rules,
) -> str:
    """Why a fact did that to a timer."""
    said = []
    for one in happened:
        match one:
            case Happened.STARTED:
                late = new.elapsed_us > 0 and new.mode is not Mode.MET
                begun = f"Policy {new.policy} promises {_amount(new, new.target_us, rules)}: {_BEGINS[new.metric]}"
                spent = f"; {_time(new.elapsed_us)} of it had passed when the promise began to apply" if late else ""
                said.append(f"{begun}{spent}.")
            case Happened.RETARGETED:
                spent_us = sla.elapsed(new, fact.at_us, rules)
                terms = f"{_amount(new, new.target_us, rules)} by policy {new.policy}"
                said.append(f"The promise is {terms} now; the {_time(spent_us)} that had passed stay counted.")
            case Happened.ENDED:
                said.append(f"{_capital(ended_by(new.metric, before, after))}.")
            case Happened.PAUSED:
                said.append(f"The clock stands still while the ticket is {stands_still(after)}.")
            case Happened.RESUMED:
                again = "The ticket was reopened" if old is not None and old.mode is Mode.MET else "The pause is over"
                said.append(f"{again}: the clock goes on where it was.")
            case Happened.BREACHED:
                said.append("More than the target had passed already, so it is broken from now, not back in time.")
            case Happened.WARNED:
                said.append("A threshold of the policy was crossed at once.")
    return " ".join(said)


def withdrawn(timer: Timer, before: Ticket, after: Ticket) -> str:
    """Why a timer vanished."""
    return f"No policy promises this to the ticket any more, as it is now; policy {timer.policy} did."


def time_passed(timer: Timer, threshold: str | None, rules: Rules) -> str:
    """What the clock did."""
    if threshold is not None:
        return f"The threshold {threshold} of {_amount(timer, timer.target_us, rules)} was reached."
    used = f"{_amount(timer, timer.target_us, rules)} were used up at {_at(timer.due_us)}"
    if timer.due_us != timer.breach_after_us:
        used += f", at closing time: the promise held until the next opening at {_at(timer.breach_after_us)}"
    return f"{used}, and nothing had ended the wait."


def summary(life: Life, reading: Reads, rules: Rules, at_us: int) -> str:
    """One timer in a sentence or two."""
    timer = life.timer
    name = NAMES[timer.metric] + (f" {timer.cycle}" if timer.metric in _REPEATING else "")
    target = _amount(timer, timer.target_us, rules)
    spent = f"{_time(sla.elapsed(timer, at_us, rules))} of {target}"
    ending = f"{life.ended_by} at {_at(life.ended_us)}"
    used_up = f"{target} were used up at {_at(life.due_us)}" if life.due_us is not None else f"{target} were exceeded"
    if life.cancelled_us is not None:
        text = f"no longer promised since {_at(life.cancelled_us)}; {spent} had passed"
    elif reading is Reads.MET:
        text = f"kept: {ending}, after {spent}"
    elif reading is Reads.MET_LATE:
        later = _time(life.ended_us - timer.breached_us) if life.ended_us and timer.breached_us is not None else "too"
        text = f"breached at {_at(timer.breached_us)}: {used_up}; {ending}, {later} later"
    elif reading is Reads.BREACHED:
        over = _time(sla.elapsed(timer, at_us, rules) - timer.target_us)
        text = f"breached at {_at(timer.breached_us)}: {used_up}; it is {over} over and {_SAME[timer.mode]}"
    elif reading is Reads.PAUSED:
        text = f"stands still since {_at(timer.since_us)} ({life.pauses[-1][2] if life.pauses else 'paused'}): {spent}"
    else:
        text = f"runs: {spent} used up, due {_at(timer.due_us)}"
    text += "".join(f"; what {who} wrote at {_at(when)} does not count" for when, who in life.uncounted[:3])
    paused_us = sum(until_us - since_us for since_us, until_us, _ in life.pauses if until_us is not None)
    if paused_us:
        states = sorted({what for _, until_us, what in life.pauses if until_us is not None})
        text += f"; before, it stood still for {_time(paused_us)} ({', '.join(states)})"
    return f"{name}: {text}. Policy {timer.policy}."


def unpromised(metric: SlaMetric, ticket: Ticket, rules: Rules) -> str:
    """Why there is no timer of a metric."""
    promise = rules.promises(ticket.source, ticket.who).get(metric)
    if promise is None:
        policy = rules.policy_of(metric, ticket.source, ticket.who)
        if policy is None:
            return "No policy matches the ticket."
        if metric in policy.targets:
            return f"Policy {policy.name} matches, and promises nothing of it at this priority."
        return f"Policy {policy.name} matches first, and has no target for it."
    made = f"Policy {promise.policy} promises it, but "
    if metric is SlaMetric.GROUP_OWNERSHIP:
        if ticket.who.team is None:
            return f"{made}no team has the ticket."
        return f"{made}the ticket is done, or nobody saw when the team got it."
    if metric in (SlaMetric.PERIODIC_UPDATE, SlaMetric.PAUSABLE_UPDATE):
        return f"{made}no agent has written publicly while the ticket was open."
    if ticket.created is None or (not ticket.born and metric in _REPLIES):
        return f"{made}the ticket was first seen in mid-life, and its creation is not known or long ago."
    if metric is SlaMetric.NEXT_RESPONSE:
        return f"{made}no customer has written since the first reply."
    if sla.natural(metric, ticket, promise).mode is Mode.MET:
        return f"{made}it was done before the promise began to apply."
    return f"{made}it was not promised yet when the ticket last gave cause to ask."


def notes(ticket: Ticket, stored: Ticket | None, *, edited: bool) -> Iterator[str]:
    """What is true of the whole ticket."""
    if ticket.imported:
        yield "The ticket was imported: its timers are computed, and never announced."
    if ticket.facts and not ticket.born:
        yield "The ticket was first seen in mid-life; what broke before that is never announced."
    if ticket.gone is not None:
        gone = "deleted" if ticket.gone is Gone.DELETED else "merged"
        yield f"The ticket is {gone}: its clocks stand still, and nothing is due."
    if edited:
        yield "The rules were edited since: what was promised before stands, and is told on its own terms."
    if stored is not None and stored.timers != ticket.timers:
        yield (
            "Some timers that are kept read otherwise than these steps: rules were edited while they ran. "
            "`timers` of the ticket shows those that count."
        )


def _changed(before: Ticket, after: Ticket) -> list[str]:
    said = []
    if after.status is not before.status and after.status is not None:
        said.append(f"the status became {after.status.value}")
    if after.who is not before.who:
        if after.who.priority is not before.who.priority:
            said.append(f"the priority became {after.who.priority.value if after.who.priority else 'none'}")
        if after.who.team != before.who.team:
            said.append(f"the team became {after.who.team or 'none'}")
        if after.who.agent != before.who.agent:
            said.append("another agent got it" if after.who.agent else "no agent has it")
        said += [
            f"the {name} became {getattr(after.who, name) or 'none'}"
            for name in ("tier", "brand", "channel")
            if getattr(after.who, name) != getattr(before.who, name)
        ]
        if after.who.tags != before.who.tags:
            said.append("the tags changed")
    return said


def ended_by(metric: SlaMetric, before: Ticket, after: Ticket) -> str:
    """What ended a timer of the metric, such as ``the ticket was solved``."""
    if after.status in DONE and before.status not in DONE:
        return _SOLVED
    if metric is SlaMetric.GROUP_OWNERSHIP:
        return "no team has the ticket now" if after.who.team is None else "another team got the ticket"
    return _ANSWER.get(metric, _SOLVED)


def _amount(timer: Timer, amount_us: int, rules: Rules) -> str:
    if timer.calendar is None:
        return f"{_time(amount_us)} of calendar time"
    zone = rules.calendar(timer.calendar).hours.zone.key
    return f"{_time(amount_us)} of business hours (calendar {timer.calendar}, {zone})"


def _time(amount_us: int) -> str:
    return written(amount_us / SECOND_US)


def _at(at_us: int | None) -> str:
    return to_datetime(at_us).strftime("%Y-%m-%d %H:%M:%S UTC") if at_us is not None else "an unknown time"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
