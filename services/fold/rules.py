"""What the document promises, compiled: calendars, policies in order, and the segments a ticket counts in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from typing import Final

from schemas.instant import SECOND_US
from schemas.sla import SlaMetric
from schemas.state import Timer, Who
from schemas.ticket import Priority, Status
from services.config.document import ConfigInvalid, Document, Policy
from services.config.duration import percent, seconds
from services.fold.calendar import Calendar
from services.fold.hours import DAY_US

ALL: Final = "all"
"""The segment that every ticket counts in."""

PAUSED_BY_DEFAULT: Final[dict[SlaMetric, frozenset[Status]]] = {
    SlaMetric.REQUESTER_WAIT: frozenset({Status.PENDING}),
    SlaMetric.AGENT_WORK: frozenset({Status.PENDING, Status.ON_HOLD}),
    SlaMetric.PAUSABLE_UPDATE: frozenset({Status.PENDING}),
}
"""Zendesk's definitions; other timers do not pause unless a policy says so."""


_REMEMBERED: Final = 100_000
"""Combinations of attributes for which it is remembered what is promised."""


@dataclass(frozen=True, slots=True)
class Promise:
    """What a policy promises of one metric to a ticket of one priority.

    ``warnings`` are amounts of the timer's own clock in µs, ascending, with their names in the policy.
    """

    metric: SlaMetric
    policy: str
    target_us: int
    calendar_name: str | None = None
    pauses: frozenset[Status] = frozenset()
    warnings: tuple[tuple[int, str], ...] = ()
    from_first_message: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything the fold asks of the configuration. Pure; made once per document."""

    policies: tuple[Policy, ...] = ()
    calendars: dict[str, Calendar] = field(default_factory=dict)
    business: Calendar = field(default_factory=Calendar.always)
    segments: tuple[tuple[str, ...], ...] = ()
    fixed: dict[SlaMetric, Promise] | None = None
    first_contact_us: int = 7 * DAY_US
    escalating_priorities: frozenset[Priority] = frozenset({Priority.URGENT})
    escalating_teams: frozenset[str] = frozenset()
    delays: dict[str, int] = field(default_factory=dict)
    """By source, how late its helpdesk may deliver, in µs: for so long nothing is announced."""
    horizon_us: int | None = None
    """How long a closed ticket of which nothing is heard is remembered; ``None`` is for ever."""
    digest: str = ""
    """Of the policies and calendars as they are written: the same in every process with the same document."""
    _promises: dict[tuple[str, Who], dict[SlaMetric, Promise]] = field(default_factory=dict, init=False, repr=False)
    _hours: dict[tuple[str, Who], str | None] = field(default_factory=dict, init=False, repr=False)

    def promises(self, source: str, who: Who) -> dict[SlaMetric, Promise]:
        """Every promise made to a ticket: the targets of the first policy that matches, at its priority."""
        if self.fixed is not None:
            return self.fixed
        found = self._promises.get((source, who))
        if found is None:
            if len(self._promises) >= _REMEMBERED:
                self._promises.clear()
            found = self._promises[source, who] = self.match(source, who)
        return found

    def match(self, source: str, who: Who) -> dict[SlaMetric, Promise]:
        """As :meth:`promises`, computed anew. What is promised to the customer and how long a team may hold a ticket
        are two families: each has its own first policy."""
        found: dict[SlaMetric, Promise] = {}
        open_families = {False, True}
        for number, policy in enumerate(self.policies):
            families = open_families & _families(policy)
            if families and all(_matches(who, source, d, wanted) for d, wanted in policy.match.items()):
                promised = self._promised(number, who.priority or Priority.NORMAL)
                found |= {metric: p for metric, p in promised.items() if _is_ownership(metric) in families}
                open_families -= families
                if not open_families:
                    break
        return found

    def hours(self, source: str, who: Who) -> str | None:
        """The name of the calendar in which a ticket's business time is measured: that of the policy that decides what
        the customer is promised, also where it promises nothing. ``None`` is the business calendar."""
        if self.fixed is not None:
            return next((promise.calendar_name for promise in self.fixed.values()), None)
        try:
            return self._hours[source, who]
        except KeyError:
            policy = self.policy_of(SlaMetric.RESOLUTION, source, who)
        if len(self._hours) >= _REMEMBERED:
            self._hours.clear()
        name = self._hours[source, who] = policy.calendar if policy is not None else None
        return name

    def policy_of(self, metric: SlaMetric, source: str, who: Who) -> Policy | None:
        """The policy that decides about a metric of such a ticket, whether or not it promises it."""
        for policy in self.policies:
            if _is_ownership(metric) in _families(policy) and all(
                _matches(who, source, dimension, wanted) for dimension, wanted in policy.match.items()
            ):
                return policy
        return None

    def given(self, timer: Timer) -> Promise:
        """The promise that a timer stands on: its own terms, with the pauses and warnings that its policy has now.

        A policy that was edited away leaves the pauses of the metric's definition, and no warnings.
        """
        if self.fixed is not None and (fixed := self.fixed.get(timer.metric)) is not None:
            return fixed
        return _given(self, timer.metric, timer.policy, timer.target_us, timer.calendar)

    def restate(self, metric: SlaMetric, name: str, target_us: int, calendar_name: str | None) -> Promise:
        """As :meth:`given`, computed anew."""
        policy = next((known for known in self.policies if known.name == name), None)
        return Promise(
            metric=metric,
            policy=name,
            target_us=target_us,
            calendar_name=calendar_name,
            pauses=_pauses(policy, metric),
            warnings=_warnings(policy.warn_at, target_us) if policy is not None else (),
            from_first_message=policy is not None and policy.next_response_from == "first_message",
        )

    def calendar(self, name: str | None) -> Calendar:
        """The calendar of that name; calendar time for ``None`` and for one that was edited away."""
        return self.calendars.get(name, _ALWAYS) if name is not None else _ALWAYS

    def _promised(self, number: int, priority: Priority) -> dict[SlaMetric, Promise]:
        return _compiled(self.policies[number], self, priority)

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


_ALWAYS: Final = Calendar.always()


def compiled(document: Document) -> Rules:
    """The rules of a document. Raises :class:`ConfigInvalid` naming the field when a calendar makes no sense."""
    calendars: dict[str, Calendar] = {}
    problems: list[str] = []
    for name, definition in document.calendars.items():
        try:
            calendars[name] = Calendar.from_mapping(name, definition)
        except ValueError as exc:
            problems += [f"calendars.{name}.{line}" for line in str(exc).split("\n")]
    if problems:
        raise ConfigInvalid(problems)
    chosen = document.business_calendar or next(iter(calendars), None)
    return Rules(
        policies=document.sla_policies,
        calendars=calendars,
        business=calendars[chosen] if chosen is not None else _ALWAYS,
        segments=document.segments,
        delays={
            name: seconds(source.delivery_delay) * SECOND_US
            for name, source in document.sources.items()
            if source.delivery_delay is not None
        },
        first_contact_us=document.kpis.first_contact_days * DAY_US,
        escalating_priorities=frozenset(document.kpis.escalation.priorities),
        escalating_teams=frozenset(document.kpis.escalation.teams),
        horizon_us=horizon_s * SECOND_US if (horizon_s := document.retention.closed_tickets_s) is not None else None,
        digest=_digest(document),
    )


def _digest(document: Document) -> str:
    written = document.model_dump(mode="json", include={"sla_policies", "calendars", "business_calendar"})
    return hashlib.sha256(json.dumps(written, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _matches(who: Who, source: str, dimension: str, wanted: Iterable[str]) -> bool:
    return any(value in wanted for value in _values(who, source, dimension))


def _values(who: Who, source: str, dimension: str) -> tuple[str, ...]:
    if dimension == "tag":
        return who.tags
    value = source if dimension == "source" else getattr(who, dimension)
    return ("none",) if value is None else (str(value),)


@lru_cache(maxsize=100_000)
def segments_of(cut: tuple[str, ...], source: str, who: Who) -> tuple[str, ...]:
    """The segments of one cut that a ticket with these attributes lies in: several only by its tags, or none."""
    choices = [[f"{dimension}:{value}" for value in _values(who, source, dimension)] for dimension in cut]
    return tuple(",".join(parts) for parts in product(*choices))


@lru_cache(maxsize=10_000)
def _given(rules: Rules, metric: SlaMetric, policy: str, target_us: int, calendar: str | None) -> Promise:
    return rules.restate(metric, policy, target_us, calendar)


def _is_ownership(metric: SlaMetric) -> bool:
    return metric is SlaMetric.GROUP_OWNERSHIP


def _families(policy: Policy) -> set[bool]:
    """Which of the two families a policy speaks for; one without targets says for both that nothing is promised."""
    return {_is_ownership(metric) for metric in policy.targets} or {False, True}


def _pauses(policy: Policy | None, metric: SlaMetric) -> frozenset[Status]:
    written = policy.pause_on.get(metric) if policy is not None else None
    return frozenset(written) if written is not None else PAUSED_BY_DEFAULT.get(metric, frozenset())


@lru_cache(maxsize=10_000)
def _compiled(policy: Policy, rules: Rules, priority: Priority) -> dict[SlaMetric, Promise]:
    promises = {}
    for metric, targets in policy.targets.items():
        written = targets[priority] if priority in targets else targets.get("*")
        if written is None:
            continue
        target_us = seconds(written) * SECOND_US
        promises[metric] = Promise(
            metric=metric,
            policy=policy.name,
            target_us=target_us,
            calendar_name=policy.calendar,
            pauses=_pauses(policy, metric),
            warnings=_warnings(policy.warn_at, target_us),
            from_first_message=policy.next_response_from == "first_message",
        )
    return promises


def _warnings(thresholds: tuple[str, ...], target_us: int) -> tuple[tuple[int, str], ...]:
    """Amounts at which to warn. A time before the target that is longer than the target itself warns of nothing."""
    amounts: dict[int, str] = {}
    for text in thresholds:
        share = percent(text)
        amount = round(share * target_us) if share is not None else target_us - seconds(text) * SECOND_US
        if amount > 0:
            amounts[amount] = text
    return tuple(sorted(amounts.items()))
