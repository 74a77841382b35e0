"""The reference of every number, made from the catalogue that the code reads.

python -m services.kpi.reference > docs/kpis.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final

from schemas.sla import SlaKind, SlaMetric
from services.kpi.better import Better, better
from services.kpi.catalogue import AGES, KPIS, Kpi, Shape
from services.kpi.sketch import ALPHA
from services.kpi.window import resolutions

SHAPES: Final[dict[Shape, str]] = {
    Shape.COUNT: "a count",
    Shape.NET: "a number, below zero when more was solved than created",
    Shape.GAUGE: "a count at an instant",
    Shape.BACKLOG: "a count at an instant, `by_status`, and `by_age`: " + ", ".join(f"`{age}`" for age in AGES),
    Shape.AGE: "seconds at an instant, `age_s`",
    Shape.DURATION: "seconds: mean, p50, p90 and p95, on the clock and in business hours",
    Shape.DURATIONS: "for each of its parts, seconds: the mean, on the clock and in business hours",
    Shape.RATIO: "a share, 0 to 1, of so many cases",
    Shape.RATIOS: "for each of its parts, a share, 0 to 1, of so many cases",
    Shape.PROMISES: "a share, 0 to 1, of so many timer instances, of all metrics and `by_metric`",
    Shape.SHARE: "a share, 0 to 1, of so many agents",
    Shape.RETENTION: "a share, 0 to 1, of so many agents",
    Shape.MEAN: "a mean of so many cases",
    Shape.SCORE: "a score of so many answers, with its promoters and detractors",
}

METRICS: Final[dict[SlaMetric, str]] = {
    SlaMetric.FIRST_RESPONSE: (
        "From the ticket's creation to the first public reply of a human agent, or to its solving without one; one "
        "that is reopened unanswered owes it again, and the clock goes on where it was. Only for tickets whose "
        "creation was seen. Does not pause."
    ),
    SlaMetric.NEXT_RESPONSE: (
        "From the oldest unanswered public message of a customer to the next public reply of a human agent, or to the "
        "ticket's solving. Each such wait is an instance of its own (`cycle`). Begins after the first reply, unless "
        "`next_response_from: first_message`. Does not pause."
    ),
    SlaMetric.REQUESTER_WAIT: "Time in new, open and on hold, until solved; stands still on pending.",
    SlaMetric.AGENT_WORK: "Time in new and open, until solved; stands still on pending and on hold.",
    SlaMetric.RESOLUTION: (
        "From creation to solved, in every status before it. Goes on where it was when the ticket is reopened."
    ),
    SlaMetric.PERIODIC_UPDATE: (
        "From one public message of a human agent to the next one, or to the ticket's solving; begins with the first. "
        "Each such wait is an instance of its own (`cycle`). A message that comes with the solving promises no further "
        "one. Does not pause."
    ),
    SlaMetric.PAUSABLE_UPDATE: "As `periodic_update`, but stands still on pending.",
    SlaMetric.GROUP_OWNERSHIP: (
        "From a team's getting the ticket to its being handed to another team, or solved. Each stay is an instance of "
        "its own (`cycle`), and so is what follows a reopening. A stay whose beginning was not seen has none. Does not "
        "pause. Its target is that of the first matching policy that names it, apart from all other metrics."
    ),
}

KINDS: Final[dict[SlaKind, str]] = {
    SlaKind.WARNING: "A threshold of `warn_at` was reached; of several crossed at once only the highest is told.",
    SlaKind.BREACHED: "More than the target has passed. Exactly the target is kept.",
    SlaKind.FULFILLED: "What was warned of or breached has been done; `breached_at` tells whether too late.",
    SlaKind.CANCELLED: "The promise is no more: merged, deleted, or no policy makes it now.",
    SlaKind.RETRACTED: "What was told turned out not to have been: a reply or a pause became known later.",
}


def kpis() -> str:
    """The text of docs/kpis.md."""
    return "\n".join(_lines()) + "\n"


def prometheus(kpi: Kpi) -> str:
    """The name that the exporter gives to ``kpi``."""
    suffix = _SUFFIX.get(kpi.shape, "")
    if suffix == "_ratio" and kpi.name.endswith(("_rate", "_share")):
        suffix = ""
    return f"helpdesk_{kpi.name}{suffix}"


_SUFFIX: Final = {
    Shape.DURATION: "_seconds",
    Shape.DURATIONS: "_seconds",
    Shape.AGE: "_seconds",
    Shape.RATIO: "_ratio",
    Shape.RATIOS: "_ratio",
    Shape.PROMISES: "_ratio",
    Shape.SHARE: "_ratio",
    Shape.RETENTION: "_ratio",
    Shape.MEAN: "_mean",
}


def _lines() -> Iterator[str]:
    yield "# What the numbers mean"
    yield ""
    yield "<!-- Made by `python -m services.kpi.reference`; change it there or in the catalogue. -->"
    yield ""
    yield "## KPIs"
    yield ""
    yield (
        "Everything counts at the time at which it happened in the helpdesk, not at the time at which Deskpulse heard "
        "of it. A late, repeated or corrected event changes the numbers to what they would have been had everything "
        "come once and in order."
    )
    yield ""
    yield (
        "Business hours are those of the first SLA policy that fits the ticket and speaks of what the customer is "
        "promised, else those of `business_calendar`. When another calendar comes into force in mid-ticket, each "
        "stretch counts in the one that was in force then."
    )
    yield ""
    yield (
        "By segment, a case counts in the values that its ticket had then; in `none` where it had none. By `tag` it "
        "counts in each of the ticket's tags, so rows add up to more than the whole, and without a tag in no row."
    )
    for kpi in KPIS.values():
        yield ""
        yield f"### `{kpi.name}`"
        yield ""
        yield f"{kpi.summary} {kpi.definition}"
        yield ""
        parts = f" Parts: {', '.join(f'`{part}`' for part in kpi.parts)}." if kpi.parts else ""
        label = f" by `{kpi.label}`" if kpi.label else ""
        sense = better(kpi.name)
        told = "" if sense is Better.NEITHER else f" {sense.capitalize()} is better."
        yield f"Read as {SHAPES[kpi.shape]}.{parts} Prometheus: `{prometheus(kpi)}`{label}.{told}"
    yield ""
    yield "### Without a case"
    yield ""
    yield "Means, percentiles and shares are `null` when there is no case: nothing is not zero."
    yield ""
    yield "## Windows and percentiles"
    yield ""
    yield (
        "A window ends now. It is the sum of fixed buckets, so its end is exact to ten seconds and its start to the "
        "finest width that is still kept at its age:"
    )
    yield ""
    yield "| bucket | kept for, at least |"
    yield "|---|---|"
    yield from (f"| {width.name} | {_span(width.keep_s)} |" for width in resolutions(()))
    yield ""
    yield (
        "Longer windows keep more: hours up to 92 days, days for twice the longest window. Percentiles come from a "
        f"sketch with a relative error of at most {ALPHA:.0%}; they are exact unions over buckets, partitions and "
        "segments, never averages of averages."
    )
    yield ""
    yield "## SLA metrics"
    yield ""
    yield (
        "A policy gives each metric a target by priority, on the clock or in the hours of a calendar. A promise is "
        "broken when more than its target has passed: a target that is used up at closing time is broken only when "
        "the team has opened again. Bots, automations and private notes end no wait. A changed priority or policy "
        "keeps what has elapsed; what is over the new target at once is broken at that moment, not in the past. "
        "Clocks stand still while a ticket is deleted or merged."
    )
    yield ""
    yield "| metric | measures |"
    yield "|---|---|"
    yield from (f"| `{metric}` | {METRICS[metric]} |" for metric in SlaMetric)
    yield ""
    yield "## What is announced of them"
    yield ""
    yield "| event | meaning |"
    yield "|---|---|"
    yield from (f"| `{kind}` | {KINDS[kind]} |" for kind in SlaKind)
    yield ""
    yield (
        "`breached_at` is when the promise broke and `detected_at` when the clock of the log found it. History is "
        "never announced: no imported ticket, and nothing that broke before a ticket was first seen in mid-life."
    )


def _span(seconds: int) -> str:
    return f"{seconds // 86_400} days" if seconds >= 86_400 else f"{seconds // 3600} hours"


if __name__ == "__main__":
    sys.stdout.write(kpis())
