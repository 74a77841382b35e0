"""State of any mix of versions under live traffic: rewritten through kills, held back while an older release runs
beside a newer one, refused by who is too old, and rewritten back for who wants to go back."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from schemas.forms import READERS_KEY
from schemas.state import position_key
from schemas.topics import TICKETS, TOPICS
from services import clock
from services.cli.app import app
from services.embedded.port import free_port
from services.state.survey import survey
from services.stream.producer import Connection
from tests.integration.test_metrics_worker import CONFIG, compare
from tests.support.lives import arrivals
from tests.support.older import age_redis
from tests.support.passage import applied, produced
from tests.support.service import Service
from tests.support.wait import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.anyio, pytest.mark.timeout(600)]

TODAY = ("services.cli",)
TOMORROW = ("tests.support.tomorrow",)
PARTITIONS = range(TOPICS[TICKETS].partitions)
SOON_S = 120.0


class Worker:
    """A metrics worker and its port."""

    def __init__(self, environment: dict[str, str], log: Path, program: tuple[str, ...]) -> None:
        self.port = free_port()
        own = {"DESKPULSE_METRICS_PORT": str(self.port)}
        self.service = Service("metrics", environment | own, log, program, fresh=program == TOMORROW)

    def probe(self) -> tuple[int, str]:
        """Status and text of /readyz; 0 while nobody listens."""
        try:
            answer = httpx.get(f"http://127.0.0.1:{self.port}/readyz", timeout=5, trust_env=False)
        except httpx.TransportError:
            return 0, ""
        return answer.status_code, answer.text


Start = Callable[[str, tuple[str, ...]], Worker]


@pytest.fixture
def environment(connection: Connection, redis_db: str, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "deskpulse.yaml").write_text(CONFIG)
    return {
        "DESKPULSE_CONFIG": str(tmp_path / "deskpulse.yaml"),
        "DESKPULSE_KAFKA_BOOTSTRAP": connection.bootstrap,
        "DESKPULSE_REDIS_URL": redis_db,
        "DESKPULSE_KAFKA_SESSION_TIMEOUT_S": "6",
    }


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    started: list[Worker] = []

    def begin(name: str, program: tuple[str, ...] = TODAY) -> Worker:
        own = {"DESKPULSE_INSTANCE_ID": name}
        started.append(Worker(environment | own, tmp_path / f"{name}.log", program))
        return started[-1]

    yield begin
    for worker in started:
        if worker.service.running:
            worker.service.kill()


async def command(environment: dict[str, str], *words: str) -> tuple[int, dict[str, Any]]:
    """The exit code and the answer of `deskpulse state …`. It has a loop of its own, so it runs in a thread."""
    run = await asyncio.to_thread(CliRunner().invoke, app, ["state", *words, "--json"], env=environment)
    assert run.stdout, run.output
    return run.exit_code, json.loads(run.stdout)


async def spans(redis: Any) -> set[tuple[int, int]]:
    """The oldest and newest versions of all partitions in which there is anything."""
    found = [await redis.hmget(position_key(number), "step", "oldest", "newest") for number in PARTITIONS]
    return {(int(oldest or 0), int(newest or 0)) for step, oldest, newest in found if int(step or 0)}


async def test_versions_are_rewritten_held_back_refused_and_taken_back(
    connection: Connection, redis: Any, start: Start, environment: dict[str, str]
) -> None:
    at_us = clock.now_us()
    events = arrivals(seed=17, until_us=at_us, lasting_s=3000, rate=1.0, out_of_order=0.1)
    fifth = len(events) // 5

    async def sent(part: int) -> None:
        await produced(connection, events[part * fifth : (part + 1) * fifth if part < 4 else None])

    async def taken(part: int) -> None:
        number = (part + 1) * fifth if part < 4 else len(events)
        await eventually(lambda: reached(redis, number), f"{number} records are applied", timeout_s=SOON_S)

    # An older release left a mix of versions, none of which is written down.
    await sent(0)
    worker = start("one", TODAY)
    await taken(0)
    assert await spans(redis) == {(1, 1)}, "a new state is of one version"
    assert worker.service.stop() == 0
    assert await redis.hlen(READERS_KEY) == 0, "who stopped says so"
    assert await age_redis(redis, 0.6, random.Random(1)) > 10
    assert await spans(redis) == {(0, 0)}

    # It is rewritten while events come, by workers that are killed: after some tickets, and after all of them.
    await sent(1)
    for point in ("Rewriting.do:after", "Rewriting.done:before"):
        mortal = start("one", ("tests.support.mortal", point, ""))
        await eventually(lambda mortal=mortal: not mortal.service.running, f"killed at {point}", timeout_s=SOON_S)
        assert min(oldest for oldest, _ in await spans(redis)) == 0, "nobody says that it is done"
    await redis.delete(READERS_KEY)  # of killed ones: it would take a minute until they are forgotten
    worker = start("one", TODAY)
    await eventually(lambda: all_are(redis, 1), "everything is rewritten", timeout_s=SOON_S)
    await taken(1)
    await compare(redis, events[: 2 * fifth], at_us)
    assert await outdated(redis, 1) == 0
    assert "rewriting_done" in worker.service.said()
    await eventually(lambda: worker.probe()[0] == 200, "it is ready", timeout_s=SOON_S)
    code, told = await command(environment, "show")
    assert (code, told["written"], told["left_to_rewrite"], told["problems"]) == (0, 1, [], [])

    # The next release beside this one: it holds its version back until the last of this one is gone.
    newer = start("two", TOMORROW)
    await eventually(lambda: newer.probe()[0] == 200, "the newer one has its part", timeout_s=SOON_S)
    await sent(2)
    await taken(2)
    assert await spans(redis) == {(1, 1)}
    assert "Version 1 is written while replicas run that do not know 2" in newer.probe()[1]
    assert worker.service.stop() == 0
    await eventually(lambda: all_are(redis, 2), "the newer one rewrites everything", timeout_s=SOON_S)

    # Who is too old now says so and does nothing, and goes on when the version is taken back.
    worker = start("one", TODAY)
    await eventually(lambda: worker.probe()[0] == 503, "it listens, and is not ready", timeout_s=SOON_S)
    await eventually(lambda: "of version 2 and this replica knows versions up to 1" in worker.probe()[1], "it says why")
    await sent(3)
    await taken(3)
    assert worker.service.running
    assert await spans(redis) == {(2, 2)}
    code, told = await command(environment, "show")
    assert code == 1
    assert "upgrade this replica" in told["problems"][0]
    assert "metrics:" in told["problems"][1], "a process that is too old is named"

    code, told = await command(environment, "hold", "1")
    assert told["hold"] == 1
    await eventually(lambda: all_are(redis, 1), "everything is rewritten for the older one", timeout_s=SOON_S)
    await eventually(lambda: worker.probe()[0] == 200, "the older one is at work again", timeout_s=SOON_S)
    assert newer.service.stop() == 0
    await sent(4)
    await taken(4)
    await compare(redis, events, at_us)
    assert await applied(redis) == len(events)
    found = await survey(redis)
    assert (found.hold, found.left, found.problems()) == (1, [], [])
    assert (await command(environment, "release"))[1]["hold"] is None

    # Somebody else wrote something newer under its hands: it leaves the group, waits, and comes back.
    await redis.hset(position_key(0), "newest", 9)
    await eventually(lambda: "of version 9" in worker.probe()[1], "it is refused", timeout_s=SOON_S)
    await eventually(lambda: "left_the_group" in worker.service.said(), "it has left", timeout_s=SOON_S)
    await redis.hset(position_key(0), "newest", 1)
    await eventually(lambda: worker.probe()[0] == 200, "it is at work again", timeout_s=SOON_S)
    assert worker.service.stop() == 0


async def reached(redis: Any, goal: int) -> bool:
    return await applied(redis) >= goal


async def all_are(redis: Any, version: int) -> bool:
    return await spans(redis) == {(version, version)}


async def outdated(redis: Any, form: int) -> int:
    """How many tickets are not wholly of this form."""
    from services.metrics.store import RedisStore

    store = RedisStore(redis)
    number, cursor = 0, 0
    while True:
        cursor, found = await store.scan(cursor)
        for partition, keys in found.items():
            number += len(await store.outdated(partition, keys, form))
        if cursor == 0:
            return number
