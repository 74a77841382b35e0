"""The verdict for people: plain words first, numbers after."""

from __future__ import annotations

from typing import Final

from schemas.alert import Cause
from services.alerts.explain.cause import LEAST, PERSON, Cut, Finding, Load, Seen
from services.alerts.explain.contribution import Contribution
from services.alerts.explain.quantity import Kind
from services.alerts.explain.question import Question
from services.alerts.judge import words
from services.config.amount import told
from services.config.duration import written
from services.config.rule import statistics
from services.kpi import spoken

_PLAIN: Final = {
    Cause.LOAD_ON_EVERYBODY: "The load on everybody: there is more work than before, and no part stands out.",
    Cause.EVERYWHERE: "It is so everywhere, and not for load: look at what all share, such as a release or an outage.",
    Cause.AS_BEFORE: "It was no better {earlier}: look at what is always so, not at what changed.",
    Cause.UNCLEAR: "No single cause is to be seen: parts moved in different ways.",
    Cause.TOO_FEW: "Too few cases to tell why.",
    Cause.NOTHING_TO_COMPARE: "Nothing to compare with: {earlier} nothing was counted, or it is no longer kept.",
}


def said(question: Question, seen: Seen, finding: Finding) -> str:
    """A few sentences about ``finding``."""
    earlier = f"{written(question.ago_s)} earlier"
    parts = [_plain(seen, finding, earlier)]
    if finding.cause is Cause.TOO_FEW:
        now, then = seen.own
        parts.append(f"{words.cases(now.cases)}, {then.cases} {earlier}; at least {LEAST} are needed in both.")
        return " ".join(parts)
    if seen.now is not None and seen.then is not None:
        unit = statistics(question.kpi.name)[question.statistic].unit
        name = spoken.titled(question.kpi.name)
        parts.append(
            f"{name} {told(seen.now, unit)} over {written(question.window_s)}, {told(seen.then, unit)} {earlier}."
        )
        parts.append(work(seen.load))
    return " ".join(part for part in parts if part)


def where(segment: str) -> str:
    """``team billing``, ``tickets without a team``."""
    head, _, last = segment.rpartition(",")
    name, colon, value = last.partition(":")
    if colon and not value:
        return f"tickets without a {name}" + (f" ({words.where(head)})" if head else "")
    return words.where(segment)


def work(load: Load) -> str:
    """The load in numbers."""
    return (
        f"Tickets created: {load.created}, then {load.created_then}; backlog: {load.backlog}, then {load.backlog_then}."
    )


def _plain(seen: Seen, finding: Finding, earlier: str) -> str:
    cut, part = finding.cut, finding.part
    if cut is None or part is None:
        return _PLAIN[finding.cause].format(earlier=earlier)
    place = where(part.segment)
    share = _share(seen, finding.cause, cut, part)
    match finding.cause:
        case Cause.LOAD_ON_ONE:
            return f"More work came in one place: {place} got more than the others, and brings {share} of the change."
        case Cause.MIX:
            moved = "larger" if part.shift > 0 else "smaller"
            return (
                f"Other work than before: the shares moved, and not how each fares. "
                f"Above all {place} has a {moved} share; shares bring {share} of the change."
            )
        case _ if cut.dimension == PERSON:
            return f"No team or queue explains it. Ask about the work of {place}, where {share} of the change is."
        case _:
            return f"It is in one place: {place} brings {share} of the change, without more work than others got."


def _share(seen: Seen, cause: Cause, cut: Cut, part: Contribution) -> str:
    own = part.change if seen.kind is Kind.COUNT else part.rate
    brought = cut.volume if cause is Cause.MIX else own
    share = brought / cut.change
    return "all" if 0.995 <= share <= 1.005 else "more than all" if share > 1 else f"{share * 100:.0f} %"
