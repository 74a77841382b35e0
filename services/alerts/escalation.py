"""Whom else to tell, and when, as long as nobody takes an alert on: pure steps over what a route says.

An alert that begins to fire, or fires anew, has its first step ahead of it (``escalates_at``). The store finds it when
that is due; whoever acknowledges, snoozes or resolves it ends that.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from schemas.alert import Alert, AlertState, Transition
from services.alerts import route, state
from services.alerts.state import Step
from services.config.document import Route
from services.config.duration import seconds
from services.config.schedule import EscalationStep


def ladder(routes: Sequence[Route], alert: Alert) -> tuple[EscalationStep, ...]:
    """The steps of the first route that fits and has any."""
    found = route_of(routes, alert)
    return found.escalate if found is not None else ()


def route_of(routes: Sequence[Route], alert: Alert) -> Route | None:
    """The first route that fits and has steps."""
    return next((found for found in routes if found.escalate and route.matches(found, alert)), None)


def planned(step: Step, steps: Sequence[EscalationStep], told_at: datetime) -> Step:
    """``step`` with the time of what follows when nobody acts, counted from ``told_at``. The same again changes
    nothing."""
    if step.event is None or step.event.transition is Transition.ESCALATED:
        return step
    after = step.after
    if after.state is not AlertState.FIRING or after.silenced_by is not None:
        after = replace(after, escalates_at=None)
    elif _begins(step):
        first = told_at + timedelta(seconds=seconds(steps[0].after)) if steps else None
        after = replace(after, escalated=0, escalates_at=first)
    return Step(step.before, after, replace(step.event, alert=after))


def due(alert: Alert, steps: Sequence[EscalationStep], at: datetime) -> Step | None:
    """The next step, if it is time; ``None`` when it is not. Where the document has no such step any more, what is
    left is to forget it."""
    if alert.state is not AlertState.FIRING or alert.escalates_at is None or alert.escalates_at > at:
        return None
    if alert.escalated >= len(steps):
        return Step(alert, replace(alert, escalates_at=None), None)
    following = None
    if alert.escalated + 1 < len(steps):
        passed_s, next_s = (seconds(steps[alert.escalated + ahead].after) for ahead in (0, 1))
        following = alert.escalates_at + timedelta(seconds=next_s - passed_s)
    return state.escalate(alert, at, following)


def _begins(step: Step) -> bool:
    before, after = step.before, step.after
    if before is None or before.alert_id != after.alert_id or before.state is not AlertState.FIRING:
        return True
    if before.silenced_by is not None:
        return True  # nobody was told yet, or not of this
    return before.severity is not after.severity and step.event is not None and step.event.transition in _WORSE


_WORSE = frozenset({Transition.BREACHED})
