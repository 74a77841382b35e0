"""An explanation as JSON and as text: what the API answers and what the command prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from schemas.instant import SECOND_US, to_rfc3339
from schemas.sla import SlaMetric
from services.fold.explain import Change, Explanation, Step
from services.fold.life import Life, reads

Shown = dict[str, Any]


def as_json(told: Explanation, metric: SlaMetric | None = None) -> Shown:
    """The whole explanation; with ``metric``, only what concerns timers of it. Durations are seconds."""
    return {
        "as_of": to_rfc3339(told.as_of_us),
        "source": told.ticket.source,
        "ticket_id": told.ticket.ticket_id,
        "notes": list(told.notes),
        "timers": [_life(life) for life in told.lives if metric in (None, life.timer.metric)],
        "not_promised": [
            {"metric": name.value, "why": why} for name, why in told.unpromised.items() if metric in (None, name)
        ],
        "steps": [_step(step, metric) for step in told.steps],
    }


def as_text(shown: Shown) -> Iterator[str]:
    """The lines of what :func:`as_json` made: the sentence for each timer, then step by step."""
    yield f"{shown['source']} ticket {shown['ticket_id']} at {shown['as_of']}"
    yield ""
    yield from shown["notes"]
    yield from (timer["summary"] for timer in shown["timers"])
    yield from (f"{one['metric']}: not promised. {one['why']}" for one in shown["not_promised"])
    yield ""
    for step in shown["steps"]:
        yield f"{step['at']}  {step['what']}"
        if step["ignored"]:
            yield f"    {step['ignored']}"
        for change in step["timers"]:
            name = change["metric"] + (f" {change['cycle']}" if change["cycle"] > 1 else "")
            yield f"    {name}: {change['before'] or 'none'} -> {change['after'] or 'none'}. {change['why']}"
            numbers = [f"elapsed {change['elapsed_s']:g} s of {change['target_s']:g} s"]
            numbers.append(f"{change['wall_clock_s']:g} s by the wall clock")
            numbers += [f"{key} {change[key]}" for key in ("due_at", "breach_after", "breached_at") if change[key]]
            yield f"      {', '.join(numbers)}"


def _life(life: Life) -> Shown:
    timer = life.timer
    return {
        "metric": timer.metric.value,
        "cycle": timer.cycle,
        "state": "cancelled" if life.cancelled_us is not None else reads(timer).value,
        "summary": life.summary,
        "policy": timer.policy,
        "target_s": timer.target_us / SECOND_US,
        "calendar": timer.calendar,
        "began_at": to_rfc3339(life.began_us),
        "promised_at": to_rfc3339(life.promised_us),
        "due_at": _instant(timer.due_us),
        "breach_after": _instant(timer.breach_after_us),
        "breached_at": _instant(timer.breached_us),
        "ended_at": _instant(life.ended_us),
        "pauses": [{"from": to_rfc3339(a), "to": _instant(b), "on": what} for a, b, what in life.pauses],
        "warnings": [{"at": to_rfc3339(at_us), "threshold": threshold} for at_us, threshold in life.warnings],
        "uncounted": [{"at": to_rfc3339(at_us), "by": who} for at_us, who in life.uncounted],
    }


def _step(step: Step, metric: SlaMetric | None) -> Shown:
    return {
        "at": to_rfc3339(step.at_us),
        "what": step.what,
        "kind": step.fact.kind.value if step.fact is not None else None,
        "event_id": str(UUID(bytes=step.fact.event_id)) if step.fact is not None else None,
        "ignored": step.ignored,
        "timers": [_change(change) for change in step.changes if metric in (None, change.timer.metric)],
    }


def _change(change: Change) -> Shown:
    timer = change.timer
    return {
        "metric": timer.metric.value,
        "cycle": timer.cycle,
        "happened": [one.value for one in change.happened],
        "why": change.why,
        "before": change.before.value if change.before is not None else None,
        "after": change.after.value if change.after is not None else None,
        "elapsed_s": change.elapsed_us / SECOND_US,
        "wall_clock_s": change.wall_us / SECOND_US,
        "policy": timer.policy,
        "target_s": timer.target_us / SECOND_US,
        "calendar": timer.calendar,
        "due_at": _instant(timer.due_us),
        "breach_after": _instant(timer.breach_after_us),
        "breached_at": _instant(timer.breached_us),
        "threshold": change.threshold,
    }


def _instant(at_us: int | None) -> str | None:
    return to_rfc3339(at_us) if at_us is not None else None
