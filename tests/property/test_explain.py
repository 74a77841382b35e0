"""An explanation ends in the timers that the worker keeps, whatever the ticket went through and in whatever order."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings

from schemas.state import Mode
from schemas.ticket import TicketEvent
from services.fold import sla
from services.fold.explain import explained
from services.fold.life import Happened, reads
from services.fold.shown import as_json, as_text
from tests.property.test_fold_order import NOW_US, RULES, arrivals, replayed, ticket_of


@given(arrivals())
@settings(max_examples=200, deadline=None)
def test_the_last_step_is_what_is_stored(case: tuple[list[TicketEvent], list[list[TicketEvent]]]) -> None:
    store = asyncio.run(replayed(case[1]))
    stored = ticket_of(store)
    if stored is None:
        return
    facts = asyncio.run(store.facts(0, ["z:1"]))["z:1"]
    told = explained("z", "1", facts, RULES, NOW_US, stored=stored)
    assert told.ticket.timers == stored.timers
    assert not any("edited" in note for note in told.notes)

    lives = {(life.timer.metric, life.timer.cycle): life for life in told.lives}
    for timer in stored.timers:
        life = lives[(timer.metric, timer.cycle)]
        now = sla.latched(timer, NOW_US) if stored.gone is None else timer
        assert (life.timer.mode, life.timer.breached_us) == (now.mode, now.breached_us)
        assert (life.ended_us is not None) == (timer.mode is Mode.MET)

    last = {}
    for step in told.steps:
        for change in step.changes:
            key = (change.timer.metric, change.timer.cycle)
            assert change.before == last.get(key), "a step goes on from where the one before it ended"
            last[key] = change.after
    for key, life in lives.items():
        assert last[key] in (reads(life.timer), None)

    breaches = [c for s in told.steps for c in s.changes if Happened.BREACHED in c.happened]
    assert all(change.timer.breached_us is not None for change in breaches)
    assert list(as_text(as_json(told)))
