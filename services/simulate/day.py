"""A helpdesk's day: when tickets arrive, and how the steps of all open ones interleave. Pure.

The stream has exactly the asked rate from its first second: time is cut into slots, as many as steps are wanted.
In each slot the step that is most overdue happens; when none is due a new ticket arrives. So a quiet start fills
up with new tickets, and a flood makes the team late, as it does in life.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from random import Random
from typing import Final

from schemas.instant import SECOND_US, to_datetime
from schemas.ticket import DONE, Status
from services.simulate.life import Deed, Fate, Life, Step, live
from services.simulate.scenario import Scenario

HOURS: Final = (2, 1, 1, 1, 1, 2, 4, 8, 14, 18, 19, 17, 14, 15, 17, 17, 15, 12, 9, 7, 6, 5, 4, 3)
"""Relative load of each hour: a morning peak, a dip at lunch, a smaller afternoon peak."""
WEEKDAYS: Final = (1.3, 1.15, 1.1, 1.05, 1.0, 0.45, 0.4)
"""Relative load of each weekday from Monday: the weekend's tickets are answered on Monday."""
_HOUR_S: Final = 3600
_DAY_S: Final = 86_400
_MONDAY_MORNING_US: Final = (4 * _DAY_S + 7 * _HOUR_S) * SECOND_US
"""Monday 5 January 1970, 07:00."""
_WEEK_H: Final = 168
_RECENT: Final = 50


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How many webhooks a second, on average, and how that changes over the day.

    ``day_s`` is how long a simulated day takes: 86 400 follows the real weekday and hour (UTC), less squeezes a
    working day that begins at the start; ``None`` is the same at any time.
    """

    per_s: float
    start_us: int
    duration_s: float | None = None
    day_s: float | None = 86_400.0
    _mean: float = field(init=False, default=1.0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_mean", self._mean_load())

    def at(self, at_us: int) -> float:
        """Webhooks per second at that instant. The mean over the duration (or over a week) is ``per_s``."""
        if self.day_s is None:
            return self.per_s
        return self.per_s * self._curve(at_us) / self._mean

    def _mean_load(self) -> float:
        if self.day_s is None:
            return 1.0
        span_s = self.duration_s or 7 * self.day_s
        points = max(24, min(_WEEK_H, int(span_s / self.day_s * 24)))
        step_us = span_s / points * SECOND_US
        return sum(self._curve(self.start_us + int((n + 0.5) * step_us)) for n in range(points)) / points

    def _curve(self, at_us: int) -> float:
        assert self.day_s is not None
        if self.day_s == _DAY_S:
            return _load(to_datetime(at_us))
        return _load(to_datetime(_MONDAY_MORNING_US + int((at_us - self.start_us) * _DAY_S / self.day_s)))


def _load(moment: datetime) -> float:
    hour, into = moment.hour, (moment.minute * 60 + moment.second) / _HOUR_S
    hourly = HOURS[hour] * (1 - into) + HOURS[(hour + 1) % 24] * into
    return hourly * WEEKDAYS[moment.weekday()]


@dataclass(frozen=True, slots=True)
class Happening:
    """A step of a ticket's life that happens at ``at_us``: the ``number``-th of its ticket, counted from 0."""

    at_us: int
    ticket_id: str
    created_us: int
    life: Life
    number: int
    open_tickets: int

    @property
    def step(self) -> Step:
        """What happens."""
        return self.life.steps[self.number]


def happenings(
    rng: Random,
    scenario: Scenario,
    rhythm: Rhythm,
    *,
    first_ticket: int,
    weigh: Callable[[Step], int] = lambda step: 1,
    fates: Iterable[Fate | None] = (),
) -> Iterator[Happening]:
    """Steps in the order of time, without end, from the rhythm's start.

    ``weigh`` is how many webhooks a step becomes. The first tickets get ``fates``; the others, and where
    that says ``None``, get their own. Ticket numbers count up from ``first_ticket``.
    """
    backlog = _Backlog()
    due: list[tuple[int, int, int]] = []
    tickets: dict[int, tuple[Life, int]] = {}
    numbers = count(first_ticket)
    decided = iter(fates)
    recent: deque[str] = deque(maxlen=_RECENT)
    slot_us = last_us = rhythm.start_us
    while True:
        if due and due[0][0] <= slot_us:
            due_us, ticket, number = heapq.heappop(due)
            at_us = max(due_us, last_us)
        else:
            ticket, number, at_us = next(numbers), 0, slot_us
            life = live(
                rng,
                scenario,
                decided=next(decided, None),
                open_by_team=backlog.open_by_team,
                duplicate_of=rng.choice(recent) if recent else None,
            )
            tickets[ticket] = life, at_us
            recent.append(str(ticket))
        life, created_us = tickets[ticket]
        step = life.steps[number]
        backlog.see(ticket, step)
        last_us = at_us
        yield Happening(at_us, str(ticket), created_us, life, number, backlog.size)
        if number + 1 < len(life.steps):
            gap_us = life.steps[number + 1].at_us - step.at_us
            heapq.heappush(due, (at_us + gap_us, ticket, number + 1))
        else:
            del tickets[ticket]
            backlog.forget(ticket)
        slot_us += int(rng.expovariate(rhythm.at(slot_us)) * weigh(step) * SECOND_US)


class _Backlog:
    """How many tickets each team has open, kept step by step."""

    def __init__(self) -> None:
        self.open_by_team: Counter[str] = Counter()
        self._standing: dict[int, tuple[str, Status, bool]] = {}

    @property
    def size(self) -> int:
        return self.open_by_team.total()

    def see(self, ticket: int, step: Step) -> None:
        team, status, gone = self._standing.get(ticket, ("", Status.CLOSED, False))
        self.open_by_team[team] -= _counts(status, gone)
        team, status = step.team or team, step.status or status
        gone = (gone or step.deed in (Deed.DELETED, Deed.MARKED_AS_SPAM)) and step.deed is not Deed.RESTORED
        self.open_by_team[team] += _counts(status, gone)
        self._standing[ticket] = team, status, gone

    def forget(self, ticket: int) -> None:
        team, status, gone = self._standing.pop(ticket)
        self.open_by_team[team] -= _counts(status, gone)


def _counts(status: Status, gone: bool) -> int:
    return int(not gone and status not in DONE)
