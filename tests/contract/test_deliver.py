"""The delivery loop: what is checked before sending, that a storm loses nothing, and a death between any two lines."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from schemas.alert import AlertEvent, AlertState
from schemas.failure import NotNow
from schemas.instant import from_datetime
from schemas.sla import SlaKind
from services.alerts import deliver, delivery, route, state
from services.alerts.alerting import Alerting
from services.alerts.deliver import LEASE_US, Deliverer
from services.alerts.delivery import Delivered, DeliveryState, Kind, Outcome, Rate, Refused, Retry
from services.alerts.measures import Measures
from services.alerts.memory import MemoryStore
from services.alerts.message import Gathered, Message, Notice, Over, Trial
from services.alerts.state import Step
from services.alerts.store import RedisStore, Store
from services.config import document
from services.state import client
from tests.support.news import AT
from tests.support.sla import DUE, announcement
from tests.support.wait import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

AT_US = from_datetime(AT)
SECOND = 1_000_000
RATE = Rate(after=10, per_us=60 * SECOND, every_us=60 * SECOND)


@dataclass
class Heard:
    """A channel that keeps what it was sent, and answers as told."""

    address: str = "somewhere"
    answer: Callable[[Message], Outcome] = lambda message: Delivered()
    got: list[Message] = field(default_factory=list)
    before: Callable[[Message], Any] | None = None

    async def send(self, message: Message, at_us: int) -> Outcome:
        if self.before is not None:
            await self.before(message)
        self.got.append(message)
        return self.answer(message)

    async def close(self) -> None:
        """Nothing is open."""

    def events(self) -> list[AlertEvent]:
        """Everything it was told, alone or in digests."""
        found: list[AlertEvent] = []
        for message in self.got:
            found += [message.event] if isinstance(message, Notice) else []
            found += message.digest.events if isinstance(message, Gathered) else []
        return found


@dataclass
class Desk:
    """A store, a clock, and alerts that are routed to one receiver."""

    store: Store
    now_us: int = AT_US
    receivers: tuple[str, ...] = ("leads",)
    alerts: dict[str, Any] = field(default_factory=dict)

    def deliverer(self, channel: Heard, receiver: str = "leads", **other: Any) -> Deliverer:
        measures = Measures(CollectorRegistry())
        return Deliverer(receiver, channel, self.store, measures, lambda: self.now_us, jitter=lambda: 0.5, **other)

    async def happens(self, kind: SlaKind, ticket_id: str) -> AlertEvent:
        before = self.alerts.get(ticket_id)
        revision = before.revision + 1 if before is not None else 1
        step = state.decide(before, announcement(kind, revision, ticket_id=ticket_id), AT)
        assert step is not None
        return await self.stored(step, ticket_id)

    async def stored(self, step: Step, ticket_id: str) -> AlertEvent:
        assert step.event is not None
        messages = [delivery.first(step.event, receiver, self.now_us) for receiver in self.receivers]
        assert await self.store.apply(step, messages)
        self.alerts[ticket_id] = step.after
        return step.event

    async def states(self) -> Counter[str]:
        return Counter(found.state.value for found in await self.store.deliveries(list(DeliveryState), 10_000))


@pytest.fixture(params=["memory", *(pytest.param(one, marks=pytest.mark.redis) for one in ("redis_db", "cluster_db"))])
async def desk(request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    if request.param == "memory":
        yield Desk(MemoryStore())
        return
    where = request.getfixturevalue(request.param)
    writer, reader = client.writer(where), client.reader(where)
    yield Desk(RedisStore(writer, reader))
    await writer.aclose()
    await reader.aclose()


async def emptied(deliverer: Deliverer) -> None:
    while await deliverer.once():
        pass


async def test_what_is_resolved_while_another_message_is_slow_is_not_announced(desk: Desk) -> None:
    stalled = asyncio.Event()

    async def slow(message: Message) -> None:
        await stalled.wait()

    channel = Heard(before=slow)
    deliverer = desk.deliverer(channel)
    for number in range(6):
        await desk.happens(SlaKind.BREACHED, str(number))
    stop = asyncio.Event()
    running = asyncio.create_task(deliverer.run(stop))

    async def four_are_under_way() -> bool:
        return len(await _waiting(desk, flying=True)) == 4

    await eventually(four_are_under_way, "four messages are on their way, and two wait")
    flying = {found.alert_id for found in await _waiting(desk, flying=True)}
    waiting = [ticket for ticket, alert in desk.alerts.items() if alert.alert_id not in flying]
    assert len(waiting) == 2
    await desk.happens(SlaKind.FULFILLED, waiting[0])
    await desk.happens(SlaKind.RETRACTED, waiting[1])
    stalled.set()

    async def all_settled() -> bool:
        return await desk.store.pending() == 0

    await eventually(all_settled, "every message is settled")
    stop.set()
    await running
    assert await desk.states() == {"delivered": 4, "overtaken": 2, "unneeded": 2}
    assert {event.alert.alert_id for event in channel.events()} == flying


async def _waiting(desk: Desk, *, flying: bool) -> list[delivery.Delivery]:
    store = desk.store
    found = await store.deliveries([DeliveryState.PENDING], 100)
    if isinstance(store, MemoryStore):
        return [one for one in found if (one.delivery_id in store._flying) is flying]
    assert isinstance(store, RedisStore)
    marks = [await store._reader.hexists(f"deskpulse:{{alerts}}:delivery:{one.delivery_id}", "flying") for one in found]
    return [one for one, mark in zip(found, marks, strict=True) if bool(mark) is flying]


async def test_an_answered_ticket_is_not_announced_although_its_alert_has_not_ended_yet(desk: Desk) -> None:
    answered = await desk.happens(SlaKind.BREACHED, "1")
    await desk.happens(SlaKind.BREACHED, "2")
    channel = Heard()

    async def met(events: Any) -> frozenset[str]:
        return frozenset({answered.event_id} & {event.event_id for event in events})

    await emptied(desk.deliverer(channel, met=met))
    assert [event.alert.evidence[0].ticket_id for event in channel.events()] == ["2"]
    await desk.happens(SlaKind.FULFILLED, "1")
    await emptied(desk.deliverer(channel, met=met))
    assert len(channel.got) == 1, "who never heard of the beginning need not hear of the end"
    assert await desk.states() == {"delivered": 1, "unneeded": 2}


def test_a_resolved_alert_is_never_announced_whatever_its_version() -> None:
    warned = state.decide(None, announcement(SlaKind.WARNING), AT)
    assert warned is not None
    assert warned.event is not None
    ended = state.decide(warned.after, announcement(SlaKind.FULFILLED, 2), AT)
    assert ended is not None
    late = route.worth(warned.event, ended.after, told=True)
    assert late is route.Worth.OVERTAKEN
    assert ended.after.state is AlertState.RESOLVED


async def storm(desk: Desk, deliverer: Deliverer, number: int = 2_000, minutes: int = 5) -> None:
    """``number`` breaches, evenly over so many minutes, with a look every second."""
    seconds, fired = minutes * 60, 0
    for second in range(seconds):
        while fired * seconds < number * (second + 1) and fired < number:
            await desk.happens(SlaKind.BREACHED, f"t{fired}")
            fired += 1
        await emptied(deliverer)
        desk.now_us += SECOND
    desk.now_us += 2 * RATE.every_us
    await emptied(deliverer)


async def test_a_storm_of_two_thousand_breaches_is_a_handful_of_digests_and_none_is_lost(desk: Desk) -> None:
    channel = Heard()
    deliverer = desk.deliverer(channel, rate=RATE)
    await storm(desk, deliverer)
    digests = [message for message in channel.got if isinstance(message, Gathered)]
    singles = [message for message in channel.got if isinstance(message, Notice)]
    assert len(singles) <= RATE.after
    assert len(digests) <= 6
    told = Counter(event.alert.evidence[0].ticket_id for event in channel.events())
    assert told == Counter(f"t{number}" for number in range(2_000)), "each once"
    assert sum(message.digest.opened for message in digests) == 2_000 - len(singles)
    assert await desk.store.pending() == 0
    for found in await desk.store.deliveries([DeliveryState.DELIVERED], 10_000):
        alone = any(message.message_id == found.delivery_id for message in channel.got)
        assert alone != (found.digest_id is not None), "its record says which digest it went with"


async def test_what_ended_before_its_digest_went_is_not_announced_and_ends_are_gathered_too(desk: Desk) -> None:
    channel = Heard()
    deliverer = desk.deliverer(channel, rate=RATE)
    for number in range(60):
        await desk.happens(SlaKind.BREACHED, str(number))
    await emptied(deliverer)
    alone = {event.alert.evidence[0].ticket_id for event in channel.events()}
    late = [ticket for ticket in map(str, range(60)) if ticket not in alone][:20]
    for ticket in late:
        await desk.happens(SlaKind.FULFILLED, ticket)
    desk.now_us += RATE.every_us
    await emptied(deliverer)
    (digest,) = [message.digest for message in channel.got if isinstance(message, Gathered)]
    assert (digest.opened, digest.ended) == (30, 0)
    for ticket, alert in list(desk.alerts.items()):
        if alert.state is not AlertState.RESOLVED:
            await desk.happens(SlaKind.FULFILLED, ticket)
    desk.now_us += RATE.every_us
    await emptied(deliverer)
    last = channel.got[-1]
    assert isinstance(last, Gathered)
    assert (last.digest.opened, last.digest.ended) == (0, 40)
    assert await desk.states() == {"delivered": 82, "overtaken": 20, "unneeded": 20}


async def test_a_digest_that_is_refused_stays_visible_with_all_it_held_and_can_be_sent_again(desk: Desk) -> None:
    channel = Heard(answer=lambda message: Refused("HTTP 400") if isinstance(message, Gathered) else Delivered())
    deliverer = desk.deliverer(channel, rate=RATE)
    for number in range(20):
        await desk.happens(SlaKind.BREACHED, str(number))
    await emptied(deliverer)
    desk.now_us += RATE.every_us
    await emptied(deliverer)
    assert await desk.states() == {"delivered": 10, "refused": 11}
    (dead,) = [one for one in await desk.store.deliveries([DeliveryState.REFUSED], 99) if one.kind is Kind.DIGEST]
    channel.answer = lambda message: Delivered()
    await desk.happens(SlaKind.FULFILLED, (await _ticket_of(desk, dead.delivery_id)))
    assert await desk.store.resend(dead.delivery_id, desk.now_us)
    await emptied(deliverer)
    desk.now_us += RATE.every_us
    await emptied(deliverer)
    sent = [message for message in channel.got if isinstance(message, Gathered)]
    assert [message.message_id for message in sent] == [dead.delivery_id] * 2
    assert [message.digest.opened for message in sent] == [10, 9]
    assert await desk.states() == {"delivered": 20, "overtaken": 1, "unneeded": 1}


async def _ticket_of(desk: Desk, digest_id: str) -> str:
    member = (await desk.store.gathered(digest_id))[0]
    return next(ticket for ticket, alert in desk.alerts.items() if alert.alert_id == member.alert_id)


async def test_a_receiver_that_is_switched_off_gets_nothing_until_it_is_enabled(desk: Desk) -> None:
    channel = Heard(answer=lambda message: Refused("HTTP 401", gone=True))
    deliverer = desk.deliverer(channel)
    await desk.happens(SlaKind.BREACHED, "1")
    await desk.happens(SlaKind.BREACHED, "2")
    await emptied(deliverer)
    assert len(channel.got) == 1
    assert await desk.states() == {"refused": 1, "disabled": 1}
    channel.answer = lambda message: Delivered()
    assert await desk.store.enable("leads")
    for dead in await desk.store.deliveries(sorted(delivery.DEAD), 9):
        assert await desk.store.resend(dead.delivery_id, desk.now_us)
    await emptied(deliverer)
    assert await desk.states() == {"delivered": 2}


async def test_a_test_message_is_sent_and_written_down(desk: Desk) -> None:
    channel = Heard()
    await desk.store.enqueue(delivery.own(Kind.TEST, "trial-1", "leads", desk.now_us))
    await emptied(desk.deliverer(channel, rate=RATE))
    assert channel.got == [Trial("trial-1", "leads")]
    assert await desk.states() == {"delivered": 1}


async def test_a_receiver_that_stalls_delays_nobody_else(desk: Desk) -> None:
    desk.receivers = ("stuck", "leads")
    never = asyncio.Event()

    async def stuck(message: Message) -> None:
        await never.wait()

    channels = {"stuck": Heard(before=stuck), "leads": Heard()}
    stop = asyncio.Event()
    running = [asyncio.create_task(desk.deliverer(channel, name).run(stop)) for name, channel in channels.items()]
    for number in range(50):
        await desk.happens(SlaKind.BREACHED, str(number))
    await eventually(lambda: len(channels["leads"].got) == 50, "everything reached the one that listens")
    assert channels["stuck"].got == []
    stop.set()
    never.set()
    await asyncio.gather(*running)


async def test_what_a_receiver_takes_long_over_is_sent_once_and_what_a_dead_worker_held_soon_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver, "RENEW_S", 0.02)
    slow = asyncio.Event()

    async def stalls(message: Message) -> None:
        desk.now_us += LEASE_US - 1
        await slow.wait()

    first, second = Heard(before=stalls), Heard()
    await desk.happens(SlaKind.BREACHED, "1")
    stop = asyncio.Event()
    running = asyncio.create_task(desk.deliverer(first).run(stop))

    async def due_us() -> int | None:
        return await desk.store.next_due_us("leads")

    async def renewed() -> bool:
        return await due_us() == AT_US + 2 * LEASE_US - 1

    await eventually(renewed, "its lease is renewed while the receiver thinks")
    assert not await desk.deliverer(second).once(), "nobody else sends it meanwhile"
    running.cancel()  # as by a kill: nothing is written down
    await asyncio.gather(running, return_exceptions=True)
    assert await due_us() == AT_US + 2 * LEASE_US - 1
    assert LEASE_US <= 10 * SECOND, "so long is the next message about that alert held at most"


async def test_what_was_sent_while_redis_went_away_is_written_down_when_it_is_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver, "_AGAIN_S", 0.01)
    settle, refused = desk.store.settle, 3

    async def away(*arguments: Any) -> bool:
        nonlocal refused
        refused -= 1
        if refused >= 0:
            raise NotNow("Redis does not answer")
        return await settle(*arguments)

    monkeypatch.setattr(desk.store, "settle", away)
    await desk.happens(SlaKind.BREACHED, "1")
    channel, stop = Heard(), asyncio.Event()
    running = asyncio.create_task(desk.deliverer(channel).run(stop))

    async def settled() -> bool:
        return await desk.store.pending() == 0

    await eventually(settled, "it is written down")
    stop.set()
    await running
    assert await desk.states() == {"delivered": 1}
    assert len(channel.got) == 1


async def test_a_queue_is_asked_little_more_often_than_it_has_messages(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, asked = desk.store.claim, 0

    async def counted(*arguments: Any) -> Any:
        nonlocal asked
        asked += 1
        return await claim(*arguments)

    monkeypatch.setattr(desk.store, "claim", counted)
    channel, stop = Heard(), asyncio.Event()
    deliverer = desk.deliverer(channel)
    running = asyncio.create_task(deliverer.run(stop))
    for number in range(50):
        await desk.happens(SlaKind.BREACHED, str(number))
        deliverer.wake.set()
        await eventually(lambda want=number + 1: len(channel.got) == want, "it is sent")  # type: ignore[misc]
    stop.set()
    await running
    assert asked < 50 * 4, "its own claim, one in vain, and one after it was settled"


async def test_an_end_is_told_to_who_perhaps_heard_of_the_beginning(desk: Desk) -> None:
    channel = Heard(answer=lambda message: Retry("no answer within 15 s", perhaps=True))
    deliverer = desk.deliverer(channel)
    await desk.happens(SlaKind.BREACHED, "1")
    await emptied(deliverer)
    channel.answer = lambda message: Delivered()
    await desk.happens(SlaKind.FULFILLED, "1")
    await emptied(deliverer)
    desk.now_us += 3600 * SECOND
    await emptied(deliverer)
    assert [event.alert.state for event in channel.events()] == [AlertState.FIRING, AlertState.RESOLVED]


async def test_who_heard_of_an_alert_hears_of_its_end_although_its_ticket_went_to_another_team(desk: Desk) -> None:
    text = """
receivers:
  billing: {webhook: {url: "https://a.example", secrets: [x]}}
  sales: {webhook: {url: "https://b.example", secrets: [x]}}
routes: [{receiver: billing, match: {team: [Billing]}}, {receiver: sales, match: {team: [Sales]}}]
"""
    alerting = Alerting(desk.store, document.parse(text, {}), lambda: AT, lambda event: None)
    desk.now_us = AT_US
    channels = {"billing": Heard(), "sales": Heard()}

    async def told() -> list[list[str]]:
        for name, channel in channels.items():
            await emptied(desk.deliverer(channel, name))
        return [[event.transition.value for event in channel.events()] for channel in channels.values()]

    await alerting.announced(announcement(SlaKind.WARNING, 1, team="Billing"))
    assert await told() == [["warned"], []]
    await alerting.announced(announcement(SlaKind.WARNING, 2, team=None))
    await alerting.announced(announcement(SlaKind.BREACHED, 3, team="Sales"))
    assert await told() == [["warned"], ["breached"]]
    await alerting.announced(announcement(SlaKind.FULFILLED, 4, team="Sales", breached_at=DUE))
    assert await told() == [["warned", "fulfilled_late"], ["breached", "fulfilled_late"]]


class Killed(BaseException):
    """The end of the worker, at once."""


@dataclass
class Mortal:
    """A store or a channel whose every call may be the last, before it happens or after."""

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


async def _lived(kill_at: int) -> tuple[bool, Heard, Desk]:
    """A small storm with ends, and a worker that dies at the nth of its calls and is replaced after its leases."""
    desk, channel = Desk(MemoryStore()), Heard()
    countdown = [kill_at]
    rate = Rate(after=2, per_us=60 * SECOND, every_us=10 * SECOND)

    def worker() -> Deliverer:
        mortal: Any = Mortal(desk.store, countdown)
        measures = Measures(CollectorRegistry())
        sender: Any = Mortal(channel, countdown)
        return Deliverer("leads", sender, mortal, measures, lambda: desk.now_us, rate=rate, jitter=lambda: 0.5)

    deliverer, died = worker(), False

    async def works() -> None:
        nonlocal deliverer, died
        while True:
            try:
                await emptied(deliverer)
            except Killed:
                deliverer, died = worker(), True
                continue
            return

    for number in range(6):
        await desk.happens(SlaKind.BREACHED, str(number))
    await works()
    desk.now_us += 11 * SECOND
    await works()
    for number in range(6):
        await desk.happens(SlaKind.FULFILLED, str(number))
    for _ in range(12):
        await works()
        desk.now_us += LEASE_US // 2
    return died, channel, desk


async def test_a_death_between_any_two_lines_neither_loses_nor_repeats() -> None:
    kill_at, repeated = 0, 0
    while True:
        kill_at += 1
        died, channel, desk = await _lived(kill_at)
        where = f"killed at call {kill_at}"
        assert await desk.store.pending() == 0, where
        # The last word that was heard of each alert is its end, or nothing was ever said of it.
        last: dict[str, AlertEvent] = {}
        times: Counter[str] = Counter()
        ids: dict[str, set[str]] = {}
        for message in channel.got:
            events = message.digest.events if isinstance(message, Gathered) else ()
            events = (message.event,) if isinstance(message, Notice) else events
            for event in events:
                last[event.alert.alert_id] = event
                times[event.event_id] += 1
                ids.setdefault(event.event_id, set()).add(message.message_id)
        assert len(last) == 6, where
        assert all(event.alert.state is AlertState.RESOLVED for event in last.values()), where
        assert all(len(found) == 1 for found in ids.values()), f"{where}: a repetition has the same id"
        again = [message.message_id for message in channel.got]
        assert len(again) - len(set(again)) <= 1, f"{where}: only what was unanswered is sent again"
        repeated += len(again) - len(set(again))
        if not died:
            break
    assert kill_at > 60, "there are that many places to die"
    assert repeated > 0, "among them those between the receiver's yes and our writing it down"


async def test_a_digest_of_which_nothing_is_left_ends_what_it_perhaps_opened() -> None:
    desk, channel = Desk(MemoryStore()), Heard()
    rate = Rate(after=1, per_us=60 * SECOND, every_us=10 * SECOND)
    deliverer = desk.deliverer(channel, rate=rate)
    for number in range(4):
        await desk.happens(SlaKind.BREACHED, str(number))
    await emptied(deliverer)
    channel.answer = lambda message: Retry("no answer within 15 s", perhaps=True)
    desk.now_us += 10 * SECOND
    await emptied(deliverer)
    assert isinstance(channel.got[-1], Gathered)
    channel.answer = lambda message: Delivered()
    for number in range(4):
        await desk.happens(SlaKind.RETRACTED, str(number))
    desk.now_us += timedelta(minutes=10) // timedelta(microseconds=1)
    await emptied(deliverer)
    assert any(isinstance(message, Over) for message in channel.got)
