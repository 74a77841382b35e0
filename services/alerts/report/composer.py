"""Makes a report: reads the windows, judges what moved, has it explained. Calls may raise ``NotNow``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Final

from schemas.instant import SECOND_US
from schemas.state import TimerState
from services.alerts.explain.explainer import Explainer
from services.alerts.explain.question import Question
from services.alerts.explain.tickets import holds
from services.alerts.forecast.forecaster import Forecaster
from services.alerts.forecast.outlook import Outlook
from services.alerts.forecast.slots import local_day, midnight_s
from services.alerts.forecast.words import WEEKDAYS, between, number
from services.alerts.report import ask, figures, moved
from services.alerts.report.plan import HOUR_US, WEEK_S, Due, Timetable
from services.alerts.report.report import (
    Ahead,
    Figure,
    Finding,
    Focus,
    Report,
    Risk,
    Risks,
    Side,
    Verdict,
    Win,
)
from services.config.amount import Unit
from services.config.document import Document
from services.config.report import ReportPlan
from services.config.rule import ALL, statistics
from services.config.segment import values
from services.kpi import spoken
from services.kpi.better import Better, better
from services.kpi.catalogue import KPIS, Cell, Kpi
from services.kpi.reader import KpiReader, Sums
from services.state.timers import ListedTimer, TimerList

EXPLAINED_US: Final = 2 * HOUR_US
"""So long after it was due, what is open and why things changed can still be told as of then."""
FLOWS: Final = (
    *("sla_attainment", "csat", "qa_score", "first_response_time", "next_response_time", "resolution_time"),
    *("reopen_rate", "escalation_rate", "question_answer_time", "decision_velocity", "after_hours_share"),
)
"""What is looked at for changes, the most telling first."""
NOTED: Final = ("tickets_created", "tickets_solved")
"""Told where they moved, without a judgement."""
OF_PARTS: Final = ("sla_attainment", "csat", "first_response_time", "resolution_time")
"""What is looked at in every part of the scope."""
SCORECARD: Final = {
    Side.OPERATIONS: (*("first_response_time", "resolution_time", "sla_attainment", "backlog", "csat", "qa_score"),),
    Side.PEOPLE: (
        *("decision_velocity", "knowledge_contribution", "question_answer_time", "agent_retention"),
        "after_hours_share",
    ),
}
_MOST_FINDINGS: Final = 4
_MOST_EXPLAINED: Final = 3
_MOST_WINS: Final = 4
_MOST_PARTS: Final = 50
_MOST_RISKS: Final = 5
_LOOKED_AT: Final = 500
_PRAISED_SHARE: Final = 0.95
_PRAISED_ANSWERS: Final = 10
_PEOPLE: Final = "agent"
_GAUGES: Final = ("backlog",)


class Composer:
    """Makes the reports of a document."""

    def __init__(
        self, document: Document, reader: KpiReader, explainer: Explainer, forecaster: Forecaster, timers: TimerList
    ) -> None:
        self._document = document
        self._reader = reader
        self._explainer = explainer
        self._forecaster = forecaster
        self._timers = timers

    def follow(self, document: Document) -> None:
        """Segments, links and calendars are those of ``document`` from now on."""
        self._document = document
        self._explainer.follow(document)
        self._forecaster.follow(document)

    async def made(self, plan: ReportPlan, due: Due, at_us: int, *, people: bool = True) -> Report:
        """The report of ``due``, as it can be told at ``at_us``. Agents are named only where ``people`` and the plan
        both allow it."""
        making = _Making(self._document, self._reader, plan, due, at_us)
        fresh = at_us - due.at_us <= EXPLAINED_US
        sums = await making.sums()
        found = await self._findings(making, sums, fresh=fresh)
        wins = making.wins(sums)
        if people and plan.people:
            wins += await making.praised(sums.get(plan.scope))
        notes = (
            [] if fresh else ["Made long after it was due: what was open then, and why things changed, is not told."]
        )
        if not sums:
            notes.append("Nothing to compare with: the earlier time is no longer kept.")
        elif (came := sums[plan.scope].now.get(Cell.CREATED, 0)) < moved.LEAST:
            notes.append(f"Few tickets came in this time ({came}): the seven days say more.")
        changed, noted = found
        zone = Timetable(plan, self._document).zone
        return Report(
            name=plan.name,
            leader=plan.leader,
            scope=plan.scope,
            timezone=zone.key,
            due_us=due.at_us,
            since_us=due.since_us,
            until_us=due.until_us,
            ago_s=due.ago_s,
            composed_us=at_us,
            headline=_headline(changed, wins),
            changed=tuple(changed),
            noted=tuple(noted),
            wins=tuple(wins),
            focus=tuple([await making.focus(name) for name in plan.focus]),
            scorecard={side: tuple(await making.scores(names)) for side, names in SCORECARD.items()},
            risks=await self._risks(plan.scope) if fresh else None,
            ahead=_ahead(await self._forecaster.outlook(plan.scope, 7, at_us)) if fresh else None,
            notes=tuple(notes),
        )

    async def _findings(
        self, making: _Making, sums: Mapping[str, Sums], *, fresh: bool
    ) -> tuple[list[Finding], list[str]]:
        plan = making.plan
        worse: list[Figure] = []
        noted: list[str] = []
        if plan.scope in sums:
            own = [making.moved(name, plan.scope, sums[plan.scope]) for name in FLOWS]
            own += [await making.stood(name) for name in _GAUGES]
            worse += [figure for figure in own if figure.verdict is Verdict.WORSE]
            for name in NOTED:
                figure = making.moved(name, plan.scope, sums[plan.scope])
                if figure.verdict is Verdict.MOVED:
                    noted.append(f"{spoken.titled(name)}: {figure.said}.")
        known = {figure.kpi for figure in worse}
        for segment in making.parts:
            if segment in sums:
                of_part = [making.moved(name, segment, sums[segment]) for name in OF_PARTS if name not in known]
                worse += [figure for figure in of_part if figure.verdict is Verdict.WORSE]
        found = []
        for place, figure in enumerate(worse[:_MOST_FINDINGS]):
            why, cause, part = None, None, None
            if fresh and place < _MOST_EXPLAINED:
                sign = 1 if better(figure.kpi) is Better.LOWER else -1
                question = Question(
                    KPIS[figure.kpi], figure.statistic, figure.segment, making.due.window_s, making.due.ago_s, sign
                )
                told = await self._explainer.explained(question, making.due.until_us)
                why, cause = told.said, told.finding.cause
                part = told.finding.part.segment if told.finding.part is not None else None
            found.append(Finding(figure=figure, why=why, cause=cause, ask=ask.question(figure.kpi, cause, part)))
        left = len(worse) - len(found)
        if left > 0:
            noted.append(f"{left} more number{'s' * (left != 1)} got worse; the scorecard and the API have them.")
        return found, noted

    async def _risks(self, scope: str) -> Risks:
        wanted = {} if scope == ALL else values(scope)
        lists: list[list[ListedTimer]] = []
        for state in (TimerState.BREACHED, TimerState.AT_RISK):
            page = await self._timers.page([state], team=wanted.get("team"), limit=_LOOKED_AT)
            lists.append([one for one in page.timers if all(holds(one.ticket, *pair) for pair in wanted.items())])
        broken, endangered = lists
        counts = [len({(one.ticket.source, one.ticket.ticket_id) for one in some}) for some in lists]
        said = (
            f"{_tickets(counts[0])} with a broken promise, {counts[1]} in danger."
            if any(counts)
            else "No open promise is broken or in danger."
        )
        shown: dict[tuple[str, str], Risk] = {}
        for word, some in (("broken", broken), ("in danger", endangered)):
            for one in some:
                key = (one.ticket.source, one.ticket.ticket_id)
                if len(shown) < _MOST_RISKS and key not in shown:
                    metric = one.timer.metric.value.replace("_", " ")
                    url = self._document.ticket_url(*key)
                    shown[key] = Risk(
                        source=key[0], ticket_id=key[1], url=url, said=f"Ticket {key[1]}: {metric} {word}"
                    )
        return Risks(breached=counts[0], at_risk=counts[1], said=said, tickets=tuple(shown.values()))


class _Making:
    """What is read for one report."""

    def __init__(self, document: Document, reader: KpiReader, plan: ReportPlan, due: Due, at_us: int) -> None:
        self.plan = plan
        self.due = due
        self.parts: list[str] = []
        self._document = document
        self._reader = reader
        self._at_us = max(at_us, due.until_us)
        self._business = bool(document.calendars)
        weeks = due.ago_s // WEEK_S
        self._earlier = "a week earlier" if weeks == 1 else f"{weeks} weeks earlier"

    async def sums(self) -> dict[str, Sums]:
        """The period and the one before it, of the scope and its parts; nothing where it is no longer kept."""
        cut = self._cut()
        if cut is not None:
            fixed = {} if self.plan.scope == ALL else values(self.plan.scope)
            named = await self._reader.segments(cut)
            self.parts = [one for one in named if fixed.items() <= values(one).items()][:_MOST_PARTS]
        kpis = [KPIS[name] for name in (*FLOWS, *NOTED, "knowledge_contribution")]
        found = await self._reader.sums(
            [self.plan.scope, *self.parts], self.due.window_s, self.due.ago_s, self.due.until_us, kpis
        )
        return found[1] if found is not None else {}

    def _cut(self) -> list[str] | None:
        """The configured cut that tells one more dimension of the scope apart, teams first, people never."""
        fixed = set() if self.plan.scope == ALL else set(values(self.plan.scope))
        cuts: list[list[str]] = [list(cut) for cut in self._document.segments]
        fitting = [cut for cut in cuts if fixed <= set(cut) and len(set(cut) - fixed) == 1]
        fitting = [cut for cut in fitting if not (set(cut) - fixed) & {_PEOPLE, "tag"}]
        return next((cut for cut in fitting if "team" in set(cut) - fixed), fitting[0] if fitting else None)

    def moved(self, name: str, segment: str, sums: Sums) -> Figure:
        """A KPI in the period."""
        chosen = figures.statistic(name, business=self._business)
        return figures.of_sums(KPIS[name], chosen, segment, (sums.now, sums.then), self._earlier)

    async def stood(self, name: str) -> Figure:
        """What stood at the end of the period, and a week or more before."""
        until_s = self.due.until_us // SECOND_US
        return await self._pair(name, (3600, until_s), (3600, until_s - self.due.ago_s), self._earlier)

    async def scores(self, names: Sequence[str]) -> list[Figure]:
        """Of the scorecard: the last seven days, and the seven before."""
        until_s = self.due.until_us // SECOND_US
        return [
            await self._pair(name, (WEEK_S, until_s), (WEEK_S, until_s - WEEK_S), "the week before") for name in names
        ]

    async def focus(self, name: str) -> Focus:
        """A KPI by the last full local days."""
        chosen = figures.statistic(name, business=self._business)
        wall = Timetable(self.plan, self._document).wall
        last = local_day(self.due.until_us // SECOND_US, wall)
        dates = [last - timedelta(days=ago) for ago in range(14, 0, -1)]
        edges = [midnight_s(day, wall) for day in (*dates, last)]
        ends = [(end_s - begin_s, end_s) for begin_s, end_s in pairwise(edges)]
        found = await self._reader.ended([self.plan.scope], ends, self._at_us, KPIS[name])
        days = [figures.value(one, chosen) for one in found[self.plan.scope]]
        [figure] = await self.scores([name])
        unit = statistics(name)[chosen].unit
        names = [WEEKDAYS[day.weekday()] for day in dates[7:]]
        lines = [
            " · ".join(
                f"{name} {'-' if day is None else figures.amount(day, unit)}"
                for name, day in zip(names, some, strict=True)
            )
            for some in (days[7:], days[:7])
        ]
        said = f"{figure.said}. By day: {lines[0]}. The week before: {lines[1]}."
        return Focus(
            kpi=name,
            statistic=chosen,
            unit=unit.value,
            figure=figure,
            line=tuple(days[7:]),
            before=tuple(days[:7]),
            said=said[0].upper() + said[1:],
        )

    def wins(self, sums: Mapping[str, Sums]) -> list[Win]:
        """What got clearly better, of the whole first."""
        scope = self.plan.scope
        found: list[Win] = []
        for segment in (scope, *self.parts):
            known = {win.figure.kpi for win in found if win.figure is not None and win.segment == scope}
            for name in FLOWS if segment == scope else OF_PARTS:
                if segment not in sums or (segment != scope and name in known):
                    continue
                figure = self.moved(name, segment, sums[segment])
                if figure.verdict is Verdict.BETTER:
                    said = f"{figures.named(name, segment, scope)} got better: {figure.said}."
                    found.append(Win(said=said, segment=segment, figure=figure))
        return found[:_MOST_WINS]

    async def praised(self, own: Sums | None) -> list[Win]:
        """Agents whose customers were happy, over seven days, and those who wrote down what they knew."""
        fixed = set() if self.plan.scope == ALL else set(values(self.plan.scope))
        cut = next((list(c) for c in self._document.segments if set(c) - fixed == {_PEOPLE} and fixed <= set(c)), None)
        found = []
        if cut is not None:
            wanted = {} if self.plan.scope == ALL else values(self.plan.scope)
            named = [s for s in await self._reader.segments(cut) if wanted.items() <= values(s).items()]
            week = (WEEK_S, self.due.until_us // SECOND_US)
            answers = await self._reader.ended(named, [week], self._at_us, KPIS["csat"]) if named else {}
            rated = sorted(
                (
                    (reading["ratio"], reading["count"], segment)
                    for segment, [reading] in answers.items()
                    if reading is not None and reading["count"] >= _PRAISED_ANSWERS
                ),
                key=lambda one: (-one[0], -one[1], one[2]),
            )
            for ratio, count, segment in rated[:2]:
                person = values(segment)[_PEOPLE]
                if ratio >= _PRAISED_SHARE:
                    said = f"{person}: {figures.amount(ratio, Unit.SHARE)} of {count} answers this week were good."
                    found.append(Win(said=said, segment=segment, person=person))
        written_by = _contributions(own) if own is not None else []
        for person, articles in written_by[:2]:
            times = "once" if articles == 1 else f"{articles} times"
            found.append(
                Win(said=f"{person} wrote down what they knew, {times}.", segment=self.plan.scope, person=person)
            )
        return found

    async def _pair(self, name: str, now: tuple[int, int], then: tuple[int, int], earlier: str) -> Figure:
        kpi: Kpi = KPIS[name]
        chosen = figures.statistic(name, business=self._business)
        found = await self._reader.ended([self.plan.scope], [now, then], self._at_us, kpi)
        present, past = found[self.plan.scope]
        return figures.figure(kpi, chosen, self.plan.scope, present, past, earlier)


def _contributions(sums: Sums) -> list[tuple[str, int]]:
    """Who contributed knowledge in the period, and how often, the most first."""
    mark = Cell.CONTRIBUTING.value
    counts = [(field.rpartition(":")[2], n) for field, n in sums.now.items() if field.startswith(mark) and n > 0]
    return sorted(counts, key=lambda one: (-one[1], one[0]))


def _headline(changed: Sequence[Finding], wins: Sequence[Win]) -> str:
    worse, fine = len(changed), len(wins)
    if not worse and not fine:
        return "A usual time: nothing moved by more than chance makes."
    parts = []
    if worse:
        first = changed[0].figure
        name = figures.named(first.kpi, first.segment, ALL)
        parts.append(f"{name} got worse" + (f", and {worse - 1} more" if worse > 1 else ""))
    else:
        parts.append("Nothing got worse")
    if fine:
        parts.append(f"{fine} thing{'s' * (fine != 1)} to praise")
    return "; ".join(parts) + "."


def _ahead(outlook: Outlook) -> Ahead:
    volume, whole = outlook.volume, outlook.whole()
    said = [outlook.said.partition(" Made of ")[0].partition(" These are ")[0]]
    if volume.whole is None:
        return Ahead(said=(outlook.said,))
    if "last week's hours" in outlook.said and volume.method.value == "last_week":
        said.append("That is last week's volume: nothing better could be told.")
    if outlook.last_week is not None:
        said.append(f"Last week's same days had {outlook.last_week}.")
    busiest = max(volume.days, key=lambda day: day.span.expected)
    said.append(
        f"Busiest: {WEEKDAYS[busiest.day.weekday()]} {busiest.day.isoformat()} with {number(busiest.span.expected)} "
        f"({between(busiest.span)})."
    )
    if whole.needed is not None and whole.seen is not None:
        said.append(f"Agents' hours needed: {number(whole.needed)}; usually there: {number(whole.seen)}.")
        for slot, need in outlook.tightest(1):
            said.append(
                f"Tightest: {WEEKDAYS[slot.day.weekday()]} {slot.hour:02}:00, {number(need.needed or 0)} agents "
                f"needed, usually {number(need.seen or 0)} there."
            )
    return Ahead(
        said=tuple(said),
        expected=round(volume.whole.expected, 1),
        low=volume.whole.low,
        high=volume.whole.high,
        last_week=outlook.last_week,
        agent_hours=None if whole.needed is None else round(whole.needed, 1),
        usually_there=None if whole.seen is None else round(whole.seen, 1),
    )


def _tickets(count: int) -> str:
    return f"{count} ticket" + "s" * (count != 1)
