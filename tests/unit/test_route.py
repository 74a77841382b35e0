"""Who gets which message, and whether it is still worth sending."""

from datetime import UTC, datetime

import pytest

from schemas.alert import Alert, AlertEvent
from schemas.sla import SlaKind
from services.alerts import route, state
from services.alerts.route import Worth
from services.config.document import Route
from tests.support.sla import announcement

AT = datetime(2026, 3, 2, 10, 31, tzinfo=UTC)


def fired(kind: SlaKind, before: Alert | None = None, revision: int = 1) -> AlertEvent:
    step = state.decide(before, announcement(kind, revision), AT)
    assert step is not None
    assert step.event is not None
    return step.event


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ({}, True),
        ({"team": ("Billing", "Sales")}, True),
        ({"team": ("Sales",)}, False),
        ({"severity": ("critical",), "priority": ("urgent",)}, True),
        ({"severity": ("critical",), "priority": ("low",)}, False),
        ({"tier": ("vip",)}, False),
    ],
)
def test_a_route_takes_alerts_that_have_one_of_the_values_of_every_label_it_names(
    match: dict[str, tuple[str, ...]], fits: bool
) -> None:
    alert = fired(SlaKind.BREACHED).alert
    assert route.receivers([Route(receiver="pager", match=match)], alert) == (("pager",) if fits else ())


def test_every_matching_route_is_used_and_a_receiver_gets_one_message() -> None:
    routes = [
        Route(receiver="chat"),
        Route(receiver="pager", match={"severity": ("critical",)}),
        Route(receiver="chat", match={"team": ("Billing",)}),
    ]
    assert route.receivers(routes, fired(SlaKind.BREACHED).alert) == ("chat", "pager")
    assert route.receivers(routes, fired(SlaKind.WARNING).alert) == ("chat",)


def test_a_message_that_something_newer_has_overtaken_is_not_sent() -> None:
    warned = fired(SlaKind.WARNING)
    breached = fired(SlaKind.BREACHED, warned.alert, 2)
    assert route.worth(warned, warned.alert, told=False) is Worth.SEND
    assert route.worth(warned, breached.alert, told=False) is Worth.OVERTAKEN
    assert route.worth(warned, None, told=False) is Worth.OVERTAKEN


def test_only_those_who_heard_of_an_alert_hear_of_its_end() -> None:
    warned = fired(SlaKind.WARNING)
    ended = fired(SlaKind.FULFILLED, warned.alert, 2)
    assert route.worth(ended, ended.alert, told=True) is Worth.SEND
    assert route.worth(ended, ended.alert, told=False) is Worth.UNNEEDED
