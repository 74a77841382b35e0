"""One look of a rule at all of its segments, as pure steps: verdicts in, what to remember and to do out.

Wider segments come first, since an open alert of a whole holds back those of its parts. Of the parts at most the
rule's ``most`` may fire, the worst first; one line stands for the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from schemas.alert import Alert
from services.alerts import evidence
from services.alerts.judge import words
from services.alerts.judge.verdict import Judgement, Verdict, Why
from services.alerts.phase import REST, Advance, Memory, Phase, advance, is_open
from services.alerts.state import Step
from services.config.rule import ALL, Rule

NAMED: Final = 10
"""Values that the line of the rest names."""
_NEW: Final = Memory()


@dataclass(frozen=True, slots=True)
class Look:
    """What is known before: verdicts by segment, what was remembered, and the newest alerts."""

    verdicts: Mapping[str, Verdict]
    memories: Mapping[str, Memory]
    alerts: Mapping[str, Alert]
    queries: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What to remember, and the steps, with the segment of each, in the order in which they are to be taken."""

    memories: dict[str, Memory]
    steps: list[tuple[str, Step]]


def segments(rule: Rule, found: Sequence[str], cuts: Sequence[Sequence[str]]) -> dict[str, list[str]]:
    """What the rule looks at: each segment with the wider ones that can hold it back, these first."""
    if not rule.by or not rule.wide:
        return {segment: [] for segment in found}
    above = {segment: evidence.wider(segment, cuts, rule.by) for segment in found}
    wide: dict[str, list[str]] = {ALL: []} if found else {}
    for names in above.values():
        for number, name in enumerate(names):
            wide.setdefault(name, names[:number])
    return wide | above


def taken(rule: Rule, above: Mapping[str, Sequence[str]], look: Look, at_us: int) -> Outcome:
    """Every segment from this look to the next."""
    outcome = Outcome({}, [])
    opened = {segment for segment, alert in look.alerts.items() if is_open(alert)}
    wide = {name for names in above.values() for name in names}
    parts = [segment for segment in above if segment not in wide]
    for segment in above:
        if segment in wide:
            held = any(name in opened for name in above[segment])
            _take(rule, segment, look, at_us, held, outcome, opened)
    ranked = sorted(
        (segment for segment in parts if look.verdicts[segment].judgement is Judgement.BAD),
        key=lambda segment: (segment not in opened, -look.verdicts[segment].excess, segment),
    )
    over = set(ranked[rule.most :]) - opened if rule.by else set()
    left = []
    for segment in parts:
        inhibited = any(name in opened for name in above[segment])
        held = inhibited or segment in over
        memory = _take(rule, segment, look, at_us, held, outcome, opened)
        if memory.phase is Phase.HELD_BACK and not inhibited:
            left.append(segment)
    if rule.by and (left or REST in look.memories):
        rest = Look({REST: _rest(rule, left, look)}, look.memories, look.alerts, look.queries)
        _take(rule, REST, rest, at_us, False, outcome, opened)
    return outcome


def _take(rule: Rule, segment: str, look: Look, at_us: int, held: bool, outcome: Outcome, opened: set[str]) -> Memory:
    memory, verdict = look.memories.get(segment, _NEW), look.verdicts[segment]
    alert, query = look.alerts.get(segment), look.queries.get(segment)
    done: Advance = advance(rule, segment, memory, alert, verdict, at_us, held_back=held, query=query)
    outcome.memories[segment] = done.memory
    if done.step is not None:
        outcome.steps.append((segment, done.step))
        (opened.add if is_open(done.step.after) else opened.discard)(segment)
    return done.memory


def _rest(rule: Rule, left: Sequence[str], look: Look) -> Verdict:
    if not left:
        return Verdict(
            Judgement.GOOD, Why.WITHIN, 0.0, title="", said="Every value that is bad has its own alert again."
        )
    ranked = sorted(left, key=lambda segment: (-look.verdicts[segment].excess, segment))
    named = ", ".join(words.where(segment) for segment in ranked[:NAMED])
    more = f" and {len(left) - NAMED} more" if len(left) > NAMED else ""
    first = look.verdicts[ranked[0]]
    what = first.title.partition(":")[0]
    return Verdict(
        Judgement.BAD,
        Why.BEYOND,
        float(len(left)),
        title=f"{what}: {len(left)} more beside the {rule.most} worst",
        said=f"So many are bad at once that only the {rule.most} worst have an alert of their own. "
        f"Also: {named}{more}.",
    )
