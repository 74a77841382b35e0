"""The life of an alert, step by step."""

from datetime import UTC, datetime, timedelta

import pytest

from schemas.alert import Alert, AlertState, Severity, Transition
from schemas.sla import SlaKind, SlaMetric
from services.alerts import state
from services.alerts.state import Refusal, Step
from tests.support.sla import DUE, FOUND, announcement

AT = datetime(2026, 3, 2, 10, 31, tzinfo=UTC)


def step(alert: Alert | None, kind: SlaKind, revision: int, **fields: object) -> Step:
    found = state.decide(alert, announcement(kind, revision, **fields), AT)  # type: ignore[arg-type]
    assert found is not None
    return found


def firing(kind: SlaKind = SlaKind.WARNING, revision: int = 1) -> Alert:
    return step(None, kind, revision).after


def changed(result: Step | Refusal) -> Alert:
    assert isinstance(result, Step)
    return result.after


def test_a_warning_fires_as_a_warning() -> None:
    found = step(None, SlaKind.WARNING, 1, threshold="75%")
    assert found.after.state is AlertState.FIRING
    assert found.after.severity is Severity.WARNING
    assert found.after.fingerprint == "zendesk:5158:first_response:1"
    assert found.after.title == "First response promise in danger: zendesk ticket 5158 (urgent, team Billing)"
    assert found.after.detail == ("The first answer is due 10:30 UTC. 11 min of 15 min are used up (warning at 75%).")
    assert found.after.runbook == "docs/runbooks/sla-warning.md"
    assert found.event is not None
    assert found.event.transition is Transition.WARNED
    assert found.event.previous is None


def test_a_breach_says_in_plain_words_what_was_promised_and_when_we_knew() -> None:
    alert = step(None, SlaKind.BREACHED, 1).after
    assert alert.severity is Severity.CRITICAL
    assert alert.title == "First response promise broken: zendesk ticket 5158 (urgent, team Billing)"
    assert alert.detail == "The first answer was due 10:30 UTC (target 15 min). No answer yet, found 0.2 s later."
    assert (alert.due_at, alert.breached_at, alert.detected_at) == (DUE, DUE, FOUND)
    assert alert.runbook == "docs/runbooks/sla-breach.md"
    assert alert.labels == {
        "source": "zendesk",
        "metric": "first_response",
        "policy": "vip",
        "severity": "critical",
        "priority": "urgent",
        "channel": "email",
        "team": "Billing",
    }


def test_a_deadline_of_another_day_is_told_with_its_date() -> None:
    alert = step(None, SlaKind.BREACHED, 1, detected_at=DUE + timedelta(days=1)).after
    assert "was due 2026-03-02 10:30 UTC" in alert.detail
    assert "found 1 d later" in alert.detail


def test_a_promise_in_business_hours_says_so() -> None:
    assert "(target 15 min of support hours)" in step(None, SlaKind.BREACHED, 1, calendar="support").after.detail


def test_a_breach_turns_the_warning_of_the_same_timer_into_a_critical_alert() -> None:
    warned = firing()
    found = step(warned, SlaKind.BREACHED, 2)
    assert found.after.alert_id == warned.alert_id
    assert found.after.severity is Severity.CRITICAL
    assert found.after.starts_at == warned.starts_at
    assert found.event is not None
    assert (found.event.transition, found.event.previous) == (Transition.BREACHED, AlertState.FIRING)


def test_an_acknowledged_warning_that_becomes_a_breach_fires_again() -> None:
    known = changed(state.acknowledge(firing(), "ana", AT))
    found = step(known, SlaKind.BREACHED, 2).after
    assert found.state is AlertState.FIRING
    assert found.acknowledged_by is None


def test_a_snoozed_warning_that_becomes_a_breach_fires_again() -> None:
    quiet = changed(state.snooze(firing(), "ana", AT + timedelta(hours=1), AT))
    found = step(quiet, SlaKind.BREACHED, 2).after
    assert found.state is AlertState.FIRING
    assert found.snoozed_until is None


@pytest.mark.parametrize("made", [AlertState.ACKNOWLEDGED, AlertState.SNOOZED])
def test_a_further_warning_leaves_what_people_decided(made: AlertState) -> None:
    if made is AlertState.ACKNOWLEDGED:
        known = changed(state.acknowledge(firing(), "ana", AT))
    else:
        known = changed(state.snooze(firing(), "ana", AT + timedelta(hours=1), AT))
    found = step(known, SlaKind.WARNING, 2, threshold="90%")
    assert found.after.state is made
    assert "warning at 90%" in found.after.detail
    assert found.event is not None
    assert found.event.transition is Transition.WARNED_AGAIN


@pytest.mark.parametrize(
    ("kind", "fields", "reason", "words"),
    [
        (
            SlaKind.FULFILLED,
            {"fulfilled_at": DUE - timedelta(minutes=2), "elapsed_s": 780},
            Transition.FULFILLED_IN_TIME,
            "Answered 10:28 UTC, in time (after 13 min, target 15 min).",
        ),
        (
            SlaKind.FULFILLED,
            {"fulfilled_at": DUE + timedelta(minutes=5), "breached_at": DUE, "elapsed_s": 1200},
            Transition.FULFILLED_LATE,
            "Answered 10:35 UTC, too late (after 20 min, target 15 min).",
        ),
        (SlaKind.CANCELLED, {"due_at": None}, Transition.CANCELLED, "Nothing is due any more"),
        (
            SlaKind.RETRACTED,
            {"fulfilled_at": DUE - timedelta(minutes=3)},
            Transition.RETRACTED,
            "News that came late shows that the answer had in fact come 10:27 UTC, in time",
        ),
        (SlaKind.RETRACTED, {}, Transition.RETRACTED, "shows that the promise was not broken"),
    ],
)
def test_an_alert_ends_and_says_how(kind: SlaKind, fields: dict[str, object], reason: Transition, words: str) -> None:
    found = step(firing(SlaKind.BREACHED), kind, 2, **fields)
    assert found.after.state is AlertState.RESOLVED
    assert found.after.reason is reason
    assert words in found.after.detail
    assert found.after.ends_at == FOUND
    assert found.after.severity is Severity.CRITICAL


def test_what_was_retracted_no_longer_says_that_a_promise_broke() -> None:
    assert step(firing(SlaKind.BREACHED), SlaKind.RETRACTED, 2).after.breached_at is None


@pytest.mark.parametrize("revision", [1, 2])
def test_what_was_seen_or_is_older_changes_nothing(revision: int) -> None:
    alert = firing(SlaKind.BREACHED, 2)
    assert state.decide(alert, announcement(SlaKind.WARNING, revision), AT) is None


def test_after_a_retraction_the_same_timer_can_fire_again_as_a_new_alert() -> None:
    retracted = step(firing(SlaKind.BREACHED), SlaKind.RETRACTED, 2).after
    again = step(retracted, SlaKind.BREACHED, 3)
    assert again.after.fingerprint == retracted.fingerprint
    assert again.after.alert_id != retracted.alert_id
    assert again.after.state is AlertState.FIRING
    assert again.event is not None
    assert again.event.previous is None


def test_what_ended_by_hand_stays_so_when_the_reply_comes() -> None:
    ended = changed(state.resolve(firing(SlaKind.BREACHED), "ana", AT))
    found = step(ended, SlaKind.FULFILLED, 2, breached_at=DUE)
    assert found.event is None
    assert found.after.reason is Transition.RESOLVED_BY_HAND
    assert found.after.revision == 2


def test_a_retraction_corrects_the_reason_of_a_resolved_alert() -> None:
    late = step(firing(SlaKind.BREACHED), SlaKind.FULFILLED, 2, breached_at=DUE).after
    corrected = step(late, SlaKind.RETRACTED, 3)
    assert corrected.after.state is AlertState.RESOLVED
    assert corrected.after.reason is Transition.RETRACTED
    assert corrected.event is not None


def test_an_end_without_a_beginning_is_recorded_and_makes_older_news_old() -> None:
    ended = step(None, SlaKind.FULFILLED, 3, breached_at=DUE).after
    assert ended.state is AlertState.RESOLVED
    assert state.decide(ended, announcement(SlaKind.BREACHED, 2), AT) is None


def test_the_same_announcement_gives_the_same_ids_on_every_machine() -> None:
    one, other = step(None, SlaKind.BREACHED, 1), step(None, SlaKind.BREACHED, 1)
    assert one.after.alert_id == other.after.alert_id
    assert one.event is not None
    assert other.event is not None
    assert one.event.event_id == other.event.event_id


def test_another_cycle_or_metric_is_another_alert() -> None:
    ids = {
        step(None, SlaKind.BREACHED, 1, cycle=cycle, metric=metric).after.alert_id
        for cycle in (1, 2)
        for metric in (SlaMetric.NEXT_RESPONSE, SlaMetric.RESOLUTION)
    }
    assert len(ids) == 4


def test_acknowledging_twice_by_the_same_person_changes_nothing() -> None:
    known = changed(state.acknowledge(firing(), "ana", AT))
    again = state.acknowledge(known, "ana", AT)
    assert isinstance(again, Step)
    assert again.event is None
    assert state.acknowledge(known, "ben", AT) is Refusal.ALREADY_ACKNOWLEDGED


def test_a_resolved_alert_takes_no_action() -> None:
    ended = changed(state.resolve(firing(), "ana", AT))
    later = AT + timedelta(hours=1)
    assert state.acknowledge(ended, "ana", AT) is Refusal.ALREADY_RESOLVED
    assert state.snooze(ended, "ana", later, AT) is Refusal.ALREADY_RESOLVED
    assert state.resolve(ended, "ana", AT) is Refusal.ALREADY_RESOLVED
    assert state.wake(ended, later) is None


@pytest.mark.parametrize(
    ("until", "refusal"),
    [(AT, Refusal.NOT_IN_THE_FUTURE), (AT + timedelta(days=31), Refusal.TOO_LONG)],
)
def test_a_snooze_ends_in_the_future_within_thirty_days(until: datetime, refusal: Refusal) -> None:
    assert state.snooze(firing(), "ana", until, AT) is refusal


def test_a_snoozed_alert_fires_when_its_time_has_come_and_not_before() -> None:
    until = AT + timedelta(hours=1)
    quiet = changed(state.snooze(firing(), "ana", until, AT))
    assert state.wake(quiet, until - timedelta(microseconds=1)) is None
    woken = state.wake(quiet, until)
    assert woken is not None
    assert woken.after.state is AlertState.FIRING
    assert woken.after.reason is Transition.SNOOZE_ENDED


def test_the_link_leads_to_the_ticket_when_the_source_has_one() -> None:
    found = state.decide(None, announcement(SlaKind.WARNING), AT, "https://desk.example/5158")
    assert found is not None
    assert found.after.evidence[0].url == "https://desk.example/5158"


def test_another_time_of_the_same_breach_corrects_the_alert_and_wakes_nobody_again() -> None:
    taken_on = changed(state.acknowledge(firing(SlaKind.BREACHED), "ana", AT))
    later = DUE + timedelta(minutes=5)
    found = step(taken_on, SlaKind.BREACHED, 2, breached_at=later)
    assert (found.after.state, found.after.reason) == (AlertState.ACKNOWLEDGED, Transition.ACKNOWLEDGED)
    assert (found.after.breached_at, found.after.acknowledged_by) == (later, "ana")
    assert found.event is not None
    assert found.event.transition is Transition.CORRECTED


def test_a_promise_that_was_kept_late_is_corrected_after_its_end() -> None:
    kept = step(firing(SlaKind.BREACHED), SlaKind.FULFILLED, 2, breached_at=DUE).after
    later = DUE + timedelta(minutes=1)
    found = step(kept, SlaKind.FULFILLED, 3, breached_at=later)
    assert (found.after.state, found.after.reason) == (AlertState.RESOLVED, Transition.FULFILLED_LATE)
    assert (found.after.breached_at, found.after.ends_at) == (later, kept.ends_at)
    assert found.event is not None
    assert found.event.transition is Transition.CORRECTED
