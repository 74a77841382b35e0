"""Reads what a question needs, and answers it: the shell around the arithmetic and the verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from schemas.alert import Evidence, Part, Why
from services.alerts.explain import cause, contribution, quantity, sentence
from services.alerts.explain.cause import PERSON, Cut, Finding, Load, Seen
from services.alerts.explain.contribution import Amount
from services.alerts.explain.quantity import Kind
from services.alerts.explain.question import Question
from services.alerts.explain.tickets import Worst
from services.config.document import Document
from services.config.rule import ALL
from services.config.segment import values as segment_values
from services.kpi.catalogue import KPIS
from services.kpi.reader import KpiReader, Sums
from services.kpi.window import DAY_S, HOUR_S
from services.state.timers import TimerList

SHOWN: Final = 5
"""Parts that an alert carries."""
MOST_VALUES: Final = 500
_OVERLAPPING: Final = "tag"
"""A ticket may have several, so that its parts are more than the whole."""
_CREATED: Final = KPIS["tickets_created"]
_BACKLOG: Final = KPIS["backlog"]


@dataclass(frozen=True, slots=True)
class Explained:
    """An answer: what was seen, the verdict in words, and the tickets that show it. ``edges`` are those of the earlier
    window in µs, ``None`` where it is not kept."""

    question: Question
    seen: Seen
    finding: Finding
    said: str
    evidence: tuple[Evidence, ...]
    edges: tuple[int, int] | None

    def why(self) -> Why:
        """As an alert carries it."""
        cut, load = self.finding.cut, self.seen.load
        known = self.edges is not None
        return Why(
            cause=self.finding.cause,
            said=self.said,
            window_s=self.question.window_s,
            ago_s=self.question.ago_s,
            now=self.seen.now,
            then=self.seen.then,
            by=cut.dimension if cut is not None else None,
            parts=parts(cut)[:SHOWN] if cut is not None else (),
            created=load.created if known else None,
            created_then=load.created_then if known else None,
            backlog=load.backlog if known else None,
            backlog_then=load.backlog_then if known else None,
        )


def parts(cut: Cut) -> tuple[Part, ...]:
    """Contributions as they are shown."""
    return tuple(
        Part(
            segment=one.segment,
            volume=round(one.volume, 6),
            rate=round(one.rate, 6),
            now=None if one.now is None else round(one.now, 6),
            then=None if one.then is None else round(one.then, 6),
        )
        for one in cut.parts
    )


class Explainer:
    """Calls may raise ``NotNow``."""

    def __init__(self, document: Document, reader: KpiReader, timers: TimerList) -> None:
        self._document = document
        self._reader = reader
        self._worst = Worst(timers)

    def follow(self, document: Document) -> None:
        """Segments and links are those of ``document`` from now on."""
        self._document = document

    async def explained(self, question: Question, at_us: int) -> Explained:
        """The answer as of ``at_us``. A window that is no longer kept so narrow is widened to whole hours or days."""
        whole = [question.segment] if question.segment == ALL else [question.segment, ALL]
        kpis = {question.kpi, _CREATED, _BACKLOG}
        found = None
        for window_s in _widths(question):
            found = await self._reader.sums(whole, window_s, question.ago_s, at_us, list(kpis))
            if found is not None:
                question = replace(question, window_s=window_s)
                break
        if found is None:
            seen = Seen(Kind.NONE, None, None, (Amount(0), Amount(0)), Load())
            finding, edges = cause.found(seen), None
        else:
            edges, sums = found
            seen = await self._seen(question, sums, at_us)
            finding = cause.found(seen)
        narrowed = finding.part.segment if finding.part is not None else question.segment
        sources = self._document.sources
        if question.topic:
            tickets = await self._worst.newest(question.segment, sources)
        else:
            tickets = await self._worst.of(question.kpi, question.statistic, narrowed, sources)
        said = sentence.said(question, seen, finding)
        return Explained(question, seen, finding, said, tickets, edges)

    async def _seen(self, question: Question, sums: Mapping[str, Sums], at_us: int) -> Seen:
        kpi, statistic, own = question.kpi, question.statistic, sums[question.segment]
        then = quantity.told(kpi, statistic, own.then, own.then_stood) if _anything(own) else None
        cut_by: list[Cut] = []
        loads: dict[str, Load] = {}
        kind = quantity.kind(kpi, statistic)
        mine = _amounts(question, own, then)
        if kind is not Kind.NONE and then is not None:
            cuts = self._cuts(question)
            read = await asyncio.gather(*(self._values(question, cut, at_us) for _, cut in cuts))
            for (dimension, cut), values in zip(cuts, read, strict=True):
                if (made := _cut(question, dimension, cut, mine, values, then)) is not None:
                    cut_by.append(made)
                    loads |= {segment: _load(found) for segment, found in values.items()}
        others = None
        if question.segment != ALL:
            every = _amounts(question, sums[ALL], then)
            others = (every[0].less(mine[0]), every[1].less(mine[1]))
        return Seen(
            kind=kind,
            now=quantity.told(kpi, statistic, own.now, own.now_stood),
            then=then,
            own=mine,
            load=_load(own),
            worse=question.worse,
            others=others,
            others_load=_less(_load(sums[ALL]), _load(own)) if others is not None else Load(),
            cuts=cut_by,
            loads=loads,
        )

    def _cuts(self, question: Question) -> list[tuple[str, tuple[str, ...]]]:
        """Configured cuts that tell exactly one more dimension apart than the segment itself; by person last."""
        fixed = set() if question.segment == ALL else set(segment_values(question.segment))
        found = []
        for cut in self._document.segments:
            more = set(cut) - fixed
            if len(more) != 1 or not fixed <= set(cut) or more == {_OVERLAPPING}:
                continue
            if more != {PERSON} or question.people:
                found.append((next(iter(more)), tuple(cut)))
        return sorted(found, key=lambda pair: pair[0] == PERSON)

    async def _values(self, question: Question, cut: Sequence[str], at_us: int) -> dict[str, Sums]:
        fixed = {} if question.segment == ALL else segment_values(question.segment)
        named = await self._reader.segments(cut)
        wanted = [one for one in named if fixed.items() <= segment_values(one).items()]
        if not wanted or len(wanted) > MOST_VALUES:
            return {}
        kpis = list({question.kpi, _CREATED, _BACKLOG})
        found = await self._reader.sums(wanted, question.window_s, question.ago_s, at_us, kpis)
        return found[1] if found is not None else {}


def _widths(question: Question) -> list[int]:
    wider = (-(-question.window_s // width_s) * width_s for width_s in (1, HOUR_S, DAY_S))
    return sorted({window_s for window_s in wider if window_s <= question.ago_s} | {question.window_s})


def _cut(
    question: Question,
    dimension: str,
    cut: Sequence[str],
    whole: tuple[Amount, Amount],
    values: Mapping[str, Sums],
    then: float,
) -> Cut | None:
    """The contributions of a cut's values, with one for what has no value; ``None`` where they overlap."""
    amounts = {segment: _amounts(question, sums, then) for segment, sums in values.items()}
    now, past = ({segment: pair[side] for segment, pair in amounts.items()} for side in (0, 1))
    left = [_left(amount, side.values()) for amount, side in zip(whole, (now, past), strict=True)]
    if any(amount.cases < 0 for amount in left):
        return None
    nothing = _nothing(question.segment, dimension, cut)
    counts = quantity.kind(question.kpi, question.statistic) is Kind.COUNT
    if any(amount.total if counts else amount.cases for amount in left):
        now[nothing], past[nothing] = left
    made = contribution.counted(now, past) if counts else contribution.averaged(now, past)
    return Cut(dimension, [one for one in made if one.now or one.then or one.change]) if made else None


def _left(whole: Amount, some: Iterable[Amount]) -> Amount:
    left = whole
    for part in some:
        left = left.less(part)
    return left


def _nothing(segment: str, dimension: str, cut: Sequence[str]) -> str:
    """The name of the tickets without a value: ``team:``."""
    fixed = {} if segment == ALL else segment_values(segment)
    return ",".join([*(f"{name}:{fixed[name]}" for name in cut if name != dimension), f"{dimension}:"])


def _amounts(question: Question, sums: Sums, then: float | None) -> tuple[Amount, Amount]:
    kpi, statistic = question.kpi, question.statistic
    if quantity.kind(kpi, statistic) is Kind.NONE:
        return Amount(0), Amount(0)
    return (
        quantity.amount(kpi, statistic, sums.now, sums.now_stood, then),
        quantity.amount(kpi, statistic, sums.then, sums.then_stood, then),
    )


def _load(sums: Sums) -> Load:
    def count(name: str, fields: Mapping[str, int], stood: Mapping[str, int]) -> int:
        return max(0, round(quantity.told(KPIS[name], "count", fields, stood) or 0))

    return Load(
        count("tickets_created", sums.now, sums.now_stood),
        count("tickets_created", sums.then, sums.then_stood),
        count("backlog", sums.now, sums.now_stood),
        count("backlog", sums.then, sums.then_stood),
    )


def _less(whole: Load, part: Load) -> Load:
    return Load(
        whole.created - part.created,
        whole.created_then - part.created_then,
        whole.backlog - part.backlog,
        whole.backlog_then - part.backlog_then,
    )


def _anything(sums: Sums) -> bool:
    """Whether anything at all was counted before: otherwise its zeros are the absence of counting."""
    return bool(sums.then) or any(sums.then_stood.values())
