"""``/v1/tickets/…/explain``: why each SLA timer of a ticket reads what it reads."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from schemas.instant import from_datetime
from schemas.sla import SlaMetric
from services.alerts.api.dependencies import Now, Parts
from services.alerts.api.tickets import MISSING, SourceName, TicketId, stored
from services.alerts.api.timers import Unset
from services.config.document import ConfigInvalid, Document
from services.fold.explain import explained
from services.fold.rules import Rules, compiled
from services.fold.shown import as_json
from services.operate.problem import Problem

router = APIRouter(prefix="/v1/tickets", tags=["tickets"])

_CHANGE = {
    "metric": "first_response",
    "cycle": 1,
    "happened": ["ended"],
    "why": "The first public human reply came.",
    "before": "breached",
    "after": "met_late",
    "elapsed_s": 16500.0,
    "wall_clock_s": 16500.0,
    "policy": "vip",
    "target_s": 14400.0,
    "calendar": "support",
    "due_at": None,
    "breach_after": None,
    "breached_at": "2026-03-02T13:00:00Z",
    "threshold": None,
}
_SUMMARY = (
    "First response: breached at 2026-03-02 13:00:00 UTC: 4 h of business hours (calendar support, Europe/Paris) were "
    "used up at 2026-03-02 13:00:00 UTC; the first public human reply came at 2026-03-02 13:35:00 UTC, 35 min later; "
    "what a bot wrote at 2026-03-02 09:20:00 UTC does not count. Policy vip."
)
_EXAMPLE = {
    "as_of": "2026-03-02T14:00:00Z",
    "source": "zendesk",
    "ticket_id": "5158",
    "notes": [],
    "timers": [
        {
            "metric": "first_response",
            "cycle": 1,
            "state": "met_late",
            "summary": _SUMMARY,
            "policy": "vip",
            "target_s": 14400.0,
            "calendar": "support",
            "began_at": "2026-03-02T09:00:00Z",
            "promised_at": "2026-03-02T09:00:00Z",
            "due_at": None,
            "breach_after": None,
            "breached_at": "2026-03-02T13:00:00Z",
            "ended_at": "2026-03-02T13:35:00Z",
            "pauses": [],
            "warnings": [{"at": "2026-03-02T11:00:00Z", "threshold": "50%"}],
            "uncounted": [{"at": "2026-03-02T09:20:00Z", "by": "a bot"}],
        }
    ],
    "not_promised": [
        {"metric": "agent_work", "why": "Policy vip matches first, and has no target for it."},
    ],
    "steps": [
        {
            "at": "2026-03-02T13:35:00Z",
            "what": "A human agent wrote publicly.",
            "kind": "message.added",
            "event_id": "5e0a2c0c-5f0e-5d0f-8f2b-3f6d7b1f0c11",
            "ignored": None,
            "timers": [_CHANGE],
        }
    ],
}


class _Newest:
    """The rules of the document that is in force: making them anew for every request would build calendars anew."""

    document: Document | None = None
    rules = Rules()

    @classmethod
    def of(cls, document: Document) -> Rules:
        if cls.document is not document:
            cls.rules, cls.document = compiled(document), document
        return cls.rules


@router.get(
    "/{source}/{ticket_id}/explain",
    summary="Why each SLA timer of a ticket reads what it reads",
    responses={200: {"content": {"application/json": {"example": _EXAMPLE}}}, **MISSING},
)
async def explain(
    parts: Parts,
    now: Now,
    source: SourceName,
    ticket_id: TicketId,
    metric: Annotated[SlaMetric | None, Query(description="Only timers of this metric."), Unset] = None,
) -> dict[str, Any]:
    """`timers` has a sentence for each timer instance; `steps` is the ticket's life from the first event to now, with
    what each event, or time alone, did to which timer and why. A step that counts otherwise than it seems says so in
    `ignored`. `elapsed_s` is on the timer's own clock, `wall_clock_s` since it began. `not_promised` says of every
    other metric why the ticket has no timer of it. The steps are made by the code that keeps the timers, from the
    events that are kept; no texts and no names are in them."""
    found = await stored(parts, source, ticket_id)
    try:
        rules = _Newest.of(parts.document)
    except ConfigInvalid as exc:
        raise Problem(503, "bad-configuration", "Bad configuration", f"{exc}. Correct it: deskpulse check.") from None
    told = explained(source, ticket_id, found.arrived, rules, from_datetime(now), stored=found.entry.ticket)
    return as_json(told, metric)
