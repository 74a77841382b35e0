"""Sends reports when they are due: one process, the one that evaluates the rules, and each report once.

A report is made beside the loop that renews the lead, and posted under the lead's fence. One that is made in vain,
since another process leads by then, was never sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from enum import StrEnum
from typing import Final

import structlog
from prometheus_client import Counter
from structlog.stdlib import BoundLogger

from schemas.alert import Severity
from schemas.failure import NotNow
from services import clock
from services.alerts.oncall import Roster
from services.alerts.quiet import QuietTimes
from services.alerts.report.composer import Composer
from services.alerts.report.plan import Due, Timetable
from services.alerts.report.shelf import ReportShelf, message
from services.config.document import Document
from services.config.report import WITHOUT_WORDS, ReportPlan
from services.operate.health import Health, Note

_LOOK_S: Final = 1.0
_AGAIN_S: Final = 30.0
"""The pause after a report could not be made."""


class Outcome(StrEnum):
    """What became of a report that was due. Metric label and log field."""

    POSTED = "posted"
    LATE = "late"
    """Posted more than five minutes after it was due."""
    MISSED = "missed"
    """Too late: nobody wants it any more."""
    NOBODY = "nobody"
    """Whoever should get it has no receiver that takes reports."""
    FAILED = "failed"


_LATE_US: Final = 300_000_000


class Reporter:
    """Runs in every alerts worker; only the one that leads sends. ``fence`` is the lead's token while it is held."""

    def __init__(
        self,
        document: Document,
        composer: Composer,
        shelf: ReportShelf,
        fence: Callable[[], str | None],
        served: Collection[str],
        outcomes: Counter,
        health: Health,
        now_us: Callable[[], int],
        told: Callable[[], None],
    ) -> None:
        self._composer = composer
        self._shelf = shelf
        self._fence = fence
        self._served = frozenset(served)
        self._outcomes = outcomes
        self._health = health
        self._now_us = now_us
        self._told = told
        self._failing: dict[str, str] = {}
        self._again_s: dict[str, float] = {}
        self._log: BoundLogger = structlog.get_logger("reports")
        self.follow(document)
        health.check("reports", self._note)

    def follow(self, document: Document) -> None:
        """Reports, people and schedules are those of ``document`` from the next look on."""
        self._document = document
        self._composer.follow(document)
        self._plans = [(plan, Timetable(plan, document)) for plan in document.reports]
        self._quiet, self._roster = QuietTimes(document), Roster(document)
        self._failing = {name: why for name, why in self._failing.items() if name in {p.name for p, _ in self._plans}}
        self._again_s.clear()

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``."""
        while not stop.is_set():
            self._health.beat("reports", 120.0)
            try:
                if self._plans and self._fence() is not None:
                    await self.look()
            except NotNow as wait:
                self._log.warning("reports_wait", why=wait.what)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _LOOK_S)

    async def look(self) -> None:
        """Deals with every report that is due. Raises ``NotNow``; repeating it is harmless."""
        marks = await self._shelf.marks()
        for plan, timetable in list(self._plans):
            at_us = self._now_us()
            due, fence = timetable.last(at_us), self._fence()
            if fence is None:
                return
            if due is None or marks.get(plan.name, -1) >= due.at_us:
                continue
            if plan.name not in marks:
                # It is new: what was due before it was there is nobody's loss.
                await self._shelf.mark(plan.name, due.at_us, fence)
            elif at_us - due.at_us > timetable.late_us:
                if await self._shelf.mark(plan.name, due.at_us, fence):
                    self._ended(plan, due, Outcome.MISSED)
            elif self._again_s.get(plan.name, 0.0) <= clock.steady_s():
                await self._sent(plan, due)

    async def _sent(self, plan: ReportPlan, due: Due) -> None:
        try:
            report = await self._composer.made(plan, due, self._now_us())
        except NotNow as wait:
            self._failed(plan, due, wait.what)
            return
        except Exception as exc:
            # A bug in one report must not silence the others.
            self._log.exception("report_failed", report=plan.name)
            self._failed(plan, due, f"{type(exc).__name__}, see the log")
            return
        at_us = self._now_us()
        messages = [
            message(plan.name, due.at_us, receiver, at_us, send_us)
            for receiver, send_us in self.audience(plan, at_us).items()
        ]
        fence = self._fence()
        if fence is None or not await self._shelf.post(report, messages, fence):
            return
        self._failing.pop(plan.name, None)
        late = at_us - due.at_us > _LATE_US
        self._ended(plan, due, Outcome.NOBODY if not messages else Outcome.LATE if late else Outcome.POSTED)
        self._told()

    def audience(self, plan: ReportPlan, at_us: int) -> dict[str, int]:
        """Who gets it, and when: at once, or at the end of their quiet time; then whoever is there."""
        found: dict[str, int] = {}
        for receiver in self._roster.reached_by(plan.to, at_us):
            if receiver in self._served and self._document.receivers[receiver].kind not in WITHOUT_WORDS:
                quiet = plan.in_quiet_hours
                found[receiver] = at_us if quiet else self._quiet.due_us(at_us, Severity.INFO, None, receiver)
        return found

    def _failed(self, plan: ReportPlan, due: Due, why: str) -> None:
        self._failing[plan.name] = why
        self._again_s[plan.name] = clock.steady_s() + _AGAIN_S
        self._ended(plan, due, Outcome.FAILED, why)

    def _ended(self, plan: ReportPlan, due: Due, outcome: Outcome, why: str | None = None) -> None:
        self._outcomes.labels(outcome.value).inc()
        self._log.info("report_dealt_with", report=plan.name, due_us=due.at_us, outcome=outcome, why=why)

    def _note(self) -> Note | None:
        if not self._failing:
            return None
        return Note(f"Reports that cannot be made: {', '.join(sorted(self._failing))}.")
