"""How often each kind of rule finds a planted problem, and how often it cries for nothing: seeded simulated months.

python -m tests.support.rule_rates [MONTHS]      prints the table of docs/guides/write-a-rule.md

A month is 28 days. For every kind so many months with one planted problem at a random time and as many without, each
with its own seed and with the weeks before it that the rule looks back at. The rules are judged and their alerts lived
through by the code that runs live (``judging``, ``phase``), from simulated counts and values in place of Redis.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Final

from schemas.instant import SECOND_US
from services.alerts.judge import judging
from services.alerts.judge.verdict import Need, Point
from services.alerts.phase import Memory, advance, is_open
from services.config.rule import Rule
from tests.support.rules import rule

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
    """What a simulated rule sees, and when something was wrong: ``[bad_s, over_s)``, or never."""

    see: See
    bad_s: int | None
    over_s: int | None


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


def spells(of: Rule, see: See, start_s: int, end_s: int, every_s: int) -> list[tuple[int, int]]:
    """When its alert was open, as seen every ``every_s``."""
    memory, alert, found = Memory(), None, []
    needs: list[Need] = judging.needs(of)
    for at_s in range(start_s, end_s, every_s):
        base_s = judging.looked_at_s(of, at_s)
        points = [see(need.window_s, base_s - need.ago_s) for need in needs]
        verdict = judging.judge(of, "all", points, firing=is_open(alert))
        done = advance(of, "all", memory, alert, verdict, at_s * SECOND_US)
        memory = done.memory
        if done.step is not None:
            alert = done.step.after
            if is_open(alert):
                found.append((at_s, end_s))
            else:
                found[-1] = (found[-1][0], at_s)
    return found


def rates(case: Case, months: int, seed: int = SEED) -> Rates:
    """``months`` with the problem and as many without."""
    delays, alarms, beside = [], 0, 0
    for number in range(months):
        for planted in (False, True):
            dice = random.Random(f"{seed}:{case.name}:{number}:{planted}")
            world = case.world(dice, planted)
            opened = spells(case.rule, world.see, START_S, START_S + case.span_s, case.every_s)
            if world.bad_s is None or world.over_s is None:
                alarms += len(opened)
                continue
            in_time = [at for at, _ in opened if world.bad_s <= at <= world.bad_s + case.grace_s]
            delays += [in_time[0] - world.bad_s] if in_time else []
            beside += sum(end <= world.bad_s or at > world.over_s + case.grace_s for at, end in opened)
    months_s = months * case.span_s / MONTH_S
    return Rates(months, len(delays) / months, median(delays) if delays else None, alarms / months_s, beside)


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


class Counts:
    """Counts in slots of equal length from the past on, summed for any window."""

    def __init__(self, slot_s: int, past_s: int, mean: Callable[[int], float], dice: random.Random) -> None:
        self._slot_s, self._from_s = slot_s, START_S - past_s
        self._sums = [0]
        for at_s in range(self._from_s, START_S + MONTH_S, slot_s):
            self._sums.append(self._sums[-1] + poisson(dice, mean(at_s)))

    def of(self, window_s: int, end_s: int) -> int:
        """How many in the window that ended at ``end_s``; what lies before the past is not known, and none."""
        last = max(0, min((end_s - self._from_s) // self._slot_s, len(self._sums) - 1))
        first = max(0, last - window_s // self._slot_s)
        return self._sums[last] - self._sums[first]


def _moods(dice: random.Random, slot_s: int, spread: float) -> Callable[[int], float]:
    """Slow ups and downs of traffic that no calendar knows: a factor for each day, some 10 % around 1."""
    days: dict[int, float] = {}
    return lambda at_s: days.setdefault(at_s // slot_s, math.exp(dice.gauss(0, spread)))


def volume(mean: float, times: float, lasts_s: int, past_s: int, dice: random.Random, planted: bool) -> World:
    """Tickets created by the hour, ``mean`` in an average one; the problem is ``times`` as many."""
    bad_s = working_hour(dice) if planted else None
    moods = _moods(dice, DAY_S, 0.1)

    def rate(at_s: int) -> float:
        bad = bad_s is not None and bad_s <= at_s < bad_s + lasts_s
        return mean / 4 * hourly(at_s) * moods(at_s) * (times if bad else 1)

    counts = Counts(900, past_s, rate, dice)

    def see(window_s: int, end_s: int) -> Point:
        number = counts.of(window_s, end_s)
        return Point(float(number), number)

    return World(see, bad_s, bad_s + lasts_s if bad_s is not None else None)


def answers(dice: random.Random, planted: bool) -> World:
    """First response times: lognormal, a median of 20 minutes, 25 answers in a busy hour; the problem: three times as
    long for six hours."""
    bad_s, lasts_s, slot_s = (working_hour(dice) if planted else None), 6 * HOUR_S, 600
    slots: dict[int, list[float]] = {}
    for at_s in range(START_S - HOUR_S, START_S + MONTH_S, slot_s):
        slower = 3 if bad_s is not None and bad_s <= at_s < bad_s + lasts_s else 1
        number = poisson(dice, 2.0 * hourly(at_s))
        slots[at_s] = [dice.lognormvariate(math.log(1200 * slower), 0.9) for _ in range(number)]

    def see(window_s: int, end_s: int) -> Point:
        values = sorted(v for at_s in range(end_s - window_s, end_s, slot_s) for v in slots.get(at_s, ()))
        return Point(values[int(0.9 * (len(values) - 1))] if values else None, len(values))

    return World(see, bad_s, bad_s + lasts_s if bad_s is not None else None)


def promises(dice: random.Random, planted: bool) -> World:
    """Promises kept: 98 of 100, 12 in an average hour; the problem: 40 of 100 for six hours."""
    bad_s, lasts_s = (working_hour(dice) if planted else None), 6 * HOUR_S
    slot_s, past_s = 300, 3 * DAY_S

    def bad(at_s: int) -> bool:
        return bad_s is not None and bad_s <= at_s < bad_s + lasts_s

    kept = Counts(slot_s, past_s, lambda at_s: hourly(at_s) * (0.4 if bad(at_s) else 0.98), dice)
    broken = Counts(slot_s, past_s, lambda at_s: hourly(at_s) * (0.6 if bad(at_s) else 0.02), dice)

    def see(window_s: int, end_s: int) -> Point:
        good, all_of_them = kept.of(window_s, end_s), kept.of(window_s, end_s) + broken.of(window_s, end_s)
        return Point(good / all_of_them if all_of_them else None, all_of_them)

    return World(see, bad_s, bad_s + lasts_s if bad_s is not None else None)


REVIEWS: Final = 8
"""Quality reviews on a working day."""
REVIEW_SPREAD: Final = 0.09
"""The standard deviation of one review: a day's mean then has 3.2 points."""


def quality(dice: random.Random, planted: bool) -> World:
    """A QA score of 92 %, from 8 reviews a working day, none at weekends; the problem: down to 70 % within 21 days."""
    bad_s = START_S + dice.randrange(0, 7) * DAY_S if planted else None

    def level(day_s: int) -> float:
        gone = min(21, max(0, (day_s - bad_s) / DAY_S + 1)) if bad_s is not None else 0.0
        return 0.92 - 0.22 * gone / 21

    return World(_daily(level, dice), bad_s, START_S + MONTH_S if bad_s is not None else None)


def outlier(dice: random.Random, planted: bool) -> World:
    """The same score without a trend, and one day of the month at 30 %: nothing to be found."""
    odd_s = START_S + dice.randrange(0, 28) * DAY_S
    return World(_daily(lambda day_s: 0.30 if day_s == odd_s else 0.92, dice), None, None)


def _daily(level: Callable[[int], float], dice: random.Random) -> See:
    days: dict[int, Point] = {}
    for day_s in range(START_S - 100 * DAY_S, START_S + 2 * MONTH_S, DAY_S):
        mean = dice.gauss(level(day_s), REVIEW_SPREAD / math.sqrt(REVIEWS))
        working = (day_s - START_S) // DAY_S % 7 < 5
        days[day_s + DAY_S] = Point(mean if working else None, REVIEWS if working else 0)
    return lambda window_s, end_s: days.get(end_s, Point(None, 0))


WALK_STEP: Final = math.sqrt((0.22**2 / 12 + REVIEW_SPREAD**2 / REVIEWS) / (21 / 6))
"""The daily step of a random walk whose variance over 21 days is that of the score that falls from 92 % to 70 %."""
TWO_YEARS_S: Final = 730 * DAY_S


def walk(dice: random.Random, planted: bool) -> World:
    """A random walk of two years: it goes nowhere on purpose."""
    values: dict[int, Point] = {}
    value = 0.0
    for day_s in range(START_S - 100 * DAY_S, START_S + TWO_YEARS_S + DAY_S, DAY_S):
        value += dice.gauss(0, WALK_STEP)
        values[day_s] = Point(value, REVIEWS)
    return World(lambda window_s, end_s: values.get(end_s, Point(None, 0)), None, None)


def ratings(dice: random.Random, planted: bool) -> World:
    """CSAT of 90 %, 80 answers a week; planted: 98 % in one week."""
    good_s = START_S + dice.randrange(0, 3) * WEEK_S if planted else None
    weeks: dict[int, Point] = {}
    for week_s in range(START_S - 30 * WEEK_S, START_S + MONTH_S, WEEK_S):
        share = 0.98 if week_s == good_s else 0.90
        hits = sum(dice.random() < share for _ in range(80))
        weeks[week_s + WEEK_S] = Point(hits / 80, 80)
    after_s = good_s + WEEK_S if good_s is not None else None
    return World(lambda _, end_s: weeks.get(end_s, Point(None, 0)), after_s, after_s)


_QA: Final = rule("trend", kpi="qa_score", falls="10%", min_count=3)
CASES: Final = (
    Case(
        "threshold",
        "answers take three times as long, for 6 h",
        rule("threshold", kpi="first_response_time", above="2h", clear="100m", for_="20m", min_count=20),
        600,
        3 * HOUR_S,
        answers,
    ),
    Case(
        "change",
        "twice as many tickets, for 2 days",
        rule("change", kpi="tickets_created", rises="50%", min_count=50),
        HOUR_S,
        DAY_S,
        partial(volume, 10.0, 2.0, 2 * DAY_S, 2 * WEEK_S),
    ),
    Case("trend", "QA score from 92 % to 70 % within 3 weeks", _QA, DAY_S, 21 * DAY_S, quality),
    Case(
        "anomaly",
        "three times as many tickets, for 3 h",
        rule("anomaly", kpi="tickets_created", direction="high"),
        900,
        2 * HOUR_S,
        partial(volume, 20.0, 3.0, 3 * HOUR_S, 5 * WEEK_S),
    ),
    Case(
        "burn_rate",
        "40 % of promises kept in place of 98 %, for 6 h",
        rule("burn_rate", kpi="sla_attainment", objective="95%", min_count=10),
        600,
        2 * HOUR_S,
        promises,
    ),
    Case(
        "stale",
        "silence for 4 h",
        rule("stale", segment="source:zendesk"),
        600,
        2 * HOUR_S,
        partial(volume, 20.0, 0.0, 4 * HOUR_S, 5 * WEEK_S),
    ),
    Case(
        "recognition",
        "CSAT of 98 % in one week in place of 90 %",
        rule("recognition", kpi="csat", best_of=12),
        DAY_S,
        WEEK_S,
        ratings,
    ),
)
OUTLIER: Final = Case("trend, one day at 30 %", "none", _QA, DAY_S, 0, outlier)
WALK: Final = Case("trend, random walk", "none", _QA, DAY_S, 0, walk, TWO_YEARS_S)


def alarms(case: Case, worlds: int, seed: int = SEED) -> float:
    """Alerts for each world of a case that has nothing to be found."""
    found = 0
    for number in range(worlds):
        world = case.world(random.Random(f"{seed}:{case.name}:{number}"), False)
        found += len(spells(case.rule, world.see, START_S, START_S + case.span_s, case.every_s))
    return found / worlds


def table(months: int) -> Sequence[str]:
    """The table, in Markdown."""
    lines = [
        "| rule | planted problem | found | after (median) | false alarms in a month |",
        "|---|---|---|---|---|",
    ]
    for case in CASES:
        lines.append(row(case, rates(case, months)))
    lines += [
        "",
        "| `trend` where there is none | alerts |",
        "|---|---|",
        f"| one day of the month at 30 % | {alarms(OUTLIER, months):.2f} in a month |",
        f"| random walk with the variance of the falling score | {alarms(WALK, months):.2f} in two years |",
    ]
    return lines


def row(case: Case, one: Rates) -> str:
    """One kind of rule as a row of the table."""
    after = "" if one.delay_s is None else _spoken(one.delay_s)
    return f"| `{case.name}` | {case.problem} | {one.found:.0%} | {after} | {one.false_alarms:.2f} |"


def _spoken(seconds: float) -> str:
    return f"{seconds / DAY_S:.0f} d" if seconds >= 2 * DAY_S else f"{seconds / 60:.0f} min"


if __name__ == "__main__":
    sys.stdout.write("\n".join(table(int(sys.argv[1]) if sys.argv[1:] else 100)) + "\n")
