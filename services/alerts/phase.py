"""The life of an alert of a rule, as pure steps: what a verdict makes of how a segment stands.

``pending`` while it is bad for less than the rule's ``for``, then firing; good for ``keep``, then resolved. What people
do to the alert (``services.alerts.state``) is between the two. ``unknown`` fires nothing and ends nothing.

- An alert that was ended by hand fires again only after it was good once.
- What comes and goes stays open longer each time (:func:`held_us`), so that it is one alert and not many.
- A segment is held back while the alert of a wider one is open: the whole is the news, not its parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from schemas.alert import Alert, AlertState, Transition
from schemas.instant import SECOND_US, from_datetime, to_datetime
from schemas.ticket import event_id
from services.alerts.judge.verdict import Judgement, Verdict
from services.alerts.state import Step, stepped
from services.config.duration import written
from services.config.rule import ALL, Recognition, Rule
from services.config.segment import values as segment_values

REST: Final = "@rest"
"""The segment of the one line that stands for all that the rule's ``most`` leaves out."""
RUNBOOK: Final = "docs/runbooks/kpi-alert.md"
DAY_US: Final = 86_400 * SECOND_US
_CALM: Final = 2
"""So often a day an alert may fire before it counts as one that comes and goes."""
_MINUTE_US: Final = 60 * SECOND_US
_LONGEST_HELD_US: Final = 4 * 3600 * SECOND_US
_FORGOTTEN_US: Final = 10 * _MINUTE_US
"""After so long without data what was pending begins anew."""


class Phase(StrEnum):
    """How a segment stands with a rule. Log field and API value."""

    QUIET = "quiet"
    PENDING = "pending"
    FIRING = "firing"
    HELD_BACK = "held_back"
    """Bad for long enough, and a wider segment's alert is open."""
    ENDED_BY_HAND = "ended_by_hand"
    """Still bad after somebody ended the alert: it fires again only after it was good."""
    ENDING = "ending"
    """Good, and not for long enough."""
    UNKNOWN = "unknown"


class Memory(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is remembered of one segment of one rule from look to look. Instants in microseconds."""

    bad_us: int | None = None
    good_us: int | None = None
    unknown_us: int | None = None
    fired_us: tuple[int, ...] = ()
    phase: Phase = Phase.UNKNOWN
    why: str = ""
    value: float | None = None
    baseline: float | None = None
    said: str = ""
    at_us: int = 0


@dataclass(frozen=True, slots=True)
class Advance:
    """From a look to the next: what to remember, and the step of the alert, if there is one."""

    memory: Memory
    step: Step | None


def fingerprint(rule: str, segment: str) -> str:
    """What an alert of a rule is about."""
    return f"rule:{rule}:{segment}"


def is_open(alert: Alert | None) -> bool:
    """Whether the alert is not over."""
    return alert is not None and alert.state is not AlertState.RESOLVED


def advance(
    rule: Rule,
    segment: str,
    memory: Memory,
    alert: Alert | None,
    verdict: Verdict,
    at_us: int,
    *,
    held_back: bool = False,
    query: str | None = None,
) -> Advance:
    """What ``verdict`` makes of ``segment``. ``alert`` is the newest of its fingerprint; ``at_us`` the present."""
    known = replace(
        memory,
        why=verdict.why.value,
        value=verdict.value,
        baseline=verdict.baseline,
        said=verdict.said,
        at_us=at_us,
        unknown_us=None,
    )
    match verdict.judgement:
        case Judgement.UNKNOWN:
            since = memory.unknown_us if memory.unknown_us is not None else at_us
            lost = not is_open(alert) and at_us - since > max(rule.for_s * SECOND_US, _FORGOTTEN_US)
            bad_us = None if lost else memory.bad_us
            phase = Phase.FIRING if is_open(alert) else Phase.UNKNOWN
            return Advance(replace(known, unknown_us=since, bad_us=bad_us, phase=phase), None)
        case Judgement.BAD:
            return _bad(rule, segment, known, alert, verdict, at_us, held_back, query)
        case Judgement.GOOD:
            return _good(rule, known, alert, verdict, at_us)


def retire(alert: Alert, at_us: int) -> Step:
    """Its rule is gone, or no longer looks at its segment."""
    at = to_datetime(at_us)
    changed = replace(alert, state=AlertState.RESOLVED, ends_at=at, snoozed_until=None)
    return stepped(alert, changed, Transition.RULE_REMOVED, at)


def held_us(rule: Rule, fired_us: tuple[int, ...]) -> int:
    """How long it must be good to end: the rule's ``keep``, and where it has fired more than twice in a day at least a
    minute, doubled with every further time, up to four hours."""
    keep_us = rule.keep_s * SECOND_US
    again = len(fired_us) - _CALM
    if again <= 0:
        return keep_us
    held: int = max(keep_us, _MINUTE_US) * 2 ** min(again, 16)
    return max(keep_us, min(held, _LONGEST_HELD_US))


def _bad(
    rule: Rule,
    segment: str,
    known: Memory,
    alert: Alert | None,
    verdict: Verdict,
    at_us: int,
    held_back: bool,
    query: str | None,
) -> Advance:
    since = known.bad_us if known.bad_us is not None else at_us
    known = replace(known, bad_us=since, good_us=None)
    if is_open(alert):
        return Advance(replace(known, phase=Phase.FIRING), None)
    if _ended_by_hand(alert, since):
        return Advance(replace(known, phase=Phase.ENDED_BY_HAND), None)
    if at_us - since < rule.for_s * SECOND_US:
        return Advance(replace(known, phase=Phase.PENDING), None)
    if held_back:
        return Advance(replace(known, phase=Phase.HELD_BACK), None)
    recent = tuple(us for us in known.fired_us if us > at_us - DAY_US)
    fired = replace(known, phase=Phase.FIRING, fired_us=(*recent, at_us))
    opened = _opened(rule, segment, verdict, since, at_us, query, fired.fired_us)
    return Advance(fired, stepped(alert, opened, Transition.FIRED, to_datetime(at_us)))


def _good(rule: Rule, known: Memory, alert: Alert | None, verdict: Verdict, at_us: int) -> Advance:
    since = known.good_us if known.good_us is not None else at_us
    recent = tuple(us for us in known.fired_us if us > at_us - DAY_US)
    known = replace(known, good_us=since, fired_us=recent)
    if alert is None or not is_open(alert):
        return Advance(replace(known, bad_us=None, phase=Phase.QUIET), None)
    if at_us - since < held_us(rule, recent):
        return Advance(replace(known, phase=Phase.ENDING), None)
    at = to_datetime(at_us)
    changed = replace(
        alert,
        state=AlertState.RESOLVED,
        detail=verdict.said,
        value=verdict.value,
        baseline=verdict.baseline,
        ends_at=at,
        snoozed_until=None,
    )
    return Advance(replace(known, bad_us=None, phase=Phase.QUIET), stepped(alert, changed, Transition.CLEARED, at))


def _ended_by_hand(alert: Alert | None, bad_us: int) -> bool:
    """Whether somebody ended it while it was as bad as it still is."""
    if alert is None or alert.reason is not Transition.RESOLVED_BY_HAND or alert.ends_at is None:
        return False
    return bad_us <= from_datetime(alert.ends_at)


def _opened(
    rule: Rule,
    segment: str,
    verdict: Verdict,
    since_us: int,
    at_us: int,
    query: str | None,
    fired_us: tuple[int, ...],
) -> Alert:
    """A new alert. Its id is that of rule, segment and beginning: whoever takes over gives it the same. ``fired_us`` is
    when it fired within a day, this time included: of what comes and goes it says so, and how long it is held."""
    name = fingerprint(rule.name, segment)
    at = to_datetime(at_us)
    parts = [verdict.said, rule.description]
    if len(fired_us) > _CALM:
        held = written(held_us(rule, fired_us) / SECOND_US)
        parts.append(
            f"It comes and goes (fired {len(fired_us)} times within a day), "
            f"so it is held open until it was good for {held}."
        )
    words = " ".join(part for part in parts if part)
    return Alert(
        alert_id=event_id("rules", name, str(since_us)),
        fingerprint=name,
        state=AlertState.FIRING,
        severity=rule.severity,
        reason=Transition.FIRED,
        title=verdict.title,
        detail=words,
        labels=labels(rule, segment),
        starts_at=to_datetime(since_us),
        updated_at=at,
        revision=0,
        version=0,
        detected_at=at,
        runbook=rule.runbook or RUNBOOK,
        value=verdict.value,
        baseline=verdict.baseline,
        query=query,
        evidence=verdict.evidence,
    )


def labels(rule: Rule, segment: str) -> dict[str, str]:
    """What routes match: the rule's own, what it is, and the values of the segment."""
    found = dict(rule.labels)
    found |= {"rule": rule.name, "type": rule.type, "metric": rule.kpi, "severity": rule.severity.value}
    return found | ({} if segment in (ALL, REST) else segment_values(segment))


def praises(rule: Rule) -> bool:
    """Whether it is a win: its end is nobody's news."""
    return isinstance(rule, Recognition)
