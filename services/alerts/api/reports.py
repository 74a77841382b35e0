"""``/v1/reports``: leaders' digests, as they were sent or as they would have been."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Header, Path, Query
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from pydantic import AwareDatetime

from schemas.instant import from_datetime, to_rfc3339
from services.alerts.access.agents import per_agent
from services.alerts.api.dependencies import Now, Parts, SeesAgents
from services.alerts.report import words
from services.alerts.report.plan import TOLD_US, Timetable
from services.alerts.report.report import shown, without_people
from services.config.document import Document
from services.config.report import ReportPlan
from services.operate.problem import Problem

router = APIRouter(prefix="/v1/reports", tags=["reports"])

MARKDOWN: Final = "text/markdown"
_MISSING: Final[dict[int | str, dict[str, Any]]] = {404: {"description": "No such report, or none was due by then."}}

At = Annotated[
    AwareDatetime | None,
    Query(description="The latest report that was due by this instant, such as 2026-11-23T08:00Z. Now."),
]


@router.get("", summary="The configured reports: to whom, when the next is due, and when the last was")
async def reports(parts: Parts, now: Now) -> dict[str, Any]:
    """`last_due_at` and `next_due_at` are `null` where there is none within two months; `dealt_with_until` is when the
    last one was due that was sent or missed."""
    at_us = from_datetime(now)
    marks = await parts.reports.marks()
    return {
        "as_of": to_rfc3339(at_us),
        "reports": [_listed(parts.document, plan, at_us, marks.get(plan.name)) for plan in parts.document.reports],
    }


@router.get(
    "/{name}",
    summary="A report: what changed, why, what to ask, whom to praise, and what comes",
    responses={**_MISSING, 200: {"content": {MARKDOWN: {"schema": {"type": "string"}}}}},
)
async def report(
    parts: Parts,
    now: Now,
    agents: SeesAgents,
    name: Annotated[str, Path(max_length=63, description="One of `reports`.")],
    at: At = None,
    form: Annotated[
        Literal["json", "markdown"] | None,
        Query(alias="format", description="`json` or `markdown`; without it what `Accept` asks for."),
    ] = None,
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Response:
    """As it was sent (`sent`), which is kept for 35 days; otherwise made now of the same period, where what was open
    then and why things changed can be told for two hours only. Agents are named only where the report's `people`
    allows it, and to whom `api.agents_visible_to` does."""
    plan = next((one for one in parts.document.reports if one.name == name), None)
    if plan is None:
        there = ", ".join(one.name for one in parts.document.reports) or "none"
        raise Problem(404, "no-such-report", "No such report", f"No report '{name}'. There is: {there}.")
    if per_agent(plan.scope):
        agents.need("this report")
    at_us = from_datetime(now)
    try:
        due = Timetable(plan, parts.document).last(min(from_datetime(at), at_us) if at is not None else at_us)
    except OverflowError:
        due = None
    if due is None:
        raise Problem(404, "no-such-report", "No such report", f"No report '{name}' was due in the two months before.")
    kept = await parts.reports.kept(name, due.at_us)
    if kept is None and at_us - due.since_us > TOLD_US:
        said = f"Report '{name}' of then was not sent, and is too long ago to be made: hours are kept for 35 days."
        raise Problem(404, "no-such-report", "No such report", said)
    found = kept or await parts.composer.made(plan, due, at_us, people=agents.shown)
    if not agents.shown:
        found = without_people(found)
    if form == "markdown" or (form is None and accept is not None and MARKDOWN in accept):
        return PlainTextResponse(words.markdown(found), media_type=MARKDOWN)
    return JSONResponse({"as_of": to_rfc3339(at_us), "sent": kept is not None, "report": shown(found)})


def _listed(document: Document, plan: ReportPlan, at_us: int, mark_us: int | None) -> dict[str, Any]:
    timetable = Timetable(plan, document)
    last, next_us = timetable.last(at_us), timetable.next_us(at_us)
    return {
        "name": plan.name,
        "leader": plan.leader,
        "to": plan.to,
        "when": plan.when,
        "timezone": timetable.zone.key,
        "scope": plan.scope,
        "focus": list(plan.focus),
        "last_due_at": to_rfc3339(last.at_us) if last is not None else None,
        "next_due_at": to_rfc3339(next_us) if next_us is not None else None,
        "dealt_with_until": to_rfc3339(mark_us) if mark_us is not None else None,
    }
