"""``/v1/forecast``: how much will come, hour by hour, and what it means for agents."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query

from schemas.instant import from_datetime, to_rfc3339
from services.alerts.access.agents import per_agent
from services.alerts.api.dependencies import Context, Now, Parts, SeesAgents
from services.alerts.forecast import words
from services.alerts.forecast.forecaster import MOST_DAYS
from services.alerts.forecast.outlook import shown, summary
from services.config import segment as segments
from services.operate.problem import Problem

router = APIRouter(prefix="/v1/forecast", tags=["forecast"])

Segment = Annotated[str, Query(description="`all`, or a configured segment with its values: `team:billing`.")]
Days = Annotated[int, Query(ge=1, le=MOST_DAYS, description="Local days, the present one included.")]

_NEED: Final = {"needed": 31.2, "at_most": 40.1, "usually_there": 30.0}
_EXAMPLE: Final = {
    "as_of": "2026-03-02T07:30:00Z",
    "segment": "team:billing",
    "timezone": "Europe/Paris",
    "method": "profile",
    "reason": "better_than_last_week",
    "said": "About 412 tickets in 7 days, in four of five such cases 365 to 463. …",
    "assumed": "Assumed: the pace of the last four weeks, …",
    "interval": 0.8,
    "known_days": 34,
    "total": {"expected": 412.3, "low": 365, "high": 463, "last_week": 398, "agent_hours": _NEED},
    "work": {"basis": "pace", "per_ticket_s": 1260.0, "solved": 1612, "agent_hours_seen": 564},
    "days": [{"day": "2026-03-02", "holiday": False, "expected": 89.1, "low": 72, "high": 107, "agent_hours": _NEED}],
    "hours": [{"at": "2026-03-01T23:00:00Z", "expected": 0.4, "low": 0, "high": 1, "agents": _NEED}],
    "backtest": {"origins": 14, "hours": 1176, "better": True},
}


@router.get(
    "",
    summary="The volume of the coming days, by hour, with its interval",
    responses={200: {"content": {"application/json": {"example": _EXAMPLE}}}},
)
async def forecast(
    parts: Parts, now: Now, agents: SeesAgents, segment: Segment = segments.ALL, days: Days = 7
) -> dict[str, Any]:
    """Tickets that will be created: `expected`, and the bounds of the interval in which four of five such hours, days
    or weeks should lie. `method` is `profile` only where that was better than last week's hours on this segment's own
    past (`backtest`), else those are the forecast (`last_week`). `agents` are those that the volume needs (`needed`,
    `at_most`) and those who were `usually_there` in such hours; `assumed` says by which work for one ticket."""
    if per_agent(segment):
        agents.need("this segment")
    chosen = _chosen(parts, segment)
    at_us = from_datetime(now)
    return {"as_of": to_rfc3339(at_us), **shown(await parts.forecasts.outlook(chosen, days, at_us))}


@router.get("/backtest", summary="What forecasts of this segment's past would have been worth")
async def backtest(parts: Parts, now: Now, agents: SeesAgents, segment: Segment = segments.ALL) -> dict[str, Any]:
    """For each past day with two weeks before it, the next seven days were forecast from what was known then, and
    compared with what came, beside last week's hours as the forecast. Over hours in which anything came or might have:
    `mae` in tickets, `mase` (below 1: better than last week's hours were before), mean `pinball` loss at 10, 50 and
    90 %, `coverage` of the interval that promises 0.8 and its `mean_width`; `day_mae` and `day_coverage` of whole
    days. `backtest` is `null` where too little is known."""
    if per_agent(segment):
        agents.need("this segment")
    chosen = _chosen(parts, segment)
    at_us = from_datetime(now)
    found = (await parts.forecasts.outlook(chosen, 7, at_us)).volume
    return {
        "as_of": to_rfc3339(at_us),
        "segment": chosen,
        "method": found.method.value,
        "reason": found.reason.value,
        "said": words.said(found),
        "known_days": found.known_days,
        "backtest": summary(found.backtest),
    }


def _chosen(parts: Context, text: str) -> str:
    found = segments.ordered(text, parts.document.segments)
    if found is None:
        known = segments.there(parts.document.segments)
        said = f"There is no segment '{text}'. There is: {', '.join(known)}."
        raise Problem(400, "unknown-segment", "Unknown segment", said, known=known)
    return found
