"""Gives alerts that begin their why, within a time: an alert goes out without one rather than late, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import structlog
from msgspec.structs import replace
from prometheus_client import Counter
from structlog.stdlib import BoundLogger

from schemas.alert import Transition
from schemas.failure import NotNow
from services.alerts.explain.explainer import Explainer
from services.alerts.explain.question import asked
from services.alerts.state import Step
from services.config.document import Document
from services.config.rule import Rule

BUDGET_S: Final = 2.0
"""For all alerts that begin at one look, the worst first: what is not explained by then goes out unexplained."""


class Outcome(StrEnum):
    """What became of an explanation. Metric label and log field."""

    EXPLAINED = "explained"
    TOO_LATE = "too_late"
    FAILED = "failed"


class Reasons:
    """Never raises, and never waits longer than ``budget_s``."""

    def __init__(self, explainer: Explainer, outcomes: Counter, budget_s: float = BUDGET_S) -> None:
        self._explainer = explainer
        self._outcomes = outcomes
        self._budget_s = budget_s
        self._log: BoundLogger = structlog.get_logger("why")

    def follow(self, document: Document) -> None:
        """Segments and links are those of ``document`` from now on."""
        self._explainer.follow(document)

    async def given(self, rule: Rule, steps: Sequence[tuple[str, Step]], at_us: int) -> list[tuple[str, Step]]:
        """``steps`` in their order, those by which an alert fires with its why and the tickets that show it."""
        found = list(steps)
        begun = [number for number, (_, step) in enumerate(found) if step.after.reason is Transition.FIRED]
        done = 0
        try:
            async with asyncio.timeout(self._budget_s):
                for number in begun:
                    segment, step = found[number]
                    found[number] = segment, await self._explained(rule, segment, step, at_us)
                    done += 1
        except TimeoutError:
            self._outcomes.labels(Outcome.TOO_LATE.value).inc(len(begun) - done)
            self._log.warning("not_explained", rule=rule.name, outcome=Outcome.TOO_LATE, alerts=len(begun) - done)
        return found

    async def _explained(self, rule: Rule, segment: str, step: Step, at_us: int) -> Step:
        alert, event = step.after, step.event
        try:
            told = await self._explainer.explained(asked(rule, segment, alert.value, alert.baseline), at_us)
        except NotNow as wait:
            self._outcomes.labels(Outcome.FAILED.value).inc()
            self._log.warning("not_explained", rule=rule.name, outcome=Outcome.FAILED, why=wait.what)
            return step
        except TimeoutError:
            raise
        except Exception:
            # A bug in explaining is loud, and costs the alert its explanation only.
            self._outcomes.labels(Outcome.FAILED.value).inc()
            self._log.exception("not_explained", rule=rule.name, outcome=Outcome.FAILED)
            return step
        self._outcomes.labels(Outcome.EXPLAINED.value).inc()
        # A verdict about certain tickets names them itself.
        explained = replace(alert, why=told.why(), evidence=alert.evidence or told.evidence)
        return Step(step.before, explained, None if event is None else replace(event, alert=explained))
