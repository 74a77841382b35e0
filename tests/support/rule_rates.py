"""How often each kind of rule finds a planted problem, and how often it cries for nothing: seeded simulated months.

python -m tests.support.rule_rates [MONTHS]           prints the table of docs/guides/write-a-rule.md
python -m tests.support.rule_rates [MONTHS] --write   puts it there

A month is 28 days. For every kind so many months with one planted problem at a random time and as many without, each
with its own seed and with the weeks before it that the rule looks back at. The rules are judged and their alerts lived
through by the code that runs live (``judging``, ``phase``), from simulated counts and values in place of Redis.
"""

from __future__ import annotations

import math
import random
import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from services.alerts.judge.verdict import Point
from tests.support import rule_ahead
from tests.support.rule_world import (
    DAY_S,
    HOUR_S,
    MONTH_S,
    SEED,
    START_S,
    WEEK_S,
    Case,
    Rates,
    See,
    World,
    hourly,
    poisson,
    rates,
    spells,
    working_hour,
)
from tests.support.rules import rule

GUIDE: Final = Path(__file__).parents[2] / "docs/guides/write-a-rule.md"


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
    Case(
        "predicted_breach",
        "half of the agents away for 6 h; tickets are taken in the order due",
        rule_ahead.PREDICTED["queue"],
        900,
        8 * HOUR_S,
        partial(rule_ahead.overload, rule_ahead.PREDICTED["queue"], 1.0, rule_ahead.MEAN),
    ),
    Case(
        "predicted_breach",
        "the same, taken in any order; `estimate: history`",
        rule_ahead.PREDICTED["history"],
        1800,
        8 * HOUR_S,
        partial(rule_ahead.overload, rule_ahead.PREDICTED["history"], 0.0, rule_ahead.MEAN),
    ),
    Case(
        "topic",
        "one tag of 60 has three times its share for a week, 30 % reopened in place of 8 %",
        rule_ahead.TOPIC,
        DAY_S,
        WEEK_S,
        partial(rule_ahead.grows, rule_ahead.TOPIC),
    ),
)
OUTLIER: Final = Case("trend, one day at 30 %", "none", _QA, DAY_S, 0, outlier)
WALK: Final = Case("trend, random walk", "none", _QA, DAY_S, 0, walk, TWO_YEARS_S)


def alarms(case: Case, worlds: int, seed: int = SEED) -> float:
    """Alerts for each world of a case that has nothing to be found."""
    found = 0
    for number in range(worlds):
        world = case.world(random.Random(f"{seed}:{case.name}:{number}"), False)
        found += len(spells(case.rule, world, START_S, START_S + case.span_s, case.every_s))
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


def written(guide: str, lines: Sequence[str]) -> str:
    """The guide with these tables in place of its own."""
    head = re.escape(lines[0])
    found = re.sub(rf"(?ms)^{head}$.*?(?=\n\nThe random walks)", lambda _: "\n".join(lines), guide)
    if found == guide and "\n".join(lines) not in guide:
        raise ValueError("the guide has no table to replace")
    return found


def row(case: Case, one: Rates) -> str:
    """One kind of rule as a row of the table."""
    after = "" if one.delay_s is None else _spoken(one.delay_s)
    after += "" if one.lead_s is None else f", {_spoken(one.lead_s)} before the fifth"
    return f"| `{case.name}` | {case.problem} | {one.found:.0%} | {after} | {one.false_alarms:.2f} |"


def _spoken(seconds: float) -> str:
    return f"{seconds / DAY_S:.0f} d" if seconds >= 2 * DAY_S else f"{seconds / 60:.0f} min"


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:] if argument.isdigit()]
    made = table(numbers[0] if numbers else 100)
    if "--write" in sys.argv:
        GUIDE.write_text(written(GUIDE.read_text(), made))
    sys.stdout.write("\n".join(made) + "\n")
