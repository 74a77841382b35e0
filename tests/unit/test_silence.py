"""Silences: what they cover, what is told and what is not, by a clock set by hand, and a death at every line."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from schemas.alert import Alert, AlertEvent, AlertState, Transition
from schemas.instant import from_datetime, to_datetime
from schemas.sla import SlaKind
from services.alerts import state
from services.alerts.alerting import Alerting
from services.alerts.deliver import LEASE_US, Deliverer
from services.alerts.delivery import Delivered, DeliveryState, Outcome, Rate
from services.alerts.measures import Measures
from services.alerts.memory import MemoryStore
from services.alerts.message import Gathered, Message, Notice
from services.alerts.silence import Plan, Silence, SilenceState, covering
from services.alerts.silences import Known
from services.config.document import Document
from services.config.silence import PlannedSilence
from tests.support.oncall import HOOK
from tests.support.sla import announcement

pytestmark = pytest.mark.anyio

AT = datetime(2026, 11, 4, 10, 0, tzinfo=UTC)
SECOND = 1_000_000
BILLING = {"team": ("Billing",)}


def document(**more: Any) -> Document:
    return Document.model_validate(
        {
            "receivers": dict.fromkeys(["chat", "boss"], HOOK),
            "routes": [{"receiver": "chat", "escalate": [{"after": "10m", "to": "boss"}]}],
            **more,
        }
    )


@dataclass
class Book:
    """Silences in memory; a change counts the store's revision up, as the scripts in Redis do."""

    store: MemoryStore
    kept: dict[str, Silence] = field(default_factory=dict)

    def follow(self, document: Document) -> None:
        """There is no document."""

    async def known(self, at_us: int) -> Known:
        return Known(tuple(one for one in self.kept.values() if at_us < one.until_us), self.store.silences)

    def put(self, silence: Silence) -> None:
        self.kept[silence.silence_id] = silence
        self.store.silences = f"{int(self.store.silences or 0) + 1}"

    def end(self, silence_id: str) -> None:
        del self.kept[silence_id]
        self.store.silences = f"{int(self.store.silences or 0) + 1}"


def silence(minutes: float = 60, since: float = 0, silence_id: str = "s1", **fields: Any) -> Silence:
    begins_us = from_datetime(AT + timedelta(minutes=since))
    given = {"match": BILLING, "by": "ana", "comment": "The invoice run is repeated.", **fields}
    until_us = begins_us + round(minutes * 60 * SECOND)
    return Silence(silence_id=silence_id, from_us=begins_us, until_us=until_us, created_us=begins_us, **given)


@dataclass
class Heard:
    """A receiver that keeps what it was told."""

    address: str = "somewhere"
    got: list[Message] = field(default_factory=list)

    async def send(self, message: Message, at_us: int) -> Outcome:
        self.got.append(message)
        return Delivered()

    async def close(self) -> None:
        """Nothing is open."""

    def told(self) -> list[tuple[str, str]]:
        """Ticket and transition of everything it was told, alone or in digests."""
        events: list[AlertEvent] = []
        for message in self.got:
            events += [message.event] if isinstance(message, Notice) else []
            events += message.digest.events if isinstance(message, Gathered) else []
        return [(event.alert.evidence[0].ticket_id, event.transition.value) for event in events]


class Desk:
    """Alerting and delivery with a clock that is set by hand."""

    def __init__(self, using: Document | None = None) -> None:
        self.at = AT
        self.store = MemoryStore()
        self.book = Book(self.store)
        self.log: list[AlertEvent] = []
        self.chat, self.boss = Heard(), Heard()
        self.using = using or document()
        silences = None if using is not None else self.book
        self.alerting = Alerting(self.store, self.using, lambda: self.at, self.log.append, silences)

    async def after(self, minutes: float) -> None:
        self.at = AT + timedelta(minutes=minutes)
        await self.look()

    async def look(self) -> None:
        await self.alerting.wake()
        await self.alerting.follow_silences()
        await self.deliver()

    async def deliver(self, rate: Rate | None = None) -> None:
        for name, channel in (("chat", self.chat), ("boss", self.boss)):
            measures = Measures(CollectorRegistry())
            now_us = from_datetime(self.at)
            deliverer = Deliverer(name, channel, self.store, measures, lambda: now_us, rate=rate, jitter=lambda: 0.5)  # noqa: B023
            while await deliverer.once():
                pass

    async def announce(self, kind: SlaKind, revision: int = 1, ticket_id: str = "1", **fields: Any) -> Alert:
        step = await self.alerting.announced(announcement(kind, revision, ticket_id=ticket_id, **fields))
        assert step is not None
        return step.after

    async def alert(self, alert: Alert) -> Alert:
        found = await self.store.alert(alert.alert_id)
        assert found is not None
        return found

    def transitions(self) -> list[str]:
        return [event.transition.value for event in self.log]

    async def states(self) -> Counter[str]:
        return Counter(found.state.value for found in await self.store.deliveries(list(DeliveryState), 1000))


async def test_an_alert_that_fires_under_a_silence_is_seen_and_told_to_nobody() -> None:
    desk = Desk()
    desk.book.put(silence())
    alert = await desk.announce(SlaKind.BREACHED)
    other = await desk.announce(SlaKind.BREACHED, ticket_id="2", team="Sales")
    await desk.after(1)
    assert (alert.state, alert.reason, alert.silenced_by) == (AlertState.FIRING, Transition.BREACHED, "s1")
    assert alert.silenced_until == AT + timedelta(minutes=60)
    assert alert.escalates_at is None, "nobody else is told either"
    assert other.silenced_by is None
    assert desk.chat.told() == [("2", "breached")]


async def test_when_the_silence_ends_what_still_stands_is_told_as_if_it_had_fired_then() -> None:
    desk = Desk()
    desk.book.put(silence(30))
    alert = await desk.announce(SlaKind.BREACHED)
    ended = await desk.announce(SlaKind.BREACHED, ticket_id="2")
    await desk.announce(SlaKind.FULFILLED, 2, ticket_id="2")
    await desk.after(29.9)
    assert desk.chat.got == []
    await desk.after(30)
    assert desk.chat.told() == [("1", "silence_ended")]
    after = await desk.alert(alert)
    assert (after.silenced_by, after.silenced_until, after.state) == (None, None, AlertState.FIRING)
    assert after.reason is Transition.BREACHED
    assert after.escalates_at == AT + timedelta(minutes=40), "and escalates from then on"
    assert (await desk.alert(ended)).silenced_by is None
    await desk.after(40)
    assert desk.boss.told() == [("1", "escalated")]


async def test_a_silence_that_begins_over_an_open_alert_hushes_it_and_its_end_is_told_to_who_heard() -> None:
    desk = Desk()
    alert = await desk.announce(SlaKind.WARNING)
    await desk.look()
    desk.book.put(silence())
    await desk.after(2)
    after = await desk.alert(alert)
    assert (after.silenced_by, after.reason) == ("s1", Transition.WARNED)
    assert desk.log[-1].actor == "ana"
    await desk.announce(SlaKind.BREACHED, 2)
    await desk.after(20)
    assert desk.chat.told() == [("1", "warned")]
    assert desk.boss.got == []
    await desk.announce(SlaKind.FULFILLED, 3)
    await desk.look()
    assert desk.chat.told() == [("1", "warned"), ("1", "fulfilled_in_time")]
    assert desk.transitions() == ["warned", "silenced", "breached", "fulfilled_in_time"]


async def test_what_waited_to_be_sent_when_the_silence_began_is_not_sent_and_says_why() -> None:
    desk = Desk()
    await desk.announce(SlaKind.BREACHED)
    desk.book.put(silence(5))
    await desk.alerting.follow_silences()
    await desk.deliver()
    assert desk.chat.got == []
    assert await desk.states() == {"silenced": 1}
    await desk.after(5)
    assert desk.chat.told() == [("1", "silence_ended")]


async def test_what_broke_under_a_silence_that_came_and_went_between_two_looks_is_told_at_the_next() -> None:
    desk = Desk()
    await desk.look()
    desk.book.put(silence())
    await desk.announce(SlaKind.BREACHED)
    desk.book.end("s1")
    await desk.look()
    assert desk.chat.told() == [("1", "silence_ended")]


async def test_a_digest_leaves_out_what_is_silenced() -> None:
    desk = Desk()
    for number in range(6):
        await desk.announce(SlaKind.BREACHED, ticket_id=str(number), team="Billing" if number % 2 else "Sales")
    rate = Rate(after=1, per_us=60 * SECOND, every_us=10 * SECOND)
    await desk.deliver(rate)
    desk.book.put(silence())
    await desk.alerting.follow_silences()
    desk.at += timedelta(seconds=11)
    await desk.deliver(rate)
    told = {ticket for ticket, _ in desk.chat.told()}
    assert told in ({"0", "2", "4"}, {"0", "1", "2", "4"}, {"0", "2", "3", "4"}, {"0", "2", "4", "5"})
    assert (await desk.states())["silenced"] >= 2


async def test_an_alert_that_leaves_the_silence_by_its_labels_is_told_at_once() -> None:
    desk = Desk()
    desk.book.put(silence(match={"severity": ("warning",)}))
    await desk.announce(SlaKind.WARNING)
    await desk.look()
    assert desk.chat.got == []
    alert = await desk.announce(SlaKind.BREACHED, 2)
    await desk.look()
    assert alert.silenced_by is None
    assert desk.chat.told() == [("1", "breached")]


async def test_ended_by_hand_it_is_told_and_another_silence_over_it_takes_its_place() -> None:
    desk = Desk()
    desk.book.put(silence())
    desk.book.put(silence(90, silence_id="s2", match={"severity": ("critical",)}))
    alert = await desk.announce(SlaKind.BREACHED)
    assert alert.silenced_by == "s2", "the one that lasts longest"
    desk.book.end("s2")
    await desk.look()
    assert (await desk.alert(alert)).silenced_by == "s1"
    assert desk.chat.got == []
    desk.book.end("s1")
    await desk.look()
    assert desk.chat.told() == [("1", "silence_ended")]
    assert desk.transitions() == ["breached", "silenced", "silence_ended"]


async def test_a_silence_whose_end_moved_is_followed_without_a_word() -> None:
    desk = Desk()
    desk.book.put(silence(30))
    alert = await desk.announce(SlaKind.BREACHED)
    desk.book.put(silence(60))
    await desk.after(1)
    assert (await desk.alert(alert)).silenced_until == AT + timedelta(minutes=60)
    await desk.after(31)
    assert desk.transitions() == ["breached"]
    await desk.after(60)
    assert desk.transitions() == ["breached", "silence_ended"]


async def test_what_people_do_under_a_silence_stands_after_it() -> None:
    desk = Desk()
    desk.book.put(silence(30))
    taken = await desk.announce(SlaKind.BREACHED)
    snoozed = await desk.announce(SlaKind.BREACHED, ticket_id="2")
    until = AT + timedelta(minutes=20)
    await desk.alerting.act(taken.alert_id, lambda found, at: state.acknowledge(found, "ben", at))
    await desk.alerting.act(snoozed.alert_id, lambda found, at: state.snooze(found, "ben", until, at))
    await desk.after(25)
    assert desk.chat.got == []
    assert (await desk.alert(snoozed)).state is AlertState.FIRING
    await desk.after(30)
    assert sorted(desk.chat.told()) == [("1", "silence_ended"), ("2", "silence_ended")]
    assert (await desk.alert(taken)).state is AlertState.ACKNOWLEDGED
    assert (await desk.alert(taken)).escalates_at is None


async def test_a_step_that_was_decided_before_a_silence_changed_is_decided_again() -> None:
    desk = Desk()
    found = desk.store.newest

    async def meanwhile(fingerprint: str) -> Alert | None:
        desk.store.newest = found  # type: ignore[method-assign]
        desk.book.put(silence())
        return await found(fingerprint)

    desk.store.newest = meanwhile  # type: ignore[method-assign]
    alert = await desk.announce(SlaKind.BREACHED)
    assert alert.silenced_by == "s1"
    await desk.look()
    assert desk.chat.got == []


async def test_silences_of_the_document_come_once_or_every_week() -> None:
    weekly = {"name": "invoices", "match": {"team": ["Billing"]}, "comment": "x", "timezone": "UTC"}
    desk = Desk(document(silences=[weekly | {"hours": ["10:00", "10:30"], "days": ["wed"]}]))
    alert = await desk.announce(SlaKind.BREACHED)
    assert (alert.silenced_by, alert.silenced_until) == ("invoices", AT + timedelta(minutes=30))
    await desk.after(30)
    assert desk.chat.told() == [("1", "silence_ended")]
    await desk.after(7 * 24 * 60)
    assert desk.transitions() == ["breached", "silence_ended", "silenced"]
    desk.alerting.follow(document())
    await desk.look()
    assert desk.transitions()[-1] == "silence_ended", "the document has it no more"


@pytest.mark.parametrize(
    ("at", "since", "until", "standing"),
    [
        # The night in which clocks go back: 02:00 to 03:00 by the wall clock is two hours long.
        ("2026-10-25T00:30:00+00:00", "2026-10-25T00:00:00+00:00", "2026-10-25T02:00:00+00:00", SilenceState.ACTIVE),
        ("2026-10-25T02:00:00+00:00", "2026-11-01T01:00:00+00:00", "2026-11-01T02:00:00+00:00", SilenceState.PLANNED),
        ("2026-07-05T00:59:59+00:00", "2026-07-05T00:00:00+00:00", "2026-07-05T01:00:00+00:00", SilenceState.ACTIVE),
        # In spring the wall clock leaves that hour out.
        ("2026-03-28T12:00:00+00:00", "2026-04-05T00:00:00+00:00", "2026-04-05T01:00:00+00:00", SilenceState.PLANNED),
    ],
)
def test_weekly_silences_follow_the_wall_clock(at: str, since: str, until: str, standing: SilenceState) -> None:
    planned = PlannedSilence.model_validate(
        {
            "name": "backup",
            "match": {"team": ["x"]},
            "comment": "x",
            "timezone": "Europe/Paris",
            "hours": ["02:00", "03:00"],
            "days": ["sun"],
        }
    )
    at_us = from_datetime(datetime.fromisoformat(at))
    plan = Plan([planned])
    for _ in range(2):  # the second answer is remembered
        (found,) = plan.at(at_us)
        assert (to_datetime(found.from_us).isoformat(), to_datetime(found.until_us).isoformat()) == (since, until)
        assert found.stands(at_us) is standing


def test_a_silence_once_ends_with_its_day_and_is_over_then() -> None:
    planned = PlannedSilence.model_validate(
        {
            "name": "move",
            "match": {"team": ["x"]},
            "comment": "x",
            "timezone": "Europe/Paris",
            "from": "2026-12-01 22:00",
            "to": "2026-12-02",
        }
    )
    plan = Plan([planned])
    (found,) = plan.at(from_datetime(AT))
    assert to_datetime(found.from_us) == datetime(2026, 12, 1, 21, tzinfo=UTC)
    assert to_datetime(found.until_us) == datetime(2026, 12, 2, 23, tzinfo=UTC)
    assert plan.at(found.until_us) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"match": {}}, "at least 1 item"),
        ({"match": {"team": []}}, "at least 1 item"),
        ({"hours": ["02:00", "03:00"]}, "either from and to, or hours"),
        ({"to": None}, "give both"),
        ({"to": "2026-11-30"}, "later than from"),
        ({"from": None, "to": None, "hours": ["00:00", "24:00"]}, "always silent"),
    ],
)
def test_mistakes_in_a_planned_silence_are_named(given: dict[str, Any], said: str) -> None:
    right = {"name": "move", "match": {"team": ["x"]}, "comment": "x", "timezone": "UTC"}
    right |= {"from": "2026-12-01", "to": "2026-12-02"}
    assert PlannedSilence.model_validate(right)
    with pytest.raises(ValidationError, match=said):
        PlannedSilence.model_validate({name: value for name, value in {**right, **given}.items() if value is not None})


def test_a_resolved_alert_is_covered_by_nothing() -> None:
    fired = state.decide(None, announcement(SlaKind.BREACHED), AT)
    assert fired is not None
    ended = state.resolve(fired.after, "ana", AT)
    assert not isinstance(ended, state.Refusal)
    assert covering([silence()], fired.after, from_datetime(AT)) is not None
    assert covering([silence()], ended.after, from_datetime(AT)) is None


class Killed(BaseException):
    """The end of the process, at once."""


@dataclass
class Mortal:
    """A store whose every call may be the last, before it happens or after."""

    inner: Any
    countdown: list[int]

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        if not asyncio.iscoroutinefunction(found):
            return found

        async def called(*args: Any, **named: Any) -> Any:
            self._perhaps()
            result = await found(*args, **named)
            self._perhaps()
            return result

        return called

    def _perhaps(self) -> None:
        self.countdown[0] -= 1
        if self.countdown[0] == 0:
            raise Killed


async def _lived(kill_at: int) -> tuple[bool, Heard, MemoryStore]:
    """Three alerts, one before the silence, of the others one ends within it. The process dies at the nth call, and
    another takes over after the leases."""
    store, channel, countdown = MemoryStore(), Heard(), [kill_at]
    book, clock = Book(store), [AT]
    died = False

    def process() -> tuple[Alerting, Deliverer]:
        mortal: Any = Mortal(store, countdown)
        sender: Any = Mortal(channel, countdown)
        silences: Any = Mortal(book, countdown)
        alerting = Alerting(mortal, document(), lambda: clock[0], lambda event: None, silences)
        measures = Measures(CollectorRegistry())
        now_us = lambda: from_datetime(clock[0])  # noqa: E731
        return alerting, Deliverer("chat", sender, mortal, measures, now_us, jitter=lambda: 0.5)

    alerting, deliverer = process()

    async def work(*announced: Any) -> None:
        nonlocal alerting, deliverer, died
        while True:
            try:
                for event in announced:
                    await alerting.announced(event)
                await alerting.wake()
                await alerting.follow_silences()
                while await deliverer.once():
                    pass
            except Killed:
                died = True
                alerting, deliverer = process()
                continue
            return

    await work(announcement(SlaKind.BREACHED, 1, ticket_id="before"))
    clock[0] += timedelta(microseconds=2 * LEASE_US)
    await work()
    book.put(silence(60))
    await work(*(announcement(SlaKind.BREACHED, 1, ticket_id=name) for name in ("stands", "ends")))
    clock[0] += timedelta(minutes=10)
    await work(*(announcement(SlaKind.FULFILLED, 2, ticket_id=name) for name in ("before", "ends")))
    clock[0] = AT + timedelta(minutes=61)
    await work()
    for _ in range(4):
        clock[0] += timedelta(microseconds=LEASE_US)
        await work()
    return died, channel, store


async def test_a_death_between_any_two_lines_swallows_nothing_and_tells_nothing_twice() -> None:
    kill_at = 0
    while True:
        kill_at += 1
        died, channel, store = await _lived(kill_at)
        where = f"killed at call {kill_at}"
        assert await store.pending() == 0, where
        ids = [message.message_id for message in channel.got]
        assert len(ids) - len(set(ids)) <= 1, f"{where}: only what was unanswered is sent again, with its id"
        told = list(dict.fromkeys(channel.told()))
        assert told == [("before", "breached"), ("before", "fulfilled_in_time"), ("stands", "silence_ended")], where
        if not died:
            break
    assert kill_at > 80, "there are that many places to die"
