"""One contract: what the worker relies on holds in memory, in Redis and in a Redis Cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from redis import exceptions

from schemas.instant import SECOND_US, to_datetime
from schemas.sla import SlaEvent, SlaKind, SlaMetric
from schemas.state import (
    FORGET_FROM,
    Entry,
    Fact,
    Ticket,
    bucket_key,
    gauge_key,
    outbox_key,
    pack,
    pack_facts,
    timers_key,
    with_facts,
)
from schemas.ticket import Kind
from services.kpi.cuts import Cuts, plain
from services.metrics.delta import Delta
from services.metrics.position import Position
from services.metrics.store import Fenced, MemoryStore, RedisStore, Store
from services.state import client
from tests.support.bucket import held

AT_US = 1_800_000_000_000_000
EXPIRES_S = AT_US // 1_000_000 + 3_600_000_000
KEY = "zendesk:1"


@pytest.fixture(params=["memory", "redis_db", "cluster_db"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
        return
    redis = client.writer(request.getfixturevalue(request.param))
    yield RedisStore(redis)
    await redis.aclose()


def event(revision: int) -> SlaEvent:
    return SlaEvent(
        event_id=f"e{revision}",
        kind=SlaKind.BREACHED,
        source="zendesk",
        ticket_id="1",
        metric=SlaMetric.FIRST_RESPONSE,
        cycle=1,
        revision=revision,
        policy="vip",
        target_s=60,
        elapsed_s=61,
        detected_at=to_datetime(AT_US),
    )


def delta(number: int = 1) -> Delta:
    fact = Fact(AT_US + number, 0, number.to_bytes(16, "big"), Kind.CREATED)
    bucket = ("1h", 1_799_999_200)
    return Delta(
        entries={KEY: pack(Entry(Ticket("zendesk", "1", facts=number)))},
        facts={KEY: [pack_facts(with_facts(b"", [fact]))]},
        buckets={bucket: {"all": {"c": number}}},
        expires={bucket: EXPIRES_S},
        gauge={"all": {"b": 1}},
        due={KEY: AT_US + number},
        listed={("running:first_response", "zendesk:1.."): AT_US},
        events=[event(number)],
    )


async def test_a_claim_begins_a_new_epoch_and_keeps_the_place(store: Store) -> None:
    first = await store.claim(3)
    after = replace(first, step=1, next_offset=7, last="6:1:ab", clock_us=AT_US)
    await store.apply(3, first, after, Delta())
    second = await store.claim(3)
    assert (second.epoch, second.step) == (first.epoch + 1, 1)
    assert (second.next_offset, second.last, second.clock_us) == (7, "6:1:ab", AT_US)


async def test_where_partitions_stand_can_be_asked_without_taking_them(store: Store) -> None:
    position = await store.claim(4)
    await store.apply(4, position, position.after(None, AT_US), Delta())
    assert await store.steps([4, 5]) == {4: (position.epoch, 1), 5: (0, 0)}
    assert await store.steps([]) == {}
    following = position.after(None, AT_US)
    await store.apply(4, following, following.after(None, AT_US), Delta())


async def test_what_was_applied_can_be_loaded(store: Store) -> None:
    position = await store.claim(0)
    await store.apply(0, position, position.after(None, AT_US), delta())
    assert (await store.entries(0, [KEY, "zendesk:2"])) == {KEY: Entry(Ticket("zendesk", "1", facts=1))}
    assert [fact.at_us for fact in (await store.facts(0, [KEY]))[KEY]] == [AT_US + 1]
    assert await store.entries(1, [KEY]) == {}
    assert await store.entries(0, []) == {}


async def test_a_worker_that_lost_the_partition_is_refused_and_changes_nothing(store: Store) -> None:
    zombie = await store.claim(0)
    owner = await store.claim(0)
    with pytest.raises(Fenced):
        await store.apply(0, zombie, zombie.after(None, AT_US), delta())
    assert await store.entries(0, [KEY]) == {}
    await store.apply(0, owner, owner.after(None, AT_US), delta())
    assert KEY in await store.entries(0, [KEY])


async def test_the_same_batch_is_not_applied_twice(store: Store) -> None:
    position = await store.claim(0)
    await store.apply(0, position, position.after(None, AT_US), delta())
    with pytest.raises(Fenced):
        await store.apply(0, position, position.after(None, AT_US), delta())
    assert len((await store.facts(0, [KEY]))[KEY]) == 1


async def test_a_store_that_went_back_in_time_refuses_the_next_batch(store: Store) -> None:
    position = await store.claim(0)
    ahead = replace(position, step=position.step + 5)
    with pytest.raises(Fenced):
        await store.apply(0, ahead, ahead.after(None, AT_US), delta())


async def test_due_tickets_come_longest_overdue_first_and_only_in_their_time(store: Store) -> None:
    position = await store.claim(0)
    changes = Delta(due={"z:late": AT_US - 10, "z:now": AT_US, "z:soon": AT_US + 1, "z:later": AT_US + 50})
    following = position.after(None, AT_US)
    await store.apply(0, position, following, changes)
    assert await store.due({0: AT_US, 1: AT_US}, 10) == {0: ["z:late", "z:now"]}
    assert await store.due({0: AT_US}, 1) == {0: ["z:late"]}
    await store.apply(0, following, following.after(None, AT_US), Delta(due={"z:late": None}))
    assert await store.due({0: AT_US}, 10) == {0: ["z:now"]}
    assert await store.due({1: AT_US}, 10) == {}
    assert await store.due({}, 10) == {}


async def test_redis_holds_counters_lists_and_the_outbox_where_readers_look(redis_db: str) -> None:
    redis: Any = client.writer(redis_db)
    store = RedisStore(redis)
    position = await store.claim(0)
    following = position.after(None, AT_US)
    await store.apply(0, position, following, delta(2))
    key = bucket_key(0, "1h", 1_799_999_200, "all")
    assert await held(redis, key) == {"c": 2}
    assert await redis.expiretime(key) == EXPIRES_S
    assert await held(redis, gauge_key(0, "all")) == {"b": 1}
    assert await redis.zrange(timers_key(0, "running:first_response"), 0, -1, withscores=True) == [
        (b"zendesk:1..", float(AT_US))
    ]
    [(_, fields)] = await redis.xrange(outbox_key(0))
    assert fields[b"id"] == b"e2"

    taken_back = delta(3)
    taken_back.buckets = {("1h", 1_799_999_200): {"all": {"c": -2}}}
    taken_back.gauge = {"all": {"b": -1}}
    await store.apply(0, following, following.after(None, AT_US), taken_back)
    assert await redis.exists(key) == 0, "a counter at zero is not kept"
    assert await redis.exists(gauge_key(0, "all")) == 0
    await redis.aclose()


async def test_a_bucket_of_thousands_of_fields_adds_up_and_one_that_is_emptied_late_still_ends(redis_db: str) -> None:
    redis: Any = client.writer(redis_db)
    store = RedisStore(redis)
    bucket = ("1h", 1_799_999_200, "all")
    key = bucket_key(0, *bucket)
    position = await store.claim(0)
    for sign in (1, 1, -1, -1):
        following = position.after(None, AT_US + 2 * 3600 * SECOND_US)  # the hour is over from the second step on
        changes = Delta(
            buckets={bucket[:2]: {"all": {f"Rx{cell}": sign * (cell % 7 + 2**51 // 4) for cell in range(2500)}}},
            expires={bucket[:2]: EXPIRES_S},
        )
        await store.apply(0, position, following, changes)
        position = following
        if following.step == 2:
            fields = await held(redis, key)
            assert len(fields) == 2501
            assert fields["Rx2499"] == 2 * (2499 % 7 + 2**51 // 4)
    assert list(await held(redis, key)) == ["@"], "readers that kept it are told that it changed"
    assert await redis.expiretime(key) == EXPIRES_S
    await redis.aclose()


HOUR = ("1h", 1_799_999_200, "all")
HOUR_IS_OVER_US = AT_US + 2 * 3600 * SECOND_US


async def stepped(store: Store, position: Position, amounts: dict[str, int], at_us: int = AT_US) -> Position:
    """One step that changes one bucket."""
    following = position.after(None, at_us)
    await store.apply(
        0, position, following, Delta(buckets={HOUR[:2]: {HOUR[2]: amounts}}, expires={HOUR[:2]: EXPIRES_S})
    )
    return following


async def test_a_bucket_that_outgrows_a_string_goes_on_as_a_hash_with_the_same_sums_and_the_same_end(
    redis_db: str,
) -> None:
    redis: Any = client.writer(redis_db)
    store, key = RedisStore(redis), bucket_key(0, *HOUR)
    position = await stepped(store, await store.claim(0), {"c": 1, "cu": -7})
    assert await redis.type(key) == b"string"
    sums = {"c": 1, "cu": -7}
    for cell in range(200):
        position = await stepped(store, position, {"c": 1, f"Rx{cell}": 2**51 // 4})
        sums |= {"c": sums["c"] + 1, f"Rx{cell}": 2**51 // 4}
        assert await redis.strlen(key) <= 512 if await redis.type(key) == b"string" else True
        assert await redis.expiretime(key) == EXPIRES_S
    assert await redis.type(key) == b"hash", "what is written for an event does not grow with the bucket"
    assert await held(redis, key) == sums
    await stepped(store, position, {field: -amount for field, amount in sums.items()})
    assert await redis.exists(key) == 0, "counters at zero are not kept"
    await redis.aclose()


async def test_what_cancels_out_leaves_no_bucket(redis_db: str) -> None:
    redis: Any = client.writer(redis_db)
    store = RedisStore(redis)
    position = await stepped(store, await store.claim(0), {"c": 0})
    await store.apply(0, position, position.after(None, AT_US), Delta(gauge={"all": {"b": 0, "bo": 0}}))
    assert await redis.keys("dp:*:k:*") == []
    await redis.aclose()


async def test_a_large_bucket_stays_a_string_while_most_of_it_changes_at_once(redis_db: str) -> None:
    redis: Any = client.writer(redis_db)
    store, key = RedisStore(redis), bucket_key(0, *HOUR)
    position, many = await store.claim(0), {f"Rx{cell}": 300 for cell in range(500)}
    for _ in range(3):
        position = await stepped(store, position, many)
    assert await redis.type(key) == b"string"
    assert await held(redis, key) == dict.fromkeys(many, 900)
    await stepped(store, position, {"c": 1})
    assert await redis.type(key) == b"hash"
    assert await held(redis, key) == {**dict.fromkeys(many, 900), "c": 1}
    assert await redis.expiretime(key) == EXPIRES_S
    await redis.aclose()


async def test_a_bucket_that_an_older_worker_left_as_a_hash_is_added_to(redis_db: str) -> None:
    redis: Any = client.writer(redis_db)
    store, key = RedisStore(redis), bucket_key(0, *HOUR)
    await redis.hset(key, mapping={"c": 5, "cu": 9})
    await redis.expireat(key, EXPIRES_S)
    await stepped(store, await store.claim(0), {"c": 1, "cu": -9})
    assert await held(redis, key) == {"c": 6}
    assert await redis.expiretime(key) == EXPIRES_S
    await redis.aclose()


@pytest.mark.parametrize("cells", [1, 300])
async def test_every_change_after_its_end_gives_a_bucket_another_version(redis_db: str, cells: int) -> None:
    redis: Any = client.writer(redis_db)
    store, key = RedisStore(redis), bucket_key(0, *HOUR)
    amounts = {f"Rx{cell}": 1 for cell in range(cells)}
    position = await stepped(store, await store.claim(0), amounts, HOUR_IS_OVER_US)
    assert "@" not in await held(redis, key), "nobody can have kept it before it was over"
    versions = set()
    for change in (amounts, {"c": 1}, {"c": 1}, {"c": -2}):
        position = await stepped(store, position, change, HOUR_IS_OVER_US)
        fields = await held(redis, key)
        versions.add(fields.pop("@"))
    assert len(versions) == 4
    assert fields == dict.fromkeys(amounts, 2)
    for _ in range(2):
        position = await stepped(store, position, dict.fromkeys(amounts, -1), HOUR_IS_OVER_US)
    assert list(await held(redis, key)) == ["@"]
    assert await redis.expiretime(key) == EXPIRES_S
    await redis.aclose()


async def test_a_step_whose_answer_was_lost_is_asked_for_again_and_done_once(redis_db: str) -> None:
    redis: Any = client.writer(redis_db)
    store = RedisStore(redis)
    position = await store.claim(0)
    real, calls = store._apply, []

    async def loses_the_first_answer(**arguments: Any) -> Any:
        calls.append(await real(**arguments))
        if len(calls) == 1:
            raise exceptions.TimeoutError("lost")
        return calls[-1]

    store._apply = loses_the_first_answer
    await store.apply(0, position, position.after(None, AT_US), delta())
    assert calls == [b"done", b"applied"]
    assert await held(redis, gauge_key(0, "all")) == {"b": 1}
    await redis.aclose()


async def test_cuts_keep_the_revision_with_which_they_came(store: Store) -> None:
    assert await store.cuts() is None
    assert await store.cuts(["team", "channel"]) == Cuts(0, {"team": 0, "channel": 0}), "the first ones are since ever"
    assert await store.cuts(["channel", "team"]) == Cuts(0, {"team": 0, "channel": 0})
    assert await store.cuts(["team", "team,priority"]) == Cuts(1, {"team": 0, "team,priority": 1})
    again = await store.cuts(["team", "channel"])
    assert again == await store.cuts() == Cuts(2, {"team": 0, "channel": 2}), "one that comes back begins anew"
    assert again.stored("channel", "channel:email") == "2~channel:email"
    assert again.stored("team", "team:a") == "team:a"
    assert plain("2~channel:email") == "channel:email"


async def test_values_are_admitted_until_there_is_no_room_and_what_was_answered_stands(store: Store) -> None:
    cuts = Cuts(1, {"team": 0, "agent": 1})
    assert await store.admit(cuts, "team", 2, ["team:a", "team:b", "team:c"]) == ["team:a", "team:b"]
    assert await store.admit(cuts, "team", 2, ["team:c", "team:a"]) == ["team:a"]
    assert await store.admit(cuts, "team", 9, ["team:c", "team:d"]) == [], "a raised limit admits nothing to a full cut"
    assert await store.admit(cuts, "agent", 2, ["agent:a"]) == ["agent:a"]
    assert await store.admit(cuts, "agent", 2, ["agent:b"]) == ["agent:b"]
    assert await store.admit(cuts, "agent", 3, ["agent:c"]) == ["agent:c"], "it was never full"
    assert await store.admitted(cuts) == {"team": 2, "agent": 3}
    assert await store.admit(Cuts(2, {"team": 2}), "team", 1, ["team:c"]) == ["team:c"], "a cut anew decides anew"


async def test_what_was_counted_by_itself_is_admitted_again_after_redis_lost_that(store: Store) -> None:
    """An older copy of the admissions, beside partitions that went on: in a Cluster they fail over one by one."""
    cuts = await store.cuts(["team", "channel"])
    assert cuts is not None
    position = await store.claim(2)
    counted = {name: {"c": 1} for name in ("all", "team:a", "team:other", "9~team:b", "brand:x")}
    changes = Delta(buckets={("1h", 1_799_999_200): counted}, expires={("1h", 1_799_999_200): EXPIRES_S})
    await store.apply(2, position, position.after(None, AT_US), changes)
    await store.readmit(cuts, {"channel": ["channel:email"], "gone": ["gone:x"]})
    assert await store.admit(cuts, "team", 1, ["team:z", "team:a", "team:b"]) == ["team:a"]
    assert await store.admitted(cuts) == {"team": 1, "channel": 1}
    assert await store.admit(cuts, "channel", 1, ["channel:email"]) == ["channel:email"]


async def test_a_scan_meets_every_ticket_and_says_whose_it_is(store: Store) -> None:
    wanted: dict[int, set[str]] = {}
    for number in (0, 11):
        keys = {f"zendesk:{number}-{at}:x" for at in range(700)}
        wanted[number] = keys
        position = await store.claim(number)
        changes = Delta(entries={key: pack(Entry(Ticket(*key.split(":", 1)))) for key in keys})
        await store.apply(number, position, position.after(None, AT_US), changes)
    cursor, found = await store.scan(0)
    while cursor:
        cursor, more = await store.scan(cursor)
        for number, keys in more.items():
            found.setdefault(number, []).extend(keys)
    assert {number: set(keys) for number, keys in found.items()} == wanted


async def test_dropped_segments_leave_no_gauge_and_a_position_says_what_was_swept(store: Store) -> None:
    position = await store.claim(5)
    bucket = {("1h", 1_799_999_200): {name: {"c": 1} for name in ("all", "team:a")}}
    gauge = {"all": {"b": 2}, "team:a": {"b": 1}, "brand:x": {"b": 1}}
    changes = Delta(buckets=bucket, expires=dict.fromkeys(bucket, EXPIRES_S), gauge=gauge)
    following = position.after(None, AT_US)
    await store.apply(5, position, following, changes)
    assert await store.segments(5) == ["all", "brand:x", "team:a"]
    done = replace(following.after(None, AT_US), swept=3)
    await store.apply(5, following, done, Delta(dropped=["team:a", "brand:x"]))
    assert await store.segments(5) == ["all"]
    assert (await store.claim(5)).swept == 3


def test_positions_never_let_the_clock_go_back() -> None:
    position = Position(1, clock_us=AT_US)
    assert position.after(None, AT_US - 5).clock_us == AT_US


async def test_forgotten_tickets_are_gone_with_their_facts_and_may_begin_anew_in_the_same_step(store: Store) -> None:
    position = await store.claim(0)
    both = delta()
    both.entries["zendesk:2"] = pack(Entry(Ticket("zendesk", "2")))
    both.facts["zendesk:2"] = both.facts[KEY]
    await store.apply(0, position, position.after(None, AT_US), both)
    before = position.after(None, AT_US)
    again = Fact(AT_US + 9, 0, (9).to_bytes(16, "big"), Kind.UPDATED)
    forgetting = Delta(
        forgotten=[KEY, "zendesk:2"],
        entries={KEY: pack(Entry(Ticket("zendesk", "1", facts=7)))},
        facts={KEY: [pack_facts(with_facts(b"", [again]))]},
    )
    await store.apply(0, before, before.after(None, AT_US), forgetting)
    assert {key: entry.ticket.facts for key, entry in (await store.entries(0, [KEY, "zendesk:2"])).items()} == {KEY: 7}
    assert await store.facts(0, [KEY, "zendesk:2"]) == {KEY: [again], "zendesk:2": []}


async def test_what_waits_to_be_forgotten_is_apart_from_what_waits_for_a_timer(store: Store) -> None:
    position = await store.claim(0)
    waiting = Delta(due={"z:timer": 50, "z:soon": FORGET_FROM + 50, "z:later": FORGET_FROM + 70})
    await store.apply(0, position, position.after(None, AT_US), waiting)
    assert await store.due({0: AT_US}, 10) == {0: ["z:timer"]}
    assert await store.forgettable({0: 60, 1: 60}, 10) == {0: ["z:soon"]}
    assert await store.forgettable({0: 70}, 1) == {0: ["z:soon"]}
    assert await store.forgettable({0: 49}, 10) == {}
