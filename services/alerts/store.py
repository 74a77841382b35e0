"""Where alerts lie: a port with two implementations that behave alike (``tests/contract/test_alert_store.py``).

Redis is the real one; ``memory.py`` has the other. Calls to Redis may raise ``NotNow``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from importlib.resources import files
from typing import Any, Final, Protocol
from uuid import uuid4

import msgspec
from redis.asyncio import Redis

from schemas import codec
from schemas.alert import Alert, AlertEvent, AlertState, Severity
from schemas.instant import SECOND_US, from_datetime
from services.alerts import keys
from services.alerts.delivery import Delivery, DeliveryState
from services.alerts.state import Step
from services.state.client import away

RESOLVED_KEPT_US: Final = 30 * 86_400 * SECOND_US
"""How long a resolved alert can be looked up, counted from its last transition."""
SETTLED_KEPT_US: Final = 7 * 86_400 * SECOND_US
"""How long a message that was delivered, or never will be, can be looked up."""
FEED_LENGTH: Final = 10_000
"""Transitions that the feed keeps for streams to resume from (Redis may keep a few more)."""
TRANSITIONS_KEPT: Final = 200
"""Transitions that are kept of one alert; each of them is also in Kafka."""

LUA: Final = files("services.alerts") / "lua"
_alert: Final = msgspec.json.Decoder(Alert)
_delivery: Final = msgspec.json.Decoder(Delivery)
_json: Final = msgspec.json.Encoder()


class Claim(msgspec.Struct, frozen=True):
    """A message that is ours to send until the lease ends. ``body`` is the AlertEvent as JSON."""

    delivery: Delivery
    body: bytes
    lease: str


class AlertStore(Protocol):
    """Alerts and their transitions."""

    async def newest(self, fingerprint: str) -> Alert | None:
        """The newest alert about ``fingerprint``."""

    async def alert(self, alert_id: str) -> Alert | None:
        """The alert as it stands."""

    async def transitions(self, alert_id: str) -> list[AlertEvent]:
        """What happened to it, oldest first, at most :data:`TRANSITIONS_KEPT`."""

    async def apply(self, step: Step, deliveries: Sequence[Delivery] = ()) -> bool:
        """The whole step with its transition in outbox and feed and its messages in the queue, or nothing.

        False when ``step.before`` is no longer how things stand: look and decide again. After ``NotNow`` it is
        unknown which; looking again tells.
        """

    async def listed(
        self, states: Collection[AlertState], severities: Collection[Severity], limit: int, after: str | None = None
    ) -> list[Alert]:
        """Up to ``limit`` alerts, the latest begun first, from behind the place ``after`` (see :func:`place`)."""

    async def counts(self) -> dict[tuple[AlertState, Severity], int]:
        """How many there are."""

    async def to_wake(self, at_us: int, limit: int) -> list[Alert]:
        """Snoozed alerts whose time has come."""

    async def prune(self, at_us: int, limit: int = 500) -> int:
        """Forgets resolved alerts and settled messages after their time; returns how many alerts."""


class Queue(Protocol):
    """Messages on their way to receivers."""

    async def claim(self, receiver: str, at_us: int, lease_us: int) -> Claim | None:
        """Takes the next message that is due, for ``lease_us``: after that it is due again, should we have died.
        Never two messages of one alert to one receiver at a time."""

    async def settle(self, claim: Claim, after: Delivery, at_us: int) -> bool:
        """Writes down ``after``: pending again, or settled for good. False when the lease had ended."""

    async def told(self, alert_id: str, receiver: str) -> bool:
        """Whether ``receiver`` ever took a message about the alert."""

    async def next_due_us(self, receiver: str) -> int | None:
        """When the next message to ``receiver`` is due; ``None`` when there is none."""

    async def deliveries(self, states: Collection[DeliveryState], limit: int) -> list[Delivery]:
        """Up to ``limit`` messages: pending ones by when they are due, then settled ones, the latest first."""

    async def pending(self) -> int:
        """How many messages wait."""

    async def disable(self, receiver: str, address: str, why: str, at_us: int) -> None:
        """Sends ``receiver`` nothing more, as long as it has this ``address`` (a digest of its URL)."""

    async def disabled(self) -> dict[str, dict[str, Any]]:
        """Receivers that were switched off: ``{name: {address, why, at_us}}``."""


class Outbox(Protocol):
    """Transitions that Kafka does not have yet."""

    async def outgoing(self, limit: int) -> list[tuple[str, AlertEvent]]:
        """The oldest, with the ids that :meth:`relayed` takes."""

    async def relayed(self, entries: Sequence[str]) -> None:
        """Kafka has them."""

    async def backlog(self) -> tuple[int, int | None]:
        """How many wait, and since when the oldest does (microseconds since the epoch)."""


class Store(AlertStore, Queue, Outbox, Protocol):
    """All of it, since one step writes to all of it."""


def place(alert: Alert) -> str:
    """Where an alert stands in listings: sorts by when it began, then by id."""
    return f"{from_datetime(alert.starts_at):020d}:{alert.alert_id}"


class RedisStore:
    """The real store. ``writer`` must never re-send by itself (``services.state.client.writer``)."""

    def __init__(self, writer: Redis, reader: Redis) -> None:
        self._writer: Any = writer  # redis-py's stubs return unions of all that any option could give
        self._reader: Any = reader
        self._transition, self._claim, self._settle, self._prune = (
            writer.register_script((LUA / f"{name}.lua").read_text())
            for name in ("transition", "claim", "settle", "prune")
        )

    async def newest(self, fingerprint: str) -> Alert | None:
        with away():
            alert_id = await self._reader.get(keys.newest(fingerprint))
        return await self.alert(alert_id.decode()) if alert_id else None

    async def alert(self, alert_id: str) -> Alert | None:
        with away():
            found = await self._reader.hget(keys.alert(alert_id), "json")
        return _alert.decode(found) if found else None

    async def transitions(self, alert_id: str) -> list[AlertEvent]:
        with away():
            found = await self._reader.lrange(keys.transitions(alert_id), 0, -1)
        return [codec.decode_alert(value) for value in found]

    async def apply(self, step: Step, deliveries: Sequence[Delivery] = ()) -> bool:
        before, after = step.before, step.after
        same = before is not None and before.alert_id == after.alert_id
        resolved = after.state is AlertState.RESOLVED
        messages: list[Any] = []
        for delivery in deliveries:
            messages += [delivery.receiver, delivery.delivery_id, _json.encode(delivery), delivery.next_us]
        with away():
            done = await self._transition(
                keys=[
                    keys.alert(after.alert_id),
                    keys.newest(after.fingerprint),
                    keys.transitions(after.alert_id),
                    *(keys.OUTBOX, keys.FEED, keys.WAKE, keys.ENDED, keys.PENDING),
                ],
                args=[
                    keys.PREFIX,
                    after.alert_id,
                    before.version if before is not None and same else "",
                    before.alert_id if before is not None else "",
                    after.version,
                    _json.encode(after),
                    after.state.value,
                    after.severity.value,
                    place(after),
                    from_datetime(after.updated_at) if resolved else "",
                    from_datetime(after.snoozed_until) if after.snoozed_until else "",
                    codec.encode(step.event) if step.event else "",
                    FEED_LENGTH,
                    TRANSITIONS_KEPT,
                    *messages,
                ],
            )
        return bool(done)

    async def listed(
        self, states: Collection[AlertState], severities: Collection[Severity], limit: int, after: str | None = None
    ) -> list[Alert]:
        with away():
            pipeline = self._reader.pipeline(transaction=False)
            for state in states:
                for severity in severities:
                    key, below = keys.listing(state.value, severity.value), f"({after}" if after else "+"
                    pipeline.zrevrangebylex(key, below, "-", 0, limit)
            places = [entry.decode() for entries in await pipeline.execute() for entry in entries]
        chosen = sorted(places, reverse=True)[:limit]
        return await self._alerts([entry.partition(":")[2] for entry in chosen])

    async def counts(self) -> dict[tuple[AlertState, Severity], int]:
        pairs = [(state, severity) for state in AlertState for severity in Severity]
        with away():
            pipeline = self._reader.pipeline(transaction=False)
            for state, severity in pairs:
                pipeline.zcard(keys.listing(state.value, severity.value))
            return dict(zip(pairs, await pipeline.execute(), strict=True))

    async def to_wake(self, at_us: int, limit: int) -> list[Alert]:
        with away():
            found = await self._reader.zrangebyscore(keys.WAKE, "-inf", at_us, start=0, num=limit)
        return await self._alerts([alert_id.decode() for alert_id in found])

    async def prune(self, at_us: int, limit: int = 500) -> int:
        with away():
            return int(
                await self._prune(
                    keys=[keys.ENDED, keys.SETTLED],
                    args=[keys.PREFIX, at_us - RESOLVED_KEPT_US, at_us - SETTLED_KEPT_US, limit],
                )
            )

    async def claim(self, receiver: str, at_us: int, lease_us: int) -> Claim | None:
        lease = uuid4().hex
        with away():
            found = await self._claim(keys=[keys.due(receiver)], args=[keys.PREFIX, receiver, at_us, lease_us, lease])
        return Claim(_delivery.decode(found[0]), found[1], lease) if found else None

    async def settle(self, claim: Claim, after: Delivery, at_us: int) -> bool:
        with away():
            return bool(
                await self._settle(
                    keys=[keys.due(after.receiver), keys.PENDING, keys.SETTLED],
                    args=[
                        keys.PREFIX,
                        after.receiver,
                        after.delivery_id,
                        after.alert_id,
                        claim.lease,
                        _json.encode(after),
                        after.state.value,
                        after.next_us if after.state is DeliveryState.PENDING else "",
                        at_us,
                        "1" if after.state is DeliveryState.DELIVERED else "",
                    ],
                )
            )

    async def told(self, alert_id: str, receiver: str) -> bool:
        with away():
            return bool(await self._reader.sismember(keys.told(alert_id), receiver))

    async def next_due_us(self, receiver: str) -> int | None:
        with away():
            found = await self._reader.zrange(keys.due(receiver), 0, 0, withscores=True)
        return int(found[0][1]) if found else None

    async def deliveries(self, states: Collection[DeliveryState], limit: int) -> list[Delivery]:
        ids: list[bytes] = []
        with away():
            if DeliveryState.PENDING in states:
                ids += await self._reader.zrange(keys.PENDING, 0, -1)
            if set(states) - {DeliveryState.PENDING}:
                ids += await self._reader.zrevrange(keys.SETTLED, 0, -1)
        chosen: list[Delivery] = []
        for start in range(0, len(ids), 500):
            with away():
                pipeline = self._reader.pipeline(transaction=False)
                for delivery_id in ids[start : start + 500]:
                    pipeline.hget(keys.delivery(delivery_id.decode()), "json")
                found = [_delivery.decode(value) for value in await pipeline.execute() if value]
            chosen += [delivery for delivery in found if delivery.state in states]
            if len(chosen) >= limit:
                break
        return chosen[:limit]

    async def pending(self) -> int:
        with away():
            return int(await self._reader.zcard(keys.PENDING))

    async def disable(self, receiver: str, address: str, why: str, at_us: int) -> None:
        with away():
            value = _json.encode({"address": address, "why": why, "at_us": at_us})
            await self._writer.hset(keys.DISABLED, receiver, value)

    async def disabled(self) -> dict[str, dict[str, Any]]:
        with away():
            found = await self._reader.hgetall(keys.DISABLED)
        return {name.decode(): msgspec.json.decode(value) for name, value in found.items()}

    async def outgoing(self, limit: int) -> list[tuple[str, AlertEvent]]:
        with away():
            found = await self._reader.xrange(keys.OUTBOX, count=limit)
        return [(entry.decode(), codec.decode_alert(fields[b"value"])) for entry, fields in found]

    async def relayed(self, entries: Sequence[str]) -> None:
        with away():
            await self._writer.xdel(keys.OUTBOX, *entries)

    async def backlog(self) -> tuple[int, int | None]:
        with away():
            depth = int(await self._reader.xlen(keys.OUTBOX))
            oldest = await self._reader.xrange(keys.OUTBOX, count=1)
        return depth, int(oldest[0][0].split(b"-")[0]) * 1000 if oldest else None

    async def _alerts(self, alert_ids: Sequence[str]) -> list[Alert]:
        if not alert_ids:
            return []
        with away():
            pipeline = self._reader.pipeline(transaction=False)
            for alert_id in alert_ids:
                pipeline.hget(keys.alert(alert_id), "json")
            return [_alert.decode(value) for value in await pipeline.execute() if value]
