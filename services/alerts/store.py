"""Where alerts lie, and with them the messages about them: a port with two implementations that behave alike
(``tests/contract/test_alert_store.py``).

Redis is the real one; ``memory.py`` has the other. Calls to Redis may raise ``NotNow``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

import msgspec
from redis.asyncio import Redis

from schemas import codec
from schemas.alert import Alert, AlertEvent, AlertState, Severity
from schemas.instant import SECOND_US, from_datetime
from services.alerts import keys
from services.alerts.delivery import Delivery
from services.alerts.queue import SETTLED_KEPT_US, Queue
from services.alerts.redis_queue import RedisQueue
from services.alerts.script import script
from services.alerts.state import Step
from services.state.client import away

RESOLVED_KEPT_US: Final = 30 * 86_400 * SECOND_US
"""How long a resolved alert can be looked up, counted from its last transition."""
FEED_LENGTH: Final = 10_000
"""Transitions that the feed keeps for streams to resume from (Redis may keep a few more)."""
TRANSITIONS_KEPT: Final = 200
"""Transitions that are kept of one alert; each of them is also in Kafka."""

_alert: Final = msgspec.json.Decoder(Alert)
_json: Final = msgspec.json.Encoder()


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


def wakes_at(alert: Alert) -> datetime | None:
    """When time alone changes the alert next."""
    times = (alert.snoozed_until or alert.escalates_at, alert.silenced_until)
    return min((at for at in times if at is not None), default=None)


def place(alert: Alert) -> str:
    """Where an alert stands in listings: sorts by when it began, then by id."""
    return f"{from_datetime(alert.starts_at):020d}:{alert.alert_id}"


class RedisStore(RedisQueue):
    """The real store. ``writer`` must never re-send by itself (``services.state.client.writer``)."""

    def __init__(self, writer: Redis, reader: Redis) -> None:
        super().__init__(writer, reader)
        self._transition, self._prune = (script(writer, name) for name in ("transition", "prune"))

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
