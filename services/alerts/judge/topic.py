"""A topic grows, is reopened or escalates beyond its own usual share: a gap in what customers or the team know."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from services.alerts.judge import words
from services.alerts.judge.chance import NORMAL, discoveries, two_shares
from services.alerts.judge.verdict import Judgement, Need, Point, Verdict, Why, unknown
from services.config.amount import Unit, told
from services.config.rule import ALL, Topic

Signal = Literal["volume", "reopens", "escalations"]
_WEEK_S: Final = 604_800
_SOURCES: Final = (("escalation_rate", "hits"), ("reopen_rate", "hits"))
"""What is read: escalated of those created, and reopened of those solved."""
LEAST_HITS: Final = 5
"""Tickets that were reopened or escalated, at least."""
LEAST_USUAL: Final = 20
"""With fewer past cases a topic has no rate of its own: it is compared with all tickets."""
_HOLDS: Final = 0.05
"""While firing, a difference that chance makes once in twenty times is still one."""
_MOST_SPREAD: Final = 10.0
_NOUNS: Final[Mapping[Signal, str]] = {"volume": "grows", "reopens": "is reopened", "escalations": "escalates"}


@dataclass(frozen=True, slots=True)
class _Counts:
    """``hits`` of ``cases`` now, and in each of the past weeks."""

    hits: float
    cases: float
    past: tuple[tuple[float, float], ...]
    borrowed: bool = False

    @property
    def usual(self) -> tuple[float, float]:
        """The past weeks together."""
        return sum(hits for hits, _ in self.past), sum(cases for _, cases in self.past)


def needs(rule: Topic) -> list[Need]:
    """Of now and of each past week: created with escalated, solved with reopened."""
    return [
        Need(rule.window_s, week * _WEEK_S, kpi, statistic)
        for week in range(rule.weeks + 1)
        for kpi, statistic in _SOURCES
    ]


def judge(rule: Topic, seen: Mapping[str, Sequence[Point]], firing: Collection[str]) -> dict[str, Verdict]:
    """The verdicts on all topics at once, with :data:`ALL` among ``seen``: what stands out among many must do so by
    more than what chance finds when it looks at as many."""
    whole = _weeks(seen[ALL])
    # Before anything was counted there is no past. A week without tickets is none either.
    past = [number for number, week in enumerate(whole) if number and week[0]]
    topics = [segment for segment in seen if segment != ALL]
    if not past:
        said = "No past week to compare with."
        return dict.fromkeys(topics, unknown(Why.NOTHING_TO_COMPARE, said))
    counts = {
        (segment, signal): found
        for segment in topics
        for signal in rule.signals
        if (found := _counted(signal, _weeks(seen[segment]), whole, past)).cases
    }
    spreads = {signal: _spread([c for (_, of), c in counts.items() if of == signal]) for signal in rule.signals}
    chances = {key: _chance(found, spreads[key[1]]) for key, found in counts.items() if found.hits}
    news = discoveries(chances, rule.false_share)
    return {
        segment: _verdict(
            rule,
            segment,
            {signal: counts[segment, signal] for signal in rule.signals if (segment, signal) in counts},
            {signal for signal in rule.signals if (segment, signal) in news},
            {signal for signal in rule.signals if chances.get((segment, signal), 1.0) <= _HOLDS},
            len(past),
            firing=segment in firing,
        )
        for segment in topics
    }


def _weeks(points: Sequence[Point]) -> list[tuple[float, float, float, float]]:
    """``(created, escalated, solved, reopened)`` of now and of each past week."""
    pairs = zip(points[::2], points[1::2], strict=True)
    return [(float(c.count), c.value or 0.0, float(s.count), s.value or 0.0) for c, s in pairs]


def _counted(
    signal: Signal,
    own: Sequence[tuple[float, float, float, float]],
    whole: Sequence[tuple[float, float, float, float]],
    past: Sequence[int],
) -> _Counts:
    if signal == "volume":
        return _Counts(own[0][0], whole[0][0], tuple((own[n][0], whole[n][0]) for n in past))
    cases, hits = (0, 1) if signal == "escalations" else (2, 3)
    of, borrowed = own, False
    if sum(own[n][cases] for n in past) < LEAST_USUAL:
        of, borrowed = whole, True
    return _Counts(own[0][hits], own[0][cases], tuple((of[n][hits], of[n][cases]) for n in past), borrowed)


def _spread(counts: Sequence[_Counts]) -> float:
    """How much more than chance shares move from week to week by themselves, over all topics: the variance of weeks
    around their own mean in multiples of the binomial one. At least 1."""
    ups, free = 0.0, 0
    for found in counts:
        hits, cases = found.usual
        share = hits / cases if cases else 0.0
        if found.borrowed or hits < LEAST_HITS or share >= 1 or len(found.past) < 2:
            continue
        ups += sum((h - n * share) ** 2 / (n * share * (1 - share)) for h, n in found.past if n)
        free += len(found.past) - 1
    return min(max(ups / free, 1.0), _MOST_SPREAD) if free else 1.0


def _chance(found: _Counts, spread: float) -> float:
    """How probable so large a share is when nothing changed."""
    return 1 - NORMAL.cdf(two_shares(found.hits, found.cases, *found.usual) / spread**0.5)


def _verdict(
    rule: Topic,
    segment: str,
    counts: Mapping[Signal, _Counts],
    news: Collection[Signal],
    still: Collection[Signal],
    weeks: int,
    *,
    firing: bool,
) -> Verdict:
    if all(found.hits < _least(rule, signal) for signal, found in counts.items()) and not firing:
        return unknown(Why.TOO_FEW, f"Too few tickets of {words.where(segment)} within {words.span(rule.window_s)}.")
    lifts = {signal: _lift(found) for signal, found in counts.items()}
    held = 1 + (rule.times - 1) / 2
    bad = [
        signal
        for signal, found in counts.items()
        if (firing and signal in still and lifts[signal] >= held)
        or (signal in news and lifts[signal] >= rule.times and found.hits >= _least(rule, signal))
    ]
    told_of = bad or list(counts)[:1]
    said = _said(rule, segment, counts, told_of, weeks)
    if not told_of:
        return Verdict(Judgement.GOOD, Why.USUAL, said=said)
    first = counts[told_of[0]]
    now, usual = _share(first.hits, first.cases), _share(*first.usual)
    if not bad:
        return Verdict(Judgement.GOOD, Why.USUAL, now, usual, said=said)
    verbs = " and ".join(_NOUNS[signal] for signal in bad)
    more = "" if bad == ["volume"] else " more than usual"
    title = f"Topic {words.where(segment)} {verbs}{more}"
    return Verdict(Judgement.BAD, Why.STANDS_OUT, now, usual, title, said, max(lifts[signal] for signal in bad))


def _least(rule: Topic, signal: Signal) -> int:
    return rule.at_least if signal == "volume" else min(rule.at_least, LEAST_HITS)


def _lift(found: _Counts) -> float:
    """How many times the usual share; of what was never there, as if there had been half a case."""
    hits, cases = found.usual
    return _share(found.hits, found.cases) / max(_share(hits, cases), 0.5 / max(cases, 1.0))


def _share(hits: float, cases: float) -> float:
    return hits / cases if cases else 0.0


def _said(rule: Topic, segment: str, counts: Mapping[Signal, _Counts], told_of: Sequence[Signal], weeks: int) -> str:
    """Plain words of every signal that stands out, and the volume with them."""
    parts = []
    span, where = words.span(rule.window_s), words.where(segment)
    for signal in sorted({*told_of, "volume"} & counts.keys(), key=rule.signals.index):
        found = counts[signal]
        hits, cases = found.usual
        now = told(_share(found.hits, found.cases), Unit.SHARE)
        usual = told(_share(hits, cases), Unit.SHARE)
        if signal == "volume":
            before = f"usually {usual}" if hits else f"never in {words.periods(weeks, _WEEK_S)} before"
            parts.append(
                f"{where} was in {now} of new tickets within {span} ({before}): {found.hits:.0f} of {found.cases:.0f}"
            )
        else:
            verb = "reopened" if signal == "reopens" else "escalated"
            whose = "all tickets" if found.borrowed else "usually"
            of = "solved" if signal == "reopens" else "new"
            parts.append(
                f"{now} of its {of} tickets were {verb} ({whose} {usual}): {found.hits:.0f} of {found.cases:.0f}"
            )
    said = "; ".join(parts)
    return f"{said[0].upper()}{said[1:]}." if said else f"Nothing came of {where} within {span}."
