"""A Redis Cluster that changes under way: slots that move, nodes that forget, and a primary that dies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from redis import exceptions
from redis.asyncio import Redis

from schemas.failure import NotNow
from schemas.state import Entry, Ticket, pack, position_key, slot, ticket_key
from services.embedded import Unavailable
from services.metrics.delta import Delta
from services.metrics.position import Position
from services.metrics.store import RedisStore
from services.state import client
from services.state.address import Address
from tests.support.choice import real_required
from tests.support.redis_cluster import Node, RedisCluster
from tests.support.wait import eventually, until

pytestmark = [pytest.mark.anyio, pytest.mark.redis, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """One of its own: these tests move its slots and kill its nodes."""
    try:
        found = RedisCluster(tmp_path_factory.mktemp("moving"), replicas=1)
    except Unavailable as reason:
        if real_required():
            raise
        pytest.skip(str(reason))
    with found:
        yield found


@pytest.fixture
async def writer(cluster: RedisCluster) -> AsyncIterator[Redis]:
    cluster.empty()
    found = client.writer(cluster.address)
    yield found
    await found.aclose()


@pytest.fixture
async def reader(cluster: RedisCluster) -> AsyncIterator[Redis]:
    found = client.reader(cluster.address)
    yield found
    await found.aclose()


class Move:
    """A slot on its way to another node, key by key."""

    def __init__(self, cluster: RedisCluster, key: str) -> None:
        self.number = int(cluster.nodes[1].client.execute_command("CLUSTER KEYSLOT", key))
        self.source = cluster.owner_of(self.number)
        self.target = next(node for node in cluster.nodes[1:3] if node is not self.source)
        self._cluster = cluster
        self._set(self.target, "IMPORTING", self.source.id)
        self._set(self.source, "MIGRATING", self.target.id)

    def send(self, *keys: str) -> None:
        answer = self.source.client.execute_command(
            "MIGRATE", "127.0.0.1", self.target.port, "", 0, 5000, "KEYS", *keys
        )
        assert answer in (b"OK", "OK", True), answer

    def send_all(self) -> None:
        while found := self.source.client.execute_command("CLUSTER GETKEYSINSLOT", self.number, 100):
            self.send(*found)

    def finish(self) -> None:
        for node in (self.target, self.source, *self._cluster.nodes[:3]):
            self._set(node, "NODE", self.target.id)

    def _set(self, node: Node, *what: str) -> None:
        node.client.execute_command("CLUSTER", "SETSLOT", self.number, *what)


def step(key: str, number: int) -> Delta:
    entry = Entry(Ticket("zendesk", key.partition(":")[2], facts=number))
    return Delta(entries={key: pack(entry)}, facts={key: []}, due={key: number})


async def at(store: RedisStore, partition: int) -> Position:
    return await store.claim(partition)


async def test_a_key_is_found_while_its_slot_moves_and_after(cluster: RedisCluster, writer: Redis) -> None:
    redis: Any = writer
    assert await redis.set("{moving}a", "1")
    assert await redis.set("{moving}b", "2")
    move = Move(cluster, "{moving}a")
    move.send("{moving}a")
    assert [await redis.get("{moving}a"), await redis.get("{moving}b"), await redis.get("{moving}c")] == [
        b"1",
        b"2",
        None,
    ]
    pipeline = redis.pipeline(transaction=False)
    for name in ("{moving}a", "{moving}b", "elsewhere"):
        pipeline.get(name)
    assert await pipeline.execute() == [b"1", b"2", None]
    assert await redis.set("{moving}d", "4"), "what is new goes to where the slot is going"
    move.send_all()
    move.finish()
    assert [await redis.get(f"{{moving}}{name}") for name in "abd"] == [b"1", b"2", b"4"]


async def test_a_step_is_never_done_in_part_while_its_slot_moves(cluster: RedisCluster, writer: Redis) -> None:
    redis: Any = writer
    store, key = RedisStore(writer), "zendesk:1"
    before = await at(store, 5)
    first = Position(before.epoch, before.step + 1, 10, "l", 1)
    await store.apply(5, before, first, step(key, 1))
    held = {name: await redis.dump(name) for name in (position_key(5), ticket_key(5, "zendesk", "1"))}
    move = Move(cluster, position_key(5))
    move.send(slot(5) + "due")
    with pytest.raises(NotNow):
        await store.apply(5, first, Position(first.epoch, first.step + 1, 20, "l", 2), step("zendesk:2", 2))
    assert {name: await redis.dump(name) for name in held} == held
    assert await redis.get(ticket_key(5, "zendesk", "2")) is None
    with pytest.raises(NotNow):
        await store.entries(5, [key, "zendesk:2"])
    move.send_all()
    move.finish()
    await store.apply(5, first, Position(first.epoch, first.step + 1, 20, "l", 2), step("zendesk:2", 2))
    assert (await store.steps([5]))[5][1] == first.step + 1
    assert sorted((await store.due({5: 10}, 5))[5]) == [key, "zendesk:2"]


async def test_a_transaction_is_refused_as_a_whole_while_its_slot_moves(cluster: RedisCluster, writer: Redis) -> None:
    redis: Any = writer
    await redis.mset({"{both}a": "1", "{both}b": "2"})
    move = Move(cluster, "{both}a")
    move.send("{both}b")
    whole = redis.pipeline(transaction=True)
    whole.set("{both}a", "3")
    whole.set("{both}b", "4")
    with pytest.raises(client.AWAY):
        await whole.execute()
    assert [await redis.get("{both}a"), await redis.get("{both}b")] == [b"1", b"2"]
    move.send_all()
    move.finish()
    whole.set("{both}a", "3")
    whole.set("{both}b", "4")
    assert await whole.execute() == [True, True]


async def test_a_scan_goes_over_every_node_and_begins_anew_when_slots_changed_hands(
    cluster: RedisCluster, writer: Redis, reader: Redis
) -> None:
    store = RedisStore(reader)
    redis: Any = writer
    wanted = {(partition, f"zendesk:{ticket}") for partition in range(12) for ticket in range(40)}
    for partition, key in wanted:
        await redis.set(f"{slot(partition)}t:{key}", b"x")

    async def swept(after_one: Any = None) -> set[tuple[int, str]]:
        found: set[tuple[int, str]] = set()
        cursor = 0
        while True:
            cursor, tickets = await store.scan(cursor)
            found |= {(partition, key) for partition, keys in tickets.items() for key in keys}
            if after_one is not None:
                after_one()
                after_one = None
            if cursor == 0:
                return found

    def moved() -> None:
        for partition in range(12):  # away from nodes that come late in the scan, to nodes that are behind it
            move = Move(cluster, position_key(partition))
            move.send_all()
            move.finish()

    assert await swept() == wanted
    assert await swept(moved) == wanted
    assert await swept() == wanted


async def test_a_node_that_forgot_a_script_is_told_it_again(cluster: RedisCluster, writer: Redis) -> None:
    script = writer.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    assert await script(keys=["{counter}"], args=[2]) == 2
    for node in cluster.nodes[:3]:
        node.client.script_flush()
    assert await script(keys=["{counter}"], args=[3]) == 5
    for node in cluster.nodes[:3]:
        node.client.script_flush()
    pipeline = writer.pipeline(transaction=False)
    for number in range(6):
        await script(keys=[f"{{counter{number}}}"], args=[1], client=pipeline)
    assert await pipeline.execute() == [1] * 6


async def test_a_command_that_names_no_key_is_a_mistake(writer: Redis) -> None:
    redis: Any = writer
    with pytest.raises(exceptions.RedisError, match="names no key"):
        await redis.execute_command("RANDOMKEY")


async def test_one_redis_is_no_cluster_and_a_node_of_a_cluster_is_not_one_redis(
    cluster: RedisCluster, redis_db: str
) -> None:
    one = client.reader(Address(redis_db, cluster=True))
    with pytest.raises(NotNow, match="unset DESKPULSE_REDIS_CLUSTER"), client.away():
        await one.get("a")
    await one.aclose()
    node: Any = client.reader(Address(cluster.address.nodes()[0]))
    with pytest.raises(NotNow, match="set DESKPULSE_REDIS_CLUSTER"), client.away():
        for name in "abcdef":
            await node.get(name)
    await node.aclose()


async def test_a_primary_dies_and_its_replica_goes_on_with_every_step(
    cluster: RedisCluster, writer: Redis, reader: Redis
) -> None:
    """Last: the Cluster is another one afterwards."""
    dying, heir = cluster.nodes[0], cluster.nodes[3]
    partition = next(number for number in range(100) if cluster.owner(position_key(number)) is dying)
    store = RedisStore(writer)
    position = await at(store, partition)
    for number in range(1, 51):
        after = Position(position.epoch, position.step + 1, number, "l", number)
        await store.apply(partition, position, after, step(f"zendesk:{number}", number))
        position = after
    until(lambda: heir.client.info("replication")["master_repl_offset"] > 0, "the replica follows")
    assert dying.client.execute_command("WAIT", 1, 5000) == 1
    dying.kill()
    with pytest.raises(NotNow):
        await store.apply(partition, position, position, step("zendesk:x", 1))

    async def answered() -> bool:
        try:
            return (await RedisStore(reader).steps([partition]))[partition] == (position.epoch, 50)
        except NotNow:
            return False

    await eventually(answered, "the replica has taken over", timeout_s=30)
    taken = await at(store, partition)
    assert taken.next_offset == 50
    after = Position(taken.epoch, taken.step + 1, 51, "l", 51)
    await store.apply(partition, taken, after, step("zendesk:51", 51))
    keys = [f"zendesk:{number}" for number in range(1, 52)]
    assert sorted(await store.entries(partition, keys)) == sorted(keys)
    dying.start()
    until(lambda: not dying.primary, "it comes back as a replica", timeout_s=30)
    assert (await store.steps([partition]))[partition] == (taken.epoch, 51)
