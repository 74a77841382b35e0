"""The words that all verdicts share."""

from __future__ import annotations

from typing import Final

from services.config.amount import Unit, told
from services.config.duration import written
from services.config.rule import ALL, Rule
from services.kpi import spoken

_LENGTHS: Final = {86_400: "day", 604_800: "week"}


def kpi(rule: Rule) -> str:
    """``first response time``."""
    return spoken.kpi(rule.kpi)


def subject(rule: Rule, segment: str) -> str:
    """What a sentence is about: ``first response time of team billing``, ``number of tickets created (team sales)``."""
    if rule.kpi.startswith("tickets_"):
        return f"number of {kpi(rule)} ({where(segment)})"
    return f"{kpi(rule)} of {where(segment)}"


def where(segment: str) -> str:
    """``team billing``; of everything: ``all tickets``."""
    return "all tickets" if segment == ALL else ", ".join(part.replace(":", " ", 1) for part in segment.split(","))


def titled(text: str, segment: str) -> str:
    """A title: what is the matter, and with whom."""
    return f"{text[0].upper()}{text[1:]}: {where(segment)}"


def statistic(rule: Rule) -> str:
    """Which number it is, where that needs saying: ``90 % within``."""
    return spoken.statistic(rule.statistic)


def value(rule: Rule, number: float) -> str:
    """The number with its unit."""
    return told(number, rule.unit)


def numbered(rule: Rule, number: float) -> str:
    """``90 % within 2 h 40 min``, ``84 %``."""
    name = statistic(rule)
    return f"{name} {value(rule, number)}" if name else value(rule, number)


def span(seconds: int) -> str:
    """A length of time: ``1 h``, ``7 d``."""
    return written(seconds)


def periods(count: int, length_s: int) -> str:
    """``21 days``, ``12 weeks``."""
    noun = _LENGTHS.get(length_s, written(length_s))
    return f"{count} {noun}" + ("s" if count != 1 else "")


def proof(rule: Rule, count: int) -> str:
    """``; 34 cases``; nothing of a count, which says it already."""
    return "" if rule.unit is Unit.COUNT else f"; {cases(count)}"


def cases(count: int) -> str:
    """``34 cases``."""
    return f"{count} case" + ("s" if count != 1 else "")
