"""Quiet hours: what waits, until when, and what comes through; nothing is lost."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from schemas.alert import Severity
from schemas.instant import from_datetime
from schemas.sla import SlaKind
from services.alerts.alerting import Alerting
from services.alerts.deliver import Deliverer
from services.alerts.delivery import DeliveryState
from services.alerts.measures import Measures
from services.alerts.memory import MemoryStore
from services.alerts.notify import channels
from services.alerts.quiet import QuietTimes
from services.config.document import Document
from services.config.schedule import Quiet
from tests.support.oncall import HOOK, at_us
from tests.support.receiver import SECRET, Receiver
from tests.support.sla import announcement

NIGHT: dict[str, Any] = {"hours": ["22:00", "07:00"], "timezone": "Europe/Paris"}
MIDNIGHT = datetime(2026, 11, 4, 0, 0, tzinfo=UTC)
MORNING = datetime(2026, 11, 4, 6, 0, tzinfo=UTC)


def document(receiver_quiet: dict[str, Any] | None = None, **route: Any) -> Document:
    receiver = HOOK if receiver_quiet is None else {**HOOK, "quiet": receiver_quiet}
    return Document.model_validate(
        {
            "calendars": {"office": {"timezone": "Europe/Paris", "weekly": {"mon": [["09:00", "18:00"]]}}},
            "receivers": {"chat": receiver},
            "routes": [{"receiver": "chat", **route}],
        }
    )


@pytest.mark.parametrize(
    ("quiet", "at", "until"),
    [
        (NIGHT, "2026-11-03T20:59:59Z", "2026-11-03T20:59:59Z"),
        (NIGHT, "2026-11-03T21:00:00Z", "2026-11-04T06:00:00Z"),
        (NIGHT, "2026-11-04T06:00:00Z", "2026-11-04T06:00:00Z"),
        (NIGHT, "2026-03-28T22:00:00Z", "2026-03-29T05:00:00Z"),  # the clock goes forward in this night
        (NIGHT | {"days": ["fri"]}, "2026-11-03T23:00:00Z", "2026-11-03T23:00:00Z"),
        ({"calendar": "office"}, "2026-11-04T10:00:00Z", "2026-11-09T08:00:00Z"),
        ({"calendar": "office"}, "2026-11-09T08:00:00Z", "2026-11-09T08:00:00Z"),
    ],
)
def test_a_quiet_time_ends_when_the_wall_clock_or_the_calendar_says_so(
    quiet: dict[str, Any], at: str, until: str
) -> None:
    times = QuietTimes(document())
    found = Quiet.model_validate(quiet)
    assert times.ends_us(found, at_us(at), Severity.WARNING) == at_us(until)
    assert times.ends_us(found, at_us(at), Severity.CRITICAL) == at_us(at)


def test_quiet_times_of_a_route_and_a_receiver_that_follow_one_another_are_both_kept() -> None:
    times = QuietTimes(document({"hours": ["07:00", "09:00"], "timezone": "Europe/Paris"}))
    due_us = times.due_us(at_us("2026-11-04T00:00Z"), Severity.WARNING, Quiet.model_validate(NIGHT), "chat")
    assert due_us == at_us("2026-11-04T08:00Z")


@pytest.mark.parametrize(
    ("quiet", "problem"),
    [
        ({}, "give either hours"),
        ({"hours": ["22:00", "07:00"]}, "hours need one"),
        ({"hours": ["09:00", "09:00"], "timezone": "UTC"}, "always quiet"),
        ({"calendar": "beach"}, r"routes\[0\].quiet.calendar: no calendar 'beach' \(there is: office\)"),
    ],
)
def test_a_mistake_in_quiet_hours_is_named(quiet: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        document(quiet=quiet)


class Desk:
    """Alerting and one receiver's delivery, with a clock that is set by hand."""

    def __init__(self, using: Document) -> None:
        self.at = MIDNIGHT
        self.store = MemoryStore()
        self.alerting = Alerting(self.store, using, lambda: self.at, lambda event: None)
        self.channel = channels.channel(using, "chat")
        measures = Measures(CollectorRegistry())
        self.deliverer = Deliverer("chat", self.channel, self.store, measures, lambda: from_datetime(self.at))

    async def announce(self, ticket_id: str, kind: SlaKind, revision: int) -> None:
        await self.alerting.announced(announcement(kind, revision, ticket_id=ticket_id))

    async def send(self) -> None:
        while await self.deliverer.once():
            pass


@pytest.mark.anyio
async def test_at_the_end_of_the_night_comes_what_still_stands_and_by_night_only_what_is_critical() -> None:
    receiver = Receiver()
    await receiver.server.start()
    hook = {"webhook": {"url": receiver.url, "secrets": [SECRET], "allow_private": True}}
    route = {"receiver": "chat", "quiet": NIGHT}
    desk = Desk(Document.model_validate({"receivers": {"chat": hook}, "routes": [route]}))
    try:
        await desk.announce("stands", SlaKind.WARNING, 1)
        await desk.announce("answered", SlaKind.WARNING, 1)
        await desk.announce("breaks", SlaKind.WARNING, 1)
        await desk.announce("answered", SlaKind.FULFILLED, 2)
        await desk.announce("breaks", SlaKind.BREACHED, 2)
        await desk.send()
        assert [(got.event.alert.evidence[0].ticket_id, got.event.transition) for got in receiver.got] == [
            ("breaks", "breached")
        ]
        desk.at = MORNING - timedelta(seconds=1)
        await desk.send()
        assert len(receiver.got) == 1
        desk.at = MORNING
        await desk.send()
        assert [got.event.alert.evidence[0].ticket_id for got in receiver.got] == ["breaks", "stands"]
        assert await desk.store.deliveries([DeliveryState.PENDING], 10) == []
    finally:
        await desk.channel.close()
        await receiver.server.stop()


@pytest.mark.anyio
async def test_escalation_counts_from_the_end_of_the_quiet_time() -> None:
    desk = Desk(document(quiet=NIGHT, escalate=[{"after": "10m", "to": "chat"}]))
    step = await desk.alerting.announced(announcement(SlaKind.WARNING, 1))
    assert step is not None
    assert step.after.escalates_at == MORNING + timedelta(minutes=10)
    broken = await desk.alerting.announced(announcement(SlaKind.BREACHED, 2))
    assert broken is not None
    assert broken.after.escalates_at == MIDNIGHT + timedelta(minutes=10)
    await desk.channel.close()
