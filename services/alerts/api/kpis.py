"""``/v1/kpis``: the numbers, by window, by segment and over time. Never averages averages: every answer is summed
from the buckets of its own window and segment."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from schemas.instant import from_datetime, to_rfc3339
from services.alerts.api.dependencies import Now, Parts
from services.config.document import DIMENSIONS, Document
from services.config.duration import seconds
from services.kpi.catalogue import KPIS, Kpi
from services.operate.problem import Problem

router = APIRouter(prefix="/v1/kpis", tags=["kpis"])

ALL = "all"
MOST_POINTS = 1500

Window = Annotated[str, Query(description="One of the configured `windows`, such as 1h.", examples=["1h"])]
Segment = Annotated[
    str,
    Query(description="`all`, or a configured segment with its values: `channel:email`, `team:t1,priority:high`."),
]
KpiName = Annotated[str, Path(description="Name of a KPI, such as first_response_time.")]

_DURATION = {"count": 12, "mean_s": 840.2, "p50_s": 611.0, "p90_s": 1804.3, "p95_s": 2400.1}
_EXAMPLE = {
    "as_of": "2026-03-02T10:30:00Z",
    "window": "1h",
    "segment": "channel:email",
    "kpis": {
        "tickets_created": {"count": 31},
        "backlog": {"count": 140},
        "first_response_time": {**_DURATION, "business": {k: v for k, v in _DURATION.items() if k != "count"}},
        "csat": {"ratio": 0.9, "count": 10, "hits": 9},
    },
}


@router.get(
    "",
    summary="Every KPI of one window and segment",
    responses={200: {"content": {"application/json": {"example": _EXAMPLE}}}},
)
async def kpis(parts: Parts, now: Now, window: Window = "1h", segment: Segment = ALL) -> dict[str, Any]:
    """Durations are in seconds, by the calendar and (under `business`) in business hours; ratios from 0 to 1.
    What has not a single case in the window has null means, percentiles and ratios."""
    window_s = _window(parts.document, window)
    chosen = _segment(parts.document, segment)
    at_us = from_datetime(now)
    readings = await parts.kpis.window(chosen, window_s, at_us)
    return {"as_of": to_rfc3339(at_us), "window": window, "segment": chosen, "kpis": readings}


@router.get("/{kpi}", summary="One KPI, a row for each value of a dimension")
async def by(
    parts: Parts,
    now: Now,
    kpi: KpiName,
    by: Annotated[str, Query(description="A configured segment: `team`, or `team,priority`.", examples=["team"])],
    window: Window = "1h",
) -> dict[str, Any]:
    """Rows are sorted by segment. A value that counted nothing for as long as buckets are kept has no row."""
    found = _kpi(kpi)
    window_s = _window(parts.document, window)
    dimensions = by.split(",")
    configured = [list(names) for names in parts.document.segments]
    if dimensions not in configured:
        raise _unknown("segment", by, [",".join(names) for names in configured])
    at_us = from_datetime(now)
    rows = await parts.kpis.by(found, dimensions, window_s, at_us)
    return {
        "as_of": to_rfc3339(at_us),
        "kpi": kpi,
        "window": window,
        "by": by,
        "rows": [{"segment": segment, "values": _values(segment), **reading} for segment, reading in rows],
    }


@router.get("/{kpi}/series", summary="One KPI over time")
async def series(
    parts: Parts,
    now: Now,
    kpi: KpiName,
    window: Window = "24h",
    step: Annotated[str, Query(description="Length of a step, such as 1h; at least 10s.", examples=["1h"])] = "1h",
    segment: Segment = ALL,
) -> dict[str, Any]:
    """Points are aligned to steps, oldest first; the last one is not over yet. The backlog is the one at the end of
    the step."""
    found = _kpi(kpi)
    window_s = _window(parts.document, window)
    chosen = _segment(parts.document, segment)
    try:
        step_s = seconds(step)
    except ValueError as exc:
        raise Problem(400, "bad-step", "Bad step", f"step: {exc}.") from None
    if step_s < 10 or window_s / step_s > MOST_POINTS:
        detail = f"step: at least 10s, and at most {MOST_POINTS} steps in a window."
        raise Problem(400, "bad-step", "Bad step", detail)
    at_us = from_datetime(now)
    points = await parts.kpis.series(found, chosen, window_s, step_s, at_us)
    return {
        "as_of": to_rfc3339(at_us),
        "kpi": kpi,
        "window": window,
        "step": step,
        "segment": chosen,
        "points": [{"at": to_rfc3339(start_us), **reading} for start_us, reading in points],
    }


def _window(document: Document, name: str) -> int:
    known = document.windows_s
    if name not in known:
        raise _unknown("window", name, list(known))
    return known[name]


def _kpi(name: str) -> Kpi:
    if name not in KPIS:
        raise _unknown("KPI", name, list(KPIS), status=404)
    return KPIS[name]


def _segment(document: Document, text: str) -> str:
    """The segment in the order of its configured dimensions; the caller may name them in any order."""
    if text == ALL:
        return ALL
    values = _values(text)
    for names in document.segments:
        if set(names) == set(values):
            return ",".join(f"{name}:{values[name]}" for name in names)
    there = [ALL, *(",".join(f"{name}:…" for name in names) for names in document.segments)]
    raise _unknown("segment", text, there)


def _values(segment: str) -> dict[str, str]:
    """``team:a,priority:high`` as a mapping. A value may hold a comma or a colon; a dimension's name may not."""
    values: dict[str, str] = {}
    last = ""
    for part in segment.split(","):
        name, colon, value = part.partition(":")
        if colon and name in DIMENSIONS and name not in values:
            values[name], last = value, name
        elif last:
            values[last] += f",{part}"
    return values


def _unknown(what: str, given: str, there: list[str], status: int = 400) -> Problem:
    known = ", ".join(there) or "none"
    return Problem(
        status,
        f"unknown-{what.lower()}",
        f"Unknown {what}",
        f"There is no {what} '{given}'. There is: {known}.",
        known=there,
    )
