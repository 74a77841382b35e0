"""Of which versions the state is, who knows which, and what is left to rewrite; and holding a version. For people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from schemas.forms import ALERTS_FORM_KEY, KNOWN, READERS_KEY, SHARED_FORM_KEY, STATE_KEY, Known
from schemas.state import PARTITIONS_KEY, position_key
from services.state.client import away


@dataclass(frozen=True, slots=True)
class Survey:
    """``partitions`` has the oldest and the newest version of each that has state; ``shared`` and ``alerts`` are the
    newest of what has no partition; ``readers`` are the processes with the newest version that each knows."""

    partitions: Mapping[int, tuple[int, int]]
    shared: int
    alerts: int
    readers: Mapping[str, int]
    hold: int | None
    known: Known = KNOWN

    @property
    def written(self) -> int:
        """The version that is written, or will be once somebody writes."""
        if self.hold is not None:
            return self.hold
        stands = max((newest for _, newest in self.partitions.values()), default=0)
        return max(min(self.readers.values(), default=self.known.newest), stands)

    @property
    def left(self) -> list[int]:
        """Partitions in which tickets of another version may be."""
        return [number for number, span in self.partitions.items() if span != (self.written, self.written)]

    def problems(self) -> list[str]:
        """What somebody should know and do something about; nothing while a rewriting is on its way."""
        oldest = min((span[0] for span in self.partitions.values()), default=None)
        newest = max(self.shared, self.alerts, *(span[1] for span in self.partitions.values()))
        found = [refusal] if (refusal := self.known.refusal(oldest, newest)) is not None else []
        found += [
            f"{who} knows versions up to {knows} and the state is of version {newest}: upgrade it"
            for who, knows in sorted(self.readers.items())
            if knows < newest
        ]
        if self.left and not any(who.startswith("metrics:") for who in self.readers):
            found.append(f"{len(self.left)} partitions are to be rewritten and no metrics worker runs: start one")
        return found

    def shown(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "knows": {"reads_from": self.known.reads, "writes_from": self.known.writes, "newest": self.known.newest},
            "hold": self.hold,
            "written": self.written,
            "left_to_rewrite": self.left,
            "partitions": {
                str(number): {"oldest": oldest, "newest": newest}
                for number, (oldest, newest) in self.partitions.items()
            },
            "shared": self.shared,
            "alerts": self.alerts,
            "processes": dict(sorted(self.readers.items())),
            "problems": self.problems(),
        }


async def survey(redis: Redis) -> Survey:
    """How things stand. Raises ``NotNow``."""
    asked: Any = redis
    with away():
        numbers = sorted(int(number) for number in await asked.smembers(PARTITIONS_KEY))
        pipeline = asked.pipeline(transaction=False)
        for number in numbers:
            pipeline.hmget(position_key(number), "step", "oldest", "newest")
        pipeline.get(SHARED_FORM_KEY)
        pipeline.get(ALERTS_FORM_KEY)
        pipeline.hgetall(READERS_KEY)
        pipeline.hget(STATE_KEY, "hold")
        *found, shared, alerts, readers, hold = await pipeline.execute()
    return Survey(
        {
            number: (int(oldest or 0), int(newest or 0))
            for number, (step, oldest, newest) in zip(numbers, found, strict=True)
            if int(step or 0)
        },
        int(shared or 0),
        int(alerts or 0),
        {who.decode(): int(said.split()[0]) for who, said in readers.items()},
        int(hold) if hold is not None else None,
    )


async def hold(redis: Redis, version: int | None) -> None:
    """Nothing above ``version`` is written from now on, and what is above it is rewritten as that; ``None`` ends it.
    Raises ``NotNow``."""
    asked: Any = redis
    with away():
        if version is None:
            await asked.hdel(STATE_KEY, "hold")
        else:
            await asked.hset(STATE_KEY, "hold", version)
