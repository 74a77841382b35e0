"""Redis: whether it answers, what it would lose, and what it would throw away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from redis.exceptions import RedisError

from schemas.failure import NotNow
from services import clock
from services.cli.doctor.finding import Finding, ok, problem, warning
from services.config.environment import Environment
from services.state import client
from services.state.survey import Survey, survey

OLDEST: Final = (6, 2)
_FULL: Final = 0.8


@dataclass(frozen=True, slots=True)
class State:
    """What was found; ``ahead_s`` is how far its clock is ahead of ours, as well as the way there can tell."""

    findings: tuple[Finding, ...]
    ahead_s: float | None = None


async def look(environment: Environment) -> State:
    """Never raises for anything that Redis does."""
    if not environment.redis_url:
        return State((_embedded(),))
    address = environment.redis()
    redis = client.reader(address)
    try:
        await redis.ping()  # what connecting takes belongs to no clock
        before_us = clock.now_us()
        info: dict[str, Any] = await redis.info()
        here_us = (before_us + clock.now_us()) / 2
        versions = await survey(redis)
    except (RedisError, OSError, NotNow) as exc:
        fix = "start Redis, or correct DESKPULSE_REDIS_URL"
        said = exc.what if isinstance(exc, NotNow) else client.reason(exc)
        return State((problem("redis", f"{address.shown}: {said}", fix),))
    finally:
        await redis.aclose()
    # Since 6.2, and unlike TIME a Cluster has it too; of a Cluster one node answers.
    there_us = info.get("server_time_usec")
    findings = (*judged(address.shown, info), *versioned(versions))
    return State(findings, (there_us - here_us) / 1e6 if there_us is not None else None)


def judged(where: str, info: Mapping[str, Any]) -> Iterator[Finding]:
    """What ``INFO`` says, as a finding for each thing that is not right."""
    version = str(info["redis_version"])
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        yield problem("redis", f"{where}: version {version}", "install Redis 6.2 or later, or Valkey")
        return
    yield ok("redis", f"{where}, version {version}")
    policy, most = str(info.get("maxmemory_policy", "noeviction")), int(info.get("maxmemory", 0))
    if policy != "noeviction":
        made = problem if most else warning
        detail = f"maxmemory-policy is {policy}: when memory is short, tickets and numbers are thrown away"
        yield made("redis memory", detail, "set maxmemory-policy noeviction")
    elif most and int(info.get("used_memory", 0)) > _FULL * most:
        share = 100 * int(info["used_memory"]) // most
        yield warning("redis memory", f"{share} % of maxmemory is used", "give it more: docs/guides/operate.md")
    if not int(info.get("aof_enabled", 0)):
        detail = "appendonly is off: a crash loses what was counted since the last snapshot"
        yield warning("redis disk", detail, "set appendonly yes (what is lost is counted anew from Kafka)")
    elif info.get("aof_last_write_status", "ok") != "ok":
        yield problem("redis disk", "it cannot write its append-only file", "look at its disk and its log")
    if info.get("rdb_last_bgsave_status", "ok") != "ok":
        yield warning("redis disk", "its last snapshot failed", "look at its disk, its log and vm.overcommit_memory")


def versioned(found: Survey) -> Iterator[Finding]:
    """Of which version the state is, where there is any."""
    if not found.partitions:
        return
    hindrances = found.problems()
    for hindrance in hindrances:
        yield problem("state", hindrance, "docs/guides/upgrade.md says how")
    if not hindrances:
        left = f", {len(found.left)} of {len(found.partitions)} partitions left to rewrite" if found.left else ""
        yield ok("state", f"version {found.written}{left}")


def _embedded() -> Finding:
    from services.embedded import Unavailable
    from services.embedded.redis import redis_binary, redis_version

    try:
        binary = redis_binary()
        version = ".".join(map(str, redis_version(binary)))
    except Unavailable as exc:
        return problem("redis", "none configured", str(exc))
    return ok("redis", f"none configured; `deskpulse up` starts {binary}, version {version}")
