"""What explains a change, as a named verdict: the system before the team, the team before the person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Final

from schemas.alert import Cause
from services.alerts.explain.contribution import Amount, Contribution
from services.alerts.explain.quantity import Kind

PERSON: Final = "agent"
LEAST: Final = 5
"""With fewer cases a ratio, mean or percentile says nothing."""
_SLIGHT: Final = 0.05
"""A change of less is none."""
_MORE: Final = 1.2
_MORE_THAN_OTHERS: Final = 1.15
_MOST: Final = 0.6
_BEYOND_ITS_SHARE: Final = 0.25
_ALIKE: Final = 0.7


@dataclass(frozen=True, slots=True)
class Load:
    """The work now and then."""

    created: int = 0
    created_then: int = 0
    backlog: int = 0
    backlog_then: int = 0

    @property
    def grown(self) -> bool:
        """Whether clearly more comes in or lies there: by a fifth, and by more than chance makes of counts."""
        return _grown(self.created, self.created_then) or _grown(self.backlog, self.backlog_then)

    def outgrew(self, whole: Load) -> bool:
        """Whether it has grown, and clearly more than ``whole``."""
        return any(
            _grown(now, then) and now * max(whole_then, 1) >= _MORE_THAN_OTHERS * max(whole_now, 1) * then
            for now, then, whole_now, whole_then in (
                (self.created, self.created_then, whole.created, whole.created_then),
                (self.backlog, self.backlog_then, whole.backlog, whole.backlog_then),
            )
        )


@dataclass(frozen=True, slots=True)
class Cut:
    """The contributions of every value of ``dimension``, the largest first."""

    dimension: str
    parts: Sequence[Contribution]

    @property
    def change(self) -> float:
        """Of all parts together."""
        return sum(part.change for part in self.parts)

    @property
    def volume(self) -> float:
        """What of it is volume."""
        return sum(part.volume for part in self.parts)


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known. ``now`` and ``then`` are the statistic; ``own`` are its amounts, ``others`` those of all tickets
    outside the segment, ``None`` where the segment is all. ``worse`` is 1 where rising is bad, -1 where falling is, 0
    where nobody says. ``loads`` are those of the parts."""

    kind: Kind
    now: float | None
    then: float | None
    own: tuple[Amount, Amount]
    load: Load
    worse: int = 0
    others: tuple[Amount, Amount] | None = None
    others_load: Load = Load()
    cuts: Sequence[Cut] = ()
    loads: Mapping[str, Load] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict, the cut that shows it, and the part that it is about, if it is about one."""

    cause: Cause
    cut: Cut | None = None
    part: Contribution | None = None


def found(seen: Seen) -> Finding:
    """The cause. A cut by person decides only when no other does."""
    if seen.now is None or seen.then is None:
        return Finding(Cause.NOTHING_TO_COMPARE)
    if seen.kind in (Kind.MEAN, Kind.ABOVE) and min(amount.cases for amount in seen.own) < LEAST:
        return Finding(Cause.TOO_FEW)
    moved = seen.now - seen.then
    if moved * seen.worse < 0 or abs(moved) <= _SLIGHT * abs(seen.then) or (seen.kind is Kind.COUNT and _chance(seen)):
        return Finding(Cause.AS_BEFORE, next(iter(seen.cuts), None))
    if seen.others is not None and _alike(seen.kind, seen.own, seen.others):
        everybody = Cause.LOAD_ON_EVERYBODY if seen.others_load.grown else Cause.EVERYWHERE
        return Finding(everybody, next(iter(seen.cuts), None))
    cuts = [cut for cut in seen.cuts if len(cut.parts) > 1 and cut.change * moved > 0]
    for some in ([c for c in cuts if c.dimension != PERSON], [c for c in cuts if c.dimension == PERSON]):
        if (finding := _concentrated(seen, some)) is not None:
            return finding
        if some and (spread := _spread(seen, some[0])) is not None:
            return spread
    shown = next(iter(cuts), None)
    if seen.load.grown and not cuts:
        return Finding(Cause.LOAD_ON_EVERYBODY)
    return Finding(Cause.UNCLEAR, shown)


def _concentrated(seen: Seen, cuts: Sequence[Cut]) -> Finding | None:
    drivers = [(beyond, cut, part) for cut in cuts for part in cut.parts if (beyond := _driven(seen, cut, part))]
    if drivers:
        _, cut, part = max(drivers, key=lambda driver: driver[0])
        one = Cause.LOAD_ON_ONE if seen.loads.get(part.segment, Load()).outgrew(seen.load) else Cause.ONE_PART
        return Finding(one, cut, part)
    if seen.kind is not Kind.COUNT:
        mixed = [cut for cut in cuts if cut.volume / cut.change >= _MOST]
        if mixed:
            cut = max(mixed, key=lambda cut: cut.volume / cut.change)
            return Finding(Cause.MIX, cut, max(cut.parts, key=lambda part: part.volume * (1 if cut.change > 0 else -1)))
    return None


def _driven(seen: Seen, cut: Cut, part: Contribution) -> float:
    """How far a part brings more of the change than its size; 0 where it does not drive it. Of ratios and means only
    how it fares counts: a larger share of the work is mix. Seen against all that moved the same way, so that two bad
    parts do not each look like all of what two good ones leave."""
    same_way = sum(own for one in cut.parts if (own := _own(seen.kind, one)) * cut.change > 0)
    brought = _own(seen.kind, part) / (same_way if abs(same_way) > abs(cut.change) else cut.change)
    beyond = brought - part.weight
    return beyond if brought >= _MOST and beyond >= _BEYOND_ITS_SHARE else 0.0


def _own(kind: Kind, part: Contribution) -> float:
    """What a part brings by itself, whatever its share of the work."""
    return part.change if kind is Kind.COUNT else part.rate


def _spread(seen: Seen, cut: Cut) -> Finding | None:
    """Everybody alike: those that moved the same way have most of the work."""
    alike = sum(part.weight for part in cut.parts if _own(seen.kind, part) * cut.change > 0)
    if alike < _ALIKE:
        return None
    return Finding(Cause.LOAD_ON_EVERYBODY if seen.load.grown else Cause.EVERYWHERE, cut)


def _alike(kind: Kind, own: tuple[Amount, Amount], others: tuple[Amount, Amount]) -> bool:
    """Whether all others moved the same way, and at least half as much in proportion."""
    if kind is Kind.NONE or (kind is not Kind.COUNT and min(amount.cases for amount in others) < LEAST):
        return False
    if kind is Kind.COUNT and not _beyond_chance(others[0].total, others[1].total):
        return False
    mine, theirs = _relative(kind, own), _relative(kind, others)
    return mine is not None and theirs is not None and mine * theirs > 0 and abs(theirs) >= abs(mine) / 2


def _relative(kind: Kind, amounts: tuple[Amount, Amount]) -> float | None:
    now, then = (amount.total if kind is Kind.COUNT else amount.mean for amount in amounts)
    return None if now is None or not then else (now - then) / abs(then)


def _chance(seen: Seen) -> bool:
    return not _beyond_chance(seen.now or 0.0, seen.then or 0.0)


def _beyond_chance(now: float, then: float) -> bool:
    """Two standard deviations of the difference of two Poisson counts."""
    return abs(now - then) >= 2 * sqrt(abs(now) + abs(then))


def _grown(now: int, then: int) -> bool:
    return now >= _MORE * then and now > then and _beyond_chance(now, then)
