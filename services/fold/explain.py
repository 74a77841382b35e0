"""Why each timer of a ticket reads what it reads: its life told step by step, by the code that keeps the timers.

Pure. The steps are the ticket's facts, and between them what the clock alone did: thresholds that were crossed,
promises that broke. Sentences are in :mod:`services.fold.telling`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from schemas.sla import SlaMetric
from schemas.state import Fact, Mode, Ticket, Timer
from services.fold import sla, telling, terms
from services.fold.life import Happened, Life, Reads, reads
from services.fold.rules import Rules
from services.fold.ticket import walked

Key = tuple[SlaMetric, int]


@dataclass(frozen=True, slots=True)
class Change:
    """What a step did to one timer. ``elapsed_us`` is of the timer's own clock, ``wall_us`` since it began."""

    timer: Timer
    happened: tuple[Happened, ...]
    why: str
    before: Reads | None
    after: Reads | None
    elapsed_us: int
    wall_us: int
    threshold: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A fact, or (``fact`` is ``None``) an instant at which time alone changed something."""

    at_us: int
    what: str
    fact: Fact | None = None
    ignored: str | None = None
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """``ticket`` is the fold that the steps end in. ``unpromised`` says of every other metric why it has no timer."""

    as_of_us: int
    ticket: Ticket
    steps: tuple[Step, ...]
    lives: tuple[Life, ...]
    unpromised: dict[SlaMetric, str]
    notes: tuple[str, ...]


def explained(
    source: str, ticket_id: str, arrived: Sequence[Fact], rules: Rules, at_us: int, *, stored: Ticket | None = None
) -> Explanation:
    """The ticket of the facts, given in the order of their arrival, as it stands at ``at_us``.

    ``stored`` is what the worker keeps. Where its timers stand on terms that the rules do not have any more, it is told
    on those terms, and a note says so.
    """
    now, rules = rules, terms.kept(stored, rules) if stored is not None else rules
    facts = sorted(arrived, key=lambda fact: fact.order)
    teller = _Teller(rules, _late(arrived))
    floor_us = stored.floor_us if stored is not None else 0
    ticket = Ticket(source, ticket_id, floor_us=floor_us)
    for fact, before, ticket in walked(source, ticket_id, facts, rules, floor_us):
        teller.clock(before, fact.at_us, last=False)
        teller.fact(fact, before, ticket)
    teller.clock(ticket, at_us, last=True)
    for life in teller.lives.values():
        life.summary = telling.summary(life, reads(life.timer), rules, at_us)
    shown = {metric for metric, _ in teller.lives}
    return Explanation(
        as_of_us=at_us,
        ticket=ticket,
        steps=tuple(teller.steps),
        lives=tuple(teller.lives.values()),
        unpromised={m: telling.unpromised(m, ticket, rules) for m in SlaMetric if m not in shown},
        notes=tuple(telling.notes(ticket, stored, edited=rules is not now)),
    )


def _late(arrived: Iterable[Fact]) -> set[bytes]:
    """The facts that arrived after one that happened later."""
    late: set[bytes] = set()
    newest: tuple[int, int, bytes] | None = None
    for fact in arrived:
        if newest is not None and fact.order < newest:
            late.add(fact.event_id)
        else:
            newest = fact.order
    return late


class _Teller:
    """Collects steps and lives while the facts go by."""

    def __init__(self, rules: Rules, late: set[bytes]) -> None:
        self.steps: list[Step] = []
        self.lives: dict[Key, Life] = {}
        self._rules = rules
        self._late = late
        self._warned: dict[Key, tuple[int, int]] = {}  # target, and the highest amount that was crossed

    def clock(self, ticket: Ticket, until_us: int, *, last: bool) -> None:
        """What time alone did to the ticket's timers before ``until_us``; at that instant too when it is the last."""
        happened: list[tuple[int, Timer, Happened, str | None]] = []
        for timer in ticket.timers if ticket.gone is None else ():
            broken = self.lives[_key(timer)].timer.breached_us is not None
            if broken or timer.mode is not Mode.RUNNING or timer.breach_after_us is None:
                continue
            calendar = self._rules.calendar(timer.calendar)
            crossed = self._crossed(timer)
            for amount, name in self._rules.given(timer).warnings:
                if crossed < amount:
                    at_us = calendar.due_at(timer.since_us, max(0, amount - timer.elapsed_us))
                    if at_us < until_us or (last and at_us == until_us):
                        happened.append((at_us, timer, Happened.WARNED, name))
                        self._warned[_key(timer)] = (timer.target_us, amount)
            if timer.breach_after_us < until_us:
                happened.append((timer.breach_after_us, timer, Happened.BREACHED, None))
        for at_us, timer, what, threshold in sorted(happened, key=lambda one: one[0]):
            self._passed(at_us, timer, what, threshold)

    def fact(self, fact: Fact, before: Ticket, after: Ticket) -> None:
        """The step of a fact."""
        old = {_key(timer): sla.latched(timer, fact.at_us) for timer in before.timers}
        new = {_key(timer): timer for timer in after.timers}
        changes = [
            change for key, timer in new.items() if (change := self._changed(fact, before, after, old.get(key), timer))
        ]
        for key, timer in old.items():
            if key not in new and timer.mode is not Mode.MET:
                changes.append(self._cancelled(fact, timer, before, after))
        ignored = telling.ignored(fact, before, after, late=fact.event_id in self._late)
        if ignored is not None:
            for life in self.lives.values():
                if life.ended_us is None and telling.would_answer(life.timer.metric, fact):
                    life.uncounted.append((fact.at_us, telling.who_wrote(fact)))
        self.steps.append(Step(fact.at_us, telling.fact(fact, before, after), fact, ignored, tuple(changes)))

    def _changed(self, fact: Fact, before: Ticket, after: Ticket, old: Timer | None, new: Timer) -> Change | None:
        key, at_us = _key(new), fact.at_us
        new = sla.latched(new, at_us)
        happened: list[Happened] = []
        if old is None:
            promise = self._rules.given(new)
            began_us = sla.natural(new.metric, after, promise).since_us
            self.lives[key] = Life(new, began_us if began_us is not None else new.since_us, at_us)
            happened.append(Happened.STARTED)
        elif _terms(old) != _terms(new):
            happened.append(Happened.RETARGETED)
        was = old.mode if old is not None else Mode.RUNNING
        life = self.lives[key]
        if new.mode is not was:
            if new.mode is Mode.MET:
                happened.append(Happened.ENDED)
                life.ended_us = at_us
                life.ended_by = telling.ended_by(new.metric, before, after)
            elif new.mode is Mode.PAUSED:
                happened.append(Happened.PAUSED)
            else:
                happened.append(Happened.RESUMED)
            if was is Mode.PAUSED and life.pauses:
                life.pauses[-1] = (life.pauses[-1][0], at_us, life.pauses[-1][2])
            if new.mode is Mode.PAUSED:
                life.pauses.append((at_us, None, telling.stands_still(after)))
            if new.mode is not Mode.MET:
                life.ended_us = None
        if new.breached_us is not None and (old is None or old.breached_us is None):
            happened.append(Happened.BREACHED)
        threshold = self._crossing(new, at_us, life)
        if threshold is not None:
            happened.append(Happened.WARNED)
        life.timer = new
        life.due_us = new.due_us if new.due_us is not None else life.due_us
        if not happened:
            return None
        return Change(
            timer=new,
            happened=tuple(happened),
            why=telling.why(happened, fact, before, after, old, new, self._rules),
            before=reads(old) if old is not None else None,
            after=reads(new),
            elapsed_us=sla.elapsed(new, at_us, self._rules),
            wall_us=max(0, at_us - life.began_us),
            threshold=threshold,
        )

    def _cancelled(self, fact: Fact, timer: Timer, before: Ticket, after: Ticket) -> Change:
        key = _key(timer)
        life = self.lives[key]
        life.cancelled_us = fact.at_us
        void = timer.cycle > sla.cycle_of(timer.metric, after)
        if void:
            del self.lives[key]
        return Change(
            timer=timer,
            happened=(Happened.CANCELLED,),
            why=telling.VOID if void else telling.withdrawn(timer, before, after),
            before=reads(timer),
            after=None,
            elapsed_us=sla.elapsed(timer, fact.at_us, self._rules),
            wall_us=max(0, fact.at_us - life.began_us),
        )

    def _passed(self, at_us: int, timer: Timer, what: Happened, threshold: str | None) -> None:
        life = self.lives[_key(timer)]
        broken = sla.latched(timer, at_us + 1) if what is Happened.BREACHED else timer
        if threshold is not None:
            life.warnings.append((at_us, threshold))
        life.timer = broken
        change = Change(
            timer=broken,
            happened=(what,),
            why=telling.time_passed(broken, threshold, self._rules),
            before=reads(timer),
            after=reads(broken),
            elapsed_us=sla.elapsed(timer, at_us, self._rules),
            wall_us=max(0, at_us - life.began_us),
            threshold=threshold,
        )
        self.steps.append(Step(at_us, "Time passed.", changes=(change,)))

    def _crossing(self, timer: Timer, at_us: int, life: Life) -> str | None:
        """The highest threshold that a start or a new target crossed at once."""
        if timer.mode is Mode.MET or timer.breached_us is not None:
            return None
        shown_us = sla.elapsed(timer, at_us, self._rules)
        crossed = self._crossed(timer)
        new = [(amount, name) for amount, name in self._rules.given(timer).warnings if crossed < amount <= shown_us]
        if not new:
            return None
        self._warned[_key(timer)] = (timer.target_us, new[-1][0])
        life.warnings.append((at_us, new[-1][1]))
        return new[-1][1]

    def _crossed(self, timer: Timer) -> int:
        target_us, amount = self._warned.get(_key(timer), (timer.target_us, 0))
        return amount if target_us == timer.target_us else 0


def _key(timer: Timer) -> Key:
    return timer.metric, timer.cycle


def _terms(timer: Timer) -> tuple[str, int, str | None]:
    return timer.policy, timer.target_us, timer.calendar
