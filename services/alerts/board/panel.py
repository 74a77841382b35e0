"""What a board shows, section by section, as its pages draw it.

A section holds instants and never "so long ago": it changes when something happened, and not with every second that
passes. Agents are not in it: a board hangs on a wall.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

from schemas.alert import Alert, AlertState, Severity
from schemas.instant import to_rfc3339
from schemas.state import TimerState
from services.alerts.access.agents import about_an_agent
from services.alerts.board.scope import Scope
from services.alerts.board.tile import tile
from services.alerts.sight import point
from services.alerts.store import RedisStore
from services.config.document import Document
from services.kpi.catalogue import KPIS
from services.kpi.reader import KpiReader
from services.state.timers import ListedTimer, TimerList

MOST_TIMERS: Final = 100
"""Of those at risk, and of those broken; beyond it the board says that there are more."""
MOST_ALERTS: Final = 200
MOST_TEAMS: Final = 40
_LOOKED_THROUGH: Final = 1000
_OPEN: Final = (AlertState.FIRING, AlertState.ACKNOWLEDGED, AlertState.SNOOZED)
_LOAD: Final = tuple(
    KPIS[name] for name in ("backlog", "unassigned_backlog", "open_breached", "tickets_created", "tickets_solved")
)
_LOUDNESS: Final = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}


class Section(StrEnum):
    """A part of the board that is refreshed, sent and drawn by itself."""

    ABOUT = "about"
    TIMERS = "timers"
    ALERTS = "alerts"
    KPIS = "kpis"
    WORKLOAD = "workload"


URGENT: Final = (Section.TIMERS, Section.ALERTS)
"""Sections that are looked at anew as soon as an alert changed."""


class Panel:
    """Makes sections. Calls may raise ``NotNow``."""

    def __init__(self, document: Document, kpis: KpiReader, timers: TimerList, alerts: RedisStore) -> None:
        self._document = document
        self._kpis = kpis
        self._timers = timers
        self._alerts = alerts

    async def section(self, section: Section, scope: Scope, at_us: int) -> dict[str, Any]:
        """One section of the board of ``scope`` as it is at ``at_us``."""
        match section:
            case Section.ABOUT:
                return await self._about(scope)
            case Section.TIMERS:
                return await self._pressing(scope)
            case Section.ALERTS:
                return await self._standing(scope)
            case Section.KPIS:
                return await self._tiles(scope, at_us)
            case Section.WORKLOAD:
                return await self._workload(at_us)

    async def _about(self, scope: Scope) -> dict[str, Any]:
        return {
            "title": self._document.board.title,
            "team": scope.team,
            "channel": scope.channel,
            "teams": await self._values("team"),
            "channels": await self._values("channel"),
            "windows": list(self._document.windows),
            "cuts": [",".join(cut) for cut in self._document.segments if "agent" not in cut],
        }

    async def _values(self, dimension: str) -> list[str]:
        if (dimension,) not in self._document.segments:
            return []
        found = await self._kpis.segments([dimension])
        return [segment.partition(":")[2] for segment in found]

    async def _pressing(self, scope: Scope) -> dict[str, Any]:
        return {
            "at_risk": await self._listed(TimerState.AT_RISK, scope),
            "breached": await self._listed(TimerState.BREACHED, scope),
        }

    async def _listed(self, state: TimerState, scope: Scope) -> dict[str, Any]:
        found: list[ListedTimer] = []
        looked, cursor = 0, None
        while len(found) <= MOST_TIMERS and looked < _LOOKED_THROUGH:
            page = await self._timers.page([state], team=scope.team, limit=MOST_TIMERS + 1, cursor=cursor)
            found += [listed for listed in page.timers if scope.holds(listed.ticket.who)]
            looked, cursor = looked + len(page.timers), page.cursor
            if cursor is None:
                break
        return {
            "timers": [self._timer(listed) for listed in found[:MOST_TIMERS]],
            "more": len(found) > MOST_TIMERS or cursor is not None,
        }

    def _timer(self, listed: ListedTimer) -> dict[str, Any]:
        ticket, timer = listed.ticket, listed.timer
        broken_us = timer.breached_us or timer.breach_after_us or timer.since_us
        return {
            "source": ticket.source,
            "ticket_id": ticket.ticket_id,
            "url": self._document.ticket_url(ticket.source, ticket.ticket_id),
            "metric": timer.metric,
            "cycle": timer.cycle,
            "policy": timer.policy,
            "target_s": timer.target_us / 1e6,
            "due_at": to_rfc3339(timer.due_us) if timer.due_us is not None else None,
            "breach_after": to_rfc3339(timer.breach_after_us) if timer.breach_after_us is not None else None,
            "broken_at": to_rfc3339(broken_us) if listed.state is TimerState.BREACHED and broken_us else None,
            "priority": ticket.who.priority,
            "team": ticket.who.team,
            "channel": ticket.who.channel,
            "tier": ticket.who.tier,
            "assigned": ticket.who.agent is not None,
        }

    async def _standing(self, scope: Scope) -> dict[str, Any]:
        found = await self._alerts.listed(_OPEN, list(Severity), MOST_ALERTS + 1)
        own = [alert for alert in found if scope.concerns(alert) and not about_an_agent(alert)]
        wins = [alert for alert in own if alert.labels.get("type") == "recognition"]
        own = [alert for alert in own if alert.labels.get("type") != "recognition"]
        own.sort(key=lambda alert: (alert.state is not AlertState.FIRING, _LOUDNESS[alert.severity]))
        return {
            "alerts": [_alert(alert) for alert in own[:MOST_ALERTS]],
            "more": len(found) > MOST_ALERTS,
            "wins": [_alert(alert) for alert in wins],
        }

    async def _tiles(self, scope: Scope, at_us: int) -> dict[str, Any]:
        board, window = self._document.board, self._document.board_window
        segment, note = scope.segment(self._document.segments)
        tiles: Sequence[str] = scope.kpis or board.kpis
        window_s = self._document.windows_s[window]
        return {
            "window": window,
            "segment": segment,
            "note": note,
            "tiles": [await tile(self._kpis, written, segment, window_s, at_us) for written in tiles],
        }

    async def _workload(self, at_us: int) -> dict[str, Any]:
        window = self._document.board_window
        if ("team",) not in self._document.segments:
            return {"window": window, "teams": [], "more": 0}
        segments = await self._kpis.segments(["team"])
        found = await self._kpis.windows(segments, self._document.windows_s[window], at_us, _LOAD)
        rows: list[tuple[str, dict[str, int]]] = []
        for segment, readings in found.items():
            counts = {kpi.name: int(point(readings[kpi.name], "count").value or 0) for kpi in _LOAD}
            if any(counts.values()):
                rows.append((segment.partition(":")[2], counts))
        rows.sort(key=lambda row: (-row[1]["backlog"], row[0]))
        shown = [{"team": team, **counts} for team, counts in rows[:MOST_TEAMS]]
        return {"window": window, "teams": shown, "more": len(rows) - len(shown)}


def _alert(alert: Alert) -> dict[str, Any]:
    return {
        "alert_id": alert.alert_id,
        "state": alert.state,
        "severity": alert.severity,
        "title": alert.title,
        "detail": alert.detail,
        "labels": {name: value for name, value in alert.labels.items() if name != "agent"},
        "starts_at": alert.starts_at,
        "due_at": alert.due_at,
        "acknowledged_by": alert.acknowledged_by,
        "snoozed_until": alert.snoozed_until,
        "evidence": [{"source": e.source, "ticket_id": e.ticket_id, "url": e.url} for e in alert.evidence],
        "runbook": alert.runbook,
        "why": alert.why.said if alert.why is not None else None,
        "version": alert.version,
    }
