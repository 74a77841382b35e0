"""Rules and verdicts for tests."""

from __future__ import annotations

from typing import Any

from services.alerts.judge.verdict import Judgement, Verdict, Why
from services.alerts.rulebook import read
from services.config.document import Document, parse
from services.config.rule import Rule

DOCUMENT: Document = parse("segments: [[team], [source], [team, agent], [tag]]", {})


def rule(kind: str = "threshold", **fields: Any) -> Rule:
    """A rule of ``kind``; ``for_`` stands for ``for``."""
    if "for_" in fields:
        fields["for"] = fields.pop("for_")
    entry = read(DOCUMENT, {"name": "a-rule", "type": kind, **fields})
    assert entry.rule is not None, entry.problems
    return entry.rule


def bad(value: float = 9.0, excess: float = 1.0) -> Verdict:
    return Verdict(Judgement.BAD, Why.BEYOND, value, 5.0, "Backlog too high: team a", "It is high.", excess)


def good(value: float = 3.0) -> Verdict:
    return Verdict(Judgement.GOOD, Why.WITHIN, value, 5.0, "Backlog too high: team a", "It is not high.")


UNKNOWN = Verdict(Judgement.UNKNOWN, Why.TOO_FEW, said="Only 1 case.")
