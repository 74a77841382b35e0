"""Simulated desks of which the truth is known: queues that overflow, and topics that grow.

python -m tests.support.rule_ahead [MONTHS]      prints how well predictions are calibrated, for the guide

A desk has agents who take tickets one by one. New tickets come by the hour of the day, with a mood of 10 % for each
day; there are as many agents as the hour needs at 80 % of their time. Three tickets of ten have an hour for their
first answer, the others four. The planted problem is that half of the agents are away for five hours.
"""

from __future__ import annotations

import heapq
import math
import random
import sys
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any, Final

from schemas.alert import Evidence
from services.alerts.judge import queue as estimating
from services.alerts.judge.queue import Queue, Wait
from services.alerts.judge.verdict import Point
from services.config.rule import ALL, PredictedBreach, Topic
from services.kpi import sketch
from tests.support.rule_world import DAY_S, HOUR_S, MONTH_S, SEED, START_S, World, hourly, poisson, working_hour
from tests.support.rules import rule

PAST_S: Final = 14 * DAY_S
SLICES: Final = 8
AWAY_S: Final = 6 * HOUR_S
WORK_S: Final = 600.0
"""What one ticket takes, on average."""
MEAN: Final = 8.0
"""Tickets an hour, over all hours of a week of working days."""
BUSY: Final = 0.8
TARGETS: Final = ((HOUR_S, 0.3), (2 * HOUR_S, 0.7))
WARNED: Final = 0.75
"""The share of its time after which a ticket has a warning of its own."""


@dataclass(frozen=True, slots=True)
class Served:
    """A ticket, as it went: when it came, when it was answered, and what was promised. Seconds."""

    came_s: float
    done_s: float
    target_s: float
    number: int

    @property
    def due_s(self) -> float:
        """When its promise ends."""
        return self.came_s + self.target_s

    @property
    def late(self) -> bool:
        """Whether it was broken."""
        return self.done_s > self.due_s


def served(
    dice: random.Random, mean: float, away: tuple[int, int] | None, ordered: float, targets: Any = TARGETS
) -> list[Served]:
    """Tickets of a month and the two weeks before, ``mean`` an hour on average. Of the tickets that wait agents take
    the one due first with probability ``ordered``, else any."""
    moods: dict[int, float] = defaultdict(lambda: math.exp(dice.gauss(0, 0.1)))
    coming = []
    for at_s in range(START_S - PAST_S, START_S + MONTH_S + DAY_S, 900):
        number = poisson(dice, mean / 4 * hourly(at_s) * moods[at_s // DAY_S])
        coming += [at_s + dice.random() * 900 for _ in range(number)]
    coming.sort()
    waiting: list[tuple[float, float, float, int]] = []
    found, place, now_s = [], 0, float(START_S - PAST_S)
    busy: list[float] = []
    while place < len(coming) or waiting:
        gone = 0.5 if away is not None and away[0] <= now_s < away[1] else 1.0
        agents = max(1, math.ceil(mean * hourly(int(now_s)) * WORK_S / HOUR_S / BUSY * gone))
        while busy and busy[0] <= now_s:
            heapq.heappop(busy)
        while place < len(coming) and coming[place] <= now_s:
            target_s = float(targets[dice.random() >= targets[0][1]][0])
            waiting.append((coming[place] + target_s, coming[place], target_s, place))
            place += 1
        while waiting and len(busy) < agents:
            number = waiting.index(min(waiting)) if dice.random() < ordered else dice.randrange(len(waiting))
            _, came_s, target_s, name = waiting.pop(number)
            done_s = now_s + dice.expovariate(1 / WORK_S)
            heapq.heappush(busy, done_s)
            found.append(Served(came_s, done_s, target_s, name))
        upcoming = [coming[place]] if place < len(coming) else []
        upcoming += busy[:1] if waiting or not upcoming else []
        # Agents come and go on the quarter of the hour.
        now_s = min([*upcoming, (now_s // 900 + 1) * 900]) if waiting else min(upcoming, default=now_s + 900)
    return found


class Desk:
    """What a rule sees of a simulated desk, and what came of it."""

    def __init__(self, tickets: Sequence[Served], pace_s: int) -> None:
        self._came = sorted(tickets, key=lambda one: one.came_s)
        self._comes = [one.came_s for one in self._came]
        self._done = sorted(tickets, key=lambda one: one.done_s)
        self._dones = [one.done_s for one in self._done]
        self._pace_s = pace_s
        self._open: dict[int, list[Served]] = {}
        longest = max(one.done_s - one.came_s for one in tickets)
        self._longest_s = longest

    @cached_property
    def usual(self) -> Mapping[int, int]:
        """How long answers took in the two weeks before the month."""
        cells = Counter(
            sketch.cell(round((one.done_s - one.came_s) * 1000)) for one in self._done if one.done_s < START_S
        )
        return dict(cells)

    def open(self, at_s: int) -> list[Served]:
        """The tickets that wait."""
        if at_s not in self._open:
            first, last = bisect_left(self._comes, at_s - self._longest_s), bisect_right(self._comes, at_s)
            self._open = {at_s: [one for one in self._came[first:last] if one.done_s > at_s]}
        return self._open[at_s]

    def queue(self, at_s: int) -> Queue:
        """As :class:`services.alerts.waiting.Waiting` reads it."""
        slice_s = self._pace_s / SLICES
        edges = [at_s - n * slice_s for n in range(SLICES + 1)]
        places = [bisect_right(self._dones, edge) for edge in edges]
        done = tuple(b - a for b, a in pairwise(places))
        took = Counter(
            sketch.cell(round((one.done_s - one.came_s) * 1000)) for one in self._done[places[-1] : places[0]]
        )
        came = bisect_right(self._comes, at_s) - bisect_right(self._comes, edges[-1])
        waits = sorted(
            (
                Wait(
                    at_s - one.came_s,
                    one.due_s - at_s,
                    Evidence("desk", str(one.number)),
                    at_s - one.came_s >= WARNED * one.target_s,
                )
                for one in self.open(at_s)
            ),
            key=lambda wait: wait.left_s,
        )
        return Queue(tuple(waits), done, slice_s, came, took, self.usual)

    def late(self, at_s: int, within_s: int) -> tuple[int, int]:
        """Of the tickets open at ``at_s``, due within that time and not broken: how many were late, of how many."""
        due = [one for one in self.open(at_s) if 0 <= one.due_s - at_s <= within_s]
        return sum(one.late for one in due), len(due)

    def breaks(self, since_s: int) -> list[float]:
        """When promises broke from then on, in order."""
        return sorted(one.due_s for one in self._came if one.late and one.due_s >= since_s)


def overload(of: PredictedBreach, ordered: float, mean: float, dice: random.Random, planted: bool) -> World:
    """The desk, with half of the agents away for six hours, so that as many promises as the rule names break within
    twelve: in time is before that. What came true is no false alarm, whatever was planted."""
    bad_s, by_s, number = None, None, round(of.amount.value)
    while True:
        bad_s = working_hour(dice) if planted else None
        away = (bad_s, bad_s + AWAY_S) if bad_s is not None else None
        desk = Desk(served(dice, mean, away, ordered), of.window_s)
        if bad_s is None:
            break
        broken = desk.breaks(bad_s)
        if len(broken) >= number and broken[number - 1] <= bad_s + 2 * AWAY_S:
            by_s = int(broken[number - 1])
            break

    def true(at_s: int) -> bool:
        return desk.late(at_s, of.within_s)[0] >= of.amount.value

    return World(
        None, bad_s, bad_s + 8 * HOUR_S if bad_s is not None else None, lambda at_s: desk.queue(at_s), by_s, true
    )


TOPICS: Final = 60
ESCALATES, REOPENS = 0.03, 0.08
_SLOT_S: Final = DAY_S


class Topics:
    """Sixty tags, from one ticket in eight to one in a thousand, 150 tickets a day. Shares move by 15 % from week to
    week by themselves. The planted topic has three times its share, and 30 % of its tickets are reopened."""

    def __init__(self, dice: random.Random, bad_s: int | None) -> None:
        weights = [1 / (n + 1) for n in range(TOPICS)]
        self._sums: dict[str, list[tuple[int, int, int, int]]] = {}
        self.planted = f"tag:{dice.randrange(3, 25)}"
        self._from_s = START_S - 35 * DAY_S
        slots = range(self._from_s, START_S + MONTH_S, _SLOT_S)
        moods = [math.exp(dice.gauss(0, 0.05)) for _ in slots]
        whole = [[0, 0, 0, 0] for _ in slots]
        for n, weight in enumerate(weights):
            name, weeks = f"tag:{n}", [math.exp(dice.gauss(0, 0.15)) for _ in range(12)]
            rows = []
            for place, at_s in enumerate(slots):
                bad = bad_s is not None and name == self.planted and bad_s <= at_s < bad_s + 7 * DAY_S
                mean = 150 * weight / sum(weights) * moods[place] * weeks[(at_s - self._from_s) // (7 * DAY_S)]
                created = poisson(dice, mean * (3 if bad else 1))
                escalated = _of(dice, created, ESCALATES)
                reopened = _of(dice, created, 0.3 if bad else REOPENS)
                rows.append((created, escalated, created, reopened))
                for column, amount in enumerate(rows[-1]):
                    whole[place][column] += amount
            self._sums[name] = _running(rows)
        self._sums[ALL] = _running([(row[0], row[1], row[2], row[3]) for row in whole])

    def seen(self, of: Topic, at_s: int) -> dict[str, list[Point]]:
        """What the rule is judged by."""
        found: dict[str, list[Point]] = {}
        for name, sums in self._sums.items():
            points = found[name] = []
            for week in range(of.weeks + 1):
                last = (at_s - week * 7 * DAY_S - self._from_s) // _SLOT_S
                first = max(0, last - of.window_s // _SLOT_S)
                created, escalated, solved, reopened = (b - a for a, b in zip(sums[first], sums[last], strict=True))
                points += [Point(float(escalated), created), Point(float(reopened), solved)]
        return found


def _of(dice: random.Random, cases: int, share: float) -> int:
    """So many of ``cases``: as many skips of a geometric length as fit."""
    hits, place = -1, 0
    while place <= cases:
        hits += 1
        place += 1 + int(math.log(1 - dice.random()) / math.log(1 - share))
    return hits


def _running(rows: Sequence[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    return list(
        accumulate(rows, lambda a, b: (a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]), initial=(0, 0, 0, 0))
    )


def grows(of: Topic, dice: random.Random, planted: bool) -> World:
    """One topic of sixty gets three times its share for a week."""
    bad_s = START_S + dice.randrange(3, 18) * DAY_S if planted else None
    topics = Topics(dice, bad_s)
    over_s = bad_s + 7 * DAY_S if bad_s is not None else None
    return World(None, bad_s, over_s, lambda at_s: topics.seen(of, at_s), segment=topics.planted)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Predictions against what happened. ``tenths`` has for each tenth of the predicted probability how many promises
    were predicted in it, the mean prediction and the share that broke; ``inside`` is the share of looks at which what
    happened lay in the interval that says 80 %, of ``looks`` with something to predict; ``sure`` the share of looks at
    which what the rule was sure of came true, of ``sures``."""

    tenths: Sequence[tuple[int, float, float]]
    predicted: float
    happened: float
    looks: int
    inside: float
    sure: float
    sures: int


def calibration(
    of: PredictedBreach, ordered: float, mean: float, months: int, seed: int, targets: Any = TARGETS
) -> Calibration:
    """Of hourly looks at so many months, every other one with the planted problem."""
    estimate: Callable[..., Any] = estimating.by_history if of.estimate == "history" else estimating.by_queue
    tenths = [[0.0, 0.0, 0.0] for _ in range(10)]
    looks = inside = sures = right = 0
    needed = of.amount.value
    for number in range(months):
        dice = random.Random(f"{seed}:calibration:{number}")
        bad_s = working_hour(dice) if number % 2 else None
        away = (bad_s, bad_s + AWAY_S) if bad_s is not None else None
        desk = Desk(served(dice, mean, away, ordered, targets), of.window_s)
        for at_s in range(START_S, START_S + MONTH_S - DAY_S, HOUR_S):
            queue = desk.queue(at_s)
            if queue.done_in_all < of.evidence:
                continue
            found = estimate(queue, of.within_s, of.certainty)
            names = {str(one.number): one.late for one in desk.open(at_s)}
            happened = 0
            for wait, chance in zip(found.waits, found.chances, strict=True):
                tenth = tenths[min(9, int(chance * 10))]
                late = names[wait.ticket.ticket_id]
                happened += late
                tenth[0] += 1
                tenth[1] += chance
                tenth[2] += late
            if found.expected >= 1:
                looks += 1
                inside += found.low <= happened <= found.high
            if found.sure >= needed:
                sures += 1
                right += happened >= needed
    counted = [(int(n), p / n if n else 0.0, h / n if n else 0.0) for n, p, h in tenths]
    return Calibration(
        counted,
        sum(t[1] for t in tenths),
        sum(t[2] for t in tenths),
        looks,
        inside / looks if looks else 0.0,
        right / sures if sures else 0.0,
        sures,
    )


def _predicted(estimate: str) -> PredictedBreach:
    found = rule("predicted_breach", above=5, estimate=estimate)
    assert isinstance(found, PredictedBreach)
    return found


def _topic() -> Topic:
    found = rule("topic")
    assert isinstance(found, Topic)
    return found


TOPIC: Final = _topic()
PREDICTED: Final = {name: _predicted(name) for name in ("queue", "history")}
DESKS: Final = {"in the order due": 1.0, "in any order": 0.0}


def calibrations(months: int, seed: int) -> list[str]:
    """The tables of the guide, in Markdown."""
    lines = [
        "| `estimate` | tickets are taken | predicted late | were late | 80 % intervals that held | sure, and right |",
        "|---|---|---|---|---|---|",
    ]
    tenths = [
        "| predicted | " + " | ".join(f"`{e}`, {d}" for e in PREDICTED for d in DESKS) + " |",
        "|---|" + "---|" * 4,
    ]
    found = {}
    for name, of in PREDICTED.items():
        for desk, ordered in DESKS.items():
            one = found[name, desk] = calibration(of, ordered, MEAN, months, seed)
            lines.append(
                f"| `{name}` | {desk} | {one.predicted:.0f} | {one.happened:.0f} | {one.inside:.0%} of {one.looks} "
                f"| {one.sure:.0%} of {one.sures} |"
            )
    for n in range(10):
        cells = [f"{one.tenths[n][2]:.0%}" if one.tenths[n][0] else "" for one in found.values()]
        tenths.append(f"| {n * 10} to {n * 10 + 10} % | " + " | ".join(cells) + " |")
    return [*lines, "", *tenths]


if __name__ == "__main__":
    sys.stdout.write("\n".join(calibrations(int(sys.argv[1]) if sys.argv[1:] else 40, SEED)) + "\n")
