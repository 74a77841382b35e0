"""Who may touch the state: what processes tell of each other in Redis, and what one that is too old does not do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from schemas.failure import NotNow
from schemas.forms import ALERTS_FORM_KEY, KNOWN, READERS_KEY, SHARED_FORM_KEY, STATE_KEY, Known
from schemas.state import PARTITIONS_KEY, position_key
from services.alerts import app as api
from services.alerts import worker
from services.alerts.lead import Lead
from services.config.document import parse
from services.config.environment import Environment
from services.embedded.port import free_port
from services.kpi.cuts import Cuts
from services.metrics.store import Newer, RedisStore
from services.operate.health import Health
from services.state import client
from services.state.forms import Forms
from services.state.survey import hold, survey
from tests.support.wait import eventually

pytestmark = pytest.mark.anyio
NEXT = Known(reads=0, writes=1, newest=KNOWN.newest + 1)


@pytest.fixture
async def redis(redis_db: str) -> AsyncIterator[Any]:
    found = client.writer(redis_db)
    yield found
    await found.aclose()


async def partition(redis: Any, number: int, oldest: int, newest: int) -> None:
    await redis.sadd(PARTITIONS_KEY, number)
    await redis.hset(position_key(number), mapping={"epoch": 1, "step": 1, "oldest": oldest, "newest": newest})


async def notes(health: Health) -> str:
    return " ".join(f"{one.problem or ''}{one.note or ''}" for one in await health.readiness())


async def test_what_is_written_is_the_newest_version_that_all_who_run_know(redis: Any) -> None:
    health = Health()
    old, new = Forms(redis, "api", Health()), Forms(redis, "metrics", health, NEXT)
    assert await new.look() is None
    assert new.target(0) == NEXT.newest, "nobody else is there"
    await old.look()
    await new.look()
    assert new.target(0) == KNOWN.newest
    assert "replicas run that do not know 2" in await notes(health)
    assert new.target(NEXT.newest) == NEXT.newest, "what was written already is not taken back by an old one that comes"
    await old.leave()
    await new.look()
    assert new.target(0) == NEXT.newest
    assert "replicas" not in await notes(health)


async def test_a_process_that_says_nothing_more_is_forgotten(redis: Any) -> None:
    await redis.hset(READERS_KEY, "api:gone", f"0 {int((await redis.time())[0]) - 61}")
    forms = Forms(redis, "metrics", Health())
    await forms.look()
    assert forms.target(0) == KNOWN.newest
    assert [name.partition(b":")[0] for name in await redis.hkeys(READERS_KEY)] == [b"metrics"]


async def test_a_version_that_is_held_is_written_and_taken_back_to(redis: Any) -> None:
    health = Health()
    forms = Forms(redis, "metrics", health, NEXT)
    await partition(redis, 0, 2, 2)
    await hold(redis, 1)
    await forms.look()
    assert forms.target(2) == 1
    assert "held" in await notes(health)
    found = await survey(redis)
    assert (found.hold, found.written, found.left) == (1, 1, [0])
    await hold(redis, None)
    assert await redis.exists(STATE_KEY) == 0
    await forms.look()
    assert forms.target(2) == 2


async def test_a_process_that_is_too_old_waits_unready_and_begins_when_it_may(redis: Any) -> None:
    await partition(redis, 3, 1, KNOWN.newest + 1)
    health, stop = Health(), asyncio.Event()
    forms = Forms(redis, "alerts", health)
    begun = asyncio.create_task(forms.begin(stop))
    await eventually(lambda: forms.refusal is not None, "it looked")
    assert "of version 2 and this replica knows versions up to 1: upgrade this replica" in await notes(health)
    assert not begun.done()
    await partition(redis, 3, 1, 1)
    assert await begun
    assert forms.refusal is None


async def test_a_stop_ends_the_wait(redis: Any) -> None:
    await partition(redis, 3, 1, 9)
    stop = asyncio.Event()
    begun = asyncio.create_task(Forms(redis, "alerts", Health()).begin(stop))
    stop.set()
    assert not await begun


async def test_a_partition_of_a_newer_version_is_not_given_to_who_does_not_know_it(redis: Any) -> None:
    await partition(redis, 5, 1, 2)
    before = await redis.hgetall(position_key(5))
    with pytest.raises(Newer, match="version 2"):
        await RedisStore(redis).claim(5)
    assert await redis.hgetall(position_key(5)) == before
    assert (await RedisStore(redis, NEXT).claim(5)).newest == 2
    with pytest.raises(Newer, match="from 2 on"):
        await RedisStore(redis, Known(2, 2, 3)).claim(5)


@pytest.mark.parametrize("key", [SHARED_FORM_KEY, ALERTS_FORM_KEY])
async def test_scripts_touch_nothing_that_is_newer(redis: Any, key: str) -> None:
    await redis.set(key, KNOWN.newest + 1)
    before = await redis.dbsize()
    with pytest.raises(NotNow, match="newer than this replica: version 2, and it knows up to 1"):
        if key == SHARED_FORM_KEY:
            await RedisStore(redis).admit(Cuts(0, {"team": 0}), "team", 10, ["team:a"])
        else:
            await Lead(redis).held()
    assert await redis.dbsize() == before
    await redis.set(key, KNOWN.newest)
    assert await Lead(redis).held() == "1"


@asynccontextmanager
async def serving(redis_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """The API as a process of its own would be, in this one."""
    port, stop, begun = free_port(), asyncio.Event(), asyncio.Event()
    settings = Environment(redis_url=redis_url, api_port=port)
    running = asyncio.create_task(api.run(parse("segments: []", {}), settings, stop, started=lambda _: begun.set()))
    await begun.wait()
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as caller:
            yield caller
    finally:
        stop.set()
        await running


async def test_an_api_that_is_too_old_answers_nothing_of_the_state_and_says_why(redis: Any, redis_db: str) -> None:
    await partition(redis, 0, 1, KNOWN.newest + 1)
    async with serving(redis_db) as caller:
        unready, answer = await caller.get("/readyz"), await caller.get("/v1/kpis?window=1h")
        assert (unready.status_code, answer.status_code) == (503, 503)
        for said in (unready, answer):
            assert "of version 2 and this replica knows versions up to 1: upgrade this replica" in said.json()["detail"]
        assert (await caller.get("/livez")).status_code == 200
        await partition(redis, 0, 1, 1)
        await eventually(lambda: ready(caller), "it serves when it may")
        assert (await caller.get("/v1/alerts")).status_code == 200
    assert await redis.hlen(READERS_KEY) == 0


async def test_an_alerts_worker_that_is_too_old_does_nothing_and_says_why(redis: Any, redis_db: str) -> None:
    await redis.set(ALERTS_FORM_KEY, KNOWN.newest + 1)
    stop, begun = asyncio.Event(), asyncio.get_running_loop().create_future()
    settings = Environment(redis_url=redis_db, kafka_bootstrap="127.0.0.1:1", alerts_port=free_port())
    running = asyncio.create_task(worker.run(parse("segments: []", {}), settings, stop, started=begun.set_result))
    async with httpx.AsyncClient(base_url=await begun, trust_env=False) as caller:
        await eventually(lambda: refused(caller), "it says why")
    stop.set()
    await running
    assert await redis.keys("deskpulse:{alerts}:*") == [ALERTS_FORM_KEY.encode()]


async def refused(caller: httpx.AsyncClient) -> bool:
    return "knows versions up to 1: upgrade this replica" in (await caller.get("/readyz")).text


async def ready(caller: httpx.AsyncClient) -> bool:
    return (await caller.get("/readyz")).status_code == 200
