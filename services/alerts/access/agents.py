"""What is about single agents, and so not for everybody: the system is pointed at before a person is."""

from __future__ import annotations

from schemas.alert import Alert


def about_an_agent(alert: Alert) -> bool:
    """Whether it is of a rule that judges single agents. A ticket's own alert names who holds it, and judges nobody."""
    return "rule" in alert.labels and "agent" in alert.labels


def per_agent(segment: str) -> bool:
    """Whether a segment, or a cut, is about single agents."""
    return any(part.partition(":")[0] == "agent" for part in segment.split(","))
