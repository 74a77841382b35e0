"""A report in words: plain ones first, numbers after. Markdown here; channels give the same lines their own form."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from schemas.instant import to_datetime
from services.alerts.explain.sentence import where
from services.alerts.report.figures import named
from services.alerts.report.report import Figure, Report, Side
from services.kpi import spoken

_SIDES = {Side.OPERATIONS: "Operations, seven days", Side.PEOPLE: "People, seven days"}


@dataclass(frozen=True, slots=True)
class Line:
    """``url`` is where it can be looked at."""

    text: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A heading with what stands below it."""

    title: str
    lines: tuple[Line, ...]


def title(report: Report) -> str:
    """What it is, of whom and when."""
    day = to_datetime(report.due_us).astimezone(ZoneInfo(report.timezone)).strftime("%a %Y-%m-%d")
    scope = where(report.scope)
    return f"Digest of {scope}, {day}" + (f", for {report.leader}" if report.leader else "")


def period(report: Report) -> str:
    """Which time it tells of."""
    zone = ZoneInfo(report.timezone)
    since, until = (
        to_datetime(us).astimezone(zone).strftime("%a %Y-%m-%d %H:%M") for us in (report.since_us, report.until_us)
    )
    return f"{since} to {until} ({report.timezone}), beside the same time {_weeks(report.ago_s // 604_800)} earlier."


def parts(report: Report) -> list[Part]:
    """Everything below the headline; parts without anything to say are left out but for what changed."""
    changed = []
    for finding in report.changed:
        figure = finding.figure
        changed.append(Line(f"{named(figure.kpi, figure.segment, report.scope)} got worse: {figure.said}."))
        if finding.why is not None:
            changed.append(Line(f"Why: {finding.why}"))
        changed.append(Line(f"Ask: {finding.ask}"))
    changed += [Line(text) for text in report.noted]
    found = [Part("What changed", tuple(changed) or (Line("Nothing by more than chance makes."),))]
    found.append(Part("To praise", tuple(Line(win.said) for win in report.wins)))
    found.append(Part("Your focus", tuple(Line(f"{spoken.titled(focus.kpi)}: {focus.said}") for focus in report.focus)))
    if report.risks is not None:
        risks = report.risks
        found.append(Part("Open risks", (Line(risks.said), *(Line(one.said, one.url) for one in risks.tickets))))
    found += [Part(_SIDES[side], tuple(_scored(figure) for figure in report.scorecard[side])) for side in Side]
    if report.ahead is not None:
        found.append(Part("The coming week", tuple(Line(text) for text in report.ahead.said)))
    found.append(Part("Notes", tuple(Line(text) for text in report.notes)))
    return [part for part in found if part.lines]


def markdown(report: Report) -> str:
    """The whole report."""
    lines = [f"# {title(report)}", "", report.headline, "", period(report)]
    for part in parts(report):
        lines += ["", f"## {part.title}", ""]
        lines += [f"- {_escaped(line.text)}" + (f" ([open]({line.url}))" if line.url else "") for line in part.lines]
    return "\n".join(lines) + "\n"


def _weeks(count: int) -> str:
    return "a week" if count == 1 else f"{count} weeks"


def _scored(figure: Figure) -> Line:
    mark = {"better": " (better)", "worse": " (worse)"}.get(figure.verdict.value, "")
    return Line(f"{spoken.titled(figure.kpi)}: {figure.said}{mark}")


def _escaped(text: str) -> str:
    return text.replace("*", "\\*").replace("_", "\\_").replace("<", "&lt;")
