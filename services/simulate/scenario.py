"""What kind of support team is simulated: who works there, what arrives, how long things take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from schemas.ticket import Priority

Weighted = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Team:
    """A group of agents. ``share`` is its part of the tickets, relative to the other teams."""

    id: str
    agents: tuple[str, ...]
    share: float


@dataclass(frozen=True, slots=True)
class Delay:
    """A lognormal waiting time: half are shorter than ``median_s``; ``sigma`` is the spread of its logarithm.

    Reply times of real teams are close to lognormal: many quick ones and a long tail, which is what breaks
    promises.
    """

    median_s: float
    sigma: float = 0.7


TEAMS: Final = (
    Team("support", ("ana", "ben", "chloe", "dmitri", "esra"), 0.45),
    Team("billing", ("farid", "greta", "hugo"), 0.2),
    Team("technical", ("ines", "jonas", "kemi", "lars"), 0.25),
    Team("onboarding", ("mira", "noor"), 0.1),
)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Parameters of ticket lives. Durations are of a real helpdesk; ``time_scale`` squeezes all of them.

    With ``time_scale=90`` a delay of 45 minutes takes 30 seconds. Shares are probabilities between 0 and 1;
    weights need not add up to 1.
    """

    time_scale: float = 1.0
    teams: tuple[Team, ...] = TEAMS
    channels: Weighted = (("email", 0.45), ("chat", 0.2), ("web", 0.2), ("voice", 0.08), ("api", 0.07))
    brands: Weighted = (("acme", 0.7), ("acme-pro", 0.3))
    tiers: Weighted = (("", 0.7), ("business", 0.22), ("vip", 0.08))
    topics: Weighted = (("login", 0.3), ("invoice", 0.25), ("bug", 0.25), ("shipping", 0.2))
    priorities: tuple[tuple[Priority | None, float], ...] = (
        (None, 0.12),
        (Priority.LOW, 0.2),
        (Priority.NORMAL, 0.42),
        (Priority.HIGH, 0.18),
        (Priority.URGENT, 0.08),
    )

    first_reply: tuple[tuple[Priority, Delay], ...] = (
        (Priority.LOW, Delay(7200, 0.8)),
        (Priority.NORMAL, Delay(3600, 0.8)),
        (Priority.HIGH, Delay(1500, 0.8)),
        (Priority.URGENT, Delay(600, 0.8)),
    )
    next_reply: Delay = Delay(2400, 0.8)
    customer_reply: Delay = Delay(3600, 0.9)
    hold: Delay = Delay(5400, 0.6)
    work: Delay = Delay(1800, 0.7)
    rating: Delay = Delay(1800, 0.8)
    return_after_solve: Delay = Delay(5400, 0.6)
    close_after_solve: Delay = Delay(345_600, 0.05)
    """Zendesk's stock automation closes four days after solving."""
    tickets_per_agent: float = 8.0
    """Open tickets per agent at which a team is busy, but not slower than usual."""

    silence_s: float = 3.0
    """Nobody writes again sooner after the creation, however much time is squeezed: a comment that comes with the
    creation is taken for the opening message, and would not count as a reply."""

    created_by_agent: float = 0.07
    bot_answers: float = 0.6
    """Of the chats; a bot's message never counts as an answer."""
    routed_early: float = 0.6
    moved_to_other_team: float = 0.1
    customer_chases: float = 0.12
    private_note: float = 0.25
    raised: float = 0.08
    retagged: float = 0.15
    reassigned: float = 0.08
    on_hold: float = 0.12
    solved_at_first_reply: float = 0.25
    another_round: float = 0.4
    rated: float = 0.35
    rated_good: float = 0.84
    reopened: float = 0.08
    merged: float = 0.015
    deleted: float = 0.005
    restored: float = 0.5
    """Of the deleted."""
    spam: float = 0.01


DEMO: Final = Scenario(
    time_scale=90.0,
    first_reply=(
        (Priority.LOW, Delay(1850)),
        (Priority.NORMAL, Delay(1400)),
        (Priority.HIGH, Delay(1000)),
        (Priority.URGENT, Delay(720)),
    ),
    next_reply=Delay(2000),
    customer_reply=Delay(7000, 0.8),
    hold=Delay(6000, 0.5),
    work=Delay(2400, 0.6),
    rating=Delay(900, 0.6),
    return_after_solve=Delay(1800, 0.5),
    close_after_solve=Delay(6000, 0.2),
    tickets_per_agent=5.0,
)
"""Lives of one to four minutes that keep about three promises in four of ``deploy/config/demo.yaml``."""
