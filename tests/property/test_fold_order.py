"""Any order, any duplicates, any split into batches: the numbers, the timers and the alerts of a sorted replay."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import codec
from schemas.alert import Alert, AlertState, Severity, Transition
from schemas.instant import SECOND_US, from_datetime, to_datetime
from schemas.state import Level, Ticket, unpack_entry
from schemas.ticket import (
    Actor,
    ActorKind,
    Assignment,
    Attributes,
    Kind,
    Merge,
    Message,
    Priority,
    PriorityChange,
    Rating,
    Status,
    StatusChange,
    TagsChange,
    TicketEvent,
    Visibility,
)
from services.alerts.state import decide
from services.config.document import parse
from services.fold import terms
from services.fold.fact import fact, subject
from services.fold.flow import PEOPLE
from services.fold.rules import compiled
from services.fold.ticket import fold
from services.kpi.catalogue import Cell
from services.kpi.window import resolutions
from services.metrics import keeping
from services.metrics.engine import Engine
from services.metrics.store import MemoryStore

START = datetime.fromisoformat("2026-03-02T09:00:00+00:00")
NOW_US = from_datetime(START) + 40 * 86_400 * SECOND_US
DOCUMENT = parse(
    """
calendars:
  office: {timezone: Europe/Paris, weekly: {mon: [["09:00","12:30"],["13:30","18:00"]], tue: [["09:00","18:00"]],
           wed: [["09:00","18:00"]], thu: [["09:00","18:00"]], fri: [["09:00","17:00"]]}, holidays: ["2026-03-06"]}
sla_policies:
  - {name: vip, match: {tag: [vip]}, calendar: office, warn_at: ["50%", "10m"],
     targets: {first_response: {urgent: 15m, "*": 1h}, next_response: {"*": 1h}, resolution: {"*": 8h}}}
  - {name: all, targets: {first_response: {urgent: 30m, high: 1h, "*": 4h}, next_response: {"*": 2h},
     resolution: {urgent: 8h, "*": 3d}, requester_wait: {"*": 1d}, agent_work: {"*": 1d},
     periodic_update: {"*": 6h}, pausable_update: {high: 1h, "*": 3h}}, pause_on: {resolution: [on_hold]}}
  - {name: desk, match: {team: [billing]}, targets: {group_ownership: {urgent: 1h, "*": 5h}}}
kpis: {first_contact_days: 1, escalation: {teams: [tech]}}
segments: [[channel], [team], [agent], [priority], [tag], [team, priority]]
windows: [15m, 1h, 24h, 7d, 28d, 90d]
""",
    {},
)
RULES = compiled(DOCUMENT)
ENGINE = Engine(RULES, resolutions(DOCUMENT.windows_s.values()))

TEAMS = st.sampled_from(["billing", "tech", None])
AGENTS = st.sampled_from(["a1", "a2", None])
PRIORITIES = st.sampled_from([*Priority, None])


def changes() -> st.SearchStrategy[dict[str, Any]]:
    author = st.sampled_from(ActorKind)
    return st.one_of(
        st.builds(lambda s: {"kind": Kind.STATUS_CHANGED, "status": StatusChange(to=s)}, st.sampled_from(Status)),
        st.builds(lambda p: {"kind": Kind.PRIORITY_CHANGED, "priority": PriorityChange(to=p)}, PRIORITIES),
        st.builds(
            lambda a, t: {"kind": Kind.ASSIGNMENT_CHANGED, "assignment": Assignment(agent=a, team=t)}, AGENTS, TEAMS
        ),
        st.builds(
            lambda n, v, a, who: {
                "kind": Kind.MESSAGE_ADDED,
                "message": Message(id=f"m{n}", visibility=v, author=a),
                "actor": Actor(a, who),
            },
            st.integers(0, 3),
            st.sampled_from(Visibility),
            author,
            AGENTS,
        ),
        st.builds(lambda n: {"kind": Kind.MESSAGE_RETRACTED, "message": Message(id=f"m{n}")}, st.integers(0, 3)),
        st.builds(
            lambda a, r: {"kind": Kind.TAGS_CHANGED, "tags": TagsChange(added=tuple(a), removed=tuple(r))},
            st.sets(st.sampled_from(["vip", "x"])),
            st.sets(st.sampled_from(["vip", "x"])),
        ),
        st.builds(lambda s: {"kind": Kind.CSAT_RECEIVED, "rating": Rating(s, 5, 1)}, st.integers(1, 5)),
        st.builds(
            lambda k, r: {"kind": k, "rating": Rating(r, 10, 0)},
            st.sampled_from([Kind.CES_RECEIVED, Kind.NPS_RECEIVED, Kind.QA_SCORED]),
            st.integers(0, 10),
        ),
        st.builds(lambda k: {"kind": k}, st.sampled_from([Kind.ESCALATION_RAISED, Kind.ESCALATION_CLEARED])),
        st.builds(
            lambda k, a, t: {"kind": k, "actor": Actor(ActorKind.AGENT, a), "ticket": Attributes(team=t)},
            st.sampled_from(sorted(PEOPLE)),
            AGENTS,
            TEAMS,
        ),
        st.just({"kind": Kind.DELETED}),
        st.just({"kind": Kind.RESTORED}),
        st.just({"kind": Kind.MERGED, "merge": Merge(into="2")}),
        st.builds(
            lambda t, s: {"kind": Kind.UPDATED, "ticket": Attributes(team=t, status=s)}, TEAMS, st.sampled_from(Status)
        ),
    )


@st.composite
def lives(draw: st.DrawFn) -> list[TicketEvent]:
    """One ticket's events in order; several may share an instant, and creation need not come first."""
    steps = draw(st.lists(st.tuples(st.integers(0, 40_000), changes()), max_size=9))
    born = draw(st.integers(0, len(steps)))
    created = {
        "kind": Kind.CREATED,
        "ticket": Attributes(channel="email", team=draw(TEAMS), priority=draw(PRIORITIES)),
        "actor": Actor(kind=draw(st.sampled_from([ActorKind.CUSTOMER, ActorKind.AGENT]))),
    }
    if draw(st.integers(0, 9)):
        steps.insert(born, (draw(st.integers(0, 40_000)), created))
    ids = draw(st.permutations(range(1, len(steps) + 1)))
    events, at_s = [], 0
    for number, (wait_s, change) in enumerate(steps):
        at_s += wait_s
        at = to_datetime(from_datetime(START) + at_s * SECOND_US)
        events.append(
            TicketEvent(
                event_id=str(UUID(int=ids[number])),
                source="z",
                vendor="zendesk",
                ticket_id="1",
                occurred_at=at,
                received_at=at,
                sequence=draw(st.integers(0, 1)),
                **change,
            )
        )
    return events


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[list[TicketEvent], list[list[TicketEvent]]]:
    """A life, and the batches in which its events arrive: shuffled, with copies, split anywhere."""
    events = draw(lives())
    copies = draw(st.lists(st.sampled_from(events), max_size=4)) if events else []
    shuffled = draw(st.permutations([*events, *copies]))
    batches: list[list[TicketEvent]] = [[]]
    for event in shuffled:
        if draw(st.booleans()):
            batches.append([])
        batches[-1].append(event)
    return events, batches


@pytest.fixture(scope="module", autouse=True)
def few_facts_at_hand() -> Iterator[None]:
    """Short lives have facts in both places too: their entry, and the list."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keeping, "MOST", 300)
        yield


async def replayed(batches: list[list[TicketEvent]]) -> MemoryStore:
    """The state after the batches, each applied through the fence, with the clock at the end of everything."""
    store = MemoryStore()
    position = await store.claim(0)
    for batch in batches:
        incoming: dict[str, list[Any]] = {}
        for event in batch:
            incoming.setdefault(subject(event), []).append(fact(event))
        entries = await store.entries(0, list(incoming))
        history = await store.facts(0, ENGINE.histories(entries, incoming))
        delta, _ = ENGINE.batch(entries, incoming, history, NOW_US, NOW_US)
        after = position.after(None, NOW_US)
        await store.apply(0, position, after, delta)
        position = after
    return store


def ticket_of(store: MemoryStore) -> Ticket | None:
    stored = store.tickets.get((0, "z:1"))
    return unpack_entry(stored).ticket if stored is not None else None


def standing(store: MemoryStore) -> dict[tuple[str, int], Level]:
    """What the world believes of each timer at the end; a promise kept or withdrawn is the same as none."""
    stored = store.tickets.get((0, "z:1"))
    notices = unpack_entry(stored).notices if stored is not None else ()
    return {(n.metric, n.cycle): n.level for n in notices if n.level is not Level.QUIET}


def alerts(store: MemoryStore) -> dict[str, tuple[AlertState, Severity, datetime | None]]:
    """The alerts that stand at the end: open, or kept as a promise that was kept late. One that was taken back, or
    warned of a promise then kept, is the same as none."""
    newest: dict[str, Alert] = {}
    for _, value in store.outbox:
        event = codec.decode_sla(value)
        step = decide(newest.get(event.instance), event, event.detected_at)
        if step is not None:
            newest[event.instance] = step.after
    return {
        fingerprint: (alert.state, alert.severity, alert.breached_at)
        for fingerprint, alert in newest.items()
        if alert.state is not AlertState.RESOLVED or alert.reason is Transition.FULFILLED_LATE
    }


@given(arrivals())
@settings(max_examples=250, deadline=None)
def test_any_order_and_any_copies_end_in_the_numbers_of_the_sorted_replay(
    case: tuple[list[TicketEvent], list[list[TicketEvent]]],
) -> None:
    events, batches = case
    in_order = sorted(events, key=lambda event: fact(event).order)
    wanted = asyncio.run(replayed([in_order]))
    found = asyncio.run(replayed(batches))
    assert {k: v for k, v in found.buckets.items() if v} == {k: v for k, v in wanted.buckets.items() if v}
    assert {k: v for k, v in found.gauges.items() if v} == {k: v for k, v in wanted.gauges.items() if v}
    assert ticket_of(found) == ticket_of(wanted)
    assert found.listed == wanted.listed
    assert found.schedule == wanted.schedule
    assert standing(found) == standing(wanted)
    assert alerts(found) == alerts(wanted)
    ticket = ticket_of(found)
    assert ticket is None or terms.kept(ticket, RULES) is RULES, "no rule was edited"


@given(lives())
@settings(max_examples=200, deadline=None)
def test_folding_a_list_is_stepping_through_it(events: list[TicketEvent]) -> None:
    facts = sorted((fact(event) for event in events if subject(event) == "z:1"), key=lambda f: f.order)
    whole, moves = fold("z", "1", facts, RULES)
    assert sum(flow[5] for flow in moves if flow[0] == Cell.BACKLOG) in (0, 1)
    one_by_one = asyncio.run(replayed([[event] for event in sorted(events, key=lambda e: fact(e).order)]))
    stored = ticket_of(one_by_one)
    assert stored is None or stored == whole


@given(lives())
@settings(max_examples=100, deadline=None)
def test_what_is_announced_is_numbered_without_gaps(events: list[TicketEvent]) -> None:
    store = asyncio.run(replayed([[event] for event in events]))
    said = [codec.decode_sla(value) for _, value in store.outbox]
    for instance in {event.instance for event in said}:
        revisions = [event.revision for event in said if event.instance == instance]
        assert revisions == list(range(1, len(revisions) + 1))
    assert len({event.event_id for event in said}) == len(said)
