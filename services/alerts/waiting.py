"""Reads the queues of open promises that predictions are made from: as they are now, and as they were.

Open promises are the metrics worker's lists of timers. Nobody keeps the lists of the past, so for a dry run they are
made anew: whatever was done at an instant, and took so long, was waiting until then.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Final
from urllib.parse import quote

from schemas.alert import Evidence
from schemas.instant import SECOND_US, to_datetime
from schemas.sla import SlaMetric
from schemas.state import Mode, TimerState, Who
from schemas.ticket import Priority
from services.alerts.judge.queue import Queue, Wait
from services.config.document import Document
from services.config.rule import ALL, PredictedBreach
from services.config.segment import values as segment_values
from services.fold.calendar import Calendar
from services.fold.rules import Promise, Rules, compiled, segments_of
from services.kpi import bucket, sketch
from services.kpi.catalogue import KPIS, Kpi
from services.kpi.reader import KpiReader
from services.kpi.window import DAY_S, HOUR_S, MINUTE_S
from services.state.timers import ListedTimer, TimerList

MOST_WAITS: Final = 5000
"""Timers of one kind that are looked at, the soonest due first; of broken ones the longest overdue first."""
SLICES: Final = 8
"""Equal parts of the pace window: they tell how even the work goes."""
_PAGE: Final = 500
_AT_ONCE: Final = 8
_FINE_S: Final = 2 * DAY_S
"""So far back work is counted by the minute."""
_USUAL_S: Final = 28 * DAY_S
_KEPT_US: Final = 600 * SECOND_US
"""For so long what is usual is not asked for again."""
_MOST_KEPT: Final = 2000
_CREATED: Final = KPIS["tickets_created"]
_COUNTED_COMING: Final = frozenset({"first_response_time", "resolution_time"})
"""What every new ticket waits for; of other waits nobody counts how many begin."""

Cells = Mapping[int, int]


@dataclass(frozen=True, slots=True)
class _Case:
    """One wait of the past, of a ticket that nobody can name."""

    origin_us: int
    done_us: int | None
    target_us: int
    warned_us: int | None
    ticket: Evidence
    took_s: float = 0.0


@dataclass(slots=True)
class _Open:
    """The open timers of one segment."""

    timers: list[ListedTimer] = field(default_factory=list)

    def calendar(self) -> str | None:
        """The one that most of them run in."""
        names = Counter(listed.timer.calendar for listed in self.timers)
        return names.most_common(1)[0][0] if names else None


class Waiting:
    """Calls may raise ``NotNow``."""

    def __init__(self, document: Document, reader: KpiReader, timers: TimerList) -> None:
        self._document = document
        self._rules = compiled(document)
        self._reader = reader
        self._timers = timers
        self._usual: dict[tuple[str, str, str, int], tuple[int, Cells]] = {}

    def follow(self, document: Document) -> None:
        """Promises, calendars and links are those of ``document`` from now on."""
        self._document, self._rules = document, compiled(document)

    async def present(self, rule: PredictedBreach, segments: Sequence[str], at_us: int) -> dict[str, Queue]:
        """The queue of each segment as it is now."""
        opened = await self._open(rule, segments, at_us)
        return {segment: await self._queue(rule, segment, opened[segment], at_us) for segment in segments}

    async def _open(self, rule: PredictedBreach, segments: Sequence[str], at_us: int) -> dict[str, _Open]:
        until_us = max(
            calendar.due_at(at_us, rule.within_s * SECOND_US)
            for calendar in (self._rules.calendar(None), *self._rules.calendars.values())
        )
        cuts: dict[tuple[str, ...], set[str]] = {}
        for segment in segments:
            cuts.setdefault(() if segment == ALL else tuple(segment_values(segment)), set()).add(segment)
        found = {segment: _Open() for segment in segments}
        for state in (TimerState.BREACHED, TimerState.RUNNING):
            cursor: str | None = None
            for _ in range(0, MOST_WAITS, _PAGE):
                page = await self._timers.page([state], metric=rule.promise, limit=_PAGE, cursor=cursor)
                for listed in page.timers:
                    for cut, wanted in cuts.items():
                        named = segments_of(cut, listed.ticket.source, listed.ticket.who) if cut else (ALL,)
                        for segment in wanted.intersection(named):
                            found[segment].timers.append(listed)
                cursor = page.cursor
                last_us = page.timers[-1].timer.breach_after_us if page.timers else None
                if cursor is None or (state is TimerState.RUNNING and last_us is not None and last_us > until_us):
                    break
        return found

    async def _queue(self, rule: PredictedBreach, segment: str, opened: _Open, at_us: int) -> Queue:
        waits = tuple(sorted(self._waits(opened, at_us), key=lambda wait: wait.left_s))
        kpi, calendar = KPIS[rule.kpi], self._rules.calendar(opened.calendar())
        if not waits:
            return Queue(waits)
        slice_s = rule.window_s / SLICES
        windows = list(_windows(calendar, at_us, slice_s))
        if not windows:
            return Queue(waits, slice_s=slice_s)
        (readings,) = (await self._reader.ended([segment], windows, at_us, kpi)).values()
        done = [int(reading["count"]) for reading in readings if reading is not None]
        seen_s = (at_us // SECOND_US - windows[len(done) - 1][1] + windows[len(done) - 1][0]) if done else MINUTE_S
        length_s = -(-max(seen_s, MINUTE_S) // MINUTE_S) * MINUTE_S
        came = None
        if rule.kpi in _COUNTED_COMING:
            now = await self._reader.windows([segment], length_s, at_us, (_CREATED,))
            came = int(now[segment][_CREATED.name]["count"])
        took, usual = None, None
        if rule.estimate == "history":
            took = await self._durations(kpi, segment, opened.calendar(), length_s, 0, at_us)
            usual = await self._usually(kpi, segment, opened.calendar(), 0, at_us)
        until = _spoken(calendar.due_at(at_us, rule.within_s * SECOND_US), at_us)
        return Queue(waits, tuple(done), slice_s, came, took, usual, until)

    def _waits(self, opened: _Open, at_us: int) -> Iterator[Wait]:
        for listed in opened.timers:
            timer = listed.timer
            if timer.mode is not Mode.RUNNING:
                continue
            waited_us = timer.elapsed_us + self._rules.calendar(timer.calendar).elapsed(timer.since_us, at_us)
            yield Wait(
                waited_us / SECOND_US,
                (timer.target_us - waited_us) / SECOND_US,
                self._named(listed),
                listed.state is TimerState.AT_RISK,
            )

    def _named(self, listed: ListedTimer) -> Evidence:
        source = self._document.sources.get(listed.ticket.source)
        link = source.ticket_url if source is not None else None
        name = listed.ticket.ticket_id
        return Evidence(listed.ticket.source, name, link.replace("{ticket_id}", quote(name, safe="")) if link else None)

    async def _durations(
        self, kpi: Kpi, segment: str, calendar: str | None, length_s: int, ago_s: int, at_us: int
    ) -> Cells | None:
        """How long what was done took on the clock of ``calendar``, as a sketch; ``None`` where it is not kept."""
        found = await self._reader.sums([segment], length_s, ago_s, at_us, (kpi,))
        if found is None:
            return None
        sums = found[1][segment]
        return _cells(kpi, calendar, sums.then if ago_s else sums.now)

    async def _usually(self, kpi: Kpi, segment: str, calendar: str | None, ago_s: int, at_us: int) -> Cells | None:
        key = (kpi.name, segment, calendar or "", ago_s)
        kept = self._usual.get(key)
        if kept is not None and 0 <= at_us - kept[0] < _KEPT_US:
            return kept[1]
        found = await self._durations(kpi, segment, calendar, _USUAL_S, ago_s, at_us)
        if found is not None:
            if len(self._usual) >= _MOST_KEPT:
                self._usual.clear()
            self._usual[key] = at_us, found
        return found

    async def past(
        self, rule: PredictedBreach, segments: Sequence[str], instants: Sequence[int], at_us: int
    ) -> dict[int, dict[str, Queue]]:
        """The queues as they were at ``instants`` (ascending, in seconds since the epoch), made anew from what was done
        since and what is open now. Every case of the past gets the target that is usual in its segment now."""
        opened = await self._open(rule, segments, at_us)
        found: dict[int, dict[str, Queue]] = {at_s: {} for at_s in instants}
        for segment in segments:
            promise = self._promise(rule.promise, segment, opened[segment])
            queues: Mapping[int, Queue] = {}
            if promise is not None:
                cases = await self._cases(rule, segment, promise, opened[segment], instants, at_us)
                ago_s = at_us // SECOND_US - instants[0]
                usual = None
                if rule.estimate == "history":
                    usual = await self._usually(KPIS[rule.kpi], segment, promise.calendar_name, ago_s, at_us)
                queues = _replayed(rule, self._rules.calendar(promise.calendar_name), cases, usual, instants)
            for at_s in instants:
                found[at_s][segment] = queues.get(at_s, Queue(()))
        return found

    def _promise(self, metric: SlaMetric, segment: str, opened: _Open) -> Promise | None:
        """What is promised in a segment: as to most of what is open, else by the first policy that fits its values."""
        values = {} if segment == ALL else segment_values(segment)
        priority = values.get("priority")
        who = Who(
            channel=values.get("channel"),
            team=values.get("team"),
            agent=values.get("agent"),
            priority=Priority(priority) if priority in list(Priority) else None,
            brand=values.get("brand"),
            tier=values.get("tier"),
            tags=(values["tag"],) if "tag" in values else (),
        )
        source = values.get("source") or next(iter(self._document.sources), "")
        promise = self._rules.promises(source, who).get(metric)
        targets = [listed.timer.target_us for listed in opened.timers]
        if not targets:
            return promise
        return _stated(self._rules, metric, opened, round(median(targets)), promise)

    async def _cases(
        self,
        rule: PredictedBreach,
        segment: str,
        promise: Promise,
        opened: _Open,
        instants: Sequence[int],
        at_us: int,
    ) -> list[_Case]:
        kpi, calendar = KPIS[rule.kpi], self._rules.calendar(promise.calendar_name)
        present_s = at_us // SECOND_US
        first_s = min(calendar.subtract(instants[0] * SECOND_US, rule.window_s * SECOND_US) // SECOND_US, instants[0])
        warn_us = promise.warnings[0][0] if promise.warnings else None
        nobody, cases = Evidence("", ""), []
        start_s = first_s // HOUR_S * HOUR_S
        while start_s < present_s:
            width_s = 600 if start_s >= (present_s - _FINE_S) // HOUR_S * HOUR_S + HOUR_S else HOUR_S
            ago_s = max(present_s - start_s - width_s, 1)
            cells = await self._durations(kpi, segment, promise.calendar_name, width_s, ago_s, at_us)
            for done_us, took_s in _spread(cells or {}, start_s, width_s):
                origin_us = calendar.subtract(done_us, round(took_s * SECOND_US))
                warned_us = None if warn_us is None else calendar.due_at(origin_us, warn_us)
                cases.append(_Case(origin_us, done_us, promise.target_us, warned_us, nobody, took_s))
            start_s += width_s
        for listed in opened.timers:
            timer = listed.timer
            own = self._rules.calendar(timer.calendar)
            waited_us = timer.elapsed_us + own.elapsed(timer.since_us, at_us)
            origin_us = own.subtract(at_us, waited_us)
            warned_us = None if warn_us is None else own.due_at(origin_us, warn_us)
            cases.append(_Case(origin_us, None, timer.target_us, warned_us, self._named(listed)))
        return cases


def _stated(rules: Rules, metric: SlaMetric, opened: _Open, target_us: int, promise: Promise | None) -> Promise:
    policy = Counter(listed.timer.policy for listed in opened.timers).most_common(1)[0][0]
    if promise is not None and promise.target_us == target_us and promise.policy == policy:
        return promise
    return rules.restate(metric, policy, target_us, opened.calendar())


def _windows(calendar: Calendar, at_us: int, slice_s: float) -> Iterator[tuple[int, int]]:
    """The slices of the pace window as ``(length, end)`` in whole minutes, the latest first, as far back as minutes are
    counted. A slice ends where the next one begins: what was done while it was closed is in the one before."""
    end_s = at_us // SECOND_US
    oldest_s = end_s - _FINE_S + HOUR_S
    for number in range(1, SLICES + 1):
        begin_us = calendar.subtract(at_us, round(number * slice_s * SECOND_US))
        length_s = max(MINUTE_S, round((end_s - begin_us / SECOND_US) / MINUTE_S) * MINUTE_S)
        if end_s - length_s < oldest_s:
            return
        yield length_s, end_s
        end_s -= length_s


def _cells(kpi: Kpi, calendar: str | None, fields: bucket.Fields) -> Cells:
    clock = bucket.CALENDAR_CELL if calendar is None else bucket.BUSINESS_CELL
    return bucket.sketches(fields).get(kpi.cells[0] + clock, {})


def _spread(cells: Cells, start_s: int, width_s: int) -> Iterator[tuple[int, float]]:
    """What was done in a slot, evenly: ``(when in µs, how long it took)``."""
    took = [sketch.value(cell) / 1000 for cell, count in cells.items() for _ in range(count)]
    for number, took_s in enumerate(took):
        yield round((start_s + width_s * (number + 0.5) / len(took)) * SECOND_US), took_s


def _replayed(
    rule: PredictedBreach, calendar: Calendar, cases: Sequence[_Case], usual: Cells | None, instants: Sequence[int]
) -> dict[int, Queue]:
    """The queue at each instant: what had begun by then and was not done."""
    coming = sorted(cases, key=lambda case: case.origin_us)
    origins = [case.origin_us for case in coming]
    ended = sorted((case for case in cases if case.done_us is not None), key=lambda case: case.done_us or 0)
    ends = [case.done_us or 0 for case in ended]
    slice_s, place = rule.window_s / SLICES, 0
    waiting: list[tuple[float, int, _Case]] = []
    found = {}
    for at_s in instants:
        at_us = at_s * SECOND_US
        while place < len(coming) and origins[place] <= at_us:
            case = coming[place]
            heapq.heappush(waiting, (float("inf") if case.done_us is None else case.done_us, place, case))
            place += 1
        while waiting and waiting[0][0] <= at_us:
            heapq.heappop(waiting)
        edges = [at_us, *(calendar.subtract(at_us, round(n * slice_s * SECOND_US)) for n in range(1, SLICES + 1))]
        done = tuple(bisect_right(ends, b) - bisect_right(ends, a) for b, a in pairwise(edges))
        took: Counter[int] = Counter()
        if usual is not None:
            for case in ended[bisect_right(ends, edges[-1]) : bisect_right(ends, at_us)]:
                took[sketch.cell(round(case.took_s * 1000))] += 1
        waits = []
        for _, _, case in waiting:
            waited_s = calendar.elapsed(case.origin_us, at_us) / SECOND_US
            left_s = case.target_us / SECOND_US - waited_s
            waits.append(Wait(waited_s, left_s, case.ticket, case.warned_us is not None and case.warned_us <= at_us))
        came = None
        if rule.kpi in _COUNTED_COMING:
            came = bisect_right(origins, at_us) - bisect_left(origins, edges[-1])
        until = _spoken(calendar.due_at(at_us, rule.within_s * SECOND_US), at_us)
        found[at_s] = Queue(tuple(sorted(waits, key=lambda wait: wait.left_s)), done, slice_s, came, took, usual, until)
    return found


def _spoken(at_us: int, seen_from_us: int) -> str:
    """``18:00 UTC``, with the date where it is another day."""
    at, seen_from = to_datetime(at_us), to_datetime(seen_from_us)
    return at.strftime("%H:%M UTC" if at.date() == seen_from.date() else "%Y-%m-%d %H:%M UTC")
