"""The life of an alert of a rule: what verdicts, people and time make of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.alert import Alert, AlertState, Transition
from schemas.instant import SECOND_US, from_datetime, to_datetime
from services.alerts import look, state
from services.alerts.judge.verdict import Verdict
from services.alerts.phase import REST, Memory, Phase, advance, held_us, is_open, retire
from services.alerts.state import Refusal, Step
from services.config.rule import Rule
from tests.support.rules import DOCUMENT, UNKNOWN, bad, good, rule

START_US = 1_770_000_000 * SECOND_US
MINUTE = 60


class Segment:
    """One segment of a rule over time."""

    def __init__(self, of: Rule) -> None:
        self.rule = of
        self.memory = Memory()
        self.alert: Alert | None = None
        self.told: list[Transition] = []

    def at(self, minute: float, verdict: Verdict, **how: Any) -> Phase:
        done = advance(self.rule, "team:a", self.memory, self.alert, verdict, us(minute), **how)
        self.memory = done.memory
        if done.step is not None:
            assert done.step.before is self.alert
            self.alert = done.step.after
            assert done.step.event is not None
            self.told.append(done.step.event.transition)
        return self.memory.phase

    def by_hand(self, step: Step | Refusal) -> None:
        assert isinstance(step, Step)
        self.alert = step.after


def us(minute: float) -> int:
    return START_US + round(minute * MINUTE * SECOND_US)


def test_it_is_pending_until_it_was_bad_for_long_enough() -> None:
    segment = Segment(rule(kpi="backlog", above=5, for_="10m"))
    assert segment.at(0, bad()) is Phase.PENDING
    assert segment.at(9, bad()) is Phase.PENDING
    assert segment.at(10, bad()) is Phase.FIRING
    assert segment.told == [Transition.FIRED]
    assert segment.alert is not None
    assert from_datetime(segment.alert.starts_at) == us(0), "it began when it was bad first"
    assert segment.alert.labels == {
        "rule": "a-rule",
        "type": "threshold",
        "metric": "backlog",
        "severity": "warning",
        "team": "a",
    }
    assert segment.alert.runbook == "docs/runbooks/kpi-alert.md"


def test_one_good_look_ends_what_is_only_pending() -> None:
    segment = Segment(rule(kpi="backlog", above=5, for_="10m"))
    segment.at(0, bad())
    assert segment.at(5, good()) is Phase.QUIET
    assert segment.at(12, bad()) is Phase.PENDING
    assert segment.told == []


def test_it_ends_when_it_was_good_for_long_enough() -> None:
    segment = Segment(rule(kpi="backlog", above=5, keep="5m"))
    segment.at(0, bad())
    assert segment.at(1, good()) is Phase.ENDING
    assert segment.at(3, bad()) is Phase.FIRING
    assert segment.at(4, good()) is Phase.ENDING
    assert segment.at(9, good()) is Phase.QUIET
    assert segment.told == [Transition.FIRED, Transition.CLEARED]
    assert segment.alert is not None
    assert segment.alert.detail == "It is not high."


def test_without_data_nothing_fires_and_nothing_ends() -> None:
    segment = Segment(rule(kpi="backlog", above=5, for_="10m"))
    segment.at(0, bad())
    assert segment.at(10, UNKNOWN) is Phase.UNKNOWN
    assert segment.at(11, bad()) is Phase.FIRING, "a short gap does not begin it anew"
    for minute in (12, 60, 6000):
        assert segment.at(minute, UNKNOWN) is Phase.FIRING
    assert segment.told == [Transition.FIRED]


def test_what_was_pending_begins_anew_after_a_long_time_without_data() -> None:
    segment = Segment(rule(kpi="backlog", above=5, for_="10m"))
    segment.at(0, bad())
    segment.at(1, UNKNOWN)
    segment.at(500, UNKNOWN)
    assert segment.at(501, bad()) is Phase.PENDING


def test_what_somebody_ended_fires_again_only_after_it_was_good() -> None:
    segment = Segment(rule(kpi="backlog", above=5))
    segment.at(0, bad())
    assert segment.alert is not None
    segment.by_hand(state.resolve(segment.alert, "ana", to_datetime(us(1))))
    assert segment.at(2, bad()) is Phase.ENDED_BY_HAND
    assert segment.at(3, good()) is Phase.QUIET
    assert segment.at(4, bad()) is Phase.FIRING
    assert segment.told == [Transition.FIRED, Transition.FIRED]


def test_an_acknowledged_or_snoozed_alert_ends_when_it_is_good() -> None:
    for act in (
        lambda alert: state.acknowledge(alert, "ana", to_datetime(us(1))),
        lambda alert: state.snooze(alert, "ana", to_datetime(us(100)), to_datetime(us(1))),
    ):
        segment = Segment(rule(kpi="backlog", above=5))
        segment.at(0, bad())
        segment.by_hand(act(segment.alert))
        assert segment.at(2, bad()) is Phase.FIRING
        assert segment.at(3, good()) is Phase.QUIET
        assert segment.alert is not None
        assert segment.alert.state is AlertState.RESOLVED
        assert segment.alert.snoozed_until is None
        assert segment.told == [Transition.FIRED, Transition.CLEARED]


def test_what_comes_and_goes_becomes_one_long_alert() -> None:
    segment = Segment(rule(kpi="backlog", above=5))
    for minute in range(0, 24 * 60, 4):
        segment.at(minute, bad())
        segment.at(minute + 2, good())
    fired = segment.told.count(Transition.FIRED)
    assert fired <= 4, "360 times bad for two minutes within a day"
    assert held_us(segment.rule, segment.memory.fired_us) >= 2 * MINUTE * SECOND_US


def test_what_comes_and_goes_says_so_and_for_how_long_it_is_held() -> None:
    segment = Segment(rule(kpi="backlog", above=5))
    details = []
    for minute in range(0, 24, 4):
        segment.at(minute, bad())
        assert segment.alert is not None
        if not details or segment.alert.starts_at != details[-1][0]:
            details.append((segment.alert.starts_at, segment.alert.detail))
        segment.at(minute + 2, good())
    said = ["comes and goes" in detail for _, detail in details]
    assert said == [False, False, True], "and the third one does not end"
    assert "(fired 3 times within a day), so it is held open until it was good for 2 min." in details[2][1]


def test_being_good_for_a_day_makes_it_as_quick_as_at_first() -> None:
    segment = Segment(rule(kpi="backlog", above=5))
    for minute in range(0, 40, 4):
        segment.at(minute, bad())
        segment.at(minute + 2, good())
    segment.at(2 * 24 * 60, good())
    segment.at(3 * 24 * 60, bad())
    assert segment.at(3 * 24 * 60 + 1, good()) is Phase.QUIET


def test_the_same_beginning_gives_the_same_alert() -> None:
    one, two = (Segment(rule(kpi="backlog", above=5, for_="10m")) for _ in range(2))
    for segment in (one, two):
        segment.at(0, bad())
    one.at(10, bad())
    two.at(17, bad())
    assert one.alert is not None
    assert two.alert is not None
    assert one.alert.alert_id == two.alert.alert_id, "who takes over later gives it the same id"


def test_an_alert_of_a_removed_rule_ends_with_that_reason() -> None:
    segment = Segment(rule(kpi="backlog", above=5))
    segment.at(0, bad())
    assert segment.alert is not None
    step = retire(segment.alert, us(1))
    assert (step.after.state, step.after.reason) == (AlertState.RESOLVED, Transition.RULE_REMOVED)


class Team:
    """All segments of a rule over time."""

    def __init__(self, of: Rule, cuts: list[list[str]]) -> None:
        self.rule = of
        self.cuts = cuts
        self.memories: dict[str, Memory] = {}
        self.alerts: dict[str, Alert] = {}

    def at(self, minute: float, verdicts: Mapping[str, Verdict]) -> list[tuple[str, Transition]]:
        found = [segment for segment in verdicts if segment != "all"]
        above = look.segments(self.rule, found, self.cuts)
        given = {segment: verdicts.get(segment, good()) for segment in above}
        seen = look.Look(given, self.memories, self.alerts, {})
        outcome = look.taken(self.rule, above, seen, us(minute))
        self.memories = outcome.memories
        for segment, step in outcome.steps:
            self.alerts[segment] = step.after
        return [(segment, step.after.reason) for segment, step in outcome.steps]

    def open(self) -> set[str]:
        return {segment for segment, alert in self.alerts.items() if is_open(alert)}


def test_an_alert_of_the_whole_holds_back_those_of_its_parts() -> None:
    team = Team(rule(kpi="csat", below="80%", by=["team"]), [["team"]])
    assert team.at(0, {"all": bad(), "team:a": bad(), "team:b": bad()}) == [("all", Transition.FIRED)]
    assert team.memories["team:a"].phase is Phase.HELD_BACK
    assert team.at(1, {"all": good(), "team:a": bad(), "team:b": good()}) == [
        ("all", Transition.CLEARED),
        ("team:a", Transition.FIRED),
    ]


def test_an_alert_of_a_team_holds_back_those_of_its_agents_and_no_others() -> None:
    team = Team(rule(kpi="csat", below="80%", by=["team", "agent"]), [["team"], ["team", "agent"]])
    verdicts = {"team:a,agent:1": bad(), "team:a,agent:2": bad(), "team:b,agent:3": bad(), "team:b,agent:4": good()}
    above = look.segments(team.rule, list(verdicts), team.cuts)
    assert list(above)[:3] == ["all", "team:a", "team:b"], "wider ones first"
    seen = look.Look({s: verdicts.get(s, bad() if s == "team:a" else good()) for s in above}, {}, {}, {})
    assert [segment for segment, _ in look.taken(team.rule, above, seen, us(0)).steps] == ["team:a", "team:b,agent:3"]


def test_beyond_the_most_values_one_line_stands_for_the_rest() -> None:
    team = Team(rule(kpi="backlog", above=5, by=["team"], most=3), DOCUMENT.segments)  # type: ignore[arg-type]
    storm = {f"team:{n}": bad(excess=n) for n in range(10)}
    fired = team.at(0, storm)
    assert {segment for segment, _ in fired} == {"team:9", "team:8", "team:7", REST}
    rest = team.alerts[REST]
    assert rest.title == "Backlog too high: 7 more beside the 3 worst"
    assert rest.detail.endswith("Also: team 6, team 5, team 4, team 3, team 2, team 1, team 0.")
    assert team.at(1, storm) == [], "nothing new, nothing told"
    calm = {segment: bad() if segment == "team:9" else good() for segment in storm}
    team.at(2, calm)
    assert team.open() == {"team:9"}
