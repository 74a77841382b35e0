"""``/v1/sla/timers``: the promises that are running, in danger or broken, the most pressing first."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BeforeValidator

from schemas.instant import SECOND_US, from_datetime, to_rfc3339
from schemas.sla import SlaMetric
from schemas.state import Mode, Ticket, Timer, TimerState
from services.alerts.api.dependencies import Now, Parts
from services.alerts.api.page import Cursor, bad_cursor
from services.state.timers import BadCursor

router = APIRouter(prefix="/v1/sla", tags=["sla"])

Unset = BeforeValidator(lambda value: None if value == "" else value)
"""``?metric=&team=`` is a form that was left empty, not a filter for the empty name."""

_EXAMPLE = {
    "as_of": "2026-03-02T10:12:00Z",
    "timers": [
        {
            "source": "zendesk",
            "ticket_id": "5158",
            "url": "https://example.zendesk.com/agent/tickets/5158",
            "metric": "first_response",
            "cycle": 1,
            "state": "at_risk",
            "policy": "vip",
            "target_s": 900,
            "elapsed_s": 0.0,
            "running_since": "2026-03-02T10:00:00Z",
            "due_at": "2026-03-02T10:15:00Z",
            "breach_after": "2026-03-02T10:15:00Z",
            "breached_at": None,
            "due_in_s": 180.0,
            "calendar": "support",
            "status": "open",
            "priority": "urgent",
            "channel": "email",
            "team": "billing",
            "agent": None,
            "tier": "vip",
        }
    ],
    "next_cursor": None,
}


@router.get(
    "/timers",
    summary="Open SLA timers, the most pressing first",
    responses={200: {"content": {"application/json": {"example": _EXAMPLE}}}},
)
async def timers(
    parts: Parts,
    now: Now,
    state: Annotated[
        list[TimerState] | None,
        Query(description="running (those at risk included), at_risk, paused or breached; may be repeated."),
    ] = None,
    metric: Annotated[SlaMetric | None, Query(description="Only timers of this metric."), Unset] = None,
    team: Annotated[str | None, Query(description="Only tickets that this team holds."), Unset] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Without `state`: every open timer. `due_at` is when the target is used up, `breach_after` the last instant at
    which it is not exceeded (they differ where a target ends at closing time); both are null while paused.
    `elapsed_s` is what had passed on the timer's own clock when it last started or stopped."""
    wanted = state or [TimerState.BREACHED, TimerState.RUNNING, TimerState.PAUSED]
    try:
        page = await parts.timers.page(wanted, metric=metric, team=team, limit=limit, cursor=cursor)
    except BadCursor:
        raise bad_cursor() from None
    at_us = from_datetime(now)
    return {
        "as_of": to_rfc3339(at_us),
        "timers": [
            {**about(parts, listed.ticket), **shown(listed.timer, listed.state, at_us)} for listed in page.timers
        ],
        "next_cursor": page.cursor,
    }


def about(parts: Parts, ticket: Ticket) -> dict[str, Any]:
    """What identifies a ticket and says who holds it."""
    return {
        "source": ticket.source,
        "ticket_id": ticket.ticket_id,
        "url": parts.document.ticket_url(ticket.source, ticket.ticket_id),
        "status": ticket.status,
        "priority": ticket.who.priority,
        "channel": ticket.who.channel,
        "team": ticket.who.team,
        "agent": ticket.who.agent,
        "brand": ticket.who.brand,
        "tier": ticket.who.tier,
    }


def shown(timer: Timer, state: TimerState | None, at_us: int) -> dict[str, Any]:
    """A timer as the API shows it; a ``state`` of ``None`` is a promise kept."""
    return {
        "metric": timer.metric,
        "cycle": timer.cycle,
        "state": state.value if state is not None else "met",
        "policy": timer.policy,
        "target_s": timer.target_us / SECOND_US,
        "elapsed_s": timer.elapsed_us / SECOND_US,
        "running_since": to_rfc3339(timer.since_us) if timer.mode is Mode.RUNNING else None,
        "due_at": instant(timer.due_us),
        "breach_after": instant(timer.breach_after_us),
        "breached_at": instant(timer.breached_us),
        "met_at": to_rfc3339(timer.since_us) if timer.mode is Mode.MET else None,
        "due_in_s": (timer.due_us - at_us) / SECOND_US if timer.due_us is not None else None,
        "calendar": timer.calendar,
    }


def instant(at_us: int | None) -> str | None:
    """RFC 3339, or null."""
    return to_rfc3339(at_us) if at_us is not None else None
