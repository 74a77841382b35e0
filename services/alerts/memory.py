"""The store in memory, for tests of what builds on it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import count
from typing import Any

from schemas import codec
from schemas.alert import Alert, AlertEvent, AlertState, Severity
from schemas.instant import from_datetime
from services.alerts.delivery import Delivery, DeliveryState
from services.alerts.state import Step
from services.alerts.store import RESOLVED_KEPT_US, SETTLED_KEPT_US, TRANSITIONS_KEPT, Claim, place


class MemoryStore:
    """Behaves like ``RedisStore``; nothing survives the process."""

    def __init__(self) -> None:
        self.alerts: dict[str, Alert] = {}
        self._newest: dict[str, str] = {}
        self._transitions: dict[str, list[AlertEvent]] = {}
        self._outbox: dict[str, AlertEvent] = {}
        self._queue: dict[str, Delivery] = {}
        self._bodies: dict[str, bytes] = {}
        self._due_us: dict[str, int] = {}
        self._settled_us: dict[str, int] = {}
        self._leases: dict[tuple[str, str], tuple[str, int]] = {}
        self._told: set[tuple[str, str]] = set()
        self._disabled: dict[str, dict[str, Any]] = {}
        self._number = count(1)

    async def newest(self, fingerprint: str) -> Alert | None:
        return self.alerts.get(self._newest.get(fingerprint, ""))

    async def alert(self, alert_id: str) -> Alert | None:
        return self.alerts.get(alert_id)

    async def transitions(self, alert_id: str) -> list[AlertEvent]:
        return list(self._transitions.get(alert_id, ()))

    async def apply(self, step: Step, deliveries: Sequence[Delivery] = ()) -> bool:
        before, after = step.before, step.after
        same = before is not None and before.alert_id == after.alert_id
        stored = self.alerts.get(after.alert_id)
        if (stored.version if stored else None) != (before.version if before is not None and same else None):
            return False
        if self._newest.get(after.fingerprint) != (before.alert_id if before is not None else None):
            return False
        self.alerts[after.alert_id] = after
        self._newest[after.fingerprint] = after.alert_id
        if step.event is not None:
            kept = self._transitions.setdefault(after.alert_id, [])
            kept.append(step.event)
            del kept[:-TRANSITIONS_KEPT]
            self._outbox[f"{next(self._number)}-0"] = step.event
            for delivery in deliveries:
                self._queue[delivery.delivery_id] = delivery
                self._bodies[delivery.delivery_id] = codec.encode(step.event)
                self._due_us[delivery.delivery_id] = delivery.next_us
        return True

    async def listed(
        self, states: Collection[AlertState], severities: Collection[Severity], limit: int, after: str | None = None
    ) -> list[Alert]:
        fitting = [a for a in self.alerts.values() if a.state in states and a.severity in severities]
        fitting = [a for a in fitting if after is None or place(a) < after]
        return sorted(fitting, key=place, reverse=True)[:limit]

    async def counts(self) -> dict[tuple[AlertState, Severity], int]:
        of = {(state, severity): 0 for state in AlertState for severity in Severity}
        for alert in self.alerts.values():
            of[alert.state, alert.severity] += 1
        return of

    async def to_wake(self, at_us: int, limit: int) -> list[Alert]:
        waiting = [a for a in self.alerts.values() if a.snoozed_until and from_datetime(a.snoozed_until) <= at_us]
        return sorted(waiting, key=lambda a: (a.snoozed_until, a.alert_id))[:limit]

    async def prune(self, at_us: int, limit: int = 500) -> int:
        old = [
            alert
            for alert in self.alerts.values()
            if alert.state is AlertState.RESOLVED and from_datetime(alert.updated_at) <= at_us - RESOLVED_KEPT_US
        ][:limit]
        for alert in old:
            del self.alerts[alert.alert_id]
            self._transitions.pop(alert.alert_id, None)
            if self._newest.get(alert.fingerprint) == alert.alert_id:
                del self._newest[alert.fingerprint]
        for delivery_id, settled_us in list(self._settled_us.items())[:limit]:
            if settled_us <= at_us - SETTLED_KEPT_US:
                del self._settled_us[delivery_id], self._queue[delivery_id], self._bodies[delivery_id]
        return len(old)

    async def claim(self, receiver: str, at_us: int, lease_us: int) -> Claim | None:
        for delivery_id, due_us in sorted(self._due_us.items(), key=lambda item: (item[1], item[0])):
            delivery = self._queue[delivery_id]
            if due_us > at_us or delivery.receiver != receiver:
                continue
            holder = self._leases.get((receiver, delivery.alert_id))
            if holder is not None and holder[1] > at_us:
                continue
            lease = f"lease-{next(self._number)}"
            self._leases[receiver, delivery.alert_id] = (lease, at_us + lease_us)
            self._due_us[delivery_id] = at_us + lease_us
            return Claim(delivery, self._bodies[delivery_id], lease)
        return None

    async def settle(self, claim: Claim, after: Delivery, at_us: int) -> bool:
        holder = self._leases.get((after.receiver, after.alert_id))
        if holder is None or holder[0] != claim.lease:
            return False
        del self._leases[after.receiver, after.alert_id]
        self._queue[after.delivery_id] = after
        if after.state is DeliveryState.PENDING:
            self._due_us[after.delivery_id] = after.next_us
            return True
        del self._due_us[after.delivery_id]
        self._settled_us[after.delivery_id] = at_us
        if after.state is DeliveryState.DELIVERED:
            self._told.add((after.alert_id, after.receiver))
        return True

    async def told(self, alert_id: str, receiver: str) -> bool:
        return (alert_id, receiver) in self._told

    async def next_due_us(self, receiver: str) -> int | None:
        return min((us for key, us in self._due_us.items() if self._queue[key].receiver == receiver), default=None)

    async def deliveries(self, states: Collection[DeliveryState], limit: int) -> list[Delivery]:
        waiting = sorted(self._due_us, key=lambda key: (self._due_us[key], key))
        settled = sorted(self._settled_us, key=lambda key: (self._settled_us[key], key), reverse=True)
        found = [self._queue[delivery_id] for delivery_id in (*waiting, *settled)]
        return [delivery for delivery in found if delivery.state in states][:limit]

    async def pending(self) -> int:
        return len(self._due_us)

    async def disable(self, receiver: str, address: str, why: str, at_us: int) -> None:
        self._disabled[receiver] = {"address": address, "why": why, "at_us": at_us}

    async def disabled(self) -> dict[str, dict[str, Any]]:
        return dict(self._disabled)

    async def outgoing(self, limit: int) -> list[tuple[str, AlertEvent]]:
        return list(self._outbox.items())[:limit]

    async def relayed(self, entries: Sequence[str]) -> None:
        for entry in entries:
            del self._outbox[entry]

    async def backlog(self) -> tuple[int, int | None]:
        oldest = next(iter(self._outbox.values()), None)
        return len(self._outbox), from_datetime(oldest.occurred_at) if oldest else None
