"""``/v1/tickets``: one ticket as Deskpulse knows it: its state, its timers, and what they were computed from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query
from msgspec import UNSET

from schemas.instant import from_datetime, to_rfc3339
from schemas.state import Entry, Fact, Level, Mark, Mode, Timer, TimerState
from services.alerts.api.dependencies import Context, Now, Parts
from services.alerts.api.page import Cursor, bad_cursor, begun, turned
from services.alerts.api.timers import about, instant, shown
from services.operate.problem import Problem
from services.state.tickets import StoredTicket

router = APIRouter(prefix="/v1/tickets", tags=["tickets"])


SourceName = Annotated[str, Path(description="Name of a configured source.")]
TicketId = Annotated[str, Path(max_length=200, description="The helpdesk's id of the ticket.")]
_TIMELINE = "timeline"
MISSING: dict[int | str, dict[str, Any]] = {
    404: {"description": "No event of such a ticket has been counted. `sources` are those that are configured."}
}


async def stored(parts: Context, source: str, ticket_id: str) -> StoredTicket:
    """The ticket. Raises :class:`Problem` (404) with the sources that there are."""
    found = await parts.tickets.find(source, ticket_id)
    if found is None:
        known = sorted(parts.document.sources)
        detail = f"No event of ticket '{ticket_id}' of source '{source}' has been counted."
        if source not in known:
            detail += f" There is no such source; there is: {', '.join(known) or 'none'}."
        raise Problem(404, "no-such-ticket", "No such ticket", detail, sources=known)
    return found


@router.get("/{source}/{ticket_id}", summary="One ticket: state, timers and timeline", responses=MISSING)
async def ticket(
    parts: Parts,
    now: Now,
    source: SourceName,
    ticket_id: TicketId,
    limit: Annotated[int, Query(ge=1, le=5000, description="Events of the timeline on a page.")] = 1000,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """The timeline has every event that was counted, in the order in which they happened; message texts are never
    kept. `announced` is what was last said about a timer. `next_cursor` goes on with the timeline."""
    found = await stored(parts, source, ticket_id)
    at_us = from_datetime(now)
    entry = found.entry
    folded = entry.ticket
    told, more = _page(found.facts, limit, cursor)
    return {
        "as_of": to_rfc3339(at_us),
        **about(parts, folded),
        "tags": list(folded.who.tags),
        "created_at": instant(folded.created_us),
        "first_seen_at": to_rfc3339(folded.seen_us),
        "creation_seen": folded.born,
        "imported": folded.imported,
        "gone": folded.gone,
        "merged_into": folded.merged_into,
        "first_response": _mark(folded.first_reply),
        "first_resolution": _mark(folded.first_solved),
        "full_resolution": _mark(folded.solved),
        "agent_replies": folded.replies,
        "reopens": folded.reopens,
        "csat_positive": folded.rated.positive if folded.rated is not None else None,
        "timers": [
            {**shown(timer, _state(entry, timer), at_us), "announced": _announced(entry, timer)}
            for timer in folded.timers
        ],
        "timeline": [_told(fact) for fact in told],
        "next_cursor": more,
    }


def _page(facts: Sequence[Fact], limit: int, cursor: str | None) -> tuple[list[Fact], str | None]:
    after, begin = begun(cursor, _TIMELINE), 0
    if after:
        ids = [fact.event_id.hex() for fact in facts]
        if after not in ids:
            raise bad_cursor()
        begin = ids.index(after) + 1
    return turned(facts[begin:], limit, _TIMELINE, lambda fact: fact.event_id.hex())


def _mark(mark: Mark | None) -> dict[str, Any] | None:
    if mark is None:
        return None
    return {
        "at": to_rfc3339(mark.at_us),
        "elapsed_s": mark.calendar_ms / 1000 if mark.calendar_ms is not None else None,
        "business_s": mark.business_ms / 1000 if mark.business_ms is not None else None,
        "team": mark.who.team,
        "agent": mark.who.agent,
    }


def _state(entry: Entry, timer: Timer) -> TimerState | None:
    if timer.mode is Mode.MET:
        return None
    if timer.breached_us is not None or _announced(entry, timer) == Level.BREACHED:
        return TimerState.BREACHED
    if timer.mode is Mode.PAUSED:
        return TimerState.PAUSED
    return TimerState.AT_RISK if _announced(entry, timer) == Level.WARNED else TimerState.RUNNING


def _announced(entry: Entry, timer: Timer) -> str:
    told = (n.level for n in entry.notices if (n.metric, n.cycle) == (timer.metric, timer.cycle))
    return next(told, Level.QUIET).value


def _told(fact: Fact) -> dict[str, Any]:
    """A fact as a line of the timeline; only what it says is in it."""
    stated = {
        name: (instant(value) if name == "created_us" else value)
        for name in fact.stated.__struct_fields__
        if (value := getattr(fact.stated, name)) is not UNSET
    }
    if "created_us" in stated:
        stated["created_at"] = stated.pop("created_us")
    line: dict[str, Any] = {
        "at": to_rfc3339(fact.at_us),
        "kind": fact.kind,
        "event_id": str(UUID(bytes=fact.event_id)),
        "actor": fact.actor,
        "visibility": fact.visibility,
        "opening": fact.opening or None,
        "tags_added": list(fact.tags_added) or None,
        "tags_removed": list(fact.tags_removed) or None,
        "positive": fact.positive,
        "score": fact.score,
        "merged_into": fact.into,
        "stated": stated or None,
    }
    return {name: value for name, value in line.items() if value is not None}
