"""Rules as they are written: what is taken, and what is said about the rest."""

from __future__ import annotations

from typing import Any

import pytest

from services.alerts.rulebook import read
from services.config.amount import Amount, Unit, difference, level, told
from services.config.document import ConfigInvalid, Document, parse
from services.config.rule import TYPES, Threshold, statistics
from services.kpi.catalogue import KPIS

DOCUMENT = parse("segments: [[team], [source], [team, priority], [tag]]", {})

GOOD: dict[str, dict[str, Any]] = {
    "threshold": {"kpi": "first_response_time", "above": "2h", "clear": "90m", "for": "10m", "by": ["team"]},
    "change": {"kpi": "tickets_created", "rises": "50%", "window": "24h"},
    "trend": {"kpi": "csat", "falls": "10%", "min_count": 3},
    "anomaly": {"kpi": "tickets_created", "direction": "high", "at_least": 10},
    "burn_rate": {"kpi": "csat", "objective": "90%", "segment": "team:billing,priority:high"},
    "stale": {},
    "recognition": {"kpi": "csat", "streak": 4, "above": "95%"},
    "predicted_breach": {"above": "20%", "within": "2h", "estimate": "history", "by": ["team", "priority"]},
    "topic": {"times": 2.5, "signals": ["volume", "reopens"], "at_least": 15},
}

BAD = [
    ("threshold", {"kpi": "happiness", "above": 1}, "kpi: there is no KPI 'happiness'; there is: tickets_created,"),
    ("threshold", {"kpi": "csat", "statistic": "p90_s", "above": 1}, "statistic: csat has no 'p90_s'; there is: ratio"),
    ("threshold", {"kpi": "csat"}, "above: give 'above' or 'below', one of the two"),
    ("threshold", {"kpi": "csat", "below": "4h"}, "below: '4h' is no share; write 90% or 0.9"),
    ("threshold", {"kpi": "csat", "below": "90%", "clear": "80%"}, "clear: it must lie above the level that fires"),
    ("threshold", {"kpi": "backlog", "above": 9, "by": ["agent"]}, "by: ['agent'] is no configured segment"),
    ("threshold", {"kpi": "backlog", "above": 9, "segment": "tier:vip"}, "segment: ['tier'] is no configured segment"),
    ("threshold", {"kpi": "backlog", "above": 9, "segment": "vip"}, "segment: 'vip' is no segment; write"),
    ("threshold", {"kpi": "backlog", "above": 9, "window": "15s"}, "window: '15s' is no multiple of 10s"),
    ("threshold", {"kpi": "backlog", "above": 9, "colour": "red"}, "colour: a rule of this type has no such field"),
    ("threshold", {"kpi": "backlog", "above": 9, "for": "soon"}, "for: 'soon' is not a duration"),
    ("change", {"kpi": "csat"}, "rises: give 'rises' or 'falls'"),
    ("change", {"kpi": "csat", "falls": "0%"}, "falls: a change is more than nothing"),
    ("trend", {"kpi": "csat", "falls": "5%", "period": "1h"}, "period: Input should be '1d' or '7d'"),
    ("anomaly", {"kpi": "csat", "window": "2d"}, "window: at most 1d"),
    ("burn_rate", {"kpi": "csat"}, "objective: it is needed"),
    ("burn_rate", {"kpi": "backlog", "objective": "90%"}, "statistic: an objective needs a ratio"),
    ("burn_rate", {"kpi": "csat", "objective": "100%"}, "objective: '100%' is no share under 100 %"),
    ("stale", {"kpi": "csat"}, "statistic: silence is told from counts"),
    ("recognition", {"kpi": "csat"}, "best_of: give 'best_of'"),
    ("recognition", {"kpi": "csat", "streak": 4}, "streak: it goes with 'above' or 'below'"),
    ("predicted_breach", {}, "above: it is needed"),
    ("predicted_breach", {"above": "120%"}, "above: a share of the promises that are due lies under 100 %"),
    ("predicted_breach", {"above": "2h"}, "above: '2h' is no number; write it without a unit"),
    ("predicted_breach", {"above": 5, "kpi": "csat"}, "kpi: 'csat' has no promises that wait for it; one of first_"),
    ("predicted_breach", {"above": 5, "statistic": "p90_s"}, "statistic: leave it out; tickets are predicted"),
    ("predicted_breach", {"above": 5, "sure": "30%"}, "sure: '30%' is no share between 50% and 99%"),
    ("predicted_breach", {"above": 5, "pace": "5m"}, "pace: at least 15m"),
    ("predicted_breach", {"above": 5, "estimate": "oracle"}, "estimate: Input should be 'queue' or 'history'"),
    ("topic", {"by": ["tier"]}, "by: ['tier'] is no configured segment"),
    ("topic", {"segment": "tag:login"}, "by: "),
    ("topic", {"signals": ["volume", "volume"]}, "signals: name each once"),
    ("topic", {"false": "50%"}, "false: '50%' is no share up to 20%"),
    ("topic", {"window": "14d"}, "window: at most 7d"),
    ("topic", {"kpi": "csat"}, "kpi: Input should be 'tickets_created'"),
    ("alarm", {"kpi": "csat"}, "type: 'alarm' is no kind of rule; one of threshold"),
    (None, {"kpi": "csat"}, "type: say what kind of rule it is; one of threshold"),
]


@pytest.mark.parametrize("kind", TYPES)
def test_every_kind_of_rule_can_be_written_in_the_file_and_over_the_api(kind: str) -> None:
    body = {"name": "a-rule", "type": kind, **GOOD[kind]}
    entry = read(DOCUMENT, body)
    assert entry.problems == ()
    assert entry.rule is not None
    again = read(DOCUMENT, entry.given)
    assert again.rule == entry.rule
    assert Document.model_validate({"segments": DOCUMENT.segments, "rules": [body]}).rules == (entry.rule,)


@pytest.mark.parametrize(("kind", "fields", "said"), BAD)
def test_a_mistake_is_named_with_its_field_and_the_fix(kind: str | None, fields: dict[str, Any], said: str) -> None:
    body = {"name": "a-rule", **({"type": kind} if kind else {}), **fields}
    entry = read(DOCUMENT, body)
    assert entry.rule is None
    assert [problem for problem in entry.problems if problem.startswith(said)], entry.problems


def test_a_mistake_in_the_file_is_named_with_its_line() -> None:
    text = """
sources: {}
rules:
  - {name: fine, type: threshold, kpi: backlog, above: 40}
  - name: wrong
    type: threshold
    kpi: csat
    below: 4h
  - {name: fine, type: threshold, kpi: backlog, above: 50}
"""
    with pytest.raises(ConfigInvalid) as found:
        parse(text, {})
    assert found.value.problems == ["rules[1].below (line 8): '4h' is no share; write 90% or 0.9"]
    with pytest.raises(ConfigInvalid) as found:
        parse(text.replace("4h", "40%"), {})
    assert found.value.problems == [
        "rules[2].name (line 9): 'fine' is used twice; names identify a rule in alerts",
    ]


def test_amounts_are_read_in_the_unit_of_the_statistic() -> None:
    assert level("2h", Unit.SECONDS) == 7200
    assert level("92.5%", Unit.SHARE) == 0.925
    assert level(40, Unit.COUNT) == 40
    assert difference("10%", Unit.SHARE) == Amount(0.1, relative=False), "points of a ratio"
    assert difference("50%", Unit.SECONDS) == Amount(0.5, relative=True)
    assert difference("30m", Unit.SECONDS) == Amount(1800, relative=False)
    assert [told(9600, Unit.SECONDS), told(0.924, Unit.SHARE), told(140, Unit.COUNT)] == [
        "2 h 40 min",
        "92.4 %",
        "140",
    ]


def test_a_rule_is_judged_as_often_as_its_window_asks_for() -> None:
    paces = {"15m": 30, "1h": 30, "24h": 720, "28d": 3600}
    for window, every_s in paces.items():
        rule = read(DOCUMENT, {"name": "r", "type": "threshold", "kpi": "backlog", "above": 1, "window": window}).rule
        assert isinstance(rule, Threshold)
        assert rule.every_s == every_s


def test_a_count_of_the_whole_does_not_hold_back_its_parts_but_a_ratio_does() -> None:
    count = read(DOCUMENT, {"name": "r", "type": "threshold", "kpi": "backlog", "above": 1, "by": ["team"]}).rule
    ratio = read(DOCUMENT, {"name": "r", "type": "threshold", "kpi": "csat", "below": 0.8, "by": ["team"]}).rule
    assert count is not None
    assert ratio is not None
    assert (count.wide, ratio.wide) == (False, True)


@pytest.mark.parametrize("kpi", KPIS)
def test_every_kpi_can_have_a_rule_without_naming_a_statistic(kpi: str) -> None:
    entry = read(DOCUMENT, {"name": "r", "type": "threshold", "kpi": kpi, "above": 0.5})
    assert entry.rule is not None, entry.problems
    assert entry.rule.statistic in statistics(kpi)


def test_the_unit_and_the_evidence_of_a_statistic_are_those_of_its_reading() -> None:
    asked = [
        ("first_response_time", "business.p90_s", Unit.SECONDS, 5),
        ("backlog", "by_status.pending", Unit.COUNT, 0),
        ("oldest_ticket_age", "age_s", Unit.SECONDS, 0),
        ("qa_score", "mean", Unit.SHARE, 5),
        ("nps", "score", Unit.NUMBER, 5),
        ("sla_attainment", "by_metric.first_response.ratio", Unit.SHARE, 5),
    ]
    for kpi, statistic, unit, evidence in asked:
        entry = read(DOCUMENT, {"name": "r", "type": "threshold", "kpi": kpi, "statistic": statistic, "above": 0.5})
        assert entry.rule is not None, entry.problems
        assert (entry.rule.unit, entry.rule.evidence) == (unit, evidence), kpi
