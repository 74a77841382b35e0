"""Silences in a real Redis: their changes, their record, and that no step slips past one."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import pytest

from schemas.instant import from_datetime
from schemas.sla import SlaKind
from services.alerts.alerting import Alerting
from services.alerts.silence import Silence, SilenceState
from services.alerts.silences import KEPT_US, MOST, SilenceBook
from services.alerts.store import RedisStore
from services.config import document
from services.state import client
from tests.support.news import AT
from tests.support.sla import announcement

pytestmark = [pytest.mark.anyio, pytest.mark.redis, pytest.mark.timeout(60)]

AT_US = from_datetime(AT)
MINUTE_US = 60_000_000
DOCUMENT = document.parse(
    """
receivers: {chat: {webhook: {url: "https://a.example", secrets: [x]}}}
routes: [{receiver: chat}]
silences:
  - {name: planned, match: {team: [Sales]}, comment: x, timezone: UTC, from: "2026-03-02 10:00", to: "2026-03-02 11:00"}
""",
    {},
)


@dataclass
class World:
    """Two processes on one Redis."""

    store: RedisStore
    book: SilenceBook
    other: SilenceBook


@pytest.fixture
async def world(redis_db: str) -> AsyncIterator[World]:
    writer, reader = client.writer(redis_db), client.reader(redis_db)
    books = [SilenceBook(DOCUMENT, writer, reader) for _ in range(2)]
    yield World(RedisStore(writer, reader), *books)
    await writer.aclose()
    await reader.aclose()


def silence(silence_id: str = "s1", since_us: int = AT_US, minutes: int = 60) -> Silence:
    return Silence(
        silence_id=silence_id,
        match={"team": ("Billing",)},
        from_us=since_us,
        until_us=since_us + minutes * MINUTE_US,
        by="ana",
        comment="The invoice run is repeated.",
        created_us=AT_US,
    )


async def test_a_silence_is_known_to_every_process_until_it_is_over_and_then_kept_for_the_record(world: World) -> None:
    assert [one.silence_id for one in (await world.other.known(AT_US)).silences] == ["planned"]
    assert await world.book.add(silence())
    assert await world.book.add(silence("later", AT_US + 90 * MINUTE_US))
    found = await world.other.known(AT_US)
    assert {one.silence_id for one in found.silences} == {"s1", "later", "planned"}
    over_us = AT_US + 60 * MINUTE_US
    assert {one.silence_id for one in (await world.other.known(over_us)).silences} == {"later"}
    await world.book.tidied(over_us)
    kept = await world.book.one("s1", over_us)
    assert kept is not None
    assert kept.stands(over_us) is SilenceState.OVER
    await world.book.tidied(over_us + KEPT_US)
    assert await world.book.one("s1", over_us) is None


async def test_a_silence_is_ended_once_and_says_by_whom(world: World) -> None:
    await world.book.add(silence())
    ended = await world.book.end("s1", "ben", AT_US + MINUTE_US)
    again = await world.other.end("s1", "eve", AT_US + 2 * MINUTE_US)
    assert ended == again
    assert ended is not None
    assert (ended.ended_by, ended.ended_us) == ("ben", AT_US + MINUTE_US)
    assert ended.stands(AT_US + MINUTE_US) is SilenceState.ENDED_BY_HAND
    assert await world.book.end("nothing", "ben", AT_US) is None
    assert [one.silence_id for one in (await world.other.known(AT_US)).silences] == ["planned"]
    assert [one.silence_id for one in await world.book.listed(AT_US)] == ["s1", "planned"]


async def test_there_are_not_more_silences_than_may_be(world: World) -> None:
    for number in range(MOST):
        assert await world.book.add(silence(f"s{number}"))
    assert not await world.book.add(silence("one-more"))
    await world.book.end("s0", "ana", AT_US)
    assert await world.book.add(silence("one-more"))


async def test_a_step_that_was_decided_before_a_silence_changed_is_decided_again(world: World) -> None:
    at = [AT]
    alerting = Alerting(world.store, DOCUMENT, lambda: at[0], lambda event: None, world.book)
    newest = world.store.newest

    async def meanwhile(fingerprint: str):  # type: ignore[no-untyped-def]
        world.store.newest = newest  # type: ignore[method-assign]
        await world.other.add(silence())
        return await newest(fingerprint)

    world.store.newest = meanwhile  # type: ignore[method-assign]
    step = await alerting.announced(announcement(SlaKind.BREACHED))
    assert step is not None
    assert step.after.silenced_by == "s1"
    assert await world.store.pending() == 0
    await world.other.end("s1", "ana", from_datetime(AT))
    assert await alerting.follow_silences() == 1, "the planned one"
    assert await world.store.pending() == 1
    alert = await world.store.alert(step.after.alert_id)
    assert alert is not None
    assert alert.silenced_by is None


async def test_the_end_of_a_silence_wakes_what_it_covered(world: World) -> None:
    at = [AT]
    alerting = Alerting(world.store, DOCUMENT, lambda: at[0], lambda event: None, world.book)
    await world.book.add(silence(minutes=5))
    step = await alerting.announced(announcement(SlaKind.BREACHED))
    assert step is not None
    at[0] += timedelta(minutes=5)
    await alerting.wake()
    transitions = await world.store.transitions(step.after.alert_id)
    assert [event.transition.value for event in transitions] == ["breached", "silence_ended"]
    assert transitions[0].alert.silenced_by == "s1"
    assert await world.store.pending() == 1
