"""``/v1/oncall``: who is on call."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from schemas.instant import from_datetime, to_rfc3339
from services.alerts import roster
from services.alerts.api.dependencies import Now, Parts
from services.operate.problem import Problem

router = APIRouter(prefix="/v1", tags=["on call"])

_FROM: Final = datetime(2000, 1, 1, tzinfo=UTC)
_TO: Final = datetime(2100, 1, 1, tzinfo=UTC)

At = Annotated[
    AwareDatetime | None,
    Query(description="An instant with its offset from UTC, from 2000 to 2100, such as 2026-12-24T18:00Z. Now."),
]
ScheduleName = Annotated[str | None, Query(max_length=64, description="One of `schedules`. All of them.")]


@router.get(
    "/oncall", summary="Who is on call, until when, and who is next", responses={404: {"description": "No schedule."}}
)
async def oncall(parts: Parts, now: Now, at: At = None, schedule: ScheduleName = None) -> dict[str, Any]:
    """By each schedule. `person` is `null` when nobody is; `receivers` are where alerts go at that instant all the
    same. `source` is what names the person (`override`, `calendar` for an iCalendar file, `rotation`), `instead_of`
    who has the turn and is away."""
    moment = at or now
    if not _FROM <= moment <= _TO:
        raise Problem(400, "out-of-range", "Out of range", "at: give a time from 2000-01-01 to 2100-01-01.")
    found = parts.alerting.roster
    if schedule is not None and schedule not in found.schedules:
        there = ", ".join(found.schedules) or "none"
        raise Problem(404, "no-such-schedule", "No such schedule", f"No schedule '{schedule}'. There is: {there}.")
    at_us = from_datetime(moment)
    names = [schedule] if schedule is not None else list(found.schedules)
    return {"as_of": to_rfc3339(at_us), "schedules": [roster.shown(found, name, at_us) for name in names]}
