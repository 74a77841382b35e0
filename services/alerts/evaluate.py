"""The evaluator: one worker looks at every rule at the rule's own pace, and carries out what follows.

Nothing is decided in memory that Redis does not have: a worker that takes over goes on where the other one was. Steps
are stored under the leader's fencing token, with ids made of rule, segment and beginning. What fires is remembered
before its alert is stored, what ends after it, so that an open alert is always one that is looked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Final

import structlog
from structlog.stdlib import BoundLogger

from schemas.alert import Alert, Transition
from schemas.failure import NotNow
from schemas.instant import SECOND_US
from services import clock
from services.alerts import evidence, look
from services.alerts.alerting import Alerting
from services.alerts.explain.reasons import Reasons
from services.alerts.judge import judging
from services.alerts.lead import RENEW_S, Lead
from services.alerts.measures import RuleMeasures
from services.alerts.memories import Memories
from services.alerts.phase import Memory, Phase, fingerprint, is_open, praises, retire
from services.alerts.rulebook import Entry, RuleBook
from services.alerts.sight import Sight
from services.alerts.store import AlertStore
from services.config.document import Document
from services.config.rule import Rule
from services.operate.health import Health, Note

MOST_SEGMENTS: Final = 1000
"""Values of one rule that are looked at; a cut with more is counted as `other` beyond its own limit anyway."""
_AGAIN_S: Final = 5.0
"""The pause after a rule could not be evaluated."""
_TURN_S: Final = 0.25
_MAY_BE_OPEN: Final = frozenset({Phase.FIRING, Phase.ENDING, Phase.ENDED_BY_HAND, Phase.HELD_BACK, Phase.PENDING})


class Evaluator:
    """Runs in every alerts worker; only the one that leads evaluates."""

    def __init__(
        self,
        document: Document,
        book: RuleBook,
        sight: Sight,
        store: AlertStore,
        memories: Memories,
        alerting: Alerting,
        lead: Lead,
        measures: RuleMeasures,
        health: Health,
        now_us: Callable[[], int],
        reasons: Reasons,
    ) -> None:
        self._document = document
        self._book = book
        self._sight = sight
        self._store = store
        self._memories = memories
        self._alerting = alerting
        self._lead = lead
        self._measures = measures
        self._health = health
        self._now_us = now_us
        self._reasons = reasons
        self._due_s: dict[str, float] = {}
        self._failing: dict[str, str] = {}
        self._log: BoundLogger = structlog.get_logger("rules")
        health.check("rules", self._note)

    def follow(self, document: Document) -> None:
        """Rules and segments are those of ``document`` from the next look on."""
        self._document = document
        self._book.follow(document)
        self._reasons.follow(document)
        self._sight.follow(document)
        self._due_s.clear()

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``; then the lead is given up."""
        fence: str | None = None
        renewed_s = float("-inf")
        while not stop.is_set():
            self._health.beat("rules", 60.0)
            try:
                if clock.steady_s() - renewed_s >= RENEW_S:
                    held = await self._lead.held()
                    renewed_s = clock.steady_s()
                    if held != fence:
                        self._log.info("lead_taken" if held else "lead_lost", fence=held or fence)
                        self._due_s.clear()
                    fence = held
                    self._measures.leads.set(fence is not None)
                if fence is not None:
                    await self.turn(fence)
            except NotNow as wait:
                self._log.warning("rules_wait", why=wait.what)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _TURN_S)
        with suppress(NotNow):
            await self._lead.leave()
        self._measures.leads.set(False)

    async def turn(self, fence: str) -> None:
        """Looks at the rule that has waited longest, if one is due: the lead is renewed between any two."""
        entries = await self._book.entries()
        self._measures.rules.set(len(entries))
        await self._gone(entries, fence)
        now_s = clock.steady_s()
        due = [name for name in entries if self._due_s.get(name, 0.0) <= now_s]
        for name in sorted(due, key=lambda name: self._due_s.get(name, 0.0))[:1]:
            entry = entries[name]
            pause_s = await self._tried(entry, fence)
            self._due_s[name] = clock.steady_s() + pause_s

    async def _tried(self, entry: Entry, fence: str) -> float:
        """One look at one rule; how long until the next."""
        if entry.rule is None:
            self._failed(entry.name, "; ".join(entry.problems))
            return 60.0
        began_s = clock.steady_s()
        try:
            await self.look(entry.rule, fence)
        except NotNow as wait:
            self._failed(entry.name, wait.what)
            return _AGAIN_S
        except Exception as exc:
            # A bug in judging one rule must not silence the others, nor the alerts on promises beside them.
            self._log.exception("rule_failed", rule=entry.name)
            self._failed(entry.name, f"{type(exc).__name__}, see the log")
            return 60.0
        self._failing.pop(entry.name, None)
        self._measures.evaluations.labels("done").inc()
        self._measures.seconds.observe(clock.steady_s() - began_s)
        self._measures.success.labels(entry.name).set(self._now_us() / SECOND_US)
        return max(0.0, entry.rule.every_s - (clock.steady_s() - began_s))

    async def look(self, rule: Rule, fence: str) -> None:
        """Reads, judges, stores. Raises ``NotNow``; repeating it is harmless."""
        at_us = self._now_us()
        memories = await self._memories.of(rule.name)
        found = (await self._sight.segments(rule))[:MOST_SEGMENTS]
        above = look.segments(rule, found, self._document.segments)
        seen = await self._sight.seen(rule, list(above), at_us)
        alerts = await self._alerts(rule.name, [s for s, memory in memories.items() if _may_be_open(memory)])
        verdicts = judging.judged(rule, above, seen, {s for s, alert in alerts.items() if is_open(alert)})
        queries = {segment: evidence.query(rule, segment, self._document.windows_s) for segment in above}
        outcome = look.taken(rule, above, look.Look(verdicts, memories, alerts, queries), at_us)
        steps = await self._reasons.given(rule, outcome.steps, at_us)
        fired = {s: outcome.memories[s] for s, step in steps if step.after.reason is Transition.FIRED}
        if fired and not await self._memories.put(rule.name, fired, (), fence):
            return
        for segment, step in steps:
            ended = step.after.reason is Transition.CLEARED
            if not await self._alerting.take(step, fence, silently=ended and praises(rule)):
                # Somebody changed the alert meanwhile, or leads instead of us: the next look decides anew.
                outcome.memories[segment] = memories.get(segment, Memory())
        gone = [segment for segment in memories if segment not in outcome.memories]
        for segment, alert in alerts.items():
            if segment in gone and is_open(alert) and not await self._alerting.take(retire(alert, at_us), fence):
                return
        await self._memories.put(rule.name, outcome.memories, gone, fence)

    async def _gone(self, entries: Mapping[str, Entry], fence: str) -> None:
        """Ends what rules left open that are no more."""
        for name in sorted(await self._memories.rules() - entries.keys()):
            memories = await self._memories.of(name)
            taken = [
                await self._alerting.take(retire(alert, self._now_us()), fence)
                for alert in (await self._alerts(name, memories)).values()
                if is_open(alert)
            ]
            if all(taken) and await self._memories.put(name, {}, list(memories), fence):
                self._log.info("rule_forgotten", rule=name, ended=len(taken))
                self._failing.pop(name, None)
                self._due_s.pop(name, None)
                with suppress(KeyError):
                    self._measures.success.remove(name)

    async def _alerts(self, rule: str, segments: Iterable[str]) -> dict[str, Alert]:
        found = {}
        for segment in segments:
            alert = await self._store.newest(fingerprint(rule, segment))
            if alert is not None:
                found[segment] = alert
        return found

    def _failed(self, name: str, why: str) -> None:
        if self._failing.get(name) != why:
            self._log.warning("rule_not_evaluated", rule=name, why=why)
        self._failing[name] = why
        self._measures.evaluations.labels("failed").inc()

    def _note(self) -> Note | None:
        if not self._failing:
            return None
        return Note(f"Rules that cannot be evaluated: {', '.join(sorted(self._failing))}.")


def _may_be_open(memory: Memory) -> bool:
    return memory.bad_us is not None or memory.phase in _MAY_BE_OPEN
