"""What every key of a rule means, for docs/settings.md."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydantic import BaseModel

from services.config.rule import (
    Anomaly,
    BurnRate,
    Change,
    Pair,
    PredictedBreach,
    Recognition,
    Stale,
    Threshold,
    Topic,
    Trend,
)

_LEVEL: Final = "duration, percentage or number"
COMMON: Final = {
    "name": ("name", "Stands in alerts and in `/v1/rules/{name}`; each is used once."),
    "description": ("text", "What the team wants to know or do then; stands in the alert."),
    "kpi": ("name", "One of the [KPIs](kpis.md)."),
    "statistic": (
        "name",
        (
            "Which number of the KPI: `p90_s`, `business.p90_s`, `mean_s`, `ratio`, `count`, … as the API answers it. "
            "Without it `p90_s` of durations, `ratio` of ratios, else `count`."
        ),
    ),
    "segment": ("segment", "`team:billing`, one of the configured `segments` with its values; `all` is every ticket."),
    "by": ("list of dimensions", "Judges each value of a configured segment by itself, as `[team]`."),
    "whole": (
        "true, false",
        (
            "With `by`: whether wider segments are judged too, and while theirs is open hold back the alerts of their "
            "parts. Without it: yes, but not for counts, of which the whole has more by its nature."
        ),
    ),
    "most": ("number", "With `by`: how many values may have an alert at a time. One alert stands for the rest."),
    "min_count": (
        "number",
        "Fewer cases are no evidence: then nothing fires and nothing ends. 5 without it, 0 of counts.",
    ),
    "severity": ("`critical`, `warning`, `info`", "How loud; a label that routes match."),
    "for_": ("duration", "How long it must be bad before it fires."),
    "keep": ("duration", "How long it must be good before it ends. As `for` without it."),
    "every": (
        "duration",
        "How often it is judged. Without it every 30s for windows up to 1h, more seldom for longer ones.",
    ),
    "labels": ("label: value", "Further labels of its alerts, for routes."),
    "runbook": ("URL", "What to do. Without it the [one for all rules](runbooks/kpi-alert.md)."),
}
"""What every rule has."""

_WINDOW: Final = ("duration", "The rolling window that is judged; a multiple of 10s.")
_MOVES: Final = {
    "rises": (
        _LEVEL,
        "Rising is bad, by so much: `50%` of what it was, of ratios `10%` is ten points; or `20`, or `30m`.",
    ),
    "falls": (_LEVEL, "Falling is bad, by so much. One of the two."),
}
_LEVELS: Final = {
    "above": (_LEVEL, "The level, in the statistic's unit: `2h`, `90%`, `40`."),
    "below": (_LEVEL, "The same, from the other side. One of the two."),
}
OWN: Final[dict[type[BaseModel], dict[str, tuple[str, str]]]] = {
    Threshold: {
        **_LEVELS,
        "window": _WINDOW,
        "clear": (_LEVEL, "It ends only beyond this, so that a value at the level does not come and go."),
    },
    Change: {
        **_MOVES,
        "window": _WINDOW,
        "against": ("duration", "How much earlier the window lies that it is compared with."),
    },
    Trend: {
        **_MOVES,
        "period": ("`1d`, `7d`", "Each value is one whole day or week, in UTC."),
        "periods": (
            "number",
            "How many of them are the trend, 7 to 90. Up to three times as many before are read too.",
        ),
    },
    Anomaly: {
        "window": _WINDOW,
        "weeks": ("number", "How many past weeks tell what is usual, 3 to 12, as far as they are kept."),
        "z": ("number", "How many robust standard deviations off are unusual."),
        "direction": ("`high`, `low`, `both`", "Which side counts."),
        "at_least": (_LEVEL, "A smaller difference never fires, as for `rises`."),
    },
    BurnRate: {
        "objective": ("percentage", "The share that is promised, as in `95%`."),
        "pairs": ("list of pairs", "Windows and rates; bad when both windows of one pair burn at its rate."),
    },
    Stale: {
        "window": _WINDOW,
        "weeks": ("number", "How many past weeks are looked at, 2 to 12."),
        "at_least": (
            "number",
            "So much came at this hour even in the quietest of them; otherwise silence tells nothing.",
        ),
    },
    Recognition: {
        **_LEVELS,
        "period": ("`1d`, `7d`", "Each value is one whole day or week (from Monday), in UTC."),
        "best_of": ("number", "Won when the last period is the best of so many, 4 to 52."),
        "best": ("`high`, `low`", "Which is the best."),
        "streak": ("number", "Won when so many periods in a row are at or beyond the level, 2 to 52."),
    },
    PredictedBreach: {
        "kpi": ("name", "`first_response_time`, `next_response_time` or `resolution_time`: the promises looked at."),
        "above": (
            "number or percentage",
            "So many promises that will be broken are worth a message: `5`, or `20%` of those due. At least one.",
        ),
        "within": ("duration", "How far it looks ahead, on the promises' own clock (hours of their calendar)."),
        "pace": (
            "duration",
            "The last so much work time tells the pace, 15m to 24h; `min_count` must be done in it (10).",
        ),
        "sure": ("percentage", "How probable it must be that at least so many will be late, 50% to 99%."),
        "estimate": (
            "`queue`, `history`",
            (
                "From the work ahead, done in the order due. Or from how long such waits usually "
                "last, at the present pace: what will not be kept the way the team works."
            ),
        ),
    },
    Topic: {
        "by": ("list of dimensions", "The configured segment whose values are topics."),
        "window": ("duration", "The rolling window that is looked at, up to 7d."),
        "weeks": ("number", "How many past weeks, the same days and hours of each, tell what is usual, 2 to 12."),
        "signals": (
            "list",
            "`volume` (its share of new tickets), `reopens` (of its solved tickets), `escalations` (of its new ones).",
        ),
        "times": ("number", "How many times its usual share is worth a message."),
        "at_least": (
            "number",
            "New tickets of the topic within the window, at least; 5 of them reopened or escalated.",
        ),
        "false": (
            "percentage",
            "The share of alerts that may be chance although many topics are looked at at once, up to 20%.",
        ),
    },
    Pair: {
        "long": ("duration", "Shows that it matters."),
        "short": ("duration", "Shows that it still goes on, and ends it soon."),
        "rate": (
            "number",
            "How many times faster than the budget lasts; never asked to be more than 80 % of the possible.",
        ),
    },
}
"""What each type of rule has of its own."""

TYPE: Final = ("name", "The kind of rule.")


def keys(model: type[BaseModel]) -> dict[str, tuple[str, str]]:
    """Every key of a kind of rule, in its order."""
    known = {**COMMON, "type": TYPE, **OWN[model]} if model is not Pair else OWN[model]
    return {name: known[name] for name in model.model_fields}


def own(model: type[BaseModel]) -> Iterator[str]:
    """The keys that are its own."""
    return (name for name in model.model_fields if name in OWN[model])
