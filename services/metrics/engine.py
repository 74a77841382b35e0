"""The engine: batches of facts and passing time become a :class:`Delta`. Pure; the store and the log are the shell.

A batch has two halves, since most tickets are folded from their stored state alone: ``histories`` says for which
tickets the stored facts are needed, ``batch`` computes with them at hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final

from msgspec import structs

from schemas.sla import SlaMetric
from schemas.state import (
    FORGET_FROM,
    FORM,
    PAUSED_FROM,
    Entry,
    Fact,
    Level,
    Mode,
    Notice,
    Ticket,
    TimerPlace,
    TimerState,
    former_place,
    pack,
    timer_list,
    timer_member,
)
from services.fold import recompute, retention
from services.fold.flow import Flow
from services.fold.rules import Rules
from services.fold.ticket import needs_history, steps
from services.kpi.cuts import Cuts, named
from services.kpi.window import Resolution
from services.metrics import keeping
from services.metrics.announce import announce
from services.metrics.contribution import contributions, promises
from services.metrics.counting import Counting
from services.metrics.delta import Delta, Tally
from services.metrics.segments import Scope, Segments


@dataclass(slots=True)
class Change:
    """What was computed. ``counting`` is in the delta once every value of ``counting.undecided()`` is decided and
    :meth:`Engine.counted` was asked. ``refused`` are facts that came too late."""

    counting: Counting
    delta: Delta = field(default_factory=Delta)
    tally: Tally = field(default_factory=Tally)
    refused: list[Fact] = field(default_factory=list)


class Engine:
    """Holds the rules, the resolutions and the segments, and nothing of any ticket. ``form`` is the one in which
    tickets are written."""

    def __init__(self, rules: Rules, kept: tuple[Resolution, ...], segments: Segments | None = None) -> None:
        self._rules = rules
        self._kept = kept
        self.form = FORM
        self.segments = segments or Segments(Cuts(0, {named(cut): 0 for cut in rules.segments}))

    def histories(self, entries: Mapping[str, Entry], incoming: Mapping[str, Sequence[Fact]]) -> list[str]:
        """Keys whose stored facts ``batch`` will need: something came late, twice, or changes the past."""
        return [
            key
            for key, facts in incoming.items()
            if (entry := entries.get(key)) is not None
            and (any(_looks_back(entry, fact) for fact in facts) or self._in_pieces(entry, facts))
        ]

    def batch(
        self,
        entries: Mapping[str, Entry],
        incoming: Mapping[str, Sequence[Fact]],
        history: Mapping[str, Sequence[Fact]],
        clock_us: int,
        now_us: int,
        began_us: int = 0,
    ) -> tuple[Delta, Tally]:
        """:meth:`computed` and :meth:`counted`, where every value is admitted."""
        return self.counted(self.computed(entries, incoming, history, clock_us, began_us), now_us)

    def computed(
        self,
        entries: Mapping[str, Entry],
        incoming: Mapping[str, Sequence[Fact]],
        history: Mapping[str, Sequence[Fact]],
        clock_us: int,
        began_us: int = 0,
    ) -> Change:
        """What these facts change. ``clock_us`` is the partition's clock after the batch, ``began_us`` when its state
        heard of anything for the first time (0: for ever)."""
        change = Change(Counting(self.segments, self._kept))
        delta, tally = change.delta, change.tally
        for key, facts in incoming.items():
            entry, known = entries.get(key), history.get(key, ())
            tally.events += len(facts)
            pieces = [[fact] for fact in facts] if self._in_pieces(entry, facts) else [facts]
            for piece in pieces:
                if entry is not None and retention.lapsed(entry, piece[0].heard_us, self._rules):
                    self._forget(key, entry, change)
                    entry, known = None, ()
                fresh, floor_us = self._accepted(entry, piece, known, change, began_us)
                if not fresh:
                    continue
                if entry is None:
                    entry = Entry(_blank(key, floor_us), revision=self.segments.cuts.revision, form=self.form)
                ticket, flows, undone = self._folded(entry.ticket, fresh, known, tally)
                newest, recent, listed = keeping.taken(entry, fresh)
                if listed:
                    delta.facts.setdefault(key, []).append(listed)
                self._count(entry.ticket, ticket, flows, undone, change.counting, (-1, entry.revision))
                heard_us = max(entry.heard_us, *[fact.heard_us for fact in fresh])
                entry = self._settle(key, entry, ticket, newest, recent, heard_us, clock_us, change)
                if len(pieces) > 1:
                    known = [*known, *fresh]
        return change

    def counted(self, change: Change, now_us: int) -> tuple[Delta, Tally]:
        """The whole change; ``now_us`` only decides which buckets are still kept."""
        change.tally.expired += change.counting.into(change.delta, now_us)
        return change.delta, change.tally

    def recounted(self, entries: Mapping[str, Entry], history: Mapping[str, Sequence[Fact]]) -> Change:
        """What these tickets add to the cuts that came after they were last counted: all that they ever did."""
        change, revision = Change(Counting(self.segments, self._kept)), self.segments.cuts.revision
        for key, entry in entries.items():
            if entry.revision >= revision:
                continue
            ticket, scope = entry.ticket, (entry.revision, revision)
            # on the terms that it was promised, which is what its timers count as
            _, flows = recompute.refolded(ticket, sorted(history[key], key=_order), self._rules)
            self._count(Ticket(ticket.source, ticket.ticket_id), ticket, flows, [], change.counting, scope)
            change.counting.add(ticket.source, [(*one, 1) for one in promises(entry)], scope)
            change.delta.entries[key] = pack(structs.replace(entry, revision=revision))
            change.tally.events += 1
        return change

    def rewritten(self, entries: Mapping[str, Entry], history: Mapping[str, Sequence[Fact]]) -> Change:
        """These tickets in the form of now. They say what they said: nothing is counted or announced."""
        change = Change(Counting(self.segments, self._kept))
        delta = change.delta
        for key, entry in entries.items():
            newest, recent, listed = keeping.anew(history[key])
            after = structs.replace(entry, newest=newest, recent=recent, form=self.form)
            delta.forgotten.append(key)  # what is there goes before anything is written, in the same step
            delta.entries[key] = pack(after)
            if listed:
                delta.facts[key] = listed
            _relist(entry, after, delta)
            change.tally.events += 1
        return change

    @property
    def rules(self) -> Rules:
        """The rules that this engine folds by."""
        return self._rules

    def recomputed(self, entries: Mapping[str, Entry], clock_us: int, policy: str | None) -> Change:
        """These tickets with their promises made anew at ``clock_us``; those that this changes nothing of are not in
        it."""
        change = Change(Counting(self.segments, self._kept))
        for key, entry in entries.items():
            found = recompute.recomputed(entry.ticket, clock_us, self._rules, policy)
            if found is None:
                continue
            ticket, flows = found
            self._count(entry.ticket, ticket, flows, [], change.counting, (-1, entry.revision))
            settled_us = max(clock_us, ticket.settled_us)
            self._settle(key, entry, ticket, entry.newest, entry.recent, entry.heard_us, settled_us, change)
            change.tally.events += 1
        return change

    def tick(self, entries: Mapping[str, Entry], clock_us: int) -> Change:
        """What the clock alone changes for these tickets, whose time has come."""
        change = Change(Counting(self.segments, self._kept))
        for key, entry in entries.items():
            self._settle(key, entry, entry.ticket, entry.newest, entry.recent, entry.heard_us, clock_us, change)
        return change

    def forgotten(self, keys: Sequence[str], entries: Mapping[str, Entry], clock_us: int) -> Change:
        """Deletes those of these tickets whose time to be forgotten has come, and puts the others where they belong on
        the schedule: the configured time may be another than when they were put there."""
        change = Change(Counting(self.segments, self._kept))
        for key in keys:
            entry = entries.get(key)
            score = retention.wake_us(entry, self._rules) if entry is not None else None
            if entry is not None and score is not None and score <= FORGET_FROM + clock_us:
                self._forget(key, entry, change)
            else:
                change.delta.due[key] = score
        return change

    def _in_pieces(self, entry: Entry | None, facts: Sequence[Fact]) -> bool:
        """Whether the ticket may be forgotten between two of ``facts``: when a log is read again, or after a long time
        without a worker."""
        horizon_us, first_us, last_us = self._rules.horizon_us, facts[0].heard_us, facts[-1].heard_us
        if horizon_us is None or len(facts) == 1:
            return False
        return last_us - first_us > horizon_us or (
            entry is not None
            and retention.lapsed(entry, last_us, self._rules)
            and not retention.lapsed(entry, first_us, self._rules)
        )

    def _accepted(
        self, entry: Entry | None, facts: Sequence[Fact], known: Sequence[Fact], change: Change, began_us: int
    ) -> tuple[list[Fact], int]:
        """The facts that are new and not too late, in order, and the floor of the ticket, which begins with the first
        of them that arrives."""
        fresh = _unique(facts, known)
        change.tally.duplicates += len(facts) - len(fresh)
        highest_us = (
            entry.ticket.floor_us if entry is not None else retention.floor_us(facts[-1], self._rules, began_us)
        )
        if not fresh or fresh[0].at_us >= highest_us:
            return fresh, highest_us if entry is not None else retention.floor_us(facts[0], self._rules, began_us)
        floor_us = highest_us if entry is not None else None
        late: set[bytes] = set()
        for fact in sorted(fresh, key=facts.index):
            limit_us = floor_us if floor_us is not None else retention.floor_us(fact, self._rules, began_us)
            if retention.too_late(fact, limit_us):
                late.add(fact.event_id)
            elif floor_us is None:
                floor_us = limit_us
        copies = [fact for fact in facts if fact.event_id in late]  # a copy that came later is later still
        change.refused += copies
        change.tally.refused += len(copies)
        change.tally.duplicates -= len(copies) - len(late)
        return [fact for fact in fresh if fact.event_id not in late], floor_us or 0

    def _forget(self, key: str, entry: Entry, change: Change) -> None:
        """Deletes the ticket. What it counted stays where it was counted."""
        delta = change.delta
        delta.entries.pop(key, None)
        delta.facts.pop(key, None)
        delta.forgotten.append(key)
        delta.due[key] = None
        for place in listing(entry):
            delta.listed.pop(place, None)
            delta.unlisted.add(place)
        change.tally.forgotten += 1

    def _folded(
        self, before: Ticket, fresh: list[Fact], history: Sequence[Fact], tally: Tally
    ) -> tuple[Ticket, list[Flow], list[Flow]]:
        """The ticket, what it adds as it goes, and what of that is no more."""
        rules = self._rules
        in_order = fresh[0].order > before.last and fresh[0].at_us >= before.settled_us
        if in_order and not any(needs_history(fact) for fact in fresh):
            ticket, flows = steps(before, fresh, rules)
            return ticket, flows, []
        tally.refolds += 1
        old = sorted(history, key=_order)
        ticket, flows = recompute.refolded(before, sorted([*old, *fresh], key=_order), rules)
        _, undone = recompute.refolded(before, old, rules)
        return ticket, flows, undone

    def _count(
        self,
        before: Ticket,
        after: Ticket,
        flows: list[Flow],
        undone: list[Flow],
        counting: Counting,
        scope: Scope,
    ) -> None:
        old, new = contributions(before, after)
        all_flows = [(*one, 1) for one in new]
        all_flows += [(*one, -1) for one in old]
        all_flows += flows
        all_flows += [(*flow[:5], -flow[5]) for flow in undone]
        if all_flows:
            counting.add(after.source, all_flows, scope)

    def _settle(
        self,
        key: str,
        before: Entry,
        ticket: Ticket,
        newest: bytes,
        recent: bytes,
        heard_us: int,
        clock_us: int,
        change: Change,
    ) -> Entry:
        """Announces what there is to announce, counts the promises that it finds kept or broken, schedules the next
        look, and lists the timers for the API."""
        delta = change.delta
        said = announce(ticket, before.notices, clock_us, self._rules)
        entry = Entry(ticket, said.notices, recent, before.revision, heard_us, newest, self.form)
        delta.entries[key] = pack(entry)
        delta.events += said.events
        delta.due[key] = said.wake_us if said.wake_us is not None else retention.wake_us(entry, self._rules)
        was, now = promises(before), promises(entry)
        if was != now:
            flows = [(*one, 1) for one in now if one not in was]
            flows += [(*one, -1) for one in was if one not in now]
            change.counting.add(ticket.source, flows, (-1, before.revision))
        _relist(before, entry, delta)
        return entry


def _relist(before: Entry, after: Entry, delta: Delta) -> None:
    """Lists the timers where they stand now."""
    old, new = listing(before), listing(after)
    for place, score in new.items():
        if old.get(place) != score:
            delta.listed[place] = score
    for place in old:
        if place not in new:
            delta.unlisted.add(place)
            delta.listed.pop(place, None)


def listing(entry: Entry) -> dict[TimerPlace, int]:
    """Where the entry's open timers stand in the lists of the API, with their scores; one of each metric."""
    ticket = entry.ticket
    if ticket.gone is not None:
        return {}
    told: dict[tuple[str, int], Notice] = {(n.metric, n.cycle): n for n in entry.notices}
    found: dict[SlaMetric, tuple[TimerState, int]] = {}
    for timer in ticket.timers:
        if timer.mode is Mode.MET:
            continue
        notice = told.get((timer.metric, timer.cycle))
        if timer.breached_us is not None or (notice is not None and notice.level is Level.BREACHED):
            state, score = TimerState.BREACHED, timer.breached_us or timer.breach_after_us or timer.since_us
        elif timer.mode is Mode.PAUSED:
            state, score = TimerState.PAUSED, PAUSED_FROM + timer.since_us
        else:
            at_risk = notice is not None and notice.level is Level.WARNED
            state = TimerState.AT_RISK if at_risk else TimerState.RUNNING
            score = timer.breach_after_us if timer.breach_after_us is not None else timer.since_us
        found[timer.metric] = (state, score)
    source, name, team = ticket.source, ticket.ticket_id, ticket.who.team
    if entry.form == 0:
        return {former_place(state, source, name, metric, team): score for metric, (state, score) in found.items()}
    member = timer_member(source, name, team)
    return {(timer_list(state, metric), member): score for metric, (state, score) in found.items()}


def _blank(key: str, floor_us: int) -> Ticket:
    source, ticket_id = key.split(":", 1)
    return Ticket(source, ticket_id, floor_us=floor_us)


def _looks_back(entry: Entry, fact: Fact) -> bool:
    late = _order(fact) <= entry.ticket.last or fact.at_us < entry.ticket.settled_us
    return late or needs_history(fact) or keeping.known(entry, fact)


def _unique(facts: Sequence[Fact], known: Sequence[Fact]) -> list[Fact]:
    """The facts that are new, in order; of copies the first to arrive."""
    seen = {fact.event_id for fact in known}
    fresh = []
    for fact in facts:
        if fact.event_id not in seen:
            seen.add(fact.event_id)
            fresh.append(fact)
    fresh.sort(key=_order)
    return fresh


_order: Final = attrgetter("at_us", "sequence", "event_id")
"""As ``Fact.order``, many times."""
