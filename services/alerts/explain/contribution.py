"""How much each value of a dimension brings to a change. The parts add up to the whole.

Of counts it is the difference of each value. A ratio or mean R = Σ wᵥ·rᵥ, with wᵥ the value's share of the cases and rᵥ
its own ratio, changes by

    ΔR = Σ (r̄ᵥ - R̄)·Δwᵥ   (volume: who has which share of the work)
       + Σ w̄ᵥ·Δrᵥ          (rate: how each one fares)

with the means of both windows under the bars. It is the decomposition of E. M. Kitagawa, Components of a Difference
Between Two Rates, Journal of the American Statistical Association 50 (1955) 1168-1194: exact, and the same from either
side. Taking the mean R̄ off the volume terms leaves their sum as it is, since ΣΔwᵥ = 0, and gives each value its due:
what grows raises R only if its own rate is above the whole's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Amount:
    """``total`` of something over so many ``cases``; a count has its number in ``total`` and no cases."""

    total: float
    cases: int = 0

    @property
    def mean(self) -> float | None:
        """``None`` without a case."""
        return self.total / self.cases if self.cases > 0 else None

    def less(self, part: Amount) -> Amount:
        """What is left without ``part``."""
        return Amount(self.total - part.total, self.cases - part.cases)


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one value brings to the change: ``volume`` and ``rate``, in the unit of what changed. A count has only
    volume. ``weight`` is its share of the cases, of both windows on average, and ``shift`` how that share moved; of a
    count, ``weight`` is its share before."""

    segment: str
    now: float | None
    then: float | None
    volume: float
    rate: float
    weight: float
    shift: float = 0.0

    @property
    def change(self) -> float:
        """Both together."""
        return self.volume + self.rate


def counted(now: Mapping[str, Amount], then: Mapping[str, Amount]) -> list[Contribution]:
    """Contributions to a change of a count, the largest first."""
    before = sum(abs(amount.total) for amount in then.values())
    found = []
    for segment in now.keys() | then.keys():
        present, past = now.get(segment, Amount(0)).total, then.get(segment, Amount(0)).total
        weight = abs(past) / before if before else 0.0
        found.append(Contribution(segment, present, past, present - past, 0.0, weight))
    return _ranked(found)


def averaged(now: Mapping[str, Amount], then: Mapping[str, Amount]) -> list[Contribution]:
    """Contributions to a change of a ratio or mean, the largest first; none when one of the windows has no cases. A
    value that has cases in one window only fares in the other as it does in this one: all that it brings is volume."""
    cases_now, cases_then = (sum(amount.cases for amount in side.values()) for side in (now, then))
    if cases_now <= 0 or cases_then <= 0:
        return []
    whole = sum(
        sum(amount.total for amount in side.values() if amount.cases > 0) / cases
        for side, cases in ((now, cases_now), (then, cases_then))
    )
    found = []
    for segment in now.keys() | then.keys():
        one, other = now.get(segment, Amount(0)), then.get(segment, Amount(0))
        present, past = one.mean, other.mean
        if present is None and past is None:
            continue
        after = present if present is not None else past
        before = past if past is not None else present
        assert after is not None
        assert before is not None
        share_now, share_then = one.cases / cases_now, other.cases / cases_then
        volume = ((after + before) - whole) / 2 * (share_now - share_then)
        weight = (share_now + share_then) / 2
        found.append(
            Contribution(segment, present, past, volume, weight * (after - before), weight, share_now - share_then)
        )
    return _ranked(found)


def _ranked(found: list[Contribution]) -> list[Contribution]:
    return sorted(found, key=lambda one: (-abs(one.change), one.segment))
