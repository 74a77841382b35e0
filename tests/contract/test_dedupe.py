"""The memory of what was taken, in the process and in Redis: one behaviour."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from schemas.failure import NotNow
from services.embedded.port import free_port
from services.ingest.dedupe import HORIZON_S, PREFIX, Dedupe, InTurn, MemoryDedupe, RedisDedupe, client


class Steady:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
async def dedupe(request: pytest.FixtureRequest) -> AsyncIterator[Dedupe]:
    if request.param == "memory":
        yield MemoryDedupe()
        return
    redis = client(request.getfixturevalue("redis_db"))
    yield RedisDedupe(redis, lambda: pytest.fail("Redis is there"), deadline_s=5)
    await redis.aclose()


async def test_what_was_not_marked_is_not_seen(dedupe: Dedupe) -> None:
    assert await dedupe.seen(["a", "b"]) == [False, False]
    assert await dedupe.seen(["a"]) == [False], "asking is not marking"


async def test_what_was_marked_is_seen_each_in_its_place(dedupe: Dedupe) -> None:
    await dedupe.mark(["b"])
    assert await dedupe.seen(["a", "b", "c", "b"]) == [False, True, False, True]


async def test_marking_twice_is_marking_once(dedupe: Dedupe) -> None:
    await dedupe.mark(["a"])
    await dedupe.mark(["a", "b"])
    assert await dedupe.seen(["a", "b"]) == [True, True]


async def test_nothing_asked_is_nothing_answered(dedupe: Dedupe) -> None:
    await dedupe.mark([])
    assert await dedupe.seen([]) == []


async def test_the_memory_of_the_process_ends_at_the_horizon_and_does_not_grow_for_ever() -> None:
    steady = Steady()
    dedupe = MemoryDedupe(steady, horizon_s=10)
    await dedupe.mark(["a"])
    steady.now_s = 9.9
    assert await dedupe.seen(["a"]) == [True]
    steady.now_s = 10
    assert await dedupe.seen(["a"]) == [False]
    await dedupe.mark(["b"])
    assert list(dedupe._marked) == ["b"]


@pytest.mark.redis
async def test_redis_is_told_to_forget_at_the_horizon_counted_from_the_first_mark(redis_db: str) -> None:
    redis = client(redis_db)
    dedupe = RedisDedupe(redis, lambda: None, deadline_s=5)
    await dedupe.mark(["a"])
    await redis.expire(PREFIX + "a", 100)
    await dedupe.mark(["a"])
    assert 0 < await redis.ttl(PREFIX + "a") <= 100
    await dedupe.mark(["b"])
    assert HORIZON_S - 60 < await redis.ttl(PREFIX + "b") <= HORIZON_S
    await redis.aclose()


async def test_without_redis_everything_passes_is_counted_and_redis_is_left_alone_for_a_while() -> None:
    steady = Steady()
    passed: list[float] = []
    redis = client(f"redis://127.0.0.1:{free_port()}")
    dedupe = RedisDedupe(redis, lambda: passed.append(steady.now_s), steady, deadline_s=5)
    assert await dedupe.seen(["a", "b"]) == [False, False]
    await dedupe.mark(["a"])
    assert passed == [0, 0]
    await redis.aclose()


@pytest.mark.redis
async def test_redis_is_asked_again_after_its_rest(redis_db: str) -> None:
    steady = Steady()
    passed: list[float] = []
    dead = Redis.from_url(f"redis://127.0.0.1:{free_port()}")
    alive = client(redis_db)
    dedupe = RedisDedupe(dead, lambda: passed.append(steady.now_s), steady, deadline_s=5, rest_s=1)
    assert await dedupe.seen(["a"]) == [False]
    dedupe._client = alive
    steady.now_s = 0.5
    await dedupe.mark(["a"])
    assert passed == [0, 0.5]
    steady.now_s = 1
    await dedupe.mark(["a"])
    assert await dedupe.seen(["a"]) == [True]
    assert passed == [0, 0.5]
    await dead.aclose()
    await alive.aclose()


async def test_copies_of_a_delivery_take_turns_and_others_do_not_wait() -> None:
    turns = InTurn()
    order: list[str] = []
    held, release = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        async with turns.of("a", 5):
            held.set()
            await release.wait()
            order.append("first")

    async def second() -> None:
        await held.wait()
        async with turns.of("a", 5):
            order.append("second")

    async def other() -> None:
        await held.wait()
        async with turns.of("b", 5):
            order.append("other")
        release.set()

    await asyncio.gather(second(), first(), other())
    assert order == ["other", "first", "second"]
    assert turns._queues == {}


async def test_a_copy_does_not_wait_for_ever_and_a_failed_first_leaves_the_turn_to_the_second() -> None:
    turns = InTurn()
    async with turns.of("a", 5):
        with pytest.raises(NotNow):
            async with turns.of("a", 0.01):
                pytest.fail("the first is still at it")
    with pytest.raises(ZeroDivisionError):
        async with turns.of("a", 5):
            raise ZeroDivisionError
    async with turns.of("a", 5):
        assert list(turns._queues) == ["a"]
    assert turns._queues == {}
