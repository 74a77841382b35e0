"""Weeks of a helpdesk with two teams, as ticket events: busy hours, weekends, a closed day, and a last day that went
wrong for one team. Seeded: the same weeks every time."""

from __future__ import annotations

import math
from datetime import date, timedelta
from random import Random
from typing import Any, Final
from uuid import UUID

from schemas.instant import SECOND_US, to_datetime
from schemas.ticket import (
    Actor,
    ActorKind,
    Attributes,
    Kind,
    Message,
    Rating,
    Status,
    StatusChange,
    TicketEvent,
    Visibility,
)
from services.alerts.forecast.slots import slots
from services.fold.hours import Hours

AGENTS: Final = {"billing": ("ana", "ben", "cleo"), "technical": ("dan", "eva", "finn", "gus")}
_OF_DAY: Final = (1.25, 1.1, 1.0, 1.0, 0.85, 0.15, 0.1, 0.12)
"""Volume by weekday, Monday first; the last of a closed day."""
_OF_HOUR: Final = {8: 0.5, 9: 1.3, 10: 1.5, 11: 1.3, 12: 0.8, 13: 0.8, 14: 1.2, 15: 1.2, 16: 1.0, 17: 0.7, 18: 0.4}
_NIGHT: Final = 0.06


def expected(kind: int, hour: int, a_day: float) -> float:
    """Tickets of such an hour, at ``a_day`` tickets on a Wednesday."""
    whole = sum(_OF_HOUR.get(one, _NIGHT) for one in range(24))
    return a_day * _OF_DAY[kind] * _OF_HOUR.get(hour, _NIGHT) / whole


def poisson(rng: Random, mean: float) -> int:
    """A count, by Knuth's method; for means that are not large."""
    bound, count, product = math.exp(-mean), 0, rng.random()
    while product > bound:
        count += 1
        product *= rng.random()
    return count


def counted(
    first: date, days: int, hours: Hours, *, a_day: float, seed: int, growth: float = 0.0, scatter: float = 0.15
) -> list[int]:
    """Tickets of every hour of ``days``, ``growth`` more every week, days differing by ``scatter``."""
    rng = Random(seed)
    found, moods = [], {}
    for slot in slots(first, days, hours):
        if slot.day not in moods:
            moods[slot.day] = rng.lognormvariate(-scatter * scatter / 2, scatter)
        level = a_day * (1 + growth) ** ((slot.day - first).days / 7)
        found.append(poisson(rng, expected(slot.kind, slot.hour, level) * moods[slot.day]))
    return found


def weeks(
    until_us: int, days: int, hours: Hours, *, a_day: float = 60, seed: int = 7, alike: bool = False
) -> list[TicketEvent]:
    """The events of ``days`` before ``until_us``, oldest first. In the last 24 hours before it the technical team's
    e-mails are answered hours later than usual, and in the last week billing answers faster than ever. ``alike``: every
    day is a Wednesday, whichever today is."""
    rng = Random(seed)
    last = to_datetime(until_us).astimezone(hours.zone).date()
    planned = slots(last - timedelta(days=days), days + 1, hours)
    moods: dict[date, float] = {}
    events: list[tuple[int, TicketEvent]] = []
    number = 0

    def tell(ticket_id: str, at_us: int, kind: Kind, **what: Any) -> None:
        nonlocal number
        number += 1
        if at_us < until_us:
            at = to_datetime(at_us)
            identity = UUID(int=(seed << 64) + number)
            event = TicketEvent(
                event_id=str(identity),
                source="zendesk",
                vendor="zendesk",
                ticket_id=ticket_id,
                occurred_at=at,
                received_at=at,
                sequence=number,
                kind=kind,
                **what,
            )
            events.append((at_us, event))

    begins_us = planned[0].start_s * SECOND_US
    for team, names in AGENTS.items():
        for name in names:
            tell(
                f"person-{name}",
                begins_us,
                Kind.AGENT_JOINED,
                ticket=Attributes(team=team, agent=name),
                actor=Actor(kind=ActorKind.SYSTEM),
            )
    for slot in planned:
        mood = moods.setdefault(slot.day, rng.lognormvariate(-0.01, 0.14))
        for _ in range(poisson(rng, expected(2 if alike else slot.kind, slot.hour, a_day) * mood)):
            ticket_id = f"{len(events)}"
            at_us = slot.start_s * SECOND_US + rng.randrange(3_599) * SECOND_US
            team = "billing" if rng.random() < 0.4 else "technical"
            channel = rng.choices(("email", "chat", "web"), (5, 3, 2))[0]
            who = rng.choice(AGENTS[team])
            bad = at_us > until_us - 86_400 * SECOND_US and team == "technical" and channel == "email"
            good = at_us > until_us - 7 * 86_400 * SECOND_US and team == "billing"
            wait_h = rng.lognormvariate(0.0, 0.7) * (6 if bad else 0.35 if good else 1.0)
            agent = Actor(kind=ActorKind.AGENT, id=who)
            what = Attributes(created_at=to_datetime(at_us), channel=channel, team=team, agent=who)
            tell(ticket_id, at_us, Kind.CREATED, actor=Actor(kind=ActorKind.CUSTOMER), ticket=what)
            reply_us = _worked(at_us, wait_h, hours)
            tell(
                ticket_id,
                reply_us,
                Kind.MESSAGE_ADDED,
                actor=agent,
                message=Message(author=ActorKind.AGENT, visibility=Visibility.PUBLIC),
            )
            if rng.random() < 0.97:
                done_us = _worked(reply_us, rng.lognormvariate(0.9, 0.6), hours)
                tell(ticket_id, done_us, Kind.STATUS_CHANGED, actor=agent, status=StatusChange(to=Status.SOLVED))
                if rng.random() < 0.25:
                    happy = rng.random() < (0.95 if team == "billing" else 0.85)
                    tell(
                        ticket_id,
                        done_us + 3_000 * SECOND_US,
                        Kind.CSAT_RECEIVED,
                        actor=Actor(kind=ActorKind.CUSTOMER),
                        rating=Rating(score=5 if happy else 2, best=5, worst=1),
                    )
                if rng.random() < 0.05:
                    tell(ticket_id, done_us + 60 * SECOND_US, Kind.KNOWLEDGE_CONTRIBUTED, actor=agent)
            if rng.random() < 0.1:
                tell(ticket_id, at_us + 600 * SECOND_US, Kind.QUESTION_ASKED, actor=agent)
                answered_us = _worked(at_us + 600 * SECOND_US, rng.lognormvariate(0.2, 0.8), hours)
                tell(ticket_id, answered_us, Kind.QUESTION_ANSWERED, actor=agent)
    return [event for _, event in sorted(events, key=lambda one: (one[0], one[1].sequence))]


def _worked(at_us: int, wait_h: float, hours: Hours) -> int:
    """So many hours later, in hours in which somebody is there."""
    local = to_datetime(at_us).astimezone(hours.zone)
    left_us = int(wait_h * 3600 * SECOND_US)
    day = local.date()
    while True:
        for begin_us, end_us in hours.spans(day.toordinal(), day.toordinal()):
            begin_us = max(begin_us, at_us)
            if begin_us < end_us:
                if begin_us + left_us < end_us:
                    return begin_us + left_us
                left_us -= end_us - begin_us
        day += timedelta(days=1)
