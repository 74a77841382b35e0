"""Something went well: the best period of many, or good periods in a row. Whoever alerts owes praise too."""

from __future__ import annotations

from collections.abc import Sequence

from services.alerts.judge import words
from services.alerts.judge.verdict import Judgement, Need, Point, Verdict, Why, begun, unknown
from services.config.rule import Recognition


def needs(rule: Recognition) -> list[Need]:
    """The periods, the latest first. The first has ended just now."""
    count = rule.best_of if rule.best_of is not None else (rule.streak or 0)
    return [Need(rule.window_s, n * rule.window_s) for n in range(count)]


def judge(rule: Recognition, segment: str, points: Sequence[Point], *, firing: bool) -> Verdict:
    """Bad means won: it "fires" when a period ends that is the best, or that completes the streak."""
    latest = points[0]
    if latest.value is None or latest.count < rule.evidence:
        few = f"Only {words.cases(latest.count)} in the last {words.periods(1, rule.window_s)[2:]}."
        return unknown(Why.TOO_FEW, few, latest.value)
    if rule.best_of is not None:
        return _best(rule, segment, points, latest.value)
    return _streak(rule, segment, points, latest.value)


def _best(rule: Recognition, segment: str, points: Sequence[Point], value: float) -> Verdict:
    others = [p.value for p in begun(points[1:]) if p.value is not None and p.count >= rule.evidence]
    if len(others) < (len(points) - 1 + 1) // 2:
        return unknown(Why.NOTHING_TO_COMPARE, f"Only {len(others)} earlier periods have enough cases.", value)
    rival = max(others) if rule.best == "high" else min(others)
    won = value > rival if rule.best == "high" else value < rival
    count = words.periods(len(points), rule.window_s)
    title = words.titled(f"best {words.kpi(rule)} in {count}", segment)
    said = (
        f"{'Well done' if won else 'Not the best'}: the {words.subject(rule, segment)}. "
        f"{words.numbered(rule, value)}, the best of {len(others)} before was {words.value(rule, rival)}."
    )
    return Verdict(Judgement.BAD if won else Judgement.GOOD, Why.WON if won else Why.NOT_WON, value, rival, title, said)


def _streak(rule: Recognition, segment: str, points: Sequence[Point], value: float) -> Verdict:
    bound = rule.high if rule.high is not None else rule.low
    assert bound is not None

    def good(point: Point) -> bool:
        if point.value is None or point.count < rule.evidence:
            return False
        return point.value >= bound if rule.high is not None else point.value <= bound

    run = next((n for n, point in enumerate(points) if not good(point)), len(points))
    won = run == len(points)
    title = words.titled(f"{words.kpi(rule)}: {words.periods(len(points), rule.window_s)} in a row", segment)
    said = (
        f"{'Well done' if won else 'No streak yet'}: the {words.subject(rule, segment)} was good "
        f"{words.periods(run, rule.window_s)} in a row. {words.numbered(rule, value)} in the last one, "
        f"the aim is {words.value(rule, bound)}."
    )
    return Verdict(Judgement.BAD if won else Judgement.GOOD, Why.WON if won else Why.NOT_WON, value, bound, title, said)
