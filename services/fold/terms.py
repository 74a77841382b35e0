"""Folding an old ticket again after the rules were edited: it is promised what it was promised.

What a ticket was promised stands on it in its timers, and only there. So a ticket that an event reaches late, and that
is therefore folded from its beginning, is folded by today's rules with its own terms in their place. Where no rule
was edited this changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

from schemas.sla import SlaMetric
from schemas.state import Mode, Ticket, Timer, Who
from services.fold import sla
from services.fold.rules import Promise, Rules

_OPEN = (Mode.RUNNING, Mode.PAUSED)


@dataclass(frozen=True, slots=True, eq=False)
class Kept(Rules):
    """Rules in which some promises are those of one ticket."""

    base: Rules = field(default_factory=Rules)
    instead: dict[Promise, Promise] = field(default_factory=dict)
    besides: dict[SlaMetric, Promise] = field(default_factory=dict)
    without: frozenset[SlaMetric] = frozenset()

    def promises(self, source: str, who: Who) -> dict[SlaMetric, Promise]:
        """What the rules of now promise, on the terms of the ticket."""
        found = {
            metric: self.instead.get(promise, promise)
            for metric, promise in self.base.promises(source, who).items()
            if metric not in self.without
        }
        return found | {metric: promise for metric, promise in self.besides.items() if metric not in found}

    def hours(self, source: str, who: Who) -> str | None:
        """As the rules of now have it, but for a policy whose old terms stand."""
        promised = self.base.promises(source, who)
        for metric, promise in promised.items() if self.instead else ():
            if promise in self.instead and metric is not SlaMetric.GROUP_OWNERSHIP:
                return self.instead[promise].calendar_name
        return self.base.hours(source, who)

    def given(self, timer: Timer) -> Promise:
        """As the rules of now have it."""
        return self.base.given(timer)


def kept(ticket: Ticket, rules: Rules) -> Rules:
    """The rules by which the facts of a ticket end in the terms that its open timers stand on.

    A target that was edited is the old one; a policy that was removed still promises; a metric that has been
    promised only since is not. Timers that have ended are judged by the rules of now.
    """
    if ticket.gone is not None or ticket.facts == 0:
        return rules
    promised = rules.promises(ticket.source, ticket.who)
    standing = {timer.metric: timer for timer in ticket.timers}
    known = {policy.name for policy in rules.policies}
    instead: dict[Promise, Promise] = {}
    besides: dict[SlaMetric, Promise] = {}
    without: set[SlaMetric] = set()
    for metric, promise in promised.items():
        timer = standing.get(metric)
        if timer is None:
            if sla.natural(metric, ticket, promise).mode in _OPEN:
                without.add(metric)
        elif timer.mode in _OPEN and timer.policy == promise.policy:
            terms = rules.given(timer)
            if (terms.target_us, terms.calendar_name) != (promise.target_us, promise.calendar_name):
                instead[promise] = replace(promise, target_us=terms.target_us, calendar_name=terms.calendar_name)
    for metric, timer in standing.items():
        if metric not in promised and timer.mode in _OPEN and timer.policy not in known:
            besides[metric] = rules.given(timer)
    if not (instead or besides or without):
        return rules
    own = {each.name: getattr(rules, each.name) for each in fields(Rules) if each.init}
    return Kept(**own, base=rules, instead=instead, besides=besides, without=frozenset(without))
