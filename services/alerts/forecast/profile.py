"""What is usual at an hour: a day's volume by its kind, spread over its hours, at the present level.

Four to eight weeks hold four to eight values of each hour of the week: too few to believe each by itself. So every
estimate is drawn towards what it has in common with others, as far as chance alone explains that it differs (empirical
Bayes): weekdays towards the usual open or closed day, a weekday's hours towards those of all such days.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median
from typing import Final

from services.alerts.forecast.slots import HOLIDAY, Slot, by_day

HALF_LIFE_DAYS: Final = 14.0
"""A week from two weeks ago counts half as much as the present one: levels move, and few weeks scatter."""
_NEAR_DAYS: Final = 7.0
_HOURS: Final = 24
_DAYS: Final = 7
_WORTH_OF_A_DAY: Final = 3.0
"""The level of the last days is believed like so many days against none."""

Count = int | None
"""``None`` where it is not known what came."""


@dataclass(frozen=True, slots=True)
class Profile:
    """``volumes`` of a day by its kind, ``shares`` of its hours, and the ``level`` of the last days against them.
    ``holidays_seen`` says how many days the volume of a holiday was learnt from, beside the days off."""

    volumes: Mapping[int, float]
    shares: Mapping[int, Sequence[float]]
    level: float
    holidays_seen: int

    def expected(self, slot: Slot) -> float:
        """The volume of an hour."""
        return self.level * self.volumes[slot.kind] * self.shares[slot.kind][slot.hour]


def fitted(slots: Sequence[Slot], counts: Sequence[Count], open_days: frozenset[int]) -> Profile:
    """The profile of what is known. ``open_days`` are the weekdays on which the team works. Hours of the last day
    count most."""
    capped = _without_outliers(slots, counts)
    days = {
        day: places
        for day, places in by_day(slots).items()
        if sum(capped[place] is not None for place in places) >= len(places) - 1
    }
    newest = max(days) if days else date.min
    totals = {day: sum(capped[place] or 0.0 for place in places) for day, places in days.items()}
    kinds = {day: slots[places[0]].kind for day, places in days.items()}
    weights = {day: _weight((newest - day).days, HALF_LIFE_DAYS) for day in days}
    volumes, seen = _volumes(totals, kinds, weights, open_days)
    shares = _shares(slots, capped, days, weights, kinds, open_days)
    near = {day: _weight((newest - day).days, _NEAR_DAYS) for day in days}
    came = sum(near[day] * min(totals[day], 3 * volumes[kinds[day]]) for day in days)
    usual = sum(near[day] * volumes[kinds[day]] for day in days)
    average = usual / sum(near.values()) if near else 0.0
    level = (came + _WORTH_OF_A_DAY * average) / (usual + _WORTH_OF_A_DAY * average) if usual else 1.0
    return Profile(volumes, shares, level, seen)


def _volumes(
    totals: Mapping[date, float], kinds: Mapping[date, int], weights: Mapping[date, float], open_days: frozenset[int]
) -> tuple[dict[int, float], int]:
    found: dict[int, float] = {}
    for group in (open_days, frozenset(range(_DAYS)) - open_days):
        means: dict[int, tuple[float, float]] = {}
        within: list[float] = []
        for one in group:
            own = [(totals[day], weights[day]) for day in totals if kinds[day] == one]
            if own:
                mass = sum(weight for _, weight in own)
                mean = sum(total * weight for total, weight in own) / mass
                means[one] = (mean, mass)
                within += [(total - mean) ** 2 * len(own) / max(1, len(own) - 1) for total, _ in own]
        if not means:
            continue
        whole = sum(mean * mass for mean, mass in means.values()) / sum(mass for _, mass in means.values())
        scatter = sum(within) / len(within)
        spread = sum((mean - whole) ** 2 for mean, _ in means.values()) / max(1, len(means) - 1)
        mass = sum(mass for _, mass in means.values()) / len(means)
        between = max(spread - scatter / mass, 0.0)
        for one in group:
            mean, own_mass = means.get(one, (whole, 0.0))
            belief = own_mass / (own_mass + scatter / between) if between > 0 else 0.0
            found[one] = belief * mean + (1 - belief) * whole
    anything = sum(found.values()) / len(found) if found else 0.0
    for one in range(_DAYS):
        found.setdefault(one, anything)
    closed = [found[one] for one in range(_DAYS) if one not in open_days]
    guess = max(closed) if closed and open_days else None
    past = [totals[day] for day in totals if kinds[day] == HOLIDAY]
    usual_open = sum(found[one] for one in open_days) / len(open_days) if open_days else anything
    # No holiday seen: as on the days off; where every day is open, as on any day.
    prior = guess if guess is not None else usual_open
    found[HOLIDAY] = (sum(past) + prior) / (len(past) + 1)
    return found, len(past)


def _shares(
    slots: Sequence[Slot],
    counts: Sequence[float | None],
    days: Mapping[date, Sequence[int]],
    weights: Mapping[date, float],
    kinds: Mapping[date, int],
    open_days: frozenset[int],
) -> dict[int, list[float]]:
    sums = {one: [0.0] * _HOURS for one in range(HOLIDAY + 1)}
    for day, places in days.items():
        for place in places:
            sums[kinds[day]][slots[place].hour] += weights[day] * (counts[place] or 0.0)
    found: dict[int, list[float]] = {}
    everything = _normal([sum(sums[one][hour] for one in range(_DAYS)) for hour in range(_HOURS)])
    closed = frozenset(range(_DAYS)) - open_days
    for group in (open_days, closed | {HOLIDAY}):
        own = {one: sums[one] for one in group}
        together = [sum(values[hour] for values in own.values()) for hour in range(_HOURS)]
        pooled = _normal([value + 5 * share for value, share in zip(together, everything, strict=True)])
        worth = _worth(list(own.values()), pooled)
        for one, values in own.items():
            total = sum(values)
            if math.isinf(worth) or not total:
                found[one] = pooled
            else:
                found[one] = [
                    (value + worth * share) / (total + worth) for value, share in zip(values, pooled, strict=True)
                ]
    return found


def _worth(groups: Sequence[Sequence[float]], pooled: Sequence[float]) -> float:
    """How many tickets the common profile is worth against a weekday's own: by how far weekdays differ beyond chance
    (chi-square of homogeneity; the excess is that of a Dirichlet-multinomial)."""
    seen = [values for values in groups if sum(values) > 0]
    if len(seen) < 2:
        return 0.0
    hours = [hour for hour, share in enumerate(pooled) if share > 0]
    square = sum(
        (values[hour] - sum(values) * pooled[hour]) ** 2 / (sum(values) * pooled[hour])
        for values in seen
        for hour in hours
    )
    excess = square / max(1, (len(seen) - 1) * (len(hours) - 1))
    size = sum(map(sum, seen)) / len(seen)
    return max(size - excess, 0.0) / (excess - 1) if excess > 1 else math.inf


def _without_outliers(slots: Sequence[Slot], counts: Sequence[Count]) -> list[float | None]:
    """Counts with single enormous hours cut down to what a bad hour could be: an outage is no habit."""
    cells: dict[tuple[int, int], list[int]] = {}
    for slot, count in zip(slots, counts, strict=True):
        if count is not None:
            cells.setdefault((slot.kind, slot.hour), []).append(count)
    most = {}
    for cell, values in cells.items():
        middle = median(values)
        most[cell] = 2 * middle + 4 * math.sqrt(middle + 1) if len(values) >= 3 else math.inf
    return [
        None if count is None else min(float(count), most[slot.kind, slot.hour])
        for slot, count in zip(slots, counts, strict=True)
    ]


def _weight(age_days: int, half_life_days: float) -> float:
    return float(0.5 ** (age_days / half_life_days))


def _normal(values: Sequence[float]) -> list[float]:
    total = sum(values)
    return [value / total for value in values] if total else [1 / len(values)] * len(values)
