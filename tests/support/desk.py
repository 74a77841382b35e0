"""A month at two helpdesks: seeded ticket lives with everything that an event can say, in order of arrival.

Unlike :mod:`tests.support.lives`, which tells what the simulated Zendesk would post, this one is not bound to what a
vendor does: it makes every kind of event, every attribute, and the odd lives that only happen to somebody else.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import exp
from random import Random
from typing import Any, Final

from schemas.instant import SECOND_US, to_datetime
from schemas.ticket import (
    Actor,
    ActorKind,
    Assignment,
    Attributes,
    Escalation,
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
    event_id,
)

HOUR_US: Final = 3600 * SECOND_US
DAY_US: Final = 24 * HOUR_US
TEAMS: Final = {"support": 5, "billing": 3, "technical": 4, "onboarding": 2}
TAGS: Final = ("login", "invoice", "bug", "shipping", "vip", "refund")
CHANNELS: Final = ("email", "email", "chat", "web", "voice", "api")
PEOPLE: Final = 0.06
"""Events about people, as a share of the tickets."""
COPIED: Final = 0.06
LATE: Final = 0.16


def arrivals(*, seed: int, tickets: int, until_us: int, lasting_s: float, name: str = "t") -> list[TicketEvent]:
    """The events of ``tickets`` lives that began in the ``lasting_s`` before ``until_us``, as they arrive.

    One in 17 arrives again, and one in six late: after up to six hours of other events, which is behind a later
    event of its own ticket for one in 20 of all. Nothing is dated after ``until_us``.
    """
    rng = Random(seed)
    begins_us = until_us - int(lasting_s * SECOND_US)
    received: list[tuple[int, int, TicketEvent]] = []
    for event in _told(rng, tickets, begins_us, until_us, name):
        at_us = event.at_us + rng.randrange(200_000, 3_000_000)
        if rng.random() < LATE:
            at_us += int(exp(rng.uniform(1, 10)) * SECOND_US)
        copies = [at_us]
        while rng.random() < COPIED:
            copies.append(copies[-1] + int(exp(rng.uniform(0, 10)) * SECOND_US))
        received += [(copy_us, len(received), event.received(copy_us)) for copy_us in copies]
    return [event for _, _, event in sorted(received, key=lambda row: row[:2])]


def _told(rng: Random, tickets: int, begins_us: int, until_us: int, name: str) -> Iterator[_Told]:
    for number in range(tickets):
        # Every fourth begins in the last tenth, every tenth in the last hour: short windows have content too.
        share = rng.choices((1.0, 0.1, 0.0), (0.65, 0.25, 0.1))[0]
        span_us = max(min(HOUR_US, until_us - begins_us), int(share * (until_us - begins_us)))
        life = _Life(rng, f"{name}{number}", until_us - rng.randrange(span_us), f"{name}{rng.randrange(tickets)}")
        life.live()
        first = rng.randrange(1, 4) if rng.random() < 0.04 else 0  # seen from the middle on
        yield from (told for told in life.events[first:] if told.at_us <= until_us)
    yield from _people(rng, int(tickets * PEOPLE), begins_us, until_us, name)


class _Told:
    """An event before it is known when it arrives."""

    __slots__ = ("at_us", "what")

    def __init__(self, at_us: int, what: dict[str, Any]) -> None:
        self.at_us, self.what = at_us, what

    def received(self, at_us: int) -> TicketEvent:
        return TicketEvent(received_at=to_datetime(at_us), **self.what)


def _teller(source: str, ticket_id: str, events: list[_Told], imported: bool = False) -> Any:
    def tell(at_us: int, kind: Kind, sequence: int = 0, **what: Any) -> None:
        identity = event_id(source, ticket_id, str(len(events)))
        events.append(
            _Told(
                at_us,
                {
                    "event_id": identity,
                    "source": source,
                    "vendor": "generic",
                    "ticket_id": ticket_id,
                    "kind": kind,
                    "occurred_at": to_datetime(at_us),
                    "sequence": sequence,
                    "imported": imported,
                    **what,
                },
            )
        )

    return tell


class _Life:
    """One ticket, told step by step. ``events`` are in the order in which they happened."""

    def __init__(self, rng: Random, ticket_id: str, begins_us: int, other: str) -> None:
        self._rng, self._other = rng, other
        self.events: list[_Told] = []
        self._source = rng.choice(("north", "north", "south"))
        self._imported = rng.random() < 0.05
        if self._imported:
            begins_us -= rng.randrange(60) * DAY_US
        self._at_us = begins_us if rng.random() < 0.3 else begins_us // SECOND_US * SECOND_US
        self._say = _teller(self._source, ticket_id, self.events, self._imported)
        self._pace = rng.choices((0.02, 0.3, 1.0, 4.0), (2, 3, 4, 1))[0]
        self._status: Status | None = None
        self._tags: set[str] = set()
        self._messages: list[str] = []
        self._raised = False
        self._sequence = 0

    def live(self) -> None:
        self._create()
        self._work(self._rng.choices((0, 2, 5, 9, 16), (1, 4, 8, 5, 2))[0])
        fate = self._rng.random()
        if fate < 0.04:
            self._merge()
        elif fate < 0.07:
            self._delete()
        elif fate < 0.86:
            self._solve()
            self._afterwards()

    def _pass(self, median_s: float) -> None:
        wait_s = median_s * self._pace * exp(self._rng.gauss(0, 1.1))
        self._at_us += max(1, int(wait_s * SECOND_US)) if self._rng.random() < 0.3 else int(wait_s) * SECOND_US
        self._sequence = 0

    def _tell(self, kind: Kind, **what: Any) -> None:
        self._say(self._at_us, kind, sequence=self._sequence, **what)
        self._sequence += 1

    def _create(self) -> None:
        rng = self._rng
        by = rng.choices((ActorKind.CUSTOMER, ActorKind.AGENT, ActorKind.SYSTEM, ActorKind.BOT), (85, 8, 4, 3))[0]
        stated: dict[str, Any] = {"channel": rng.choice(CHANNELS), "brand": rng.choice(("acme", "acme", "acme-pro"))}
        if rng.random() < 0.85:
            self._status = rng.choice((Status.NEW, Status.NEW, Status.OPEN))
            stated["status"] = self._status
        self._status = self._status or Status.NEW
        if rng.random() < 0.8:
            stated["priority"] = rng.choice([*Priority, Priority.NORMAL, None])
        if rng.random() < 0.5:
            stated["team"] = rng.choice(list(TEAMS))
        if rng.random() < 0.4:
            stated["tier"] = rng.choice(("vip", "business", None))
        if rng.random() < 0.6:
            self._tags = set(rng.sample(TAGS, rng.randrange(4)))
            stated["tags"] = tuple(sorted(self._tags))
        if rng.random() < 0.7:
            stated["organisation"] = f"o{rng.randrange(40)}"
            stated["requester"] = f"r{rng.randrange(4000)}"
        if rng.random() < 0.9:
            stated["created_at"] = to_datetime(self._at_us)
        actor = Actor(by, self._agent() if by is ActorKind.AGENT else None)
        self._tell(Kind.CREATED, actor=actor, ticket=Attributes(**stated))
        if by is ActorKind.AGENT or rng.random() < 0.2:
            self._message(by, opening=True)

    def _agent(self, team: str | None = None) -> str:
        team = team or self._rng.choice(list(TEAMS))
        return f"{team}-{self._rng.randrange(TEAMS[team])}"

    def _work(self, steps: int) -> None:
        deeds = {
            self._customer_writes: 22,
            self._agent_replies: 34,
            self._note: 8,
            self._bot_replies: 6,
            self._assign: 14,
            self._move: 14,
            self._prioritise: 5,
            self._tag: 7,
            self._escalate: 5,
            self._review: 3,
            self._retract: 2,
            self._correct: 3,
            self._rate: 1,
        }
        for deed in self._rng.choices(list(deeds), list(deeds.values()), k=steps):
            self._pass(2400)
            deed()

    def _message(self, author: ActorKind, seen: Visibility = Visibility.PUBLIC, opening: bool = False) -> None:
        identity = f"m{len(self.events)}"
        who = self._agent() if author is ActorKind.AGENT else None
        message = Message(
            id=None if self._rng.random() < 0.03 else identity, visibility=seen, author=author, opening=opening
        )
        self._tell(Kind.MESSAGE_ADDED, actor=Actor(author, who), message=message)
        if message.id and not opening:
            self._messages.append(identity)

    def _customer_writes(self) -> None:
        self._message(ActorKind.CUSTOMER)
        if self._status in (Status.PENDING, Status.SOLVED) and self._rng.random() < 0.8:
            self._become(Status.OPEN)

    def _agent_replies(self) -> None:
        self._message(ActorKind.AGENT)
        self._become(self._rng.choice((Status.PENDING, Status.PENDING, Status.OPEN)))

    def _note(self) -> None:
        self._message(self._rng.choice((ActorKind.AGENT, ActorKind.SYSTEM)), Visibility.PRIVATE)

    def _bot_replies(self) -> None:
        self._message(ActorKind.BOT)

    def _assign(self) -> None:
        team = self._rng.choice(list(TEAMS))
        agent = self._agent(team) if self._rng.random() < 0.85 else None
        holder = self._rng.choice(({"team": team, "agent": agent}, {"agent": agent}, {"team": team}))
        self._tell(Kind.ASSIGNMENT_CHANGED, actor=Actor(ActorKind.SYSTEM), assignment=Assignment(**holder))

    def _move(self) -> None:
        self._become(self._rng.choice((Status.OPEN, Status.PENDING, Status.ON_HOLD, Status.OPEN)))

    def _become(self, status: Status) -> None:
        if status is self._status:
            return
        previous, self._status = self._status, status
        if self._rng.random() < 0.2:
            self._tell(Kind.UPDATED, ticket=Attributes(status=status))
        else:
            self._tell(Kind.STATUS_CHANGED, status=StatusChange(to=status, previous=previous))

    def _prioritise(self) -> None:
        self._tell(Kind.PRIORITY_CHANGED, priority=PriorityChange(to=self._rng.choice([*Priority, None])))

    def _tag(self) -> None:
        added = set(self._rng.sample(TAGS, self._rng.randrange(3))) - self._tags
        removed = {tag for tag in self._tags if self._rng.random() < 0.3}
        self._tags = (self._tags | added) - removed
        if self._rng.random() < 0.2:
            self._tell(Kind.UPDATED, ticket=Attributes(tags=tuple(sorted(self._tags))))
        else:
            self._tell(Kind.TAGS_CHANGED, tags=TagsChange(added=tuple(sorted(added)), removed=tuple(sorted(removed))))

    def _escalate(self) -> None:
        kind = Kind.ESCALATION_CLEARED if self._raised else Kind.ESCALATION_RAISED
        self._raised = not self._raised
        self._tell(kind, actor=Actor(ActorKind.AGENT, self._agent()), escalation=Escalation("tier 2"))

    def _review(self) -> None:
        rating = Rating(score=float(self._rng.randrange(0, 101)), best=100.0)
        self._tell(Kind.QA_SCORED, actor=Actor(ActorKind.AGENT, self._agent()), rating=rating)

    def _retract(self) -> None:
        if self._messages:
            gone = self._messages.pop(self._rng.randrange(len(self._messages)))
            self._tell(Kind.MESSAGE_RETRACTED, message=Message(id=gone))

    def _correct(self) -> None:
        """A change of what does not move: the brand, the channel, the customer's tier."""
        change: dict[str, Any] = self._rng.choice(
            (
                {"brand": "acme"},
                {"channel": "phone"},
                {"tier": "vip"},
                {"tier": None},
                {"brand": None, "team": "support"},
            )
        )
        self._tell(Kind.UPDATED, ticket=Attributes(**change))

    def _solve(self) -> None:
        self._pass(3600)
        if self._rng.random() < 0.6:
            self._message(ActorKind.AGENT)
        self._become(Status.SOLVED)

    def _afterwards(self) -> None:
        rng = self._rng
        while rng.random() < 0.15:
            self._pass(7200)
            self._customer_writes()
            self._become(Status.OPEN)
            self._work(rng.randrange(3))
            self._solve()
        for _ in range(rng.choices((0, 1, 2), (5, 4, 1))[0]):
            self._pass(1800)
            self._rate()
        if rng.random() < 0.1:
            self._pass(1800)
            self._review()
        if rng.random() < 0.4:
            self._pass(200_000)
            self._become(Status.CLOSED)

    def _rate(self) -> None:
        rng = self._rng
        kind = rng.choice((Kind.CSAT_RECEIVED, Kind.CSAT_RECEIVED, Kind.CES_RECEIVED, Kind.NPS_RECEIVED))
        if kind is Kind.CES_RECEIVED:
            rating = Rating(score=float(rng.randint(1, 7)), best=7.0, worst=1.0)
        elif kind is Kind.NPS_RECEIVED:
            rating = Rating(score=float(rng.choice((0, 3, 6, 7, 8, 9, 9, 10, 10))), best=10.0)
        elif rng.random() < 0.4:
            good = rng.random() < 0.8
            rating = Rating(score=float(good), best=1.0, positive=good)
        elif rng.random() < 0.3:
            rating = Rating(score=float(rng.randint(0, 10)), best=10.0)
        else:
            rating = Rating(score=float(rng.randint(1, 5)), best=5.0, worst=1.0)
        self._tell(kind, actor=Actor(ActorKind.CUSTOMER), rating=rating)

    def _merge(self) -> None:
        self._pass(3600)
        self._tell(Kind.MERGED, actor=Actor(ActorKind.AGENT, self._agent()), merge=Merge(into=self._other))

    def _delete(self) -> None:
        self._pass(3600)
        self._tell(Kind.DELETED, actor=Actor(ActorKind.AGENT, self._agent()))
        if self._rng.random() < 0.5:
            self._pass(3600)
            self._tell(Kind.RESTORED, actor=Actor(ActorKind.AGENT, self._agent()))
            self._work(2)
            self._solve()


def _people(rng: Random, number: int, begins_us: int, until_us: int, name: str) -> Iterator[_Told]:
    """Articles, questions among colleagues, and who comes and goes."""
    for at in range(number):
        events: list[_Told] = []
        tell = _teller("north", f"{name}-p{at}", events)
        (team, other) = rng.choices(list(TEAMS), k=2)
        by = Actor(ActorKind.AGENT, f"{team}-{rng.randrange(TEAMS[team])}")
        moments = sorted(rng.randrange(begins_us, until_us) for _ in range(4))
        match rng.randrange(4):
            case 0:
                tell(moments[0], Kind.KNOWLEDGE_CONTRIBUTED, actor=by, ticket=Attributes(team=team))
            case 1:
                tell(moments[0], Kind.QUESTION_ASKED, actor=by)
                if rng.random() < 0.8:
                    then = Actor(ActorKind.AGENT, f"{other}-{rng.randrange(TEAMS[other])}")
                    tell(moments[1], Kind.QUESTION_ANSWERED, actor=then, ticket=Attributes(team=other))
            case _:
                tell(moments[0], Kind.AGENT_JOINED, actor=by, ticket=Attributes(team=team))
                if rng.random() < 0.5:
                    tell(moments[1], Kind.AGENT_LEFT, actor=by)
                    if rng.random() < 0.3:
                        tell(moments[2], Kind.AGENT_JOINED, actor=by)
        yield from events


def disorder(events: list[TicketEvent]) -> tuple[float, float]:
    """The share of copies, and the share of events that arrive after a later one of their own ticket."""
    copies = 1 - len({e.event_id for e in events}) / len(events)
    tickets: dict[str, list[TicketEvent]] = {}
    for event in events:
        tickets.setdefault(event.key, []).append(event)
    late = sum(b.occurred_at < a.occurred_at for own in tickets.values() for a, b in pairwise(own))
    return copies, late / len(events)
