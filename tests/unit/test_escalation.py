"""Who else is told when nobody takes an alert on, and what ends that: by a clock that is set by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from schemas.alert import Alert, Transition
from schemas.sla import SlaKind
from services.alerts import state
from services.alerts.alerting import Alerting
from services.alerts.deliver import Deliverer
from services.alerts.delivery import DeliveryState
from services.alerts.measures import Measures
from services.alerts.memory import MemoryStore
from services.alerts.notify import channels
from services.config.document import Document
from services.config.schedule import EscalationStep
from tests.support.oncall import HOOK
from tests.support.receiver import SECRET, Receiver
from tests.support.sla import announcement

pytestmark = pytest.mark.anyio

AT = datetime(2026, 11, 4, 10, 0, tzinfo=UTC)
AWAY = {"from": "2026-11-04", "to": "2026-11-04"}
STEPS = [{"after": "10m", "to": "support"}, {"after": "30m", "to": "boss"}]


def document(steps: list[dict[str, str]] | None = None, receivers: dict[str, Any] | None = None) -> Document:
    return Document.model_validate(
        {
            "receivers": receivers or dict.fromkeys(["chat", "ana-phone", "ben-phone", "boss-phone"], HOOK),
            "people": {
                "ana": {
                    "receivers": ["ana-phone"],
                    "cover": "ben",
                    "away": [{"from": "2026-11-04", "to": "2026-11-04"}],
                },
                "ben": {"receivers": ["ben-phone"]},
                "boss": {"receivers": ["boss-phone"]},
            },
            "schedules": {"support": {"timezone": "UTC", "rotations": [{"people": ["ana"], "start": "2026-11-02"}]}},
            "routes": [{"receiver": "chat", "escalate": STEPS if steps is None else steps}],
        }
    )


class Desk:
    """Alerting with a clock that is set by hand."""

    def __init__(self, using: Document | None = None) -> None:
        self.at = AT
        self.store = MemoryStore()
        self.transitions: list[Transition] = []
        self.alerting = Alerting(
            self.store, using or document(), lambda: self.at, lambda event: self.transitions.append(event.transition)
        )

    async def after(self, minutes: float) -> None:
        self.at = AT + timedelta(minutes=minutes)
        await self.alerting.wake()

    async def fire(self, kind: SlaKind = SlaKind.BREACHED, revision: int = 1) -> Alert:
        step = await self.alerting.announced(announcement(kind, revision))
        assert step is not None
        return step.after

    async def told(self, transition: Transition) -> set[str]:
        found = await self.store.deliveries([DeliveryState.PENDING], 100)
        return {delivery.receiver for delivery in found if delivery.transition == transition.value}


async def test_further_people_are_told_step_by_step_and_those_before_hear_of_it() -> None:
    desk = Desk()
    alert = await desk.fire()
    assert alert.escalates_at == AT + timedelta(minutes=10)
    await desk.after(9.9)
    assert desk.transitions == [Transition.BREACHED]
    await desk.after(10)
    assert desk.transitions == [Transition.BREACHED, Transition.ESCALATED]
    assert await desk.told(Transition.ESCALATED) == {"chat", "ben-phone"}  # ana is away: her cover
    await desk.after(29)
    assert len(desk.transitions) == 2
    await desk.after(30)
    assert await desk.told(Transition.ESCALATED) == {"chat", "ben-phone", "boss-phone"}
    await desk.after(300)
    assert desk.transitions == [Transition.BREACHED, Transition.ESCALATED, Transition.ESCALATED]
    last = await desk.store.alert(alert.alert_id)
    assert last is not None
    assert (last.escalated, last.escalates_at, last.reason) == (2, None, Transition.BREACHED)


@pytest.mark.parametrize("act", ["acknowledge", "snooze", "resolve"])
async def test_whoever_acts_ends_it_and_whom_it_was_escalated_to_hears_that(act: str) -> None:
    desk = Desk()
    alert = await desk.fire()
    await desk.after(10)
    actions = {
        "acknowledge": lambda found, at: state.acknowledge(found, "ana", at),
        "snooze": lambda found, at: state.snooze(found, "ana", at + timedelta(hours=9), at),
        "resolve": lambda found, at: state.resolve(found, "ana", at),
    }
    done = await desk.alerting.act(alert.alert_id, actions[act])
    assert isinstance(done, Alert)
    assert done.escalates_at is None
    if act != "resolve":  # of an end hears who took a message, and here nobody sends any
        assert await desk.told(desk.transitions[-1]) == {"chat", "ben-phone"}
    before = len(desk.transitions)
    await desk.after(60)
    assert len(desk.transitions) == before


async def test_a_warning_that_breaks_begins_anew_and_one_that_only_gets_later_does_not() -> None:
    desk = Desk()
    assert (await desk.fire(SlaKind.WARNING)).escalates_at == AT + timedelta(minutes=10)
    await desk.after(10)
    again = await desk.fire(SlaKind.WARNING, 2)
    assert (again.escalated, again.escalates_at) == (1, AT + timedelta(minutes=30))
    broken = await desk.fire(SlaKind.BREACHED, 3)
    assert (broken.escalated, broken.escalates_at) == (0, AT + timedelta(minutes=20))


async def test_steps_that_the_document_lost_are_forgotten_without_a_word() -> None:
    desk = Desk()
    alert = await desk.fire()
    desk.alerting.follow(document([]))
    await desk.after(10)
    assert desk.transitions == [Transition.BREACHED]
    assert await desk.store.to_wake(10**18, 10) == []
    found = await desk.store.alert(alert.alert_id)
    assert found is not None
    assert found.escalates_at is None


async def test_two_workers_and_one_that_died_escalate_once() -> None:
    desk = Desk()
    await desk.fire()
    heard: list[Transition] = []
    other = Alerting(desk.store, document(), lambda: desk.at, lambda event: heard.append(event.transition))
    desk.at = AT + timedelta(minutes=12)
    await other.wake()
    await desk.alerting.wake()
    assert heard == [Transition.ESCALATED]
    assert desk.transitions == [Transition.BREACHED]


async def test_the_message_goes_to_a_real_receiver_and_says_why_it_comes() -> None:
    receiver = Receiver()
    await receiver.server.start()
    hook = {"webhook": {"url": receiver.url, "secrets": [SECRET], "allow_private": True}}
    using = document(receivers=dict.fromkeys(["chat", "ana-phone", "ben-phone", "boss-phone"], hook))
    desk = Desk(using)
    channel = channels.channel(using, "ben-phone")
    now_us = lambda: int(desk.at.timestamp() * 1e6)  # noqa: E731
    deliverer = Deliverer("ben-phone", channel, desk.store, Measures(CollectorRegistry()), now_us)
    try:
        await desk.fire()
        assert not await deliverer.once()
        await desk.after(10)
        assert await deliverer.once()
        assert not await deliverer.once()
        assert receiver.transitions("5158") == ["escalated"]
        assert receiver.got[0].event.alert.escalated == 1
    finally:
        await channel.close()
        await receiver.server.stop()


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        ([{"after": "10m", "to": "nobody"}], r"routes\[0\].escalate\[0\].to: no receiver, schedule or person 'nobody'"),
        ([{"after": "10m", "to": "chat"}, {"after": "5m", "to": "boss"}], "each with a longer `after`"),
        ([{"after": "5s", "to": "chat"}], "must be from 1m to 7d"),
    ],
)
def test_a_mistake_in_the_steps_is_named(steps: list[dict[str, str]], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        document(steps)


def test_a_name_that_means_two_things_is_refused() -> None:
    with pytest.raises(ValidationError, match="'ana' is a receiver and a person"):
        Document.model_validate(
            {
                "receivers": {"ana": HOOK},
                "people": {"ana": {"receivers": ["ana"]}},
                "routes": [{"receiver": "ana", "escalate": [EscalationStep(after="10m", to="ana").model_dump()]}],
            }
        )
