"""Open promises that run, as a queue: how many of them will be broken, and how sure that is.

Two estimates of the probability that a promise is broken. Both look only at the present and the past:

``by_queue``    Work is done in the order in which it is due, at the pace of the last hours. A promise is broken when
                less is done in its remaining time than lies ahead of it. Where any order keeps all promises this one
                does (Jackson 1955): when it says that some will be late, some will be, in whatever order.
``by_history``  Waits end as such waits usually end: the chance to end at an age, given that it has come so far
                (Nelson and Aalen's cumulative hazard, with what is still open as censored), times how much faster or
                slower waits end now than the same waits usually would.

All times are seconds of the promises' own clock: hours that are closed do not exist.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Final

from schemas.alert import Evidence
from services.alerts.judge.chance import NORMAL, gamma_below, gamma_quantile
from services.kpi import sketch

EIGHTY: Final = (0.1, 0.9)
"""The interval that is told: four times in five what happens lies in it."""
_PRIOR_SPREAD, _PRIOR_SLICES = 1.3, 10.0
"""How much more than chance the work of one slice differs from that of the next, before anything was seen of it."""
_PRIOR_PACE: Final = 5.0
"""So many cases' worth of belief that the pace is as usual."""
_STEPS: Final = (0.125, 0.375, 0.625, 0.875)
_STALE_TIMES: Final = 3.0
"""What is overdue by so many times its target is abandoned."""
_SAVED_S: Final = 900.0
"""What is due sooner no change of pace saves."""


@dataclass(frozen=True, slots=True)
class Wait:
    """An open promise that runs. ``left_s`` is below zero where it is broken already; ``warned`` where its own warning
    was announced."""

    waited_s: float
    left_s: float
    ticket: Evidence
    warned: bool = False

    @property
    def target_s(self) -> float:
        """What was promised."""
        return self.waited_s + self.left_s


@dataclass(frozen=True)
class Queue:
    """One segment's open promises of one kind, soonest due first, and what is known of the pace.

    ``done`` are the cases done in each slice of ``slice_s``, the latest first, ``came`` those that came in all of them
    (``None`` where nobody counts that). ``took`` are the durations of those done in these slices, ``usual`` those of
    the weeks before, both by sketch cell. ``until`` says for people when the rule's horizon ends; ``known`` is false
    where no pace can be told, as when the team was not at work.
    """

    waits: tuple[Wait, ...]
    done: tuple[int, ...] = ()
    slice_s: float = 900.0
    came: int | None = None
    took: Mapping[int, int] | None = None
    usual: Mapping[int, int] | None = None
    until: str = ""

    @property
    def seen_s(self) -> float:
        """For how long the pace was watched."""
        return len(self.done) * self.slice_s

    @property
    def done_in_all(self) -> int:
        """Cases done in that time."""
        return sum(self.done)

    @cached_property
    def spread(self) -> float:
        """How many times as much as by pure chance the work differs from slice to slice, at least 1."""
        mean = self.done_in_all / len(self.done) if self.done else 0.0
        if mean <= 0:
            return _PRIOR_SPREAD
        ups = sum((n - mean) ** 2 for n in self.done) / mean
        return max(1.0, (_PRIOR_SLICES * _PRIOR_SPREAD + ups) / (_PRIOR_SLICES + len(self.done) - 1))


@dataclass(frozen=True, slots=True)
class Estimate:
    """How many of ``waits`` (those due within the horizon and not broken yet) will be broken.

    ``chances`` are those of each; ``needed_s`` how many more a second would keep all of them, 0 where the pace does.
    """

    waits: tuple[Wait, ...]
    chances: tuple[float, ...]
    low: float
    high: float
    sure: float
    untold: float
    needed: float = 0.0

    @property
    def expected(self) -> float:
        """The mean."""
        return sum(self.chances)


_NOTHING: Final = Estimate((), (), 0.0, 0.0, 0.0, 0.0)


def by_queue(queue: Queue, within_s: float, sure: float) -> Estimate:
    """From the work ahead. ``Estimate.sure`` is the number that at least so many are broken with probability ``sure``;
    ``untold`` the same of those without a warning of their own."""
    if not _due(queue, within_s):
        return _NOTHING
    ahead = _ahead(queue)
    rate = (queue.done_in_all + 0.5) / queue.seen_s
    due = [(wait, place) for wait, place in ahead if 0 <= wait.left_s <= within_s]
    waits = tuple(wait for wait, _ in due)
    paces = [_pace(queue, rate, wait.left_s) for wait in waits]
    places = [place for _, place in due]
    chances = tuple(
        gamma_below(place - 0.5, mean, variance) for place, (mean, variance) in zip(places, paces, strict=True)
    )

    def broken(share: float, untold: bool = False) -> int:
        """How many are broken where work goes as well as ``share`` of the times."""
        return sum(
            gamma_quantile(share, mean, variance) < place - 0.5
            for wait, place, (mean, variance) in zip(waits, places, paces, strict=True)
            if not (untold and wait.warned)
        )

    needed = max((place / wait.left_s - rate for wait, place in due if wait.left_s >= _SAVED_S), default=0.0)
    low, high = (broken(1 - share) for share in EIGHTY)
    return Estimate(
        waits, chances, float(low), float(high), float(broken(sure)), float(broken(sure, True)), max(0.0, needed)
    )


def _due(queue: Queue, within_s: float) -> tuple[Wait, ...]:
    return tuple(wait for wait in queue.waits if 0 <= wait.left_s <= within_s)


def _ahead(queue: Queue) -> list[tuple[Wait, float]]:
    """Every wait with the work up to and with it, in the order due: what is broken and not abandoned, what is due
    before, and what will come and be due before."""
    came = (queue.came or 0) / queue.seen_s
    promised = Counter(round(wait.target_s) for wait in queue.waits)
    shares = [(target_s, count / len(queue.waits)) for target_s, count in promised.items()]
    found, place = [], 0.0
    for wait in queue.waits:
        if wait.left_s < -_STALE_TIMES * wait.target_s:
            continue  # nobody is going to: it holds up nobody
        place += 1
        sooner = sum(share * max(0.0, wait.left_s - target_s) for target_s, share in shares) if came else 0.0
        found.append((wait, place + came * sooner))
    return found


def _pace(queue: Queue, rate: float, left_s: float) -> tuple[float, float]:
    """Mean and variance of the work done in ``left_s``: chance, its spread, and that the rate itself is estimated."""
    mean = rate * left_s
    return mean, queue.spread * mean * (1 + left_s / queue.seen_s)


class Hazard:
    """How waits usually end: the cumulative hazard by age, in seconds."""

    def __init__(self, ended: Mapping[int, int], still_open: Sequence[float]) -> None:
        pairs = sorted((sketch.value(cell) / 1000, count) for cell, count in ended.items() if count > 0)
        waiting, steps = sorted(still_open), []
        left = sum(count for _, count in pairs)
        for age_s, count in pairs:
            at_risk = left + len(waiting) - bisect_left(waiting, age_s)
            # The cell's cases end one after the other: more than one at a time would understate what is left.
            steps.append(math.log(at_risk / max(at_risk - count, 0.5)))
            left -= count
        self.ages = [age_s for age_s, _ in pairs]
        self._sums = [0.0, *accumulate(steps)]

    def to(self, age_s: float) -> float:
        """Up to that age."""
        return self._sums[bisect_right(self.ages, age_s)]


def by_history(queue: Queue, within_s: float, sure: float) -> Estimate:
    """From how such waits usually end, at the present pace. Numbers as of :func:`by_queue`."""
    waits = _due(queue, within_s)
    if not waits:
        return _NOTHING
    usual, took = queue.usual or {}, queue.took or {}
    hazard = Hazard(usual, [wait.waited_s for wait in queue.waits])
    seen_s = queue.seen_s
    exposed = sum(hazard.to(w.waited_s) - hazard.to(max(0.0, w.waited_s - seen_s)) for w in queue.waits)
    for cell, count in took.items():
        took_s = sketch.value(cell) / 1000
        before = sum(hazard.to(max(0.0, took_s - step * seen_s)) for step in _STEPS) / len(_STEPS)
        exposed += count * (hazard.to(took_s) - before)
    # The pace is a gamma distribution around done over expected, drawn to 1 where little was seen.
    cases, expected = _PRIOR_PACE + queue.done_in_all / queue.spread, _PRIOR_PACE + exposed / queue.spread
    risks = [hazard.to(wait.target_s) - hazard.to(wait.waited_s) for wait in waits]
    chances = [(1 + risk / expected) ** -cases for risk in risks]
    # How far all of them move together with the pace, beside the chance of each.
    pull = cases / expected
    moves = [risk * (1 + risk / expected) ** -(cases + 1) * pull for risk in risks]

    def bounded(share: float, untold: bool = False) -> float:
        of = [(p, m) for wait, p, m in zip(waits, chances, moves, strict=True) if not (untold and wait.warned)]
        mean = sum(p for p, _ in of)
        variance = sum(p * (1 - p) for p, _ in of) + sum(m for _, m in of) ** 2 / cases
        found: float = mean + NORMAL.inv_cdf(share) * math.sqrt(variance)
        return min(max(found, 0.0), float(len(of)))

    low, high = (round(bounded(share)) for share in EIGHTY)
    return Estimate(waits, tuple(chances), float(low), float(high), bounded(1 - sure), bounded(1 - sure, untold=True))
