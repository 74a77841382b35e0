"""The store in memory, in Redis and in a Redis Cluster behave alike."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from schemas.alert import Alert, AlertState, Severity
from schemas.instant import from_datetime
from schemas.sla import SlaKind
from services.alerts import delivery, state
from services.alerts.delivery import DeliveryState, Kind, Rate
from services.alerts.memory import MemoryStore
from services.alerts.queue import SETTLED_KEPT_US, Claim, Settlement
from services.alerts.state import Refusal, Step
from services.alerts.store import RESOLVED_KEPT_US, RedisStore, Store, place
from services.state import client
from tests.support.sla import FOUND, announcement

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

AT = datetime(2026, 3, 2, 10, 31, tzinfo=UTC)
AT_US = from_datetime(AT)
ALL_STATES, ALL_SEVERITIES = list(AlertState), list(Severity)
LEASE_US = 30_000_000


@pytest.fixture(params=["memory", *(pytest.param(one, marks=pytest.mark.redis) for one in ("redis_db", "cluster_db"))])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
        return
    where = request.getfixturevalue(request.param)
    writer, reader = client.writer(where), client.reader(where)
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
    assert again.again, "whoever had it perhaps sent it"
    done = Settlement(replace(claim.delivery, state=DeliveryState.DELIVERED), told=True)
    assert not await store.settle(claim, done, AT_US), "the lease had ended"
    assert await store.settle(again, done, AT_US)
    assert await store.claim("pager", AT_US + 2 * LEASE_US, LEASE_US) is None
    assert await store.claim("chat", AT_US, LEASE_US) is not None


async def test_what_was_sent_is_written_down_after_its_lease_ended_if_nobody_took_it_meanwhile(store: Store) -> None:
    await fired(store, "5158", "pager")
    claim = await store.claim("pager", AT_US, 1)
    assert claim is not None
    done = Settlement(replace(claim.delivery, state=DeliveryState.DELIVERED), told=True)
    assert await store.settle(claim, done, AT_US + LEASE_US)
    assert not await store.settle(claim, done, AT_US + LEASE_US), "once"
    assert await store.claim("pager", AT_US + 2 * LEASE_US, LEASE_US) is None
    assert await store.pending() == 0


async def test_a_message_that_is_still_on_its_way_is_nobody_elses(store: Store) -> None:
    alert = await fired(store, "5158", "pager")
    claim = await store.claim("pager", AT_US, 40_000)
    assert claim is not None
    breach = decided(alert, SlaKind.BREACHED, 2)
    assert await store.apply(breach, messages(breach, "pager"))
    await store.renew("pager", [claim], AT_US, LEASE_US)
    assert await store.claim("pager", AT_US + LEASE_US - 1, LEASE_US) is None
    assert await store.settle(claim, Settlement(replace(claim.delivery, state=DeliveryState.DELIVERED)), AT_US)
    following = await store.claim("pager", AT_US, LEASE_US)
    assert following is not None
    assert (following.delivery.transition, following.again) == ("breached", False)


async def test_who_lost_a_message_to_another_cannot_renew_it(store: Store) -> None:
    await fired(store, "5158", "pager")
    claim = await store.claim("pager", AT_US, 40_000)
    assert claim is not None
    async with asyncio.timeout(10):
        while (again := await store.claim("pager", AT_US + 40_000, LEASE_US)) is None:
            await asyncio.sleep(0.01)
    await store.renew("pager", [claim], AT_US, 10 * LEASE_US)
    assert await store.next_due_us("pager") == AT_US + 40_000 + LEASE_US
    assert await store.settle(again, Settlement(replace(claim.delivery, state=DeliveryState.DELIVERED)), AT_US)


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
    assert await store.settle(claim, Settlement(again), AT_US)
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
    assert await store.told(alert.alert_id, "pager") == (False, None)
    done = replace(claim.delivery, attempts=1, state=DeliveryState.DELIVERED)
    assert await store.settle(claim, Settlement(done, told=True, handle="thread"), AT_US)
    assert await store.told(alert.alert_id, "pager") == (True, "thread")
    assert await store.told(alert.alert_id, "chat") == (False, None)
    assert await store.heard_by(alert.alert_id) == {"pager"}
    assert await store.delivery(done.delivery_id) == done
    assert await store.pending() == 0
    assert await store.deliveries(list(DeliveryState), 9) == [done]
    await store.prune(AT_US + SETTLED_KEPT_US)
    assert await store.deliveries(list(DeliveryState), 9) == []


async def test_a_receiver_that_is_switched_off_is_remembered_with_its_address(store: Store) -> None:
    assert await store.disabled() == {}
    await store.disable("pager", "abc", "HTTP 410", AT_US)
    assert await store.disabled() == {"pager": {"address": "abc", "why": "HTTP 410", "at_us": AT_US}}
    assert await store.enable("pager")
    assert not await store.enable("pager")
    assert await store.disabled() == {}


RATE = Rate(after=2, per_us=60_000_000, every_us=30_000_000)


async def claimed(store: Store, at_us: int) -> Claim:
    claim = await store.claim("pager", at_us, LEASE_US, RATE)
    assert claim is not None
    return claim


async def delivered(store: Store, claim: Claim, at_us: int, handle: str | None = None) -> None:
    done = Settlement(replace(claim.delivery, state=DeliveryState.DELIVERED, attempts=1), told=True, handle=handle)
    if claim.delivery.kind is Kind.DIGEST:
        found = await store.members(claim.delivery.delivery_id)
        members = tuple(replace(member.delivery, state=DeliveryState.DELIVERED) for member in found)
        done = replace(done, members=members, heard=frozenset(member.delivery_id for member in members))
    assert await store.settle(claim, done, at_us)


async def a_storm(store: Store, number: int = 5, handle: str | None = None) -> tuple[Claim, int]:
    """``number`` alerts at once, two of them sent, the others in the digest that is returned, with its time."""
    for ticket in range(number):
        await fired(store, str(ticket), "pager")
    for _ in range(RATE.after):
        await delivered(store, await claimed(store, AT_US), AT_US)
    assert await store.claim("pager", AT_US, LEASE_US, RATE) is None, "too many: they are gathered"
    assert await store.claim("pager", AT_US + RATE.every_us - 1, LEASE_US, RATE) is None
    later = AT_US + RATE.every_us
    digest = await claimed(store, later)
    assert digest.delivery.kind is Kind.DIGEST
    return digest, later


async def test_messages_beyond_the_rate_are_gathered_into_one_digest_and_say_which(store: Store) -> None:
    digest, at_us = await a_storm(store)
    found = await store.members(digest.delivery.delivery_id)
    assert len(found) == 3
    assert {member.alert is not None and member.told for member in found} == {False}
    waiting = await store.deliveries([DeliveryState.GATHERED], 9)
    assert {one.digest_id for one in waiting} == {digest.delivery.delivery_id}
    assert await store.pending() == 4
    await delivered(store, digest, at_us)
    settled = await store.gathered(digest.delivery.delivery_id)
    assert [(one.state, one.digest_id) for one in settled] == [
        (DeliveryState.DELIVERED, digest.delivery.delivery_id)
    ] * 3
    assert await store.pending() == 0
    assert all([(await store.told(one.alert_id, "pager"))[0] for one in settled])


async def test_a_storm_goes_on_in_digests_until_few_messages_come(store: Store) -> None:
    digest, at_us = await a_storm(store)
    await delivered(store, digest, at_us)
    await fired(store, "later", "pager")
    assert await store.claim("pager", at_us, LEASE_US, RATE) is None
    single = await claimed(store, at_us + RATE.every_us)
    assert single.delivery.kind is Kind.ALERT, "a digest of one would be silly"
    await delivered(store, single, at_us + RATE.every_us)
    await fired(store, "calm", "pager")
    assert (await claimed(store, at_us + 3 * RATE.every_us)).delivery.kind is Kind.ALERT


async def test_what_was_perhaps_sent_is_never_gathered(store: Store) -> None:
    for ticket in range(4):
        await fired(store, str(ticket), "pager")
    first, second = await claimed(store, AT_US), await claimed(store, AT_US)
    unheard = replace(first.delivery, attempts=1, next_us=AT_US + 5)
    assert await store.settle(first, Settlement(unheard, told=True, perhaps=True), AT_US)
    refused = replace(second.delivery, attempts=1, next_us=AT_US + 5)
    assert await store.settle(second, Settlement(refused), AT_US)
    assert await store.claim("pager", AT_US, LEASE_US, RATE) is None
    assert (await claimed(store, AT_US + 5)).delivery == unheard
    digest = await claimed(store, AT_US + RATE.every_us)
    found = {member.delivery.delivery_id for member in await store.members(digest.delivery.delivery_id)}
    assert len(found) == 3
    assert second.delivery.delivery_id in found, "it was surely not taken, so it may go out with the others"
    assert (await store.told(first.delivery.alert_id, "pager"))[0]


async def test_while_a_digest_is_on_its_way_nothing_else_about_its_alerts_is(store: Store) -> None:
    digest, at_us = await a_storm(store)
    member = (await store.members(digest.delivery.delivery_id))[0]
    assert member.alert is not None
    ended = decided(member.alert, SlaKind.FULFILLED, 2, member.alert.evidence[0].ticket_id)
    assert await store.apply(ended, messages(ended, "pager"))
    assert await store.claim("pager", at_us + 1, LEASE_US) is None
    await delivered(store, digest, at_us)
    after = await store.claim("pager", at_us + 1, LEASE_US)
    assert after is not None
    assert after.delivery.alert_id == member.alert.alert_id


async def test_a_digest_whose_worker_died_is_taken_again_with_its_id_and_perhaps_was_heard(store: Store) -> None:
    for ticket in range(5):
        await fired(store, str(ticket), "pager")
    for _ in range(RATE.after):
        await delivered(store, await claimed(store, AT_US), AT_US)
    assert await store.claim("pager", AT_US, LEASE_US, RATE) is None
    digest = await store.claim("pager", AT_US + RATE.every_us, 40_000, RATE)
    assert digest is not None
    async with asyncio.timeout(10):
        while (again := await store.claim("pager", AT_US + RATE.every_us + 40_000, LEASE_US, RATE)) is None:
            await asyncio.sleep(0.01)
    assert (again.delivery, again.again) == (digest.delivery, True)
    found = await store.members(digest.delivery.delivery_id)
    assert [member.told for member in found] == [True] * 3


async def test_a_dead_digest_is_sent_again_with_everything_that_died_with_it(store: Store) -> None:
    digest, at_us = await a_storm(store)
    found = await store.members(digest.delivery.delivery_id)
    gone = [replace(member.delivery, state=DeliveryState.REFUSED, problem="HTTP 400") for member in found]
    gone[0] = replace(gone[0], state=DeliveryState.OVERTAKEN, problem=None)
    refused = replace(digest.delivery, state=DeliveryState.REFUSED, attempts=1, problem="HTTP 400")
    assert await store.settle(digest, Settlement(refused, members=tuple(gone)), at_us)
    assert not await store.resend(gone[1].delivery_id, at_us), "it went out with the digest"
    assert await store.resend(digest.delivery.delivery_id, at_us)
    assert not await store.resend(digest.delivery.delivery_id, at_us), "it is on its way"
    again = await store.claim("pager", at_us, LEASE_US)
    assert again is not None
    assert again.delivery == replace(digest.delivery, next_us=at_us)
    left = {member.delivery.delivery_id for member in await store.members(digest.delivery.delivery_id)}
    assert left == {one.delivery_id for one in gone[1:]}


async def test_a_dead_message_is_sent_again_with_the_same_id(store: Store) -> None:
    await fired(store, "5158", "pager")
    claim = await store.claim("pager", AT_US, LEASE_US)
    assert claim is not None
    assert not await store.resend(claim.delivery.delivery_id, AT_US)
    assert not await store.resend("nothing", AT_US)
    refused = replace(claim.delivery, state=DeliveryState.REFUSED, attempts=3, problem="HTTP 400")
    assert await store.settle(claim, Settlement(refused), AT_US)
    assert await store.resend(claim.delivery.delivery_id, AT_US + 7)
    again = await store.claim("pager", AT_US + 7, LEASE_US)
    assert again is not None
    assert again.delivery == replace(claim.delivery, next_us=AT_US + 7)
    assert again.body == claim.body


async def test_the_last_end_in_a_digest_ends_what_the_digest_opened(store: Store) -> None:
    for ticket in range(4):
        await fired(store, str(ticket), "pager")
    for _ in range(RATE.after):
        await delivered(store, await claimed(store, AT_US), AT_US, "own")
    assert await store.claim("pager", AT_US, LEASE_US, RATE) is None
    digest = await claimed(store, AT_US + RATE.every_us)
    digest_id = digest.delivery.delivery_id
    found = await store.members(digest_id)
    await delivered(store, digest, AT_US, f"digest:{digest_id}")
    for number, member in enumerate(found):
        assert member.alert is not None
        assert await store.delivery(f"{digest_id}:end") is None, number
        ended = decided(member.alert, SlaKind.FULFILLED, 2, member.alert.evidence[0].ticket_id)
        assert await store.apply(ended, messages(ended, "pager"))
        claim = await store.claim("pager", AT_US + RATE.every_us, LEASE_US)
        assert claim is not None
        assert (await store.told(claim.delivery.alert_id, "pager"))[1] == f"digest:{digest_id}"
        await delivered(store, claim, AT_US)
    over = await store.claim("pager", AT_US + RATE.every_us, LEASE_US)
    assert over is not None
    assert (over.delivery.kind, over.delivery.event_id) == (Kind.DIGEST_END, digest_id)
    await delivered(store, over, AT_US)
    assert await store.pending() == 0


async def test_an_alert_that_is_told_of_alone_later_is_no_part_of_the_digests_incident_any_more(store: Store) -> None:
    digest, at_us = await a_storm(store, 4)
    digest_id = digest.delivery.delivery_id
    first, second = await store.members(digest_id)
    await delivered(store, digest, at_us, f"digest:{digest_id}")
    assert first.alert is not None
    assert second.alert is not None
    breached = decided(first.alert, SlaKind.BREACHED, 2, first.alert.evidence[0].ticket_id)
    assert await store.apply(breached, messages(breached, "pager"))
    claim = await store.claim("pager", at_us, LEASE_US)
    assert claim is not None
    await delivered(store, claim, at_us, "own")
    assert (await store.told(first.alert.alert_id, "pager"))[1] == "own"
    ended = decided(second.alert, SlaKind.FULFILLED, 2, second.alert.evidence[0].ticket_id)
    assert await store.apply(ended, messages(ended, "pager"))
    claim = await store.claim("pager", at_us, LEASE_US)
    assert claim is not None
    await delivered(store, claim, at_us)
    assert await store.delivery(f"{digest_id}:end") is not None


async def test_a_test_message_waits_like_any_other(store: Store) -> None:
    trial = delivery.own(Kind.TEST, "trial", "pager", AT_US)
    await store.enqueue(trial)
    assert await store.deliveries([DeliveryState.PENDING], 9, "pager") == [trial]
    assert await store.deliveries([DeliveryState.PENDING], 9, "chat") == []
    claim = await store.claim("pager", AT_US, LEASE_US, RATE)
    assert claim is not None
    assert (claim.delivery, claim.body) == (trial, b"")


async def test_an_alert_is_found_when_its_escalation_is_due_and_no_longer_once_that_is_done(store: Store) -> None:
    step = decided(None, SlaKind.BREACHED, 1)
    due = AT + timedelta(minutes=10)
    waiting = replace(step.after, escalates_at=due)
    assert await store.apply(Step(None, waiting, step.event))
    assert await store.to_wake(from_datetime(due) - 1, 10) == []
    assert await store.to_wake(from_datetime(due), 10) == [waiting]
    done = state.escalate(waiting, due, None)
    assert await store.apply(done, messages(done, "boss"))
    assert await store.to_wake(from_datetime(due), 10) == []
    assert not await store.apply(done)  # a second worker
    forgotten = Step(done.after, replace(done.after, escalates_at=None), None)
    assert await store.apply(forgotten)


async def test_what_waited_for_the_end_of_a_quiet_time_comes_as_one_message(store: Store) -> None:
    morning_us = AT_US + 3_600_000_000
    rate = Rate(after=10, per_us=60_000_000, every_us=60_000_000)
    for number in range(3):
        step = decided(None, SlaKind.WARNING, 1, f"held-{number}")
        assert step.event is not None
        assert await store.apply(step, [delivery.first(step.event, "chat", AT_US, morning_us)])
    urgent = await fired(store, "urgent", "chat")
    at_once = await store.claim("chat", AT_US, LEASE_US, rate)
    assert at_once is not None
    assert at_once.delivery.alert_id == urgent.alert_id
    await delivered(store, at_once, AT_US)
    assert await store.claim("chat", morning_us - 1, LEASE_US, rate) is None
    digest = await store.claim("chat", morning_us, LEASE_US, rate)
    assert digest is not None
    assert digest.delivery.kind is Kind.DIGEST
    assert len(await store.members(digest.delivery.delivery_id)) == 3
    assert await store.claim("chat", morning_us, LEASE_US, rate) is None


async def test_pages_of_messages_hold_each_of_them_once_also_when_some_settle_in_between(store: Store) -> None:
    for number in range(7):
        trial = delivery.own(Kind.TEST, f"trial-{number}", "pager", AT_US + number // 3)
        await store.enqueue(trial)
    for number in range(3):
        claim = await store.claim("pager", AT_US + number, LEASE_US)
        assert claim is not None
        await delivered(store, claim, AT_US + number)
    everything = list(DeliveryState)
    whole = [found.delivery_id for found in await store.deliveries(everything, 99)]
    seen, after = [], None
    while True:
        found, after = await store.deliveries_after(after, everything, 2, "pager")
        seen += [one.delivery_id for one in found]
        if after is None:
            break
    assert seen == whole
    assert len(seen) == 7
    first, after = await store.deliveries_after(None, everything, 2)
    claim = await store.claim("pager", AT_US + 9, LEASE_US)
    assert claim is not None
    await delivered(store, claim, AT_US + 9)
    rest, end = await store.deliveries_after(after, everything, 99)
    assert end is None
    assert {one.delivery_id for one in (*first, *rest)} == set(whole)
