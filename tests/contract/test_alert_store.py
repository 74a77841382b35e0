"""The store in memory and in Redis behave alike."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from schemas.alert import Alert, AlertState, Severity
from schemas.instant import from_datetime
from schemas.sla import SlaKind
from services.alerts import delivery, state
from services.alerts.delivery import DeliveryState
from services.alerts.memory import MemoryStore
from services.alerts.state import Refusal, Step
from services.alerts.store import RESOLVED_KEPT_US, SETTLED_KEPT_US, RedisStore, Store, place
from services.state import client
from tests.support.sla import FOUND, announcement

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

AT = datetime(2026, 3, 2, 10, 31, tzinfo=UTC)
AT_US = from_datetime(AT)
ALL_STATES, ALL_SEVERITIES = list(AlertState), list(Severity)
LEASE_US = 30_000_000


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
        return
    url = request.getfixturevalue("redis_db")
    writer, reader = client.writer(url), client.reader(url)
    yield RedisStore(writer, reader)
    await writer.aclose()
    await reader.aclose()


def decided(before: Alert | None, kind: SlaKind, revision: int, ticket_id: str = "5158", **fields: object) -> Step:
    step = state.decide(before, announcement(kind, revision, ticket_id=ticket_id, **fields), AT)  # type: ignore[arg-type]
    assert step is not None
    return step


def messages(step: Step, *receivers: str) -> list[delivery.Delivery]:
    assert step.event is not None
    return [delivery.first(step.event, receiver, AT_US) for receiver in receivers]


async def fired(store: Store, ticket_id: str = "5158", *receivers: str) -> Alert:
    step = decided(None, SlaKind.WARNING, 1, ticket_id)
    assert await store.apply(step, messages(step, *receivers))
    return step.after


async def test_a_step_is_stored_with_its_transition(store: Store) -> None:
    step = decided(None, SlaKind.WARNING, 1)
    assert await store.newest(step.after.fingerprint) is None
    assert await store.apply(step)
    assert await store.newest(step.after.fingerprint) == step.after
    assert await store.alert(step.after.alert_id) == step.after
    assert await store.transitions(step.after.alert_id) == [step.event]
    ((_, outgoing),) = await store.outgoing(10)
    assert outgoing == step.event


async def test_of_two_steps_from_the_same_standing_one_is_stored(store: Store) -> None:
    alert = await fired(store)
    breach = decided(alert, SlaKind.BREACHED, 2)
    acknowledged = state.acknowledge(alert, "ana", AT)
    assert isinstance(acknowledged, Step)
    assert await store.apply(breach)
    assert not await store.apply(acknowledged)
    assert await store.alert(alert.alert_id) == breach.after
    assert len(await store.transitions(alert.alert_id)) == 2


async def test_a_step_that_was_stored_is_not_stored_again(store: Store) -> None:
    step = decided(None, SlaKind.WARNING, 1)
    assert await store.apply(step, messages(step, "pager"))
    assert not await store.apply(step, messages(step, "pager"))
    assert len(await store.outgoing(10)) == 1
    assert await store.pending() == 1


async def test_a_new_alert_takes_the_place_of_the_resolved_one(store: Store) -> None:
    alert = await fired(store)
    ended = decided(alert, SlaKind.RETRACTED, 2)
    assert await store.apply(ended)
    again = decided(ended.after, SlaKind.BREACHED, 3)
    assert await store.apply(again)
    assert await store.newest(alert.fingerprint) == again.after
    assert await store.alert(alert.alert_id) == ended.after
    assert not await store.apply(decided(None, SlaKind.BREACHED, 4)), "it would have opened a second one"


async def test_a_silent_step_remembers_the_revision_and_tells_nobody(store: Store) -> None:
    alert = await fired(store)
    by_hand = state.resolve(alert, "ana", AT)
    assert isinstance(by_hand, Step)
    assert await store.apply(by_hand)
    silent = decided(by_hand.after, SlaKind.FULFILLED, 2)
    assert silent.event is None
    assert await store.apply(silent)
    stored = await store.newest(alert.fingerprint)
    assert stored is not None
    assert stored.revision == 2
    assert len(await store.outgoing(10)) == 2


async def test_alerts_are_listed_latest_first_and_paged_exactly_even_when_they_began_together(store: Store) -> None:
    everyone = [await fired(store, str(number)) for number in range(7)]
    later = decided(None, SlaKind.BREACHED, 1, "later", detected_at=FOUND + timedelta(seconds=1))
    assert await store.apply(later)
    pages, after = [], None
    while page := await store.listed(ALL_STATES, ALL_SEVERITIES, 3, after):
        pages.append(page)
        after = place(page[-1])
    found = [alert for page in pages for alert in page]
    assert [len(page) for page in pages] == [3, 3, 2]
    assert found == sorted([*everyone, later.after], key=place, reverse=True)
    assert found[0] == later.after


async def test_listings_and_counts_follow_every_change(store: Store) -> None:
    alert = await fired(store)
    other = await fired(store, "9")
    breach = decided(alert, SlaKind.BREACHED, 2)
    assert await store.apply(breach)
    assert await store.listed([AlertState.FIRING], [Severity.CRITICAL], 9) == [breach.after]
    assert await store.listed([AlertState.FIRING], [Severity.WARNING], 9) == [other]
    counts = await store.counts()
    assert counts[AlertState.FIRING, Severity.CRITICAL] == 1
    assert counts[AlertState.FIRING, Severity.WARNING] == 1
    assert sum(counts.values()) == 2


async def test_snoozed_alerts_are_found_when_their_time_has_come(store: Store) -> None:
    alert = await fired(store)
    until = AT + timedelta(hours=1)
    quiet = state.snooze(alert, "ana", until, AT)
    assert not isinstance(quiet, Refusal)
    assert await store.apply(quiet)
    assert await store.to_wake(from_datetime(until) - 1, 10) == []
    assert await store.to_wake(from_datetime(until), 10) == [quiet.after]
    woken = state.wake(quiet.after, until)
    assert woken is not None
    assert await store.apply(woken)
    assert await store.to_wake(from_datetime(until), 10) == []


async def test_resolved_alerts_are_forgotten_after_thirty_days_and_open_ones_never(store: Store) -> None:
    alert, still_open = await fired(store), await fired(store, "9")
    assert await store.apply(decided(alert, SlaKind.CANCELLED, 2))
    assert await store.prune(AT_US + RESOLVED_KEPT_US - 1) == 0
    assert await store.prune(AT_US + RESOLVED_KEPT_US) == 1
    assert await store.alert(alert.alert_id) is None
    assert await store.newest(alert.fingerprint) is None
    assert await store.transitions(alert.alert_id) == []
    assert await store.listed(ALL_STATES, ALL_SEVERITIES, 9) == [still_open]
    assert await store.newest(still_open.fingerprint) == still_open


async def test_what_was_relayed_leaves_the_outbox(store: Store) -> None:
    assert await store.backlog() == (0, None)
    for number in range(3):
        await fired(store, str(number))
    depth, oldest_us = await store.backlog()
    assert depth == 3
    assert oldest_us is not None
    first, second, third = await store.outgoing(10)
    await store.relayed([first[0], second[0]])
    assert await store.outgoing(10) == [third]


async def test_a_message_is_claimed_once_until_its_lease_ends(store: Store) -> None:
    await fired(store, "5158", "pager", "chat")
    claim = await store.claim("pager", AT_US, 40_000)
    assert claim is not None
    assert claim.delivery.receiver == "pager"
    async with asyncio.timeout(10):
        while (again := await store.claim("pager", AT_US + 40_000, LEASE_US)) is None:
            await asyncio.sleep(0.01)
    assert again.delivery.delivery_id == claim.delivery.delivery_id
    done = replace(claim.delivery, state=DeliveryState.DELIVERED)
    assert not await store.settle(claim, done, AT_US), "the lease had ended"
    assert await store.settle(again, done, AT_US)
    assert await store.claim("pager", AT_US + 2 * LEASE_US, LEASE_US) is None
    assert await store.claim("chat", AT_US, LEASE_US) is not None


async def test_messages_of_one_alert_go_to_a_receiver_one_after_the_other(store: Store) -> None:
    alert = await fired(store, "5158", "pager")
    await fired(store, "9", "pager")
    breach = decided(alert, SlaKind.BREACHED, 2)
    assert await store.apply(breach, messages(breach, "pager"))
    first, second = await store.claim("pager", AT_US, LEASE_US), await store.claim("pager", AT_US, LEASE_US)
    assert first is not None
    assert second is not None
    assert {first.delivery.alert_id, second.delivery.alert_id} == {
        alert.alert_id,
        (await store.listed(ALL_STATES, [Severity.WARNING], 9))[0].alert_id,
    }
    assert await store.claim("pager", AT_US, LEASE_US) is None


async def test_a_failed_message_waits_for_its_next_attempt(store: Store) -> None:
    await fired(store, "5158", "pager")
    claim = await store.claim("pager", AT_US, LEASE_US)
    assert claim is not None
    again = replace(claim.delivery, attempts=1, next_us=AT_US + 5, problem="HTTP 500")
    assert await store.settle(claim, again, AT_US)
    assert await store.claim("pager", AT_US, LEASE_US) is None
    assert await store.next_due_us("pager") == AT_US + 5
    assert await store.deliveries([DeliveryState.PENDING], 9) == [again]
    retried = await store.claim("pager", AT_US + 5, LEASE_US)
    assert retried is not None
    assert retried.delivery == again
    assert retried.body == claim.body


async def test_settled_messages_can_be_looked_up_and_are_forgotten_later(store: Store) -> None:
    alert = await fired(store, "5158", "pager")
    claim = await store.claim("pager", AT_US, LEASE_US)
    assert claim is not None
    assert not await store.told(alert.alert_id, "pager")
    done = replace(claim.delivery, attempts=1, state=DeliveryState.DELIVERED)
    assert await store.settle(claim, done, AT_US)
    assert await store.told(alert.alert_id, "pager")
    assert not await store.told(alert.alert_id, "chat")
    assert await store.pending() == 0
    assert await store.deliveries(list(DeliveryState), 9) == [done]
    await store.prune(AT_US + SETTLED_KEPT_US)
    assert await store.deliveries(list(DeliveryState), 9) == []


async def test_a_receiver_that_is_switched_off_is_remembered_with_its_address(store: Store) -> None:
    assert await store.disabled() == {}
    await store.disable("pager", "abc", "HTTP 410", AT_US)
    assert await store.disabled() == {"pager": {"address": "abc", "why": "HTTP 410", "at_us": AT_US}}
