"""Any order and any number of copies of a timer's announcements end in the same standing."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from schemas.alert import Alert, AlertState, Severity
from schemas.sla import SlaEvent, SlaKind
from services.alerts import state
from services.alerts.state import Refusal
from tests.support.sla import DUE, FOUND, announcement

KINDS = st.lists(
    st.tuples(st.sampled_from(list(SlaKind)), st.booleans()),
    min_size=1,
    max_size=8,
)


def events(kinds: list[tuple[SlaKind, bool]]) -> list[SlaEvent]:
    return [
        announcement(
            kind,
            revision,
            detected_at=FOUND + timedelta(minutes=revision),
            breached_at=DUE if late and kind is SlaKind.FULFILLED else None,
        )
        for revision, (kind, late) in enumerate(kinds, start=1)
    ]


def standing(alert: Alert | None) -> object:
    assert alert is not None
    told = (alert.state, alert.reason if alert.state is AlertState.RESOLVED else None, alert.revision)
    if alert.state is AlertState.RESOLVED:
        return told
    return (*told, alert.severity, alert.title, alert.detail, alert.breached_at, alert.labels)


def played(announced: list[SlaEvent]) -> Alert | None:
    alert: Alert | None = None
    for event in announced:
        step = state.decide(alert, event, FOUND + timedelta(hours=1))
        if step is not None:
            alert = step.after
    return alert


@given(KINDS, st.data())
def test_order_and_copies_do_not_matter(kinds: list[tuple[SlaKind, bool]], data: st.DataObject) -> None:
    announced = events(kinds)
    copies = data.draw(st.lists(st.sampled_from(announced), max_size=6))
    shuffled = data.draw(st.permutations(announced + copies))
    assert standing(played(shuffled)) == standing(played(announced))


@given(KINDS, st.lists(st.sampled_from(["acknowledge", "snooze", "resolve", "wake"]), max_size=12), st.data())
def test_versions_count_transitions_and_resolved_is_left_by_no_action(
    kinds: list[tuple[SlaKind, bool]], actions: list[str], data: st.DataObject
) -> None:
    alert: Alert | None = None
    seen: dict[str, int] = {}
    at = FOUND
    todo: list[SlaEvent | str] = [*events(kinds), *actions]
    for item in data.draw(st.permutations(todo)):
        at += timedelta(minutes=20)
        if isinstance(item, SlaEvent):
            step = state.decide(alert, item, at)
        elif alert is None:
            continue
        else:
            result = {
                "acknowledge": lambda found, at: state.acknowledge(found, "ana", at),
                "snooze": lambda found, at: state.snooze(found, "ana", at + timedelta(minutes=30), at),
                "resolve": lambda found, at: state.resolve(found, "ana", at),
                "wake": state.wake,
            }[item](alert, at)
            if alert.state is AlertState.RESOLVED:
                assert result is None or result is Refusal.ALREADY_RESOLVED
            step = None if isinstance(result, Refusal) else result
        if step is None:
            continue
        after = step.after
        if step.event is not None:
            assert after.version == seen.get(after.alert_id, 0) + 1
            assert step.event.alert == after
            seen[after.alert_id] = after.version
        assert (after.state is AlertState.SNOOZED) == (after.snoozed_until is not None)
        assert (after.state is AlertState.RESOLVED) == (after.ends_at is not None)
        if after.state is not AlertState.RESOLVED:
            assert after.severity is (Severity.CRITICAL if after.breached_at else Severity.WARNING)
        alert = after
