"""The memory of what was taken, in the process and in Redis: one behaviour."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from schemas.failure import NotNow
from services.embedded.port import free_port
from services.ingest.dedupe import HORIZON_S, PREFIX, Dedupe, InTurn, MemoryDedupe, RedisDedupe
from services.state.client import hasty


class Steady:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture(params=["memory", *(pytest.param(one, marks=pytest.mark.redis) for one in ("redis_db", "cluster_db"))])
async def dedupe(request: pytest.FixtureRequest) -> AsyncIterator[Dedupe]:
    if request.param == "memory":
        yield MemoryDedupe()
        return
    redis = hasty(request.getfixturevalue(request.param))
    found = RedisDedupe(redis, lambda: pytest.fail("Redis is there"), deadline_s=5)
    yield found
    await found.flushed()
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
    redis = hasty(redis_db)
    dedupe = RedisDedupe(redis, lambda: None, deadline_s=5)
    await dedupe.mark(["a"])
    await dedupe.flushed()
    await redis.expire(PREFIX + "a", 100)
    await dedupe.mark(["a"])
    await dedupe.mark(["b"])
    await dedupe.flushed()
    assert 0 < await redis.ttl(PREFIX + "a") <= 100
    assert HORIZON_S - 60 < await redis.ttl(PREFIX + "b") <= HORIZON_S
    await redis.aclose()


async def test_without_redis_everything_passes_is_counted_and_redis_is_left_alone_for_a_while() -> None:
    steady = Steady()
    passed: list[float] = []
    redis = hasty(f"redis://127.0.0.1:{free_port()}")
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
    alive = hasty(redis_db)
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


@pytest.mark.redis
async def test_a_mark_is_seen_here_at_once_and_by_others_after_the_next_trip(redis_db: str) -> None:
    redis = hasty(redis_db)
    here, there = (RedisDedupe(redis, lambda: pytest.fail("Redis is there"), deadline_s=5) for _ in range(2))
    await here.mark(["a", "b"])
    assert here._on_the_way == {"a", "b"}
    assert await here.seen(["a", "c", "b"]) == [True, False, True]
    assert await there.seen(["a", "c", "b"]) == [True, False, True]
    assert not here._on_the_way
    await redis.aclose()


@pytest.mark.redis
async def test_flushing_waits_for_every_mark_also_for_those_of_the_last_moment(redis_db: str) -> None:
    redis = hasty(redis_db)
    dedupe = RedisDedupe(redis, lambda: pytest.fail("Redis is there"), deadline_s=5)
    asking = asyncio.create_task(dedupe.seen(["x"]))
    await asyncio.sleep(0)
    await dedupe.mark(["a"])
    await dedupe.flushed()
    assert await redis.exists(PREFIX + "a") == 1
    assert await asking == [False]
    await redis.aclose()


@pytest.mark.redis
async def test_a_redis_that_takes_only_commands_of_one_key_is_asked_key_by_key(redis_db: str) -> None:
    redis = hasty(redis_db)
    await redis.execute_command("ACL", "SETUSER", "narrow", "on", "nopass", "~*", "-@all", "+set", "+exists", "+client")
    narrow = hasty(redis_db.replace("redis://", "redis://narrow:any@"))
    dedupe = RedisDedupe(narrow, lambda: pytest.fail("Redis is there"), deadline_s=5)
    try:
        await dedupe.mark(["a"])
        assert await dedupe.seen(["b", "a"]) == [False, True]
        await dedupe.flushed()
        assert await dedupe.seen(["a", "b"]) == [True, False]
    finally:
        await redis.execute_command("ACL", "DELUSER", "narrow")
        await narrow.aclose()
        await redis.aclose()


async def test_marks_that_redis_never_got_are_counted_and_forgotten() -> None:
    steady = Steady()
    passed: list[float] = []
    redis = hasty(f"redis://127.0.0.1:{free_port()}")
    dedupe = RedisDedupe(redis, lambda: passed.append(steady.now_s), steady, deadline_s=5)
    await dedupe.mark(["a"])
    assert await dedupe.seen(["a"]) == [True]
    await dedupe.flushed()
    assert (passed, dedupe._on_the_way) == ([0], set())
    assert await dedupe.seen(["a"]) == [False]
    await redis.aclose()


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
