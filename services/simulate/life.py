"""Whole ticket lives, from creation to closing, as plain steps. Pure: the same generator state, the same life.

A step is one action of one person, as a helpdesk would log it: a reply that also sets the status and takes the
ticket is one step. What a step does not name stays as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import exp
from random import Random
from typing import Final, TypeVar

from schemas.ticket import Actor, ActorKind, Priority, Status, Visibility
from services.simulate.scenario import Delay, Scenario

_T = TypeVar("_T")
SYSTEM: Final = Actor(ActorKind.SYSTEM)
BOT: Final = Actor(ActorKind.BOT, "zd:answerBot")


class Deed(StrEnum):
    """What a step is in the story. The changes it makes are in its fields."""

    CREATED = "created"
    BOT_REPLIED = "bot_replied"
    ROUTED = "routed"
    MOVED = "moved"
    CHASED = "chased"
    NOTED = "noted"
    RAISED = "raised"
    RETAGGED = "retagged"
    REASSIGNED = "reassigned"
    REPLIED = "replied"
    ANSWERED_BACK = "answered_back"
    HELD = "held"
    SOLVED = "solved"
    RATED = "rated"
    REOPENED = "reopened"
    CLOSED = "closed"
    MERGED = "merged"
    MARKED_AS_SPAM = "marked_as_spam"
    DELETED = "deleted"
    RESTORED = "restored"


@dataclass(frozen=True, slots=True)
class Step:
    """One action. ``at_us`` counts from the ticket's creation; ``None`` and ``()`` mean: unchanged."""

    at_us: int
    deed: Deed
    actor: Actor
    message: Visibility | None = None
    status: Status | None = None
    priority: Priority | None = None
    team: str | None = None
    agent: str | None = None
    tags_added: tuple[str, ...] = ()
    tags_removed: tuple[str, ...] = ()
    good: bool | None = None
    into: str | None = None


@dataclass(frozen=True, slots=True)
class Life:
    """A ticket: what never changes about it, and its steps in order. The first step is its creation."""

    requester: str
    channel: str
    brand: str
    organisation: str | None
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Fate:
    """What is decided about a ticket before it is told; a demo or a test may decide it instead of the dice.

    ``pace`` multiplies every delay: 0.5 is a ticket that goes twice as fast. ``rounds`` is how often the
    customer answers back before the solution.
    """

    reopened: bool = False
    good: bool | None = None
    merged: bool = False
    spam: bool = False
    deleted: bool = False
    restored: bool = False
    rounds: int = 0
    pace: float = 1.0


_BACK_SOON: Final = Fate(pace=0.2, good=True, reopened=True)
DEMO_FATES: Final[tuple[Fate | None, ...]] = (
    Fate(pace=0.3, good=True),
    Fate(pace=4.0, rounds=1),
    _BACK_SOON,
    Fate(pace=0.5, good=True, rounds=1),
    Fate(pace=5.0, rounds=2),
    _BACK_SOON,
    None,
    Fate(pace=3.0),
)
"""The first tickets of a demo, ``None`` leaves one to the dice: whoever watches its first minute sees promises kept
and broken, an answer from a customer and a reopening."""


def fate(rng: Random, scenario: Scenario) -> Fate:
    """The fate of one more ticket, by the shares of the scenario."""
    rounds = 0
    if rng.random() >= scenario.solved_at_first_reply:
        rounds = 1
        while rounds < 6 and rng.random() < scenario.another_round:
            rounds += 1
    rated = rng.random() < scenario.rated
    deleted = rng.random() < scenario.deleted
    return Fate(
        reopened=rng.random() < scenario.reopened,
        good=rng.random() < scenario.rated_good if rated else None,
        merged=rng.random() < scenario.merged,
        spam=rng.random() < scenario.spam,
        deleted=deleted,
        restored=deleted and rng.random() < scenario.restored,
        rounds=rounds,
    )


def live(
    rng: Random,
    scenario: Scenario,
    *,
    decided: Fate | None = None,
    open_by_team: Mapping[str, int] | None = None,
    duplicate_of: str | None = None,
) -> Life:
    """One ticket's whole life.

    ``open_by_team`` makes agents of a crowded team slower. ``duplicate_of`` is the ticket that this one would
    be merged into; without it nothing is merged.
    """
    story = decided or fate(rng, scenario)
    telling = _Telling(rng, scenario, story.pace, open_by_team or {})
    telling.create()
    if story.spam:
        telling.mark_as_spam()
    elif story.merged and duplicate_of is not None:
        telling.merge(duplicate_of)
    else:
        telling.until_first_reply(solving=story.rounds == 0)
        if story.deleted:
            telling.delete()
            if story.restored:
                telling.restore()
        if not story.deleted or story.restored:
            telling.finish(story)
    return telling.life()


def draw(rng: Random, weighted: tuple[tuple[_T, float], ...]) -> _T:
    """One of the values, by weight."""
    return rng.choices([value for value, _ in weighted], [weight for _, weight in weighted])[0]


class _Telling:
    """The state of a ticket while its life is being told."""

    def __init__(self, rng: Random, scenario: Scenario, pace: float, open_by_team: Mapping[str, int]) -> None:
        self._rng = rng
        self._of = scenario
        self._squeeze = pace / scenario.time_scale
        self._open_by_team = open_by_team
        self._steps: list[Step] = []
        self._now_us = 0
        self._requester = str(8_447_388_000_000 + rng.randrange(4000))
        self._channel = draw(rng, scenario.channels)
        self._brand = draw(rng, scenario.brands)
        self._organisation = str(8_447_346_000_000 + rng.randrange(200)) if rng.random() < 0.4 else None
        self._team = draw(rng, tuple((team, team.share) for team in scenario.teams))
        self._priority = draw(rng, scenario.priorities)
        self._topic = draw(rng, scenario.topics)
        self._agent: str | None = None
        self._status = Status.NEW

    def life(self) -> Life:
        return Life(self._requester, self._channel, self._brand, self._organisation, tuple(self._steps))

    def create(self) -> None:
        tier = draw(self._rng, self._of.tiers)
        by_agent = self._rng.random() < self._of.created_by_agent
        if by_agent:
            self._channel = "voice" if self._rng.random() < 0.7 else self._channel
            self._agent, self._status = self._any_agent(), Status.OPEN
        self._add(
            Deed.CREATED,
            Actor(ActorKind.AGENT, self._agent) if by_agent else self._customer,
            message=Visibility.PUBLIC,
            status=self._status,
            priority=self._priority,
            team=self._team.id,
            agent=self._agent,
            tags_added=(self._topic, *([f"tier_{tier}"] if tier else [])),
        )

    def mark_as_spam(self) -> None:
        self._pass(self._of.work)
        self._add(Deed.MARKED_AS_SPAM, Actor(ActorKind.AGENT, self._agent or self._any_agent()))

    def merge(self, into: str) -> None:
        self._pass(self._of.work)
        taken = self._agent is None
        agent = self._agent = self._agent or self._any_agent()
        self._add(
            Deed.MERGED,
            Actor(ActorKind.AGENT, agent),
            message=Visibility.PRIVATE,
            status=Status.CLOSED,
            agent=agent if taken else None,
            tags_added=("closed_by_merge",),
            into=into,
        )

    def delete(self) -> None:
        self._pass(self._of.work)
        self._add(Deed.DELETED, self._holder)

    def restore(self) -> None:
        self._pass(self._of.work)
        self._add(Deed.RESTORED, self._holder)

    def until_first_reply(self, *, solving: bool) -> None:
        """What happens while the customer waits; every piece at its own moment before the first answer."""
        delays = dict(self._of.first_reply)
        wait_us = self._drawn_us(delays[self._priority or Priority.NORMAL], self._crowding)
        due_us = self._now_us + wait_us
        pieces = [
            (0.08, self._channel == "chat" and self._chance(self._of.bot_answers), self._bot_replies),
            (0.2, self._chance(self._of.moved_to_other_team), self._moves_team),
            (0.4, self._agent is None and self._chance(self._of.routed_early), self._is_routed),
            (0.55, self._chance(self._of.private_note), self._is_noted),
            (0.7, self._chance(self._of.raised), self._is_raised),
            (0.85, self._chance(self._of.customer_chases), self._is_chased),
        ]
        started_us = self._now_us
        for share, happens, tell in pieces:
            if happens:
                self._now_us = started_us + int(wait_us * min(0.97, share * self._rng.uniform(0.8, 1.15)))
                tell()
        self._now_us = max(self._now_us, due_us)
        self._reply(solving=solving)

    def finish(self, story: Fate) -> None:
        for left in range(story.rounds, 0, -1):
            self._round(last=left == 1)
        if story.reopened:
            self._pass(self._of.return_after_solve, agents=False)
            self._status = Status.OPEN
            self._add(Deed.REOPENED, self._customer, message=Visibility.PUBLIC, status=Status.OPEN)
            self._pass(self._of.next_reply)
            self._reply(solving=True)
        if story.good is not None:
            self._pass(self._of.rating, agents=False)
            self._add(Deed.RATED, self._customer, good=story.good)
        self._pass(self._of.close_after_solve, agents=False)
        self._status = Status.CLOSED
        self._add(Deed.CLOSED, SYSTEM, status=Status.CLOSED)

    def _round(self, *, last: bool) -> None:
        """Once around: the other side or the team moves, then the agent answers."""
        if self._status is Status.OPEN and self._chance(self._of.on_hold):
            self._pass(self._of.work)
            self._status = Status.ON_HOLD
            self._add(Deed.HELD, self._holder, message=Visibility.PRIVATE, status=Status.ON_HOLD)
            self._pass(self._of.hold)
        elif self._status is Status.PENDING:
            self._pass(self._of.customer_reply, agents=False)
            self._status = Status.OPEN
            self._add(Deed.ANSWERED_BACK, self._customer, message=Visibility.PUBLIC, status=Status.OPEN)
        if self._chance(self._of.reassigned):
            self._pass(self._of.work, share=0.3)
            self._agent = self._any_agent(other_than=self._agent)
            self._add(Deed.REASSIGNED, SYSTEM, agent=self._agent)
        if self._chance(self._of.retagged):
            self._pass(self._of.work, share=0.2)
            self._is_retagged()
        waiting = self._steps[-1].actor.kind is ActorKind.CUSTOMER
        self._pass(self._of.next_reply if waiting else self._of.work)
        self._reply(solving=last)

    def _reply(self, *, solving: bool) -> None:
        taken = self._agent is None
        agent = self._agent = self._agent or self._any_agent()
        before = self._status
        if solving:
            self._status = Status.SOLVED
        else:
            self._status = Status.PENDING if self._chance(0.7) else Status.OPEN
        self._add(
            Deed.SOLVED if solving else Deed.REPLIED,
            Actor(ActorKind.AGENT, agent),
            message=Visibility.PUBLIC,
            status=self._status if self._status is not before else None,
            agent=agent if taken else None,
        )

    def _bot_replies(self) -> None:
        self._add(Deed.BOT_REPLIED, BOT, message=Visibility.PUBLIC)

    def _moves_team(self) -> None:
        others = [team for team in self._of.teams if team is not self._team]
        if not others:
            return
        moved_by = self._holder if self._agent else SYSTEM
        self._team = self._rng.choice(others)
        if self._agent:
            self._agent = self._any_agent()
        self._add(Deed.MOVED, moved_by, team=self._team.id, agent=self._agent)

    def _is_routed(self) -> None:
        self._agent, self._status = self._any_agent(), Status.OPEN
        self._add(Deed.ROUTED, SYSTEM, agent=self._agent, status=Status.OPEN)

    def _is_noted(self) -> None:
        author = self._agent or self._any_agent()
        self._add(Deed.NOTED, Actor(ActorKind.AGENT, author), message=Visibility.PRIVATE)

    def _is_raised(self) -> None:
        higher = {Priority.LOW: Priority.HIGH, Priority.HIGH: Priority.URGENT, Priority.URGENT: None}
        raised = higher.get(self._priority or Priority.NORMAL, Priority.HIGH)
        if raised is not None:
            self._priority = raised
            self._add(Deed.RAISED, self._holder, priority=raised, tags_added=("escalated",))

    def _is_chased(self) -> None:
        self._add(Deed.CHASED, self._customer, message=Visibility.PUBLIC)

    def _is_retagged(self) -> None:
        others = [topic for topic, _ in self._of.topics if topic != self._topic]
        if others:
            was, self._topic = self._topic, self._rng.choice(others)
            self._add(Deed.RETAGGED, self._holder, tags_added=(self._topic,), tags_removed=(was,))

    @property
    def _customer(self) -> Actor:
        return Actor(ActorKind.CUSTOMER, self._requester)

    @property
    def _holder(self) -> Actor:
        return Actor(ActorKind.AGENT, self._agent or self._any_agent())

    @property
    def _crowding(self) -> float:
        """1 for a team that is busy, up to 1.6 for one that is flooded, 0.8 for an idle one."""
        room = len(self._team.agents) * self._of.tickets_per_agent
        return min(1.6, max(0.8, self._open_by_team.get(self._team.id, 0) / room))

    def _any_agent(self, other_than: str | None = None) -> str:
        free = [agent for agent in self._team.agents if agent != other_than]
        return self._rng.choice(free or list(self._team.agents))

    def _chance(self, share: float) -> bool:
        return self._rng.random() < share

    def _drawn_us(self, delay: Delay, factor: float = 1.0) -> int:
        drawn_s = delay.median_s * exp(self._rng.gauss(0.0, delay.sigma))
        return int(drawn_s * factor * self._squeeze * 1_000_000)

    def _pass(self, delay: Delay, *, agents: bool = True, share: float = 1.0) -> None:
        self._now_us += self._drawn_us(delay, share * (self._crowding if agents else 1.0))

    def _add(
        self,
        deed: Deed,
        actor: Actor,
        *,
        message: Visibility | None = None,
        status: Status | None = None,
        priority: Priority | None = None,
        team: str | None = None,
        agent: str | None = None,
        tags_added: tuple[str, ...] = (),
        tags_removed: tuple[str, ...] = (),
        good: bool | None = None,
        into: str | None = None,
    ) -> None:
        # A later step is always later: helpdesks do not log two actions of a ticket at one instant.
        if self._steps:
            self._now_us = max(self._now_us, self._steps[-1].at_us + 1000)
            if message is not None and actor.kind is not ActorKind.BOT:
                self._now_us = max(self._now_us, int(self._of.silence_s * 1_000_000))
        at_us = self._now_us
        changes = (message, status, priority, team, agent, tags_added, tags_removed, good, into)
        self._steps.append(Step(at_us, deed, actor, *changes))
