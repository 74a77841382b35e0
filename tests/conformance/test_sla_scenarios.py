"""SLA scenarios of other systems: the fold and its timers against expected states at given instants."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from schemas.instant import from_datetime, parse_rfc3339, to_datetime
from schemas.sla import SlaMetric
from schemas.state import Fact, Mode, Stated, Ticket, Timer
from schemas.ticket import ActorKind, Kind, Status, Visibility
from services.fold import sla
from services.fold.calendar import Calendar
from services.fold.rules import Promise, Rules
from services.fold.ticket import step
from tests.conformance.cases import documents

METRICS = {
    "first_reply": SlaMetric.FIRST_RESPONSE,
    "next_reply": SlaMetric.NEXT_RESPONSE,
    "resolution": SlaMetric.RESOLUTION,
    "total_resolution": SlaMetric.RESOLUTION,
    "requester_wait": SlaMetric.REQUESTER_WAIT,
    "agent_work": SlaMetric.AGENT_WORK,
    "periodic_update": SlaMetric.PERIODIC_UPDATE,
    "pausable_update": SlaMetric.PAUSABLE_UPDATE,
    "group_ownership": SlaMetric.GROUP_OWNERSHIP,
}
STATES = {Mode.RUNNING: "active", Mode.PAUSED: "paused", Mode.MET: "fulfilled"}
MINUTE_US = 60_000_000

HOURS = {"business", "calendar"}
PROFILES = {"canonical", "chatwoot"}
SCENARIO = {"id", "source", "derivation", "title", "profile", "calendar", "metrics", "events", "checks"}
SCENARIO_TOO = {"notes", "canonical_agrees", "source_asserts", "adaptation"}
METRIC = {"name", "target_minutes", "hours", "pause_on"}
METRIC_TOO = {"from_first"}
EVENTS: dict[str, tuple[set[str], set[str]]] = {
    "ticket.created": (set(), {"status", "by"}),
    "comment": ({"author", "public"}, {"automated"}),
    "status.changed": ({"to"}, set()),
    "sla.target_changed": ({"target_minutes"}, {"metric"}),
    "sla.removed": (set(), set()),
    "assignee.changed": ({"to"}, set()),
    "group.changed": ({"to"}, set()),
    "ticket.deleted": (set(), set()),
    "ticket.restored": (set(), set()),
    "ticket.merged": (set(), set()),
}
"""What each kind of event must and may say besides its time."""
SHOWN = {"state", "due_at", "elapsed_minutes", "breached", "over_by_minutes", "cycle", "breach_after", "fulfilled_at"}
CHECK = {"at", "metric"}


def scenarios() -> list[Any]:
    return [
        pytest.param(scenario, loaded["calendars"], id=scenario["id"])
        for loaded in documents("scenarios")
        for scenario in loaded["scenarios"]
    ]


@pytest.mark.skipif(not scenarios(), reason="DESKPULSE_CASES names no SLA scenarios")
@pytest.mark.parametrize(("scenario", "calendars"), scenarios())
def test_timers_read_what_the_scenario_expects(scenario: dict[str, Any], calendars: dict[str, Any]) -> None:
    understood(scenario)
    simulated = Simulation(scenario, calendars)
    for check in scenario["checks"]:
        timer = simulated.at(instant(check["at"]), METRICS[check["metric"]])
        expected = {name: value for name, value in check.items() if name in SHOWN}
        if not scenario.get("canonical_agrees", True) or scenario["profile"] != "canonical":
            expected = {}
        expected |= check.get("canonical", {})
        shown = simulated.shown(timer, instant(check["at"]))
        tolerance = check.get("tolerance_seconds", 1) / 60
        for name, value in expected.items():
            if name in ("elapsed_minutes", "over_by_minutes"):
                assert shown[name] == pytest.approx(value, abs=max(tolerance, 0.001)), name
            else:
                assert shown.get(name) == value, name


def understood(scenario: dict[str, Any]) -> None:
    """Fails on anything that this runner would not use, so that no case passes by being half read."""
    fits(scenario, SCENARIO, SCENARIO_TOO, "the scenario")
    known(scenario["profile"], PROFILES, "profile")
    for metric in scenario["metrics"]:
        fits(metric, METRIC, METRIC_TOO, "a metric")
        known(metric["name"], METRICS, "metric")
        known(metric["hours"], HOURS, "hours")
    for event in scenario["events"]:
        known(event["type"], EVENTS, "event")
        must, may = EVENTS[event["type"]]
        fits(event, {"at", "type", *must}, may, event["type"])
    promised = {metric["name"] for metric in scenario["metrics"]}
    for check in scenario["checks"]:
        fits(check, CHECK, {*SHOWN, "canonical", "tolerance_seconds"}, "a check")
        known(check["metric"], promised, "metric of a check")
        fits(check.get("canonical", {}), set(), SHOWN, "a canonical answer")


def fits(given: dict[str, Any], must: set[str], may: set[str], what: str) -> None:
    assert must <= given.keys(), f"{what} lacks {sorted(must - given.keys())}"
    assert given.keys() <= must | may, f"{what} says what the runner does not know: {sorted(given.keys() - must - may)}"


def known(name: str, names: Iterable[str], what: str) -> None:
    assert name in names, f"unknown {what}: {name} (known are {', '.join(sorted(names))})"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"metrics": [{"name": "nap_time", "target_minutes": 1, "hours": "business", "pause_on": []}]}, "nap_time"),
        ({"metrics": [{"name": "resolution", "target_minutes": 1, "hours": "lunar", "pause_on": []}]}, "lunar"),
        ({"events": [{"at": "2026-03-02T09:00:00Z", "type": "ticket.sneezed"}]}, "ticket.sneezed"),
        ({"events": [{"at": "2026-03-02T09:00:00Z", "type": "sla.removed", "loudly": True}]}, "loudly"),
        ({"checks": [{"at": "2026-03-02T09:00:00Z", "metric": "resolution", "mood": "calm"}]}, "mood"),
        ({"checks": [{"at": "2026-03-02T09:00:00Z", "metric": "first_reply"}]}, "first_reply"),
        ({"weather": "fine"}, "weather"),
    ],
)
def test_a_case_that_says_what_the_runner_does_not_know_fails_by_name(change: dict[str, Any], complaint: str) -> None:
    scenario = dict.fromkeys(SCENARIO, "") | {"profile": "canonical", "events": [], "checks": []}
    scenario["metrics"] = [{"name": "resolution", "target_minutes": 1, "hours": "business", "pause_on": []}]
    understood(scenario)
    with pytest.raises(AssertionError, match=complaint):
        understood(scenario | change)


def instant(text: str) -> int:
    return from_datetime(parse_rfc3339(text))


class Simulation:
    """The scenario's events folded up to an instant, with the scenario's promises in force."""

    def __init__(self, scenario: dict[str, Any], calendars: dict[str, Any]) -> None:
        self._events = scenario["events"]
        name = scenario["calendar"]
        self._calendars = {name: Calendar.from_mapping(name, calendars[name])}
        self._promises = {
            METRICS[metric["name"]]: Promise(
                metric=METRICS[metric["name"]],
                policy="case",
                target_us=metric["target_minutes"] * MINUTE_US,
                calendar_name=name if metric["hours"] == "business" else None,
                pauses=frozenset(Status(status.replace("-", "_")) for status in metric["pause_on"]),
                from_first_message=metric.get("from_first", False),
            )
            for metric in scenario["metrics"]
        }
        self.gone = False

    def at(self, at_us: int, metric: SlaMetric) -> Timer | None:
        self.rules = self._rules(dict(self._promises))
        ticket = Ticket("case", "1")
        for number, event in enumerate(self._events):
            when_us = instant(event["at"])
            if when_us > at_us:
                break
            if event["type"] in ("sla.target_changed", "sla.removed"):
                old, self.rules = self.rules, self._rules(changed(self.rules.fixed or {}, event))
                ticket = sla.reevaluated(ticket, when_us, old, self.rules, retarget=True)
            else:
                ticket, _ = step(ticket, fact(event, number, when_us), self.rules)
        self.gone = ticket.gone is not None
        if self.gone:
            return None
        return next((timer for timer in reversed(ticket.timers) if timer.metric is metric), None)

    def shown(self, timer: Timer | None, at_us: int) -> dict[str, Any]:
        if timer is None:
            return {"state": "cancelled" if self.gone else "none"}
        timer = sla.latched(timer, at_us)
        elapsed_us = sla.elapsed(timer, at_us, self.rules)
        shown: dict[str, Any] = {
            "state": STATES[timer.mode],
            "elapsed_minutes": elapsed_us / MINUTE_US,
            "breached": timer.breached_us is not None,
            "cycle": timer.cycle,
            "over_by_minutes": max(0, elapsed_us - timer.target_us) / MINUTE_US,
            "due_at": None,
        }
        if timer.due_us is not None and timer.breach_after_us is not None:
            shown["due_at"] = written(timer.due_us)
            shown["breach_after"] = written(timer.breach_after_us)
        if timer.mode is Mode.MET:
            shown["fulfilled_at"] = written(timer.since_us)
        return shown

    def _rules(self, promises: dict[SlaMetric, Promise]) -> Rules:
        return Rules(calendars=self._calendars, fixed=promises)


def written(at_us: int) -> str:
    return to_datetime(at_us).isoformat().replace("+00:00", "Z")


def changed(promises: dict[SlaMetric, Promise], event: dict[str, Any]) -> dict[SlaMetric, Promise]:
    if event["type"] == "sla.removed":
        return {}
    named = METRICS[event["metric"]] if "metric" in event else None
    if event["target_minutes"] is None:
        return {metric: promise for metric, promise in promises.items() if named not in (None, metric)}
    return {
        metric: replace(promise, target_us=event["target_minutes"] * MINUTE_US) if named in (None, metric) else promise
        for metric, promise in promises.items()
    }


def fact(event: dict[str, Any], number: int, at_us: int) -> Fact:
    kind, stated, extra = Kind.UPDATED, Stated(), {}
    if event["type"] == "ticket.created":
        kind = Kind.CREATED
        stated = Stated(status=Status(event.get("status", "new").replace("-", "_")))
        extra = {"actor": ActorKind(event.get("by", "customer"))}
    elif event["type"] == "comment":
        kind = Kind.MESSAGE_ADDED
        author = ActorKind.BOT if event.get("automated") else ActorKind(event["author"])
        visibility = Visibility.PUBLIC if event["public"] else Visibility.PRIVATE
        extra = {"actor": author, "visibility": visibility}
    elif event["type"] == "status.changed":
        kind = Kind.STATUS_CHANGED
        stated = Stated(status=Status(event["to"].replace("-", "_")))
    elif event["type"] == "assignee.changed":
        kind, stated = Kind.ASSIGNMENT_CHANGED, Stated(agent=event["to"])
    elif event["type"] == "group.changed":
        kind, stated = Kind.ASSIGNMENT_CHANGED, Stated(team=event["to"])
    else:
        kind = {
            "ticket.deleted": Kind.DELETED,
            "ticket.restored": Kind.RESTORED,
            "ticket.merged": Kind.MERGED,
        }[event["type"]]
    return Fact(at_us=at_us, sequence=number, event_id=number.to_bytes(16, "big"), kind=kind, stated=stated, **extra)
