"""Steps of alerts carried out: look, decide, store with the messages that follow. The worker and the API use it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from schemas.alert import Alert, AlertEvent, AlertState, Severity
from schemas.instant import from_datetime, to_datetime
from schemas.sla import SlaEvent
from services.alerts import delivery, escalation, route, silence, state
from services.alerts.oncall import Roster
from services.alerts.quiet import QuietTimes
from services.alerts.silence import SilenceState
from services.alerts.silences import Known, PlannedOnly, Silences
from services.alerts.state import Refusal, Step
from services.alerts.store import AlertStore, place
from services.config.document import Document, Route
from services.config.rota import Rota
from services.config.schedule import Quiet

_OPEN: Final = (AlertState.FIRING, AlertState.ACKNOWLEDGED, AlertState.SNOOZED)
_PAGE: Final = 500
_LOOK_US: Final = 60_000_000
"""A step that was decided as a silence began by the clock may be stored just after the look at the open alerts."""

Action = Callable[[Alert, datetime], Step | Refusal]
"""What an operator does to an alert, given the present."""


class Alerting:
    """Every change of an alert goes through here. Calls may raise ``NotNow``; repeating them is harmless.

    ``heard`` is called with each transition once it is stored.
    """

    def __init__(
        self,
        store: AlertStore,
        document: Document,
        now: Callable[[], datetime],
        heard: Callable[[AlertEvent], None],
        silences: Silences | None = None,
    ) -> None:
        self._store = store
        self._silences: Silences = silences or PlannedOnly(document)
        self._looked: tuple[object, int] | None = None
        self._heard = heard
        self._routes: Sequence[Route] = document.routes
        self._document, self._rotas = document, dict[str, Rota]()
        self.roster = Roster(document)
        self._quiet = QuietTimes(document)
        self._receivers = frozenset(document.receivers)
        self._now = now

    def follow(self, document: Document) -> None:
        """Routes, schedules and links are those of ``document`` from now on; receivers that nobody serves yet, since
        they are set up at the start, are left out."""
        self._routes = document.routes
        self._document = document
        self.roster = Roster(document, self._rotas)
        self._quiet = QuietTimes(document)
        self._silences.follow(document)

    def follow_calendars(self, rotas: Mapping[str, Rota]) -> None:
        """The calendars of schedules that name an address, by schedule, are these from now on."""
        self._rotas = dict(rotas)
        self.roster = Roster(self._document, self._rotas)

    @property
    def routes(self) -> Sequence[Route]:
        """Those that count now, each to one receiver: a schedule is whoever is on call at present."""
        at_us = from_datetime(self._now())
        return [
            found.model_copy(update={"receiver": receiver, "schedule": None})
            for found in self._routes
            for receiver in route.targets(found, partial(self._reached, at_us=at_us))
            if receiver in self._receivers
        ]

    async def announced(self, event: SlaEvent) -> Step | None:
        """Carries out what an SLA event means; ``None`` when it is old news."""
        url = self._document.ticket_url(event.source, event.ticket_id)
        while True:
            # Side by side: the step is stored only on the very revision and version that it was decided on.
            known, newest = await asyncio.gather(self._known(), self._store.newest(event.instance))
            decided = state.decide(newest, event, self._now(), url)
            step = self._planned(decided, known) if decided is not None else None
            if step is None or await self._stored(step, known):
                return step

    async def act(self, alert_id: str, action: Action) -> Alert | Refusal | None:
        """Carries out an operator's action; ``None`` when there is no such alert."""
        while True:
            known = await self._known()
            alert = await self._store.alert(alert_id)
            if alert is None:
                return None
            step = action(alert, self._now())
            if isinstance(step, Refusal):
                return step
            step = self._planned(step, known)
            if step.event is None or await self._stored(step, known):
                return step.after

    async def wake(self, limit: int = 200) -> None:
        """Fires the snoozed alerts whose time has come, tells those whose silence is over, and escalates those that
        nobody took on."""
        for alert in await self._store.to_wake(from_datetime(self._now()), limit):
            known, at = await self._known(), self._now()
            step = (
                state.wake(alert, at)
                or silence.due(alert, known.silences, at)
                or escalation.due(alert, escalation.ladder(self._routes, alert), at)
            )
            if step is not None:
                # When not stored, somebody else changed it meanwhile: the next look tells.
                await self._stored(self._planned(step, known), known)

    async def follow_silences(self) -> int:
        """Holds every open alert against the silences when one of these began, came or went, and every minute anyway.
        Returns how many silences are active."""
        known, at = await self._known(), self._now()
        at_us = from_datetime(at)
        active = [one for one in known.silences if one.stands(at_us) is SilenceState.ACTIVE]
        # The revision too: of one that came and went since the last look, alerts may still say that it holds them.
        seen = known.revision, tuple(sorted((one.silence_id, one.until_us, str(one.match)) for one in active))
        if self._looked is not None and self._looked[0] == seen and at_us < self._looked[1] + _LOOK_US:
            return len(active)
        whole, after = True, None
        while found := await self._store.listed(_OPEN, list(Severity), _PAGE, after):
            after = place(found[-1])
            for alert in found:
                step = silence.due(alert, known.silences, at)
                if step is not None and not await self._stored(self._planned(step, known), known):
                    whole = False  # it or the silences changed meanwhile: the next look tells
            if len(found) < _PAGE:
                break
        if whole:
            self._looked = seen, at_us
        return len(active)

    async def take(self, step: Step, fence: str, *, silently: bool = False) -> bool:
        """Carries out a step that the leader of the evaluation decided on; ``silently`` without messages. False when
        things have changed meanwhile, or another process leads."""
        known = await self._known()
        return await self._stored(self._planned(step, known), known, fence, silently=silently)

    async def _known(self) -> Known:
        return await self._silences.known(from_datetime(self._now()))

    def _planned(self, step: Step, known: Known) -> Step:
        step = silence.applied(step, known.silences, from_datetime(self._now()))
        found, alert = escalation.route_of(self._routes, step.after), step.after
        quiet = found.quiet if found is not None else None
        told_us = self._quiet.ends_us(quiet, from_datetime(alert.updated_at), alert.severity)
        return escalation.planned(step, found.escalate if found is not None else (), to_datetime(told_us))

    async def _stored(self, step: Step, known: Known, fence: str = "", *, silently: bool = False) -> bool:
        if step.event is None:
            return await self._store.apply(step, fence=fence)
        silently = silently or step.after.silenced_by is not None
        at_us = from_datetime(step.event.occurred_at)
        to = {} if silently else await self._audience(step)
        messages = [delivery.first(step.event, receiver, at_us, due_us) for receiver, due_us in to.items()]
        stored = await self._store.apply(step, messages, fence, known.revision)
        if stored:
            self._heard(step.event)
        return stored

    async def _audience(self, step: Step) -> dict[str, int]:
        """Those whose routes fit, and those whom it was escalated to; of an end also those who heard of the alert when
        they still did: a ticket that went to another team must not leave the first team's incident open. With when
        each is told: after a quiet time whoever is on call then."""
        after, at_us = step.after, from_datetime(step.after.updated_at)
        resolved, found = after.state is AlertState.RESOLVED, dict[str, int]()

        def tell(receivers: Iterable[str], since_us: int, quiet: Quiet | None) -> None:
            for one in receivers:
                due_us = self._quiet.due_us(since_us, after.severity, quiet, one)
                found[one] = min(found.get(one, due_us), due_us)

        for alert in (after, step.before) if resolved and step.before is not None else (after,):
            for one in self._routes:
                if route.matches(one, alert):
                    told_us = self._quiet.ends_us(one.quiet, at_us, after.severity)
                    tell(route.targets(one, partial(self._reached, at_us=told_us)), told_us, one.quiet)
        for stair in escalation.ladder(self._routes, after)[: after.escalated]:
            tell(self._reached(stair.to, at_us), at_us, None)
        if resolved:
            tell(sorted(await self._store.heard_by(after.alert_id) - found.keys()), at_us, None)
        return {one: due_us for one, due_us in found.items() if one in self._receivers}

    def _reached(self, name: str, at_us: int) -> tuple[str, ...]:
        return self.roster.reached_by(name, at_us)
