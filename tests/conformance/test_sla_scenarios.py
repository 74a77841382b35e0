"""SLA scenarios of other systems: the fold and its timers against expected states at given instants."""

from __future__ import annotations

import json
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
from tests.conformance.cases import folder

METRICS = {
    "first_reply": SlaMetric.FIRST_RESPONSE,
    "next_reply": SlaMetric.NEXT_RESPONSE,
    "resolution": SlaMetric.RESOLUTION,
    "total_resolution": SlaMetric.RESOLUTION,
    "requester_wait": SlaMetric.REQUESTER_WAIT,
    "agent_work": SlaMetric.AGENT_WORK,
}
STATES = {Mode.RUNNING: "active", Mode.PAUSED: "paused", Mode.MET: "fulfilled"}
MINUTE_US = 60_000_000


def scenarios() -> list[Any]:
    found = folder()
    if found is None:
        return []
    return [
        pytest.param(scenario, loaded["calendars"], id=scenario["id"])
        for path in sorted(found.glob("sla_scenarios*.json"))
        for loaded in [json.loads(path.read_text())]
        for scenario in loaded["scenarios"]
    ]


pytestmark = pytest.mark.skipif(folder() is None, reason="DESKPULSE_CASES names no folder of cases")


@pytest.mark.parametrize(("scenario", "calendars"), scenarios())
def test_timers_read_what_the_scenario_expects(scenario: dict[str, Any], calendars: dict[str, Any]) -> None:
    simulated = Simulation(scenario, calendars)
    for check in scenario["checks"]:
        timer = simulated.at(instant(check["at"]), METRICS[check["metric"]])
        expected = {k: v for k, v in check.items() if k not in ("at", "metric", "canonical", "tolerance_seconds")}
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
        self._shown_at = 0

    def at(self, at_us: int, metric: SlaMetric) -> Timer | None:
        promises = dict(self._promises)
        ticket = Ticket("case", "1")
        for number, event in enumerate(self._events):
            when_us = instant(event["at"])
            if when_us > at_us:
                break
            promises = changed(promises, event)
            ticket, _ = step(ticket, fact(event, number, when_us), self._rules(promises))
        self.rules = self._rules(promises)
        if any(e["type"] == "ticket.deleted" and instant(e["at"]) <= at_us for e in self._events):
            return None
        return next((timer for timer in reversed(ticket.timers) if timer.metric is metric), None)

    def shown(self, timer: Timer | None, at_us: int) -> dict[str, Any]:
        if timer is None:
            return {"state": "cancelled" if self._deleted(at_us) else "none"}
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

    def _deleted(self, at_us: int) -> bool:
        return any(e["type"] == "ticket.deleted" and instant(e["at"]) <= at_us for e in self._events)

    def _rules(self, promises: dict[SlaMetric, Promise]) -> Rules:
        return Rules(calendars=self._calendars, fixed=promises)


def written(at_us: int) -> str:
    return to_datetime(at_us).isoformat().replace("+00:00", "Z")


def changed(promises: dict[SlaMetric, Promise], event: dict[str, Any]) -> dict[SlaMetric, Promise]:
    if event["type"] == "sla.removed":
        return {}
    if event["type"] != "sla.target_changed":
        return promises
    named = METRICS[event["metric"]] if "metric" in event else None
    return {
        metric: Promise(
            metric=metric,
            policy="case",
            target_us=event["target_minutes"] * MINUTE_US if named in (None, metric) else promise.target_us,
            calendar_name=promise.calendar_name,
            pauses=promise.pauses,
            from_first_message=promise.from_first_message,
        )
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
    elif event["type"] == "ticket.deleted":
        kind = Kind.DELETED
    return Fact(at_us=at_us, sequence=number, event_id=number.to_bytes(16, "big"), kind=kind, stated=stated, **extra)
