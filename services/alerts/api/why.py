"""An explanation as the API shows it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from schemas.instant import to_rfc3339
from services.alerts.explain.explainer import Explained, parts

MOST: Final = 20
"""Parts of a cut that are shown, the largest first."""

_PART: Final = {"segment": "channel:chat", "volume": 0.012, "rate": 0.11, "now": 0.42, "then": 0.1}
EXAMPLE: Final[dict[str, Any]] = {
    "as_of": "2026-03-02T10:30:00Z",
    "kpi": "first_response_time",
    "statistic": "p90_s",
    "segment": "team:billing",
    "window_s": 3600,
    "compared": {"ago_s": 604800, "from": "2026-02-23T09:00:00Z", "to": "2026-02-23T10:00:00Z"},
    "now": 9600.0,
    "then": 5400.0,
    "cause": "load_on_one",
    "said": "More work came in one place: channel chat got more than the others, and brings 74 % of the change. …",
    "by": "channel",
    "part": "channel:chat",
    "parts_are": "above",
    "cuts": [{"by": "channel", "change": 0.15, "volume": 0.008, "rate": 0.142, "parts": [_PART]}],
    "load": {"created": 61, "created_then": 40, "backlog": 58, "backlog_then": 31},
    "evidence": [{"source": "zendesk", "ticket_id": "5158", "url": "https://helpdesk.example/tickets/5158"}],
}


def as_json(told: Explained) -> dict[str, Any]:
    """``part`` is the one that the verdict is about, ``parts_are`` what the numbers of parts are: ``count``, ``mean``,
    or ``above`` of a percentile."""
    question, seen, finding = told.question, told.seen, told.finding
    load = seen.load
    known = told.edges is not None
    return {
        "kpi": question.kpi.name,
        "statistic": question.statistic,
        "segment": question.segment,
        "window_s": question.window_s,
        "compared": {
            "ago_s": question.ago_s,
            "from": to_rfc3339(told.edges[0]) if told.edges is not None else None,
            "to": to_rfc3339(told.edges[1]) if told.edges is not None else None,
        },
        "now": seen.now,
        "then": seen.then,
        "cause": finding.cause.value,
        "said": told.said,
        "by": finding.cut.dimension if finding.cut is not None else None,
        "part": finding.part.segment if finding.part is not None else None,
        "parts_are": seen.kind.value,
        "cuts": [
            {
                "by": cut.dimension,
                "change": round(cut.change, 6),
                "volume": round(cut.volume, 6),
                "rate": round(cut.change - cut.volume, 6),
                "parts": [msgspec.to_builtins(part) for part in parts(cut)[:MOST]],
            }
            for cut in seen.cuts
        ],
        "load": {
            "created": load.created,
            "created_then": load.created_then,
            "backlog": load.backlog,
            "backlog_then": load.backlog_then,
        }
        if known
        else None,
        "evidence": [msgspec.to_builtins(one) for one in told.evidence],
    }
