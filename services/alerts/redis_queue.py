"""The queue of messages in Redis. What must be one step is one script (``lua/``)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final
from uuid import uuid4

import msgspec
from redis.asyncio import Redis

from schemas.alert import Alert
from services.alerts import keys
from services.alerts.delivery import DEAD, Delivery, DeliveryState, Kind, Rate, own
from services.alerts.queue import (
    DIGEST_MOST,
    Claim,
    Known,
    Member,
    Place,
    Settlement,
    anew,
    resendable,
)
from services.alerts.script import script
from services.state.client import away

_alert: Final = msgspec.json.Decoder(Alert)
_delivery: Final = msgspec.json.Decoder(Delivery)
_json: Final = msgspec.json.Encoder()


class RedisQueue:
    """The real queue. ``writer`` must never re-send by itself (``services.state.client.writer``)."""

    def __init__(self, writer: Redis, reader: Redis) -> None:
        self._writer: Any = writer  # redis-py's stubs return unions of all that any option could give
        self._reader: Any = reader
        self._claim, self._renew, self._settle, self._resend = (
            script(writer, name) for name in ("claim", "renew", "settle", "resend")
        )

    async def claim(self, receiver: str, at_us: int, lease_us: int, rate: Rate | None = None) -> Claim | None:
        lease, digest_id = uuid4().hex, str(uuid4())
        limits: list[Any] = [""]
        if rate is not None:
            digest = _json.encode(own(Kind.DIGEST, digest_id, receiver, at_us))
            limits = [rate.after, rate.per_us, rate.every_us, DIGEST_MOST, digest_id, digest]
        with away():
            found = await self._claim(
                keys=[
                    keys.due(receiver),
                    keys.retry(receiver),
                    keys.sent(receiver),
                    keys.gather(receiver),
                    keys.gathered(receiver),
                    keys.PENDING,
                ],
                args=[keys.PREFIX, receiver, at_us, lease_us, lease, *limits],
            )
        return Claim(_delivery.decode(found[0]), found[1], lease, bool(found[2])) if found else None

    async def renew(self, receiver: str, claims: Collection[Claim], at_us: int, lease_us: int) -> None:
        held = [part for one in claims for part in (one.delivery.delivery_id, one.delivery.alert_id, one.lease)]
        with away():
            await self._renew(keys=[keys.retry(receiver)], args=[keys.PREFIX, receiver, at_us, lease_us, *held])

    async def settle(self, claim: Claim, done: Settlement, at_us: int) -> bool:
        after = done.after
        members: list[Any] = []
        for member in done.members:
            final = member.state not in (DeliveryState.PENDING, DeliveryState.GATHERED)
            members += [member.delivery_id, member.alert_id, _json.encode(member) if final else ""]
            members += ["1" if member.delivery_id in done.heard else "", "1" if member.ends else ""]
        with away():
            return bool(
                await self._settle(
                    keys=[
                        keys.due(after.receiver),
                        keys.retry(after.receiver),
                        keys.sent(after.receiver),
                        keys.gathered(after.receiver),
                        keys.PENDING,
                        keys.SETTLED,
                    ],
                    args=[
                        keys.PREFIX,
                        after.receiver,
                        after.delivery_id,
                        after.alert_id,
                        claim.lease,
                        _json.encode(after),
                        after.next_us if after.state is DeliveryState.PENDING else "",
                        at_us,
                        "1" if done.perhaps or after.kind is not Kind.ALERT else "",
                        "1" if done.unsent else "",
                        "1" if done.told and after.kind is Kind.ALERT else "",
                        done.handle or "",
                        "1" if after.ends else "",
                        *members,
                    ],
                )
            )

    async def members(self, digest_id: str) -> list[Member]:
        with away():
            ids = [found.decode() for found in await self._reader.lrange(keys.digest(digest_id), 0, -1)]
        members: list[Member] = []
        for start in range(0, len(ids), 500):
            chunk = ids[start : start + 500]
            with away():
                pipeline = self._reader.pipeline(transaction=False)
                for delivery_id in chunk:
                    pipeline.hmget(keys.delivery(delivery_id), "json", "event", "digest")
                rows = [row for row in await pipeline.execute() if row[0] and row[2] == digest_id.encode()]
            found = [(_delivery.decode(row[0]), row[1]) for row in rows]
            with away():
                pipeline = self._reader.pipeline(transaction=False)
                for delivery, _ in found:
                    pipeline.hget(keys.alert(delivery.alert_id), "json")
                    pipeline.sismember(keys.told(delivery.alert_id), delivery.receiver)
                    pipeline.hget(keys.handles(delivery.alert_id), delivery.receiver)
                known = await pipeline.execute()
            for number, (delivery, body) in enumerate(found):
                alert, told, handle = known[3 * number : 3 * number + 3]
                delivery = msgspec.structs.replace(delivery, state=DeliveryState.GATHERED, digest_id=digest_id)
                decoded = _alert.decode(alert) if alert else None
                members.append(Member(delivery, body, decoded, bool(told), handle.decode() if handle else None))
        return members

    async def told(self, alert_id: str, receiver: str) -> tuple[bool, str | None]:
        with away():
            pipeline = self._reader.pipeline(transaction=False)
            pipeline.sismember(keys.told(alert_id), receiver)
            pipeline.hget(keys.handles(alert_id), receiver)
            told, handle = await pipeline.execute()
        return bool(told), handle.decode() if handle else None

    async def known(self, alert_id: str, receiver: str) -> Known:
        with away():
            pipeline = self._reader.pipeline(transaction=False)
            pipeline.hget(keys.alert(alert_id), "json")
            pipeline.sismember(keys.told(alert_id), receiver)
            pipeline.hget(keys.handles(alert_id), receiver)
            pipeline.hget(keys.DISABLED, receiver)
            alert, told, handle, off = await pipeline.execute()
        return Known(
            _alert.decode(alert) if alert else None,
            bool(told),
            handle.decode() if handle else None,
            msgspec.json.decode(off)["address"] if off else None,
        )

    async def next_due_us(self, receiver: str) -> int | None:
        with away():
            pipeline = self._reader.pipeline(transaction=False)
            pipeline.zrange(keys.due(receiver), 0, 0, withscores=True)
            pipeline.zrange(keys.retry(receiver), 0, 0, withscores=True)
            found = [int(score) for rows in await pipeline.execute() for _, score in rows]
        return min(found, default=None)

    async def deliveries(
        self, states: Collection[DeliveryState], limit: int, receiver: str | None = None
    ) -> list[Delivery]:
        return (await self.deliveries_after(None, states, limit, receiver))[0]

    async def deliveries_after(
        self, after: Place | None, states: Collection[DeliveryState], limit: int, receiver: str | None = None
    ) -> tuple[list[Delivery], Place | None]:
        listed: list[tuple[bool, tuple[bytes, float]]] = []
        waiting = {DeliveryState.PENDING, DeliveryState.GATHERED}
        with away():
            if waiting & set(states):
                listed += [(False, row) for row in await self._reader.zrange(keys.PENDING, 0, -1, withscores=True)]
            if set(states) - waiting:
                listed += [(True, row) for row in await self._reader.zrevrange(keys.SETTLED, 0, -1, withscores=True)]
        places = [Place(settled, int(score), delivery_id.decode()) for settled, (delivery_id, score) in listed]
        places = [place for place in places if place.behind(after)]
        chosen: list[tuple[Place, Delivery]] = []
        for start in range(0, len(places), 500):
            part = {place.delivery_id: place for place in places[start : start + 500]}
            chosen += [
                (part[delivery.delivery_id], delivery)
                for delivery in await self._read(list(part))
                if delivery.state in states and (receiver is None or delivery.receiver == receiver)
            ]
            if len(chosen) > limit:
                break
        more = chosen[limit - 1][0] if len(chosen) > limit else None
        return [delivery for _, delivery in chosen[:limit]], more

    async def delivery(self, delivery_id: str) -> Delivery | None:
        found = await self._read([delivery_id])
        return found[0] if found else None

    async def gathered(self, digest_id: str) -> list[Delivery]:
        with away():
            ids = [found.decode() for found in await self._reader.lrange(keys.digest(digest_id), 0, -1)]
        return await self._read(ids)

    async def enqueue(self, delivery: Delivery) -> None:
        with away():
            pipeline = self._writer.pipeline(transaction=True)
            pipeline.hset(keys.delivery(delivery.delivery_id), "json", _json.encode(delivery))
            pipeline.zadd(keys.retry(delivery.receiver), {delivery.delivery_id: delivery.next_us})
            pipeline.zadd(keys.PENDING, {delivery.delivery_id: delivery.next_us})
            await pipeline.execute()

    async def resend(self, delivery_id: str, at_us: int) -> bool:
        with away():
            stored = await self._reader.hget(keys.delivery(delivery_id), "json")
        if stored is None:
            return False
        dead = _delivery.decode(stored)
        if not resendable(dead):
            return False
        members: list[Any] = []
        if dead.kind is Kind.DIGEST:
            for member in await self.gathered(delivery_id):
                if member.state in DEAD:
                    members += [member.delivery_id, member.alert_id, _json.encode(anew(member, at_us))]
        with away():
            return bool(
                await self._resend(
                    keys=[keys.retry(dead.receiver), keys.PENDING, keys.SETTLED, keys.gathered(dead.receiver)],
                    args=[keys.PREFIX, delivery_id, stored, _json.encode(anew(dead, at_us)), at_us, *members],
                )
            )

    async def _read(self, delivery_ids: Sequence[str]) -> list[Delivery]:
        with away():
            pipeline = self._reader.pipeline(transaction=False)
            for delivery_id in delivery_ids:
                pipeline.hmget(keys.delivery(delivery_id), "json", "digest")
            rows = await pipeline.execute() if delivery_ids else []
        found = []
        for stored, digest_id in rows:
            if stored is None:
                continue
            delivery = _delivery.decode(stored)
            if digest_id is not None:
                delivery = msgspec.structs.replace(delivery, state=DeliveryState.GATHERED, digest_id=digest_id.decode())
            found.append(delivery)
        return found

    async def pending(self) -> int:
        with away():
            return int(await self._reader.zcard(keys.PENDING))

    async def disable(self, receiver: str, address: str, why: str, at_us: int) -> None:
        with away():
            value = _json.encode({"address": address, "why": why, "at_us": at_us})
            await self._writer.hset(keys.DISABLED, receiver, value)

    async def enable(self, receiver: str) -> bool:
        with away():
            return bool(await self._writer.hdel(keys.DISABLED, receiver))

    async def disabled(self) -> dict[str, dict[str, Any]]:
        with away():
            found = await self._reader.hgetall(keys.DISABLED)
        return {name.decode(): msgspec.json.decode(value) for name, value in found.items()}
