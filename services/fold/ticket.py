"""The fold: a ticket's facts, in order, become a Ticket.

``step`` folds one more fact that is newer than all before it; ``fold`` starts over from a sorted list. The two agree:
folding a list is stepping through it, so any order of arrival ends in the state of the sorted replay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from msgspec import UNSET

from schemas.sla import SlaMetric
from schemas.state import Cycle, Fact, Gone, Mark, Rated, Ticket, Who
from schemas.ticket import DONE, ActorKind, Kind, Status, Visibility
from services.fold import flow, sla
from services.fold.flow import Flow
from services.fold.rules import Rules

_TELLS_OF_SOLVING: Final = frozenset({Kind.CREATED, Kind.STATUS_CHANGED})
"""A ticket first seen solved in passing (a comment on it, say) was solved at a time we do not know."""

_CHANGES_THE_PAST: Final = frozenset({Kind.MESSAGE_RETRACTED, Kind.DELETED, Kind.RESTORED, Kind.MERGED})
"""What was counted as it went is taken back or put back with these."""

_TOLD: Final = frozenset(
    {Kind.CES_RECEIVED, Kind.NPS_RECEIVED, Kind.QA_SCORED, Kind.ESCALATION_RAISED, Kind.ESCALATION_CLEARED}
)
_OF_EXISTENCE: Final = frozenset({Kind.CREATED, Kind.DELETED, Kind.RESTORED, Kind.MERGED})
_STAFFING: Final = frozenset({Kind.AGENT_JOINED, Kind.AGENT_LEFT})

_copied: Final[Callable[[Ticket], Ticket]] = Ticket.__copy__  # type: ignore[attr-defined]  # copy.copy ends there

STATUSES_KEPT: Final = 32
"""How many changes of state back a promise made late knows of."""


def step(ticket: Ticket, fact: Fact, rules: Rules) -> tuple[Ticket, list[Flow]]:
    """The ticket after ``fact``, which is newer than every fact in it, and what it adds to the KPIs as it goes.

    Pure: ``ticket`` is left as it was. A fact that :func:`needs_history` has its full effect only in a fold.
    """
    return steps(ticket, (fact,), rules)


def steps(ticket: Ticket, facts: Iterable[Fact], rules: Rules) -> tuple[Ticket, list[Flow]]:
    """:func:`step` for one fact after the other."""
    flows: list[Flow] = []
    reckoned = False
    for fact in facts:
        ticket = _stepped(ticket, fact, rules, flows, reckoned)
        reckoned = True
    return ticket, flows if ticket.gone is None else flow.counted(ticket, flows)


def _stepped(ticket: Ticket, fact: Fact, rules: Rules, flows: list[Flow], reckoned: bool) -> Ticket:
    """``reckoned``: the timers of ``ticket`` are those that these very rules give it."""
    kind, at_us = fact.kind, fact.at_us
    after = _copied(ticket)
    after.last, after.facts = (at_us, fact.sequence, fact.event_id), ticket.facts + 1
    if ticket.facts == 0:
        after.seen_us = at_us
    if fact.imported:
        after.imported = True
    _attributes(after, fact)
    if after.who is not ticket.who:
        flow.rehoured(ticket, after, at_us, rules)
    if kind in flow.PEOPLE:
        after.status = after.status_since_us = None
        flow.aside(after, fact, rules, flows)
        if fact.kind in _STAFFING:
            flow.staffed(ticket, after, fact.at_us, flows)
        return after
    if after.created_us is None or kind in _OF_EXISTENCE:
        _existence(after, fact)
    if after.who is not ticket.who:
        flow.handed(ticket, after, fact, rules)
    _staying(ticket, after, fact, rules, flows)
    if kind is Kind.MESSAGE_ADDED:
        if fact.message_id not in after.withdrawn:
            _message(after, fact, rules, flows)
    elif kind is Kind.MESSAGE_RETRACTED and fact.message_id is not None:
        after.withdrawn = tuple(sorted({*after.withdrawn, fact.message_id}))
    elif kind is Kind.CSAT_RECEIVED and fact.positive is not None:
        after.rated = Rated(at_us, after.who, fact.positive)
    elif kind in _TOLD:
        flow.told(after, fact, rules, flows)
    if reckoned and _undisturbed(ticket, after):
        after.timers = sla.broken_before(ticket, at_us)
        if after.timers is not ticket.timers:
            flow.overdue(ticket, after, at_us, flows)
        return after
    after.timers = sla.reckoned(ticket, after, at_us, rules.promises(after.source, after.who), rules)
    flow.superseded(ticket, after, flows)
    flow.moved(ticket, after, at_us, flows)
    flow.overdue(ticket, after, at_us, flows)
    return after


def _staying(before: Ticket, after: Ticket, fact: Fact, rules: Rules, flows: list[Flow]) -> None:
    """What depends on status, holder and being there; most facts leave all of that as it was."""
    same_status, same_there = after.status is before.status, after.gone is before.gone
    if not (same_status and same_there):
        flow.stayed(before, after, fact.at_us, rules)
    if not (same_status and after.who is before.who and after.born is before.born):
        _holding(before, after, fact)
    if not same_status:
        _solving(before, after, fact, rules, flows)
    if not (same_status and same_there and after.status_since_us == before.status_since_us):
        _standing(before, after, fact.at_us)


def _undisturbed(before: Ticket, after: Ticket) -> bool:
    """Whether a fact changed nothing that a clock or a gauge looks at, as most facts do not: what the timers do stays
    as it is, though time itself may have broken a promise meanwhile."""
    return (
        after.status is before.status
        and after.who is before.who
        and after.first_reply is before.first_reply
        and after.awaiting_us == before.awaiting_us
        and after.cycles == before.cycles
        and after.updates is before.updates
        and after.holding is before.holding
        and after.statuses is before.statuses
        and after.created_us == before.created_us
        and after.born is before.born
        and after.gone is before.gone
    )


def fold(
    source: str, ticket_id: str, facts: Sequence[Fact], rules: Rules, floor_us: int = 0
) -> tuple[Ticket, list[Flow]]:
    """The ticket of ``facts``, which are sorted by their order and without duplicates, and everything that it adds to
    the KPIs as it goes. ``floor_us`` as in the ticket that is folded again."""
    ticket = Ticket(source, ticket_id, withdrawn=taken_back(facts), floor_us=floor_us)
    flows: list[Flow] = []
    for number, fact in enumerate(facts):
        ticket = _stepped(ticket, fact, rules, flows, number > 0)
    return ticket, flow.counted(ticket, flows)


def walked(
    source: str, ticket_id: str, facts: Sequence[Fact], rules: Rules, floor_us: int = 0
) -> Iterator[tuple[Fact, Ticket, Ticket]]:
    """:func:`fold` step by step: each fact with the ticket before and after it."""
    ticket = Ticket(source, ticket_id, withdrawn=taken_back(facts), floor_us=floor_us)
    for fact in facts:
        before, (ticket, _) = ticket, step(ticket, fact, rules)
        yield fact, before, ticket


def needs_history(fact: Fact) -> bool:
    """Whether this fact changes how earlier ones read, so that the ticket must be folded from the start."""
    return fact.kind in _CHANGES_THE_PAST


def taken_back(facts: Iterable[Fact]) -> tuple[str, ...]:
    """Ids of the messages that were taken back: they count as if they had never been public."""
    taken = {f.message_id for f in facts if f.kind is Kind.MESSAGE_RETRACTED and f.message_id is not None}
    return tuple(sorted(taken))


def _attributes(after: Ticket, fact: Fact) -> None:
    stated = fact.stated
    if stated.status is not UNSET and stated.status is not after.status:
        after.status = stated.status
        after.status_since_us = fact.at_us
    if stated.requester is not UNSET:
        after.requester = stated.requester
    if stated.organisation is not UNSET:
        after.organisation = stated.organisation
    after.who = _told_of(after.who, fact)


def _told_of(who: Who, fact: Fact) -> Who:
    """The attributes after ``fact``: the very same record where it says nothing new."""
    stated = fact.stated
    channel = who.channel if stated.channel is UNSET else stated.channel
    team = who.team if stated.team is UNSET else stated.team
    agent = who.agent if stated.agent is UNSET else stated.agent
    priority = who.priority if stated.priority is UNSET else stated.priority
    brand = who.brand if stated.brand is UNSET else stated.brand
    tier = who.tier if stated.tier is UNSET else stated.tier
    tags = who.tags
    if stated.tags is not UNSET and stated.tags != tags:
        tags = tuple(sorted(stated.tags))
    if fact.tags_added or fact.tags_removed:
        tags = tuple(sorted((set(tags) | set(fact.tags_added)) - set(fact.tags_removed)))
    if (
        channel == who.channel
        and agent == who.agent
        and team == who.team
        and priority is who.priority
        and brand == who.brand
        and tier == who.tier
        and tags == who.tags
    ):
        return who
    return Who(channel, team, agent, priority, brand, tier, tags)


def _existence(after: Ticket, fact: Fact) -> None:
    born_us = fact.stated.created_us
    if born_us is UNSET and fact.kind is Kind.CREATED:
        born_us = fact.at_us
    counts = fact.imported or born_us is UNSET or born_us >= after.floor_us
    if fact.kind is Kind.CREATED and not after.born:
        after.born = counts
        after.opened_by = fact.actor
        if after.status is None:
            after.status = Status.NEW
            after.status_since_us = fact.at_us
    elif fact.kind is Kind.DELETED:
        after.gone = Gone.DELETED
    elif fact.kind is Kind.MERGED:
        after.gone, after.merged_into = Gone.MERGED, fact.into
    elif fact.kind is Kind.RESTORED:
        after.gone = None
    if after.created_us is None and born_us is not UNSET:
        after.created_us = born_us
        if counts:
            after.created = Mark(born_us, after.who)
        if after.status_since_us == fact.at_us:
            after.status_since_us = born_us if fact.kind is Kind.CREATED else fact.at_us


def _solving(before: Ticket, after: Ticket, fact: Fact, rules: Rules, flows: list[Flow]) -> None:
    was, now = before.status in DONE, after.status in DONE
    if now and not was:
        after.awaiting_us = None
        after.updates = _closed(after.updates, fact.at_us)
        if before.status is None and fact.kind not in _TELLS_OF_SOLVING:
            return
        after.solved = _measured(after, fact.at_us, rules)
        if after.first_solved is None:
            after.first_solved = after.solved
        flow.solved(after, fact, rules, flows)
    elif was and not now:
        after.reopens += 1
        if after.reopened_us is None and after.first_solved is not None:
            after.reopened_us = fact.at_us


def _holding(before: Ticket, after: Ticket, fact: Fact) -> None:
    """A stay with a team runs until another team has the ticket, none has, or it is done. A reopened ticket begins
    another one (Zendesk's group ownership). A stay whose beginning nobody saw is not one."""
    held, at_us = after.holding, fact.at_us
    if after.status in DONE or after.who.team is None:
        after.holding = _closed(held, at_us)
    elif after.born and not before.born and after.created_us is not None:
        after.holding = _opened(held, after.created_us)
    elif after.who.team != before.who.team:
        if after.born or before.who.team is not None or fact.handed:
            after.holding = _opened(held, at_us)
    elif before.status in DONE:
        after.holding = _opened(held, at_us)


def _standing(before: Ticket, after: Ticket, at_us: int) -> None:
    """Keeps the states, for promises that are made later than they begin."""
    if after.gone is not before.gone:
        if (after.gone is None) != (before.gone is None):
            after.statuses = (*after.statuses, (at_us, after.status if after.gone is None else None))[-STATUSES_KEPT:]
    elif after.gone is None and (after.status_since_us, after.status) != (before.status_since_us, before.status):
        assert after.status_since_us is not None
        after.statuses = (*after.statuses, (after.status_since_us, after.status))[-STATUSES_KEPT:]


def _opened(cycle: Cycle, at_us: int) -> Cycle:
    """The next instance; one that begins anew at the same instant is still the same."""
    return cycle if cycle.since_us == at_us else Cycle(cycle.number + 1, at_us)


def _closed(cycle: Cycle, at_us: int) -> Cycle:
    """An instance that ends as it begins never was: a reply that solves the ticket promises no further one."""
    if cycle.since_us is None:
        return cycle
    return Cycle(cycle.number - (cycle.since_us == at_us), None)


def _message(after: Ticket, fact: Fact, rules: Rules, flows: list[Flow]) -> None:
    if fact.visibility is not Visibility.PUBLIC:
        return
    if fact.actor is ActorKind.AGENT and after.status not in DONE:
        after.updates = _opened(after.updates, fact.at_us)
    if not after.born:
        return
    opening = fact.opening or (after.opened_by is fact.actor and fact.at_us == after.created_us)
    if fact.actor is ActorKind.AGENT:
        if opening:
            return
        after.replies += 1
        flow.replied(after, fact, rules, flows)
        after.awaiting_us = None
        if after.first_reply is None:
            after.first_reply = _measured(after, fact.at_us, rules)
    elif fact.actor is ActorKind.CUSTOMER and after.awaiting_us is None and not fact.opening:
        after.awaiting_us = fact.at_us
        promise = rules.promises(after.source, after.who).get(SlaMetric.NEXT_RESPONSE)
        if after.first_reply is not None or (promise is not None and promise.from_first_message):
            after.cycles += 1
    elif fact.actor is ActorKind.BOT and not opening:
        after.bot = True


def _measured(after: Ticket, at_us: int, rules: Rules) -> Mark:
    """A mark at ``at_us`` with the time since creation on both clocks; none where creation is unknown."""
    created_us = after.created_us
    if created_us is None:
        return Mark(at_us, after.who)
    return Mark(
        at_us,
        after.who,
        max(0, at_us - created_us) // 1000,
        flow.worked(after, created_us, at_us, rules) // 1000,
    )
