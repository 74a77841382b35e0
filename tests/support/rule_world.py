"""Simulated months: worlds with one planted problem or none, and how often a rule finds it or cries for nothing."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from schemas.alert import Alert
from schemas.instant import SECOND_US
from services.alerts.judge import judging
from services.alerts.judge.verdict import Need, Point
from services.alerts.phase import Memory, advance, is_open
from services.config.rule import ALL, Rule

SEED: Final = 20_260_302
DAY_S: Final = 86_400
HOUR_S: Final = 3600
WEEK_S: Final = 7 * DAY_S
MONTH_S: Final = 28 * DAY_S
START_S: Final = 1_767_571_200
"""A Monday, 00:00 UTC."""

See = Callable[[int, int], Point]
"""The point of the window of that length that ended at that second."""


@dataclass(frozen=True, slots=True)
class World:
    """What a simulated rule sees, and when something was wrong: ``[bad_s, over_s)``, or never.

    ``seen`` is what it is judged by at an instant, where that is no window. ``by_s`` is when it is too late to be told
    (else the case's grace says so), ``true`` whether an alert at an instant came true, ``segment`` the one that is bad.
    """

    see: See | None
    bad_s: int | None
    over_s: int | None
    seen: Callable[[int], Any] | None = None
    by_s: int | None = None
    true: Callable[[int], bool] | None = None
    segment: str = ALL


@dataclass(frozen=True, slots=True)
class Case:
    """A rule in a world. ``grace_s`` is how soon after the beginning of the problem it is found in time."""

    name: str
    problem: str
    rule: Rule
    every_s: int
    grace_s: int
    world: Callable[[random.Random, bool], World]
    span_s: int = MONTH_S


@dataclass(frozen=True, slots=True)
class Rates:
    """What came out. ``false_alarms`` is per month without a problem."""

    months: int
    found: float
    delay_s: float | None
    false_alarms: float
    false_beside: int
    """Alerts in the months with a problem that neither overlap it nor follow it closely."""
    lead_s: float | None = None
    """Where promises are predicted: how long before as many as the rule names were broken."""


def spells(of: Rule, world: World, start_s: int, end_s: int, every_s: int) -> list[tuple[str, int, int]]:
    """When its alerts were open, as seen every ``every_s``: ``(segment, from, to)``."""
    memories: dict[str, Memory] = {}
    alerts: dict[str, Alert] = {}
    opened: dict[str, int] = {}
    found: list[tuple[str, int, int]] = []
    needs: list[Need] = judging.needs(of)
    for at_s in range(start_s, end_s, every_s):
        if world.see is not None:
            base_s = judging.looked_at_s(of, at_s)
            seen: Any = {ALL: [world.see(need.window_s, base_s - need.ago_s) for need in needs]}
        else:
            assert world.seen is not None
            seen = world.seen(at_s)
            seen = seen if isinstance(seen, dict) else {ALL: seen}
        segments = [name for name in seen if name != ALL] or [ALL]
        for segment, verdict in judging.judged(of, segments, seen, opened.keys()).items():
            memory = memories.get(segment, Memory())
            done = advance(of, segment, memory, alerts.get(segment), verdict, at_s * SECOND_US)
            memories[segment] = done.memory
            if done.step is not None:
                alerts[segment] = done.step.after
                if is_open(done.step.after):
                    opened[segment] = at_s
                else:
                    found.append((segment, opened.pop(segment), at_s))
    return sorted(found + [(segment, at_s, end_s) for segment, at_s in opened.items()], key=lambda one: one[1])


def rates(case: Case, months: int, seed: int = SEED) -> Rates:
    """``months`` with the problem and as many without."""
    delays, leads, alarms, beside = [], [], 0, 0
    for number in range(months):
        for planted in (False, True):
            dice = random.Random(f"{seed}:{case.name}:{number}:{planted}")
            world = case.world(dice, planted)
            opened = spells(case.rule, world, START_S, START_S + case.span_s, case.every_s)
            if world.bad_s is None or world.over_s is None:
                alarms += sum(world.true is None or not world.true(at) for _, at, _ in opened)
                continue
            by_s = world.by_s if world.by_s is not None else world.bad_s + case.grace_s
            in_time = [at for name, at, _ in opened if name == world.segment and world.bad_s <= at <= by_s]
            delays += [in_time[0] - world.bad_s] if in_time else []
            leads += [by_s - in_time[0]] if in_time and world.by_s is not None else []
            beside += sum(
                name != world.segment or end <= world.bad_s or at > world.over_s + case.grace_s
                for name, at, end in opened
            )
    months_s = months * case.span_s / MONTH_S
    after_s, lead_s = (median(found) if found else None for found in (delays, leads))
    return Rates(months, len(delays) / months, after_s, alarms / months_s, beside, lead_s)


def poisson(dice: random.Random, mean: float) -> int:
    """A count: Knuth's product for small means, the normal distribution for large ones."""
    if mean > 60:
        return max(0, round(dice.gauss(mean, math.sqrt(mean))))
    bound, product, count = math.exp(-mean), dice.random(), 0
    while product > bound:
        product *= dice.random()
        count += 1
    return count


def hourly(at_s: int) -> float:
    """The share of a support team's mean traffic at this hour: busy on working days from 8 to 18, quiet at night."""
    day, hour = (at_s - START_S) // DAY_S % 7, (at_s - START_S) % DAY_S / HOUR_S
    curve = 0.15 + 2.2 * math.exp(-(((hour - 13) / 4.2) ** 2))
    return curve * (0.35 if day >= 5 else 1.0)


def working_hour(dice: random.Random) -> int:
    """A start of a problem: on a working day of the month, between 8 and 14 o'clock."""
    day = dice.choice([day for day in range(2, 26) if day % 7 < 5])
    return START_S + day * DAY_S + dice.randrange(8, 14) * HOUR_S
