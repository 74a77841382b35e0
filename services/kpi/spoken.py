"""KPIs and their statistics as people say them: ``first response time``, ``90 % within``."""

from __future__ import annotations

from typing import Final

_NAMES: Final = {
    "csat": "CSAT",
    "ces": "CES",
    "nps": "NPS",
    "qa_score": "QA score",
    "sla_attainment": "SLA attainment",
    "sla_breach_rate": "SLA breach rate",
}
_STATISTICS: Final = {
    "mean_s": "mean",
    "p50_s": "median",
    "p90_s": "90 % within",
    "p95_s": "95 % within",
    "ratio": "",
    "count": "",
    "age_s": "",
}


def kpi(name: str) -> str:
    """``first response time``, within a sentence."""
    return _NAMES.get(name, name.replace("_", " "))


def titled(name: str) -> str:
    """``First response time``, at the beginning of a line."""
    text = kpi(name)
    return text[0].upper() + text[1:]


def statistic(path: str) -> str:
    """Which number of a reading it is, where that needs saying: ``90 % within``, ``mean (pending)``."""
    where, _, name = path.rpartition(".")
    part = where.replace("_", " ").replace(".", ", ")
    said = _STATISTICS.get(name, name.replace("_", " "))
    return " ".join(word for word in (said, f"({part})" if part else "") if word)
