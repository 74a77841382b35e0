"""A dry run: when a rule would have fired and ended, from the buckets that are kept. Nothing is stored or sent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from schemas.alert import Alert, Transition
from schemas.instant import SECOND_US, from_datetime, to_rfc3339
from services.alerts import look
from services.alerts.judge import judging
from services.alerts.judge.verdict import Judgement
from services.alerts.phase import Memory, Phase, is_open
from services.alerts.sight import Sight
from services.config.rule import Rule

MOST_DAYS: Final = 90
MOST_SEGMENTS: Final = 50
"""Values of a cut that are rehearsed, the first by name."""
_MOST_LOOKS: Final = 1000
_STEPS_S: Final = (60, 300, 900, 3600, 10_800, 21_600, 43_200, 86_400)
_KEPT: Final = ((2, 60), (35, 3600))
"""So many days back, windows can end at multiples of so many seconds; before that at days."""


@dataclass(slots=True)
class Spell:
    """One alert, as it would have been. ``ended_us`` is ``None`` where it would still be open."""

    segment: str
    began_us: int
    fired_us: int
    ended_us: int | None
    value: float | None
    baseline: float | None
    title: str
    said: str
    ended_said: str | None = None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """``looks`` at ``segments`` every ``step_s``; ``unknown`` is the share of verdicts for which data was lacking."""

    rule: Rule
    since_us: int
    until_us: int
    step_s: int
    looks: int
    segments: int
    left_out: int
    unknown: float
    held_back: int
    spells: list[Spell]

    def shown(self) -> dict[str, Any]:
        """As JSON for people."""
        return {
            "rule": self.rule.name,
            "from": to_rfc3339(self.since_us),
            "to": to_rfc3339(self.until_us),
            "looked_every_s": self.step_s,
            "judged_live_every_s": self.rule.every_s,
            "looks": self.looks,
            "segments": self.segments,
            "segments_left_out": self.left_out,
            "unknown_share": round(self.unknown, 4),
            "held_back": self.held_back,
            "alerts": [
                {
                    "segment": spell.segment,
                    "began_at": to_rfc3339(spell.began_us),
                    "fired_at": to_rfc3339(spell.fired_us),
                    "ended_at": to_rfc3339(spell.ended_us) if spell.ended_us is not None else None,
                    "value": spell.value,
                    "baseline": spell.baseline,
                    "title": spell.title,
                    "detail": spell.said,
                    "ended_detail": spell.ended_said,
                }
                for spell in self.spells
            ],
        }


def step_s(rule: Rule, days: int) -> int:
    """How far apart the looks are: as near as the kept buckets and a bounded effort allow."""
    least = next((width for reach, width in _KEPT if days <= reach), 86_400)
    least = max(least, judging.kind(rule).tried_every_s)
    return next((s for s in _STEPS_S if s >= least and days * 86_400 // s <= _MOST_LOOKS), _STEPS_S[-1])


async def rehearse(rule: Rule, cuts: Sequence[Sequence[str]], sight: Sight, days: int, at_us: int) -> Rehearsal:
    """Judges ``rule`` over the last ``days``. Raises ``NotNow``."""
    every_s, until_s = step_s(rule, days), at_us // SECOND_US
    last_s = until_s // every_s * every_s
    instants = range(last_s - days * 86_400, last_s + 1, every_s)
    everything = await sight.segments(rule)
    found = everything[:MOST_SEGMENTS]
    above = look.segments(rule, found, cuts)
    seen = await sight.past(rule, list(above), instants, at_us)
    run = _Run(rule, above)
    for at_s in instants:
        await asyncio.sleep(0)  # others are served between any two looks
        run.look(at_s, seen[at_s])
    return Rehearsal(
        rule=rule,
        since_us=instants[0] * SECOND_US,
        until_us=last_s * SECOND_US,
        step_s=every_s,
        looks=len(instants),
        segments=len(found),
        left_out=len(everything) - len(found),
        unknown=run.unknown / max(1, run.verdicts),
        held_back=run.held_back,
        spells=run.spells,
    )


class _Run:
    """The rule from look to look, with memories and alerts that nobody keeps."""

    def __init__(self, rule: Rule, above: Mapping[str, Sequence[str]]) -> None:
        self.spells: list[Spell] = []
        self.verdicts = self.unknown = self.held_back = 0
        self._rule = rule
        self._above = above
        self._memories: dict[str, Memory] = {}
        self._alerts: dict[str, Alert] = {}
        self._open: dict[str, Spell] = {}

    def look(self, at_s: int, seen: Mapping[str, Any]) -> None:
        """One look at every segment."""
        firing = {segment for segment, alert in self._alerts.items() if is_open(alert)}
        verdicts = judging.judged(self._rule, self._above, seen, firing)
        self.verdicts += len(verdicts)
        self.unknown += sum(verdict.judgement is Judgement.UNKNOWN for verdict in verdicts.values())
        before = self._memories
        outcome = look.taken(self._rule, self._above, look.Look(verdicts, before, self._alerts, {}), at_s * SECOND_US)
        self.held_back += sum(
            memory.phase is Phase.HELD_BACK and before.get(segment, Memory()).phase is not Phase.HELD_BACK
            for segment, memory in outcome.memories.items()
        )
        self._memories = outcome.memories
        for segment, step in outcome.steps:
            alert = self._alerts[segment] = step.after
            if alert.reason is Transition.FIRED:
                began, fired = from_datetime(alert.starts_at), from_datetime(alert.updated_at)
                spell = Spell(segment, began, fired, None, alert.value, alert.baseline, alert.title, alert.detail)
                self._open[segment] = spell
                self.spells.append(spell)
            elif segment in self._open:
                spell = self._open.pop(segment)
                spell.ended_us, spell.ended_said = from_datetime(alert.updated_at), alert.detail
