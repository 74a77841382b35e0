"""``/v1/kpis``: the numbers, by window, by segment, over time and beside what they were. Never averages averages: every
answer is summed from the buckets of its own window and segment."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Query
from fastapi.responses import Response

from schemas.instant import SECOND_US, from_datetime, to_rfc3339
from services.alerts.access.agents import per_agent
from services.alerts.api import why
from services.alerts.api.dependencies import Context, Now, Parts, SeesAgents
from services.alerts.api.page import Cursor, begun, turned
from services.alerts.explain.explainer import Explainer
from services.alerts.explain.question import Question
from services.config.document import Document
from services.config.duration import seconds
from services.config.rule import statistics, usual
from services.config.segment import values
from services.kpi import schema
from services.kpi.catalogue import KPIS, Kpi
from services.kpi.change import change
from services.kpi.reader import Compared
from services.kpi.window import DAY_S, HOUR_S, Resolution, finest
from services.operate.problem import Problem

router = APIRouter(prefix="/v1/kpis", tags=["kpis"])

ALL = "all"
MOST_POINTS = 1500

Window = Annotated[str, Query(description="One of the configured `windows`, such as 1h.", examples=["1h"])]
Segment = Annotated[
    str,
    Query(description="`all`, or a configured segment with its values: `channel:email`, `team:t1,priority:high`."),
]
Compare = Annotated[
    str | None,
    Query(description="A duration, such as 1w: what the same window was so much earlier is answered beside it."),
]
KpiName = Annotated[str, Path(description="Name of a KPI, such as first_response_time.")]

_DURATION = {"count": 12, "mean_s": 840.2, "p50_s": 611.0, "p90_s": 1804.3, "p95_s": 2400.1}
_EXAMPLE = {
    "as_of": "2026-03-02T10:30:00Z",
    "window": "1h",
    "segment": "channel:email",
    "kpis": {
        "tickets_created": {"count": 31},
        "backlog": {"count": 140, "by_status": {"new": 12, "open": 81, "pending": 40, "on_hold": 7}},
        "first_response_time": {**_DURATION, "business": {k: v for k, v in _DURATION.items() if k != "count"}},
        "csat": {"ratio": 0.9, "count": 10, "hits": 9},
    },
}

_SCHEMA = {
    "title": "Kpis",
    "type": "object",
    "required": ["as_of", "window", "segment", "kpis"],
    "properties": {
        "as_of": {"type": "string", "format": "date-time"},
        "window": {"type": "string"},
        "segment": {"type": "string"},
        "kpis": schema.readings(),
        "compared": {
            "type": "object",
            "description": "With `compare`: earlier `kpis`, and the `change`.",
        },
    },
}


@router.get(
    "",
    summary="Every KPI of one window and segment",
    responses={200: {"content": {"application/json": {"schema": _SCHEMA, "example": _EXAMPLE}}}},
)
async def kpis(
    parts: Parts,
    now: Now,
    agents: SeesAgents,
    window: Window = "1h",
    segment: Segment = ALL,
    compare: Compare = None,
) -> Response:
    """Durations are in seconds, by the calendar and (under `business`) in business hours; ratios from 0 to 1.
    What has not a single case in the window has null means, percentiles and ratios. While tickets from before a
    segment was configured are still being counted in it, `recounting` is true.

    With `compare`, `compared` has the same KPIs of the window that ended so much earlier, from its `from` to its `to`
    (older windows begin and end with the minute, the hour or the day), and what changed since."""
    window_s = _window(parts.document, window)
    chosen = _segment(parts.document, segment, agents)
    at_us = from_datetime(now)
    answer: dict[str, Any] = {"as_of": to_rfc3339(at_us), "window": window, "segment": chosen}
    answer |= await _reservations(parts, chosen)
    if compare is None:
        return _json(answer | {"kpis": await parts.kpis.window(chosen, window_s, at_us)})
    found = await _compared(parts, [chosen], window, compare, at_us, list(KPIS.values()))
    [(_, present, past)] = found.rows
    compared = _edges(compare, found) | {
        "kpis": past,
        "change": {name: change(reading, past[name]) for name, reading in present.items()},
    }
    return _json(answer | {"kpis": present, "compared": compared})


@router.get("/{kpi}", summary="One KPI, a row for each value of a dimension")
async def by(
    parts: Parts,
    now: Now,
    agents: SeesAgents,
    kpi: KpiName,
    by: Annotated[str, Query(description="A configured segment: `team`, or `team,priority`.", examples=["team"])],
    window: Window = "1h",
    compare: Compare = None,
    limit: Annotated[int, Query(ge=1, le=5000, description="Rows of a page.")] = 1000,
    cursor: Cursor = None,
) -> Response:
    """Rows are sorted by segment. A value that counted nothing for as long as buckets are kept has no row. With
    `compare`, each row has what it was in the window that ended so much earlier (`then`), and its `change`. Pages are
    each of their own moment: a value that comes between two of them may be missed, none is shown twice."""
    found = _kpi(kpi)
    window_s = _window(parts.document, window)
    dimensions = by.split(",")
    configured = [list(names) for names in parts.document.segments]
    if dimensions not in configured:
        raise _unknown("segment", by, [",".join(names) for names in configured])
    if per_agent(by):
        agents.need(f"by={by}")
    after = begun(cursor, "rows")
    at_us = from_datetime(now)
    answer: dict[str, Any] = {"as_of": to_rfc3339(at_us), "kpi": kpi, "window": window, "by": by}
    answer |= await _reservations(parts, ",".join(f"{name}:" for name in dimensions))
    if compare is None:
        rows = await parts.kpis.by(found, dimensions, window_s, at_us)
        rows, more = turned([row for row in rows if row[0] > after], limit, "rows", lambda row: row[0])
        listed = [{"segment": segment, "values": values(segment), **reading} for segment, reading in rows]
        return _json(answer | {"rows": listed, "next_cursor": more})
    there = [segment for segment in await parts.kpis.segments(dimensions) if segment > after]
    segments, more = turned(sorted(there), limit, "rows", str)
    compared = await _compared(parts, segments, window, compare, at_us, [found])
    listed = [
        {
            "segment": segment,
            "values": values(segment),
            **present[kpi],
            "then": past[kpi],
            "change": change(present[kpi], past[kpi]),
        }
        for segment, present, past in compared.rows
    ]
    return _json(answer | {"compared": _edges(compare, compared), "rows": listed, "next_cursor": more})


@router.get("/{kpi}/series", summary="One KPI over time")
async def series(
    parts: Parts,
    now: Now,
    agents: SeesAgents,
    kpi: KpiName,
    window: Window = "24h",
    step: Annotated[str, Query(description="Length of a step, such as 1h; at least 10s.", examples=["1h"])] = "1h",
    segment: Segment = ALL,
) -> Response:
    """Points begin at whole steps since 1970 in UTC, oldest first; the last one is not over yet. The backlog is the one
    at the end of the step. The further back a window reaches, the longer its steps are at least: whole minutes beyond
    two hours, whole hours beyond two days, whole days beyond 35 days."""
    found = _kpi(kpi)
    window_s = _window(parts.document, window)
    chosen = _segment(parts.document, segment, agents)
    try:
        step_s = seconds(step)
    except ValueError as exc:
        raise _bad_step(f"{exc}.", None) from None
    at_us = from_datetime(now)
    if step_s > window_s:
        raise _bad_step(f"no longer than the window, {window}.", None)
    if window_s / step_s > MOST_POINTS:
        shortest = _shortest(window_s, at_us // SECOND_US, parts.kpis.kept)
        raise _bad_step(f"a window of {window} has at most {MOST_POINTS} points: at least {shortest}.", shortest)
    at_s = at_us // SECOND_US
    width = finest(at_s - (at_s - window_s) // step_s * step_s, parts.kpis.kept)
    if width is not None and step_s % width.width_s:
        raise _bad_step(f"a window of {window} is kept in steps of {width.name}: a multiple of that.", width.name)
    points = await parts.kpis.series(found, chosen, window_s, step_s, at_us)
    return _json(
        {
            "as_of": to_rfc3339(at_us),
            "kpi": kpi,
            "window": window,
            "step": step,
            "segment": chosen,
            **await _reservations(parts, chosen),
            "points": [{"at": to_rfc3339(start_us), **reading} for start_us, reading in points],
        }
    )


@router.get(
    "/{kpi}/why",
    summary="What explains a KPI against an earlier window",
    responses={200: {"content": {"application/json": {"example": why.EXAMPLE}}}},
)
async def why_(
    parts: Parts,
    now: Now,
    seen: SeesAgents,
    kpi: KpiName,
    window: Window = "1h",
    segment: Segment = ALL,
    compare: Annotated[str, Query(description="How much earlier the other window ended.", examples=["1w"])] = "1w",
    statistic: Annotated[str | None, Query(description="Such as p90_s or ratio; the KPI's usual one if unset.")] = None,
    agents: Annotated[bool, Query(description="Tell agents apart too, where `agent` is a configured segment.")] = False,
) -> Response:
    """`cause` is the verdict and `said` puts it into words. `cuts` have, for every configured dimension, what each
    value brings to the change: `volume` by its share of the work, `rate` by how it fares itself; together they are the
    change. Of a percentile, parts are shares of cases above what the percentile was before. `load` is the work now and
    then. `evidence` names the tickets with the worst promises. A window that is not kept so far back is widened to
    whole hours or days: `window_s` says to what. Agents are left out unless asked for, and then come last."""
    found = _kpi(kpi)
    window_s = _window(parts.document, window)
    chosen = _segment(parts.document, segment, seen)
    if agents:
        seen.need("agents=true")
    there = statistics(kpi)
    if statistic is not None and statistic not in there:
        raise _unknown("statistic", statistic, list(there))
    try:
        ago_s = seconds(compare)
    except ValueError as exc:
        raise Problem(400, "bad-compare", "Bad comparison", f"compare: {exc}.") from None
    question = Question(found, statistic or usual(kpi), chosen, window_s, ago_s, people=agents)
    at_us = from_datetime(now)
    told = await Explainer(parts.document, parts.kpis, parts.timers).explained(question, at_us)
    answer = {"as_of": to_rfc3339(at_us), **why.as_json(told), **await _reservations(parts, chosen)}
    return _json(answer)


async def _reservations(parts: Context, segment: str) -> dict[str, bool]:
    """What an answer must say of itself: that a segment which was added is not fully counted yet."""
    return {"recounting": True} if await parts.kpis.recounting(segment) else {}


async def _compared(
    parts: Context, segments: Sequence[str], window: str, compare: str, at_us: int, kpis: Collection[Kpi]
) -> Compared:
    try:
        ago_s = seconds(compare)
    except ValueError as exc:
        raise Problem(400, "bad-compare", "Bad comparison", f"compare: {exc}.") from None
    window_s = parts.document.windows_s[window]
    found = await parts.kpis.compared(segments, window_s, ago_s, at_us, kpis)
    if found is None:
        longest_s = max(r.keep_s - window_s - r.width_s for r in parts.kpis.kept if window_s % r.width_s == 0)
        longest = f"{longest_s // HOUR_S}h"
        raise Problem(
            400,
            "bad-compare",
            "Bad comparison",
            f"compare: a window of {window} is not kept for {compare}. It can be compared with up to {longest} earlier"
            + ("." if window_s % DAY_S == 0 else "; a longer window, of whole hours or days, with more."),
            longest=longest,
        )
    return found


def _edges(compare: str, found: Compared) -> dict[str, Any]:
    return {"ago": compare, "from": to_rfc3339(found.start_us), "to": to_rfc3339(found.end_us)}


def _shortest(window_s: int, at_s: int, kept: tuple[Resolution, ...]) -> str:
    """The shortest step that a window is answered in: with few enough points, and of whole buckets."""
    least_s = -(-window_s // MOST_POINTS)
    for width_s in (resolution.width_s for resolution in kept):
        step_s = least_s + -least_s % width_s
        width = finest(at_s - (at_s - window_s) // step_s * step_s, kept)
        if width is None or step_s % width.width_s == 0:
            return f"{step_s}s"
    return f"{least_s}s"


def _bad_step(detail: str, shortest: str | None) -> Problem:
    return Problem(400, "bad-step", "Bad step", f"step: {detail}", shortest=shortest)


def _json(content: dict[str, Any]) -> Response:
    """The answer as it is: nothing in it needs the conversions that FastAPI would try on every value."""
    return Response(orjson.dumps(content), media_type="application/json")


def _window(document: Document, name: str) -> int:
    known = document.windows_s
    if name not in known:
        raise _unknown("window", name, list(known))
    return known[name]


def _kpi(name: str) -> Kpi:
    if name not in KPIS:
        raise _unknown("KPI", name, list(KPIS), status=404)
    return KPIS[name]


def _segment(document: Document, text: str, agents: SeesAgents) -> str:
    """The segment in the order of its configured dimensions; the caller may name them in any order. Raises
    :class:`Problem`: 400, and 403 where it is of an agent and who asks may not see those."""
    if text == ALL:
        return ALL
    given = values(text)
    if "agent" in given:
        agents.need("this segment")
    for names in document.segments:
        if set(names) == set(given):
            return ",".join(f"{name}:{given[name]}" for name in names)
    there = [ALL, *(",".join(f"{name}:…" for name in names) for names in document.segments)]
    raise _unknown("segment", text, there)


def _unknown(what: str, given: str, there: list[str], status: int = 400) -> Problem:
    known = ", ".join(there) or "none"
    return Problem(
        status,
        f"unknown-{what.lower()}",
        f"Unknown {what}",
        f"There is no {what} '{given}'. There is: {known}.",
        known=there,
    )
