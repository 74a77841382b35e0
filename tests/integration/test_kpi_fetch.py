"""What the reader answers is the plain sum of what lies in Redis, whatever it keeps, however small the pieces are that
it asks in, and whatever happens to the state between two questions; and no piece of a question is large."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from schemas import state as layout
from schemas.instant import SECOND_US
from services import clock
from services.kpi import fetch, shelf
from services.kpi.catalogue import KPIS
from services.kpi.reader import KpiReader
from services.kpi.reading import Reading, readings
from services.kpi.window import cover, resolutions
from services.metrics.delta import Delta
from services.metrics.position import Position
from services.metrics.store import RedisStore
from services.state import client
from services.state.partitions import Partitions
from tests.support.bucket import held

KEPT = resolutions([7 * 86_400])
PARTITIONS = 3
AGENTS = [f"agent:a{number}" for number in range(40)]
SEGMENTS = ["all", "team:t1", "team:t2", *AGENTS]
FIELDS = ["c", "s", "z", "z1", "f", "ft", "fu", "fx12", "fx300", "fy12", "b", "bo", "A:zoe", "G:zoe", "S", "S:kim"]
SOME = [KPIS[name] for name in ("tickets_created", "one_touch_rate", "first_response_time", "backlog")]
PEOPLE = [KPIS[name] for name in ("knowledge_contribution", "agent_retention")]


@pytest.fixture
async def redis(redis_db: str) -> AsyncIterator[Any]:
    found = client.writer(redis_db)
    yield found
    await found.aclose()


class State:
    """Buckets that change at random, as a worker changes them."""

    def __init__(self, redis: Any, dice: random.Random, now_s: int) -> None:
        self.redis, self.dice, self.now_s = redis, dice, now_s
        self.store = RedisStore(redis)
        self.held: dict[int, Position] = {}
        self.older: set[int] = set()

    async def claim(self) -> None:
        self.older.clear()
        self.held = {number: await self.store.claim(number) for number in range(PARTITIONS)}

    async def step(self, number: int, late: float = 0.5, cases: int = 5) -> None:
        delta = Delta()
        for _ in range(self.dice.randrange(1, cases)):
            age_s = (
                int(self.dice.choice((20, 900, 5000, 200_000)) * self.dice.random()) if self.dice.random() < late else 0
            )
            amounts = {field: self.dice.randrange(-2, 9) for field in self.dice.sample(FIELDS, 3)}
            for segment in {"all", self.dice.choice(SEGMENTS), self.dice.choice(AGENTS)}:
                for resolution in KEPT:
                    start_s = resolution.start((self.now_s - age_s) * SECOND_US)
                    if resolution.expires(start_s) > self.now_s:
                        place = (resolution.name, start_s)
                        there = delta.buckets.setdefault(place, {}).setdefault(segment, {})
                        for field, amount in amounts.items():
                            there[field] = there.get(field, 0) + amount
                        delta.expires[place] = resolution.expires(start_s)
                delta.gauge.setdefault(segment, {})["b"] = self.dice.randrange(1, 4)
        after = self.held[number].after(None, self.now_s * SECOND_US)
        await self.store.apply(number, self.held[number], after, delta)
        self.held[number] = after
        if number in self.older:
            slot = layout.slot(number)
            await self.redis.delete(layout.late_key(number), *await self.redis.keys(f"{slot}i:*"))

    async def claim_as_before(self, number: int) -> None:
        """A worker of an older version takes the partition over: it lists no buckets and notes no changes."""
        await self.redis.hincrby(layout.position_key(number), "epoch", 1)
        await self.redis.hset(layout.position_key(number), "life", f"older-{self.dice.random()}")
        self.held[number] = replace(self.held[number], epoch=self.held[number].epoch + 1)
        self.older.add(number)

    async def summed(self, segment: str, window_s: int, kpis: Any) -> dict[str, Reading]:
        """The answer as slowly and simply as can be."""
        places = [(r.name, start_s) for r, start_s in cover(self.now_s - window_s, self.now_s + 1, self.now_s, KEPT)]
        total: dict[str, int] = {}
        stands: dict[str, int] = {}
        there = {key.decode() for key in await self.redis.keys("dp:*:k:*")}
        for number in range(PARTITIONS):
            keys = [layout.bucket_key(number, name, start_s, segment) for name, start_s in places]
            for key, into in [
                *((key, total) for key in keys if key in there),
                (layout.gauge_key(number, segment), stands),
            ]:
                for name, amount in (await held(self.redis, key)).items():
                    if name != "@":
                        into[name] = into.get(name, 0) + int(amount)
        return readings(kpis, total, stands, self.now_s)


def reader(redis: Any) -> KpiReader:
    return KpiReader(redis, Partitions(redis), KEPT)


@pytest.mark.parametrize(("piece", "most"), [(3000, shelf.MOST), (120, shelf.MOST), (200, 900)])
async def test_answers_are_plain_sums_whatever_happens_between_two_of_them(
    redis: Any, monkeypatch: pytest.MonkeyPatch, piece: int, most: int
) -> None:
    monkeypatch.setattr(fetch, "PIECE", piece)
    monkeypatch.setattr(fetch, "LEAST", 7)
    dice = random.Random(piece + most)
    state = State(redis, dice, clock.now_us() // SECOND_US)
    reading = KpiReader(redis, Partitions(redis), KEPT, most)
    await state.claim()
    copy: dict[bytes, bytes] = {}
    positions: dict[int, Position] = {}
    answers = set()
    for turn in range(40):
        state.now_s += dice.choice((0, 0, 1, 9, 70))
        for _ in range(dice.randrange(4)):
            await state.step(dice.randrange(PARTITIONS), cases=60 if dice.random() < 0.05 else 5)
        chance = dice.random()
        if chance < 0.05:
            copy, positions = {key: await redis.dump(key) for key in await redis.keys("dp:*")}, dict(state.held)
        elif chance < 0.08 and copy:
            await redis.flushdb()
            for key, value in copy.items():
                await redis.restore(key, 0, value)
            state.held = positions
            await state.claim()
        elif chance < 0.12:
            await state.claim()
        elif chance < 0.14:
            await state.claim_as_before(dice.randrange(PARTITIONS))
        elif chance < 0.16:
            await redis.script_flush()
        kpis = dice.choice((SOME, PEOPLE, [dice.choice(SOME)], list(KPIS.values())))
        window_s, asked = dice.choice((900, 3600, 86_400)), dice.choice((["all"], ["all", "team:t1"], AGENTS, SEGMENTS))
        found = await reading.windows(asked, window_s, state.now_s * SECOND_US, kpis)
        for segment in dice.sample(asked, min(3, len(asked))):
            wanted = await state.summed(segment, window_s, kpis)
            assert found[segment] == wanted, (turn, segment, window_s)
            answers.add(str(wanted))
    assert len(answers) > 20, "the numbers moved while they were read"


async def test_what_is_listed_is_all_there_is(redis: Any) -> None:
    """Each bucket is in the list of its place, so that nobody who trusts the list misses one."""
    state = State(redis, random.Random(3), clock.now_us() // SECOND_US)
    await state.claim()
    for _ in range(30):
        await state.step(0)
    buckets = [key.decode() for key in await redis.keys(layout.bucket_prefix(0) + "1*")]
    assert len(buckets) > 100
    for key in buckets:
        resolution, start_s, segment = key.removeprefix(layout.bucket_prefix(0)).split(":", 2)
        place = layout.listed_key(0, resolution, int(start_s))
        assert await redis.hexists(place, segment), key
        assert await redis.expiretime(place) == await redis.expiretime(key)


async def test_no_piece_of_a_large_question_holds_redis_for_long(redis: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    state = State(redis, random.Random(4), clock.now_us() // SECOND_US)
    await state.claim()
    for _ in range(60):
        await state.step(0, late=1.0, cases=30)
    for number in range(PARTITIONS):  # nothing is listed: every bucket of every agent is asked for
        await redis.hdel(layout.position_key(number), "listed")
    read: list[int] = []
    asked = fetch.Fetch._asked

    async def counted(self: fetch.Fetch, calls: Any) -> Any:
        await redis.config_resetstat()
        answers = await asked(self, calls)
        stats = await redis.info("stats")
        read.append(stats["keyspace_hits"] + stats["keyspace_misses"])
        return answers

    monkeypatch.setattr(fetch.Fetch, "_asked", counted)
    agents = [*AGENTS, *(f"agent:nobody-{number}" for number in range(1000))]
    found = await reader(redis).windows(agents, 86_400, state.now_s * SECOND_US, [KPIS["one_touch_rate"]])
    assert sum(read) > 100_000
    assert max(read) <= 2 * fetch.PIECE
    monkeypatch.undo()
    assert found["agent:a1"] == await state.summed("agent:a1", 86_400, [KPIS["one_touch_rate"]])


async def test_a_second_question_asks_only_for_what_is_not_over_or_changed(redis: Any) -> None:
    state, reading = State(redis, random.Random(5), clock.now_us() // SECOND_US), reader(redis)
    await state.claim()
    for number in range(PARTITIONS):
        for _ in range(30):
            await state.step(number, late=1.0, cases=20)

    async def asked() -> int:
        await redis.config_resetstat()
        await reading.windows(AGENTS, 86_400, state.now_s * SECOND_US, [KPIS["one_touch_rate"]])
        stats = await redis.info("stats")
        return int(stats["keyspace_hits"] + stats["keyspace_misses"])

    first, second = await asked(), await asked()
    assert second < first / 4
    state.now_s += 5
    await state.step(1, late=1.0)
    assert await asked() <= second + 100


async def test_the_names_that_a_reader_remembers_are_bounded(redis: Any) -> None:
    state = State(redis, random.Random(6), clock.now_us() // SECOND_US)
    await state.claim()
    place = ("1d", KEPT[-1].start((state.now_s - 86_400) * SECOND_US))
    amounts = {f"{of}{number}": 1 for of in ("A:", "G:", "S:", "~") for number in range(200)}
    delta = Delta(
        buckets={place: {"all": amounts}}, expires={place: KEPT[-1].expires(place[1])}, gauge={"all": {"b": 1, "~7": 1}}
    )
    await state.store.apply(0, state.held[0], state.held[0].after(None, state.now_s * SECOND_US), delta)
    fetch._NAMES.clear()
    found = await reader(redis).windows(["all"], 3 * 86_400, state.now_s * SECOND_US)
    assert found["all"]["knowledge_contribution"]["count"] == 200
    assert not [name for name in fetch._NAMES if name[:2] in (b"A:", b"G:", b"S:") or name.startswith(b"~")]
