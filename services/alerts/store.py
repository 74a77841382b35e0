"""Where alerts lie: a port with two implementations that behave alike (``tests/contract/test_alert_store.py``).

Redis is the real one; ``memory.py`` has the other. Calls to Redis may raise ``NotNow``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from importlib.resources import files
from typing import Any, Final, NamedTuple, Protocol
from uuid import uuid4

import msgspec
from redis.asyncio import Redis

from schemas import codec
from schemas.alert import Alert, AlertEvent, AlertState, Severity
from schemas.forms import ALERTS_FORM_KEY
from schemas.instant import SECOND_US, from_datetime
from services.alerts import keys
from services.alerts.delivery import DEAD, Delivery, DeliveryState, Kind, Rate, own
from services.alerts.state import Step
from services.state.client import away
from services.state.forms import guarded

RESOLVED_KEPT_US: Final = 30 * 86_400 * SECOND_US
"""How long a resolved alert can be looked up, counted from its last transition."""
SETTLED_KEPT_US: Final = 7 * 86_400 * SECOND_US
"""How long a message that was delivered, or never will be, can be looked up."""
FEED_LENGTH: Final = 10_000
"""Transitions that the feed keeps for streams to resume from (Redis may keep a few more)."""
TRANSITIONS_KEPT: Final = 200
"""Transitions that are kept of one alert; each of them is also in Kafka."""

DIGEST_MOST: Final = 2_000
"""Messages that one digest may hold; when there are more, the next one follows at once."""

LUA: Final = files("services.alerts") / "lua"
_alert: Final = msgspec.json.Decoder(Alert)
_delivery: Final = msgspec.json.Decoder(Delivery)
_json: Final = msgspec.json.Encoder()


class Claim(msgspec.Struct, frozen=True):
    """A message that is ours to send until the lease ends and somebody else takes it. ``body`` is the AlertEvent as
    JSON, empty where it is about no single alert. ``again``: somebody who died perhaps sent it already."""

    delivery: Delivery
    body: bytes
    lease: str
    again: bool = False


class Member(msgspec.Struct, frozen=True):
    """A message of a digest: its body, the alert as it stands now, and whether and how its receiver knows the alert."""

    delivery: Delivery
    body: bytes
    alert: Alert | None
    told: bool
    handle: str | None


class Known(msgspec.Struct, frozen=True):
    """What must be known just before a message is sent: the alert as it stands, whether and how its receiver knows it,
    and with which address that was switched off, if it was."""

    alert: Alert | None
    told: bool
    handle: str | None
    off: str | None


class Settlement(msgspec.Struct, frozen=True):
    """How an attempt ended. ``after`` is pending again, or settled for good; ``members`` likewise, of a digest.

    ``told``: the receiver knows of what it was sent, or perhaps does. ``perhaps``: the next attempt must be the same
    message. ``unsent``: there was no attempt. ``heard`` are the members that were in what was sent.
    """

    after: Delivery
    told: bool = False
    handle: str | None = None
    perhaps: bool = False
    unsent: bool = False
    members: tuple[Delivery, ...] = ()
    heard: frozenset[str] = frozenset()


class AlertStore(Protocol):
    """Alerts and their transitions."""

    async def newest(self, fingerprint: str) -> Alert | None:
        """The newest alert about ``fingerprint``."""

    async def alert(self, alert_id: str) -> Alert | None:
        """The alert as it stands."""

    async def transitions(self, alert_id: str) -> list[AlertEvent]:
        """What happened to it, oldest first, at most :data:`TRANSITIONS_KEPT`."""

    async def heard_by(self, alert_id: str) -> frozenset[str]:
        """The receivers that took, or perhaps took, a message about it."""

    async def apply(self, step: Step, deliveries: Sequence[Delivery] = (), fence: str = "", silences: str = "") -> bool:
        """The whole step with its transition in outbox and feed and its messages in the queue, or nothing.

        False when ``step.before`` is no longer how things stand, or ``silences`` is no longer the revision of the
        silences (of which there may be none, ``""``): look and decide again; and when a ``fence`` is given that is no
        longer the leader's (``services.alerts.lead``). After ``NotNow`` it is unknown which; looking again tells.
        """

    async def listed(
        self, states: Collection[AlertState], severities: Collection[Severity], limit: int, after: str | None = None
    ) -> list[Alert]:
        """Up to ``limit`` alerts, the latest begun first, from behind the place ``after`` (see :func:`place`)."""

    async def counts(self) -> dict[tuple[AlertState, Severity], int]:
        """How many there are."""

    async def to_wake(self, at_us: int, limit: int) -> list[Alert]:
        """Alerts whose time has come: a snooze or a silence ends, or an escalation is due."""

    async def prune(self, at_us: int, limit: int = 500) -> int:
        """Forgets resolved alerts and settled messages after their time; returns how many alerts."""


class Queue(Protocol):
    """Messages on their way to receivers."""

    async def claim(self, receiver: str, at_us: int, lease_us: int, rate: Rate | None = None) -> Claim | None:
        """Takes the next message that is due, for ``lease_us``: after that it is due again, should we have died.

        Never two messages of one alert to one receiver at a time. When messages come faster than ``rate``, they are
        gathered, and what is taken is a digest of them. What was perhaps sent is never gathered."""

    async def renew(self, receiver: str, claims: Collection[Claim], at_us: int, lease_us: int) -> None:
        """What is still on its way stays ours for ``lease_us`` from now, unless somebody else took it."""

    async def settle(self, claim: Claim, done: Settlement, at_us: int) -> bool:
        """Writes down how the attempt ended. False when somebody else took the message after the lease had ended, and
        when it is settled already."""

    async def members(self, digest_id: str) -> list[Member]:
        """The messages that the digest still holds, the oldest first."""

    async def told(self, alert_id: str, receiver: str) -> tuple[bool, str | None]:
        """Whether ``receiver`` ever took, or perhaps took, a message about the alert; and the handle it gave."""

    async def known(self, alert_id: str, receiver: str) -> Known:
        """All that is to be looked up before a message about the alert is sent to ``receiver``, in one look."""

    async def next_due_us(self, receiver: str) -> int | None:
        """When the next message to ``receiver`` is due; ``None`` when there is none."""

    async def deliveries(
        self, states: Collection[DeliveryState], limit: int, receiver: str | None = None
    ) -> list[Delivery]:
        """Up to ``limit`` messages: pending ones by when they are due, then settled ones, the latest first."""

    async def deliveries_after(
        self, after: Place | None, states: Collection[DeliveryState], limit: int, receiver: str | None = None
    ) -> tuple[list[Delivery], Place | None]:
        """The same behind a place in that list, and the place to go on behind; ``None`` at the end."""

    async def delivery(self, delivery_id: str) -> Delivery | None:
        """One message as it stands."""

    async def gathered(self, digest_id: str) -> list[Delivery]:
        """Every message that the digest was ever made of."""

    async def enqueue(self, delivery: Delivery) -> None:
        """A message that is about no alert."""

    async def resend(self, delivery_id: str, at_us: int) -> bool:
        """Tries a dead message again, from its first attempt on; a digest with its messages. False when it is none,
        or went out with a digest (resend that one)."""

    async def pending(self) -> int:
        """How many messages wait."""

    async def disable(self, receiver: str, address: str, why: str, at_us: int) -> None:
        """Sends ``receiver`` nothing more, as long as it has this ``address`` (a digest of its URL)."""

    async def enable(self, receiver: str) -> bool:
        """Sends to it again. False when it was not switched off."""

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


def resendable(delivery: Delivery) -> bool:
    """Whether it is dead, and no part of a digest, which would have to be sent again as a whole."""
    return delivery.state in DEAD and (delivery.digest_id is None or delivery.kind is Kind.DIGEST_END)


def anew(delivery: Delivery, at_us: int) -> Delivery:
    """The message as it was before its first attempt; its id stays, so that its receiver can know a repetition."""
    return msgspec.structs.replace(delivery, state=DeliveryState.PENDING, attempts=0, next_us=at_us, problem=None)


def wakes_at(alert: Alert) -> datetime | None:
    """When time alone changes the alert next."""
    times = (alert.snoozed_until or alert.escalates_at, alert.silenced_until)
    return min((at for at in times if at is not None), default=None)


def place(alert: Alert) -> str:
    """Where an alert stands in listings: sorts by when it began, then by id."""
    return f"{from_datetime(alert.starts_at):020d}:{alert.alert_id}"


class Place(NamedTuple):
    """Where a message stands in the list of messages: settled ones after those that wait."""

    settled: bool
    at_us: int
    delivery_id: str

    def behind(self, other: Place | None) -> bool:
        """Whether it comes after ``other``."""
        if other is None or self.settled != other.settled:
            return other is None or self.settled
        here, there = (self.at_us, self.delivery_id), (other.at_us, other.delivery_id)
        return here < there if self.settled else here > there


class RedisStore:
    """The real store. ``writer`` must never re-send by itself (``services.state.client.writer``)."""

    def __init__(self, writer: Redis, reader: Redis) -> None:
        self._writer: Any = writer  # redis-py's stubs return unions of all that any option could give
        self._reader: Any = reader
        self._transition, self._claim, self._renew, self._settle, self._prune, self._resend = (
            writer.register_script(guarded((LUA / f"{name}.lua").read_text(), ALERTS_FORM_KEY))
            for name in ("transition", "claim", "renew", "settle", "prune", "resend")
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

    async def heard_by(self, alert_id: str) -> frozenset[str]:
        with away():
            return frozenset(found.decode() for found in await self._reader.smembers(keys.told(alert_id)))

    async def apply(self, step: Step, deliveries: Sequence[Delivery] = (), fence: str = "", silences: str = "") -> bool:
        before, after = step.before, step.after
        same = before is not None and before.alert_id == after.alert_id
        resolved, wake_at = after.state is AlertState.RESOLVED, wakes_at(after)
        messages: list[Any] = []
        for delivery in deliveries:
            messages += [delivery.receiver, delivery.delivery_id, _json.encode(delivery), delivery.next_us]
        with away():
            done = await self._transition(
                keys=[
                    keys.alert(after.alert_id),
                    keys.newest(after.fingerprint),
                    keys.transitions(after.alert_id),
                    *(keys.OUTBOX, keys.FEED, keys.WAKE, keys.ENDED, keys.PENDING, keys.LEADER),
                    keys.SILENCES_REVISION,
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
                    from_datetime(wake_at) if wake_at else "",
                    codec.encode(step.event) if step.event else "",
                    FEED_LENGTH,
                    TRANSITIONS_KEPT,
                    fence,
                    silences,
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
