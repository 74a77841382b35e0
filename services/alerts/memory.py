"""The store in memory, for tests of what builds on it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import count
from typing import Any

from msgspec.structs import replace

from schemas import codec
from schemas.alert import Alert, AlertEvent, AlertState, Severity
from schemas.instant import from_datetime
from services.alerts.delivery import DEAD, Delivery, DeliveryState, Kind, Rate, own
from services.alerts.queue import (
    DIGEST_MOST,
    SETTLED_KEPT_US,
    Claim,
    Known,
    Member,
    Place,
    Settlement,
    anew,
    resendable,
)
from services.alerts.state import Step
from services.alerts.store import RESOLVED_KEPT_US, TRANSITIONS_KEPT, place, wakes_at


class MemoryStore:
    """Behaves like ``RedisStore``; nothing survives the process."""

    def __init__(self) -> None:
        self.alerts: dict[str, Alert] = {}
        self.leader = ""
        self.silences = ""
        self._newest: dict[str, str] = {}
        self._transitions: dict[str, list[AlertEvent]] = {}
        self._outbox: dict[str, AlertEvent] = {}
        self._queue: dict[str, Delivery] = {}
        self._bodies: dict[str, bytes] = {}
        self._due_us: dict[str, int] = {}
        self._retry_us: dict[str, int] = {}
        self._sent_us: dict[str, int] = {}
        self._gather_us: dict[str, int] = {}
        self._flying: dict[str, str] = {}
        self._digests: dict[str, list[str]] = {}
        self._gathered: dict[str, str] = {}
        self._holding: dict[tuple[str, str], str] = {}
        self._handles: dict[tuple[str, str], str] = {}
        self._open: dict[str, set[str]] = {}
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

    async def heard_by(self, alert_id: str) -> frozenset[str]:
        return frozenset(receiver for known, receiver in self._told if known == alert_id)

    async def apply(self, step: Step, deliveries: Sequence[Delivery] = (), fence: str = "", silences: str = "") -> bool:
        if (fence and fence != self.leader) or (step.event is not None and silences != self.silences):
            return False
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
        timed = [(wakes_at(a), a) for a in self.alerts.values()]
        waiting = sorted((from_datetime(at), a.alert_id) for at, a in timed if at is not None)
        return [self.alerts[alert_id] for due_us, alert_id in waiting if due_us <= at_us][:limit]

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

    async def claim(self, receiver: str, at_us: int, lease_us: int, rate: Rate | None = None) -> Claim | None:
        for delivery_id in self._due(self._retry_us, receiver, at_us):
            delivery = self._queue[delivery_id]
            if self._held(receiver, delivery.alert_id, at_us):
                continue
            again = delivery_id in self._flying
            if again:
                parts = self._digests.get(delivery_id, ()) if delivery.kind is Kind.DIGEST else (delivery_id,)
                known = [self._queue[part] for part in parts]
                self._told |= {(d.alert_id, receiver) for d in known if d.kind is Kind.ALERT and not d.ends}
            return self._taken(delivery, at_us, lease_us, again=again)
        gather_us = self._gather_us.get(receiver) if rate is not None else None
        first = self._due(self._due_us, receiver, at_us)[:10]
        if rate is not None and gather_us is None and any(self._queue[one].held for one in first):
            self._gather_us[receiver] = gather_us = at_us
        if rate is not None and gather_us is not None:
            if at_us < gather_us:
                return None
            members = [
                self._queue[delivery_id]
                for delivery_id in self._due(self._due_us, receiver, at_us)[:DIGEST_MOST]
                if not self._held(receiver, self._queue[delivery_id].alert_id, at_us)
            ]
            if len(members) > 1:
                return self._formed(receiver, members, rate, at_us, lease_us)
            del self._gather_us[receiver]
        due = self._due(self._due_us, receiver, at_us)
        if rate is not None and due and gather_us is None:
            recent = {key: us for key, us in self._sent_us.items() if us > at_us - rate.per_us}
            self._sent_us = recent
            if sum(self._queue[key].receiver == receiver for key in recent) >= rate.after:
                self._gather_us[receiver] = at_us + rate.every_us
                return None
        for delivery_id in due:
            delivery = self._queue[delivery_id]
            if not self._held(receiver, delivery.alert_id, at_us):
                if rate is not None:
                    self._sent_us[delivery_id] = at_us
                return self._taken(delivery, at_us, lease_us)
        return None

    def _formed(self, receiver: str, members: list[Delivery], rate: Rate, at_us: int, lease_us: int) -> Claim:
        digest = own(Kind.DIGEST, f"digest-{next(self._number)}", receiver, at_us)
        digest_id = digest.delivery_id
        self._queue[digest_id], self._bodies[digest_id] = digest, b""
        self._digests[digest_id] = [member.delivery_id for member in members]
        for member in members:
            del self._due_us[member.delivery_id]
            self._gathered[member.delivery_id] = digest_id
            self._holding[receiver, member.alert_id] = digest_id
        self._sent_us[digest_id] = at_us
        if len(members) >= DIGEST_MOST:
            self._gather_us[receiver] = at_us
        elif len(members) > rate.after:
            self._gather_us[receiver] = at_us + rate.every_us
        else:
            del self._gather_us[receiver]
        return self._taken(digest, at_us, lease_us)

    def _due(self, queue: dict[str, int], receiver: str, at_us: int) -> list[str]:
        waiting = [(us, key) for key, us in queue.items() if us <= at_us and self._queue[key].receiver == receiver]
        return [key for _, key in sorted(waiting)]

    def _held(self, receiver: str, alert_id: str, at_us: int) -> bool:
        names = (alert_id, self._holding.get((receiver, alert_id), ""))
        return any(self._leases.get((receiver, name), ("", at_us))[1] > at_us for name in names)

    def _taken(self, delivery: Delivery, at_us: int, lease_us: int, *, again: bool = False) -> Claim:
        lease = f"lease-{next(self._number)}"
        self._leases[delivery.receiver, delivery.alert_id] = (lease, at_us + lease_us)
        self._due_us.pop(delivery.delivery_id, None)
        self._retry_us[delivery.delivery_id] = at_us + lease_us
        self._flying[delivery.delivery_id] = lease
        return Claim(delivery, self._bodies[delivery.delivery_id], lease, again)

    async def renew(self, receiver: str, claims: Collection[Claim], at_us: int, lease_us: int) -> None:
        for claim in claims:
            delivery_id, place = claim.delivery.delivery_id, (receiver, claim.delivery.alert_id)
            holder = self._leases.get(place, (claim.lease, 0))[0]
            if self._flying.get(delivery_id) == claim.lease == holder:
                self._leases[place] = (claim.lease, at_us + lease_us)
                self._retry_us[delivery_id] = at_us + lease_us

    async def settle(self, claim: Claim, done: Settlement, at_us: int) -> bool:
        after = done.after
        if self._flying.get(after.delivery_id) != claim.lease:
            return False
        if self._leases.get((after.receiver, after.alert_id), ("", 0))[0] == claim.lease:
            del self._leases[after.receiver, after.alert_id]
        del self._flying[after.delivery_id]
        self._queue[after.delivery_id] = after
        if done.unsent:
            self._sent_us.pop(after.delivery_id, None)
        if done.told and after.kind is Kind.ALERT:
            self._heard(after, done.handle, at_us, alone=True)
        self._due_us.pop(after.delivery_id, None)
        self._retry_us.pop(after.delivery_id, None)
        if after.state is DeliveryState.PENDING:
            same = done.perhaps or after.kind is not Kind.ALERT
            (self._retry_us if same else self._due_us)[after.delivery_id] = after.next_us
        else:
            self._settled_us[after.delivery_id] = at_us
            if after.ends:
                self._ended(after.alert_id, after.receiver, at_us)
        for member in done.members:
            if member.delivery_id in done.heard:
                self._heard(member, done.handle, at_us, alone=False)
            if member.state is DeliveryState.GATHERED:
                continue
            self._queue[member.delivery_id] = member
            self._gathered.pop(member.delivery_id, None)
            if self._holding.get((after.receiver, member.alert_id)) == after.delivery_id:
                del self._holding[after.receiver, member.alert_id]
            self._settled_us[member.delivery_id] = at_us
            if member.ends:
                self._ended(member.alert_id, after.receiver, at_us)
        return True

    def _heard(self, delivery: Delivery, handle: str | None, at_us: int, *, alone: bool) -> None:
        key = (delivery.alert_id, delivery.receiver)
        self._told.add(key)
        known = self._handles.get(key)
        if not handle or delivery.ends or known == handle:
            return
        if known is not None:
            if not alone and not known.startswith("digest:"):
                return
            self._ended(*key, at_us)
        self._handles[key] = handle
        if handle.startswith("digest:"):
            self._open.setdefault(handle.removeprefix("digest:"), set()).add(delivery.alert_id)

    def _ended(self, alert_id: str, receiver: str, at_us: int) -> None:
        handle = self._handles.get((alert_id, receiver), "")
        digest_id = handle.removeprefix("digest:")
        still_open = self._open.get(digest_id, set())
        if not handle.startswith("digest:") or alert_id not in still_open:
            return
        still_open.discard(alert_id)
        if still_open:
            return
        over = replace(own(Kind.DIGEST_END, f"{digest_id}:end", receiver, at_us), event_id=digest_id)
        self._enqueue(replace(over, digest_id=digest_id))

    def _enqueue(self, delivery: Delivery) -> None:
        self._queue[delivery.delivery_id], self._bodies[delivery.delivery_id] = delivery, b""
        self._retry_us[delivery.delivery_id] = delivery.next_us

    async def members(self, digest_id: str) -> list[Member]:
        found = []
        for delivery_id in self._digests.get(digest_id, ()):
            if self._gathered.get(delivery_id) == digest_id:
                delivery = self._shown(delivery_id)
                told, handle = await self.told(delivery.alert_id, delivery.receiver)
                alert = self.alerts.get(delivery.alert_id)
                found.append(Member(delivery, self._bodies[delivery_id], alert, told, handle))
        return found

    async def told(self, alert_id: str, receiver: str) -> tuple[bool, str | None]:
        return (alert_id, receiver) in self._told, self._handles.get((alert_id, receiver))

    async def known(self, alert_id: str, receiver: str) -> Known:
        told, handle = await self.told(alert_id, receiver)
        off = self._disabled.get(receiver, {}).get("address")
        return Known(self.alerts.get(alert_id), told, handle, off)

    async def next_due_us(self, receiver: str) -> int | None:
        both = [*self._due_us.items(), *self._retry_us.items()]
        return min((us for key, us in both if self._queue[key].receiver == receiver), default=None)

    async def deliveries(
        self, states: Collection[DeliveryState], limit: int, receiver: str | None = None
    ) -> list[Delivery]:
        return (await self.deliveries_after(None, states, limit, receiver))[0]

    async def deliveries_after(
        self, after: Place | None, states: Collection[DeliveryState], limit: int, receiver: str | None = None
    ) -> tuple[list[Delivery], Place | None]:
        pending = self._due_us | self._retry_us | dict.fromkeys(self._gathered, 0)
        waiting = sorted(Place(False, at_us, key) for key, at_us in pending.items())
        settled = sorted((Place(True, at_us, key) for key, at_us in self._settled_us.items()), reverse=True)
        found = [(place, self._shown(place.delivery_id)) for place in (*waiting, *settled) if place.behind(after)]
        fitting = [(place, d) for place, d in found if d.state in states and receiver in (None, d.receiver)]
        more = fitting[limit - 1][0] if len(fitting) > limit else None
        return [delivery for _, delivery in fitting[:limit]], more

    async def delivery(self, delivery_id: str) -> Delivery | None:
        return self._shown(delivery_id) if delivery_id in self._queue else None

    async def gathered(self, digest_id: str) -> list[Delivery]:
        return [self._shown(delivery_id) for delivery_id in self._digests.get(digest_id, ())]

    def _shown(self, delivery_id: str) -> Delivery:
        delivery, digest_id = self._queue[delivery_id], self._gathered.get(delivery_id)
        return delivery if digest_id is None else replace(delivery, state=DeliveryState.GATHERED, digest_id=digest_id)

    async def enqueue(self, delivery: Delivery) -> None:
        self._enqueue(delivery)

    async def resend(self, delivery_id: str, at_us: int) -> bool:
        dead = self._queue.get(delivery_id)
        if dead is None or not resendable(dead):
            return False
        del self._settled_us[delivery_id]
        self._enqueue_again(anew(dead, at_us))
        for member_id in self._digests.get(delivery_id, ()):
            member = self._queue[member_id]
            if member.state in DEAD:
                del self._settled_us[member_id]
                self._queue[member_id] = anew(member, at_us)
                self._gathered[member_id] = delivery_id
                self._holding[member.receiver, member.alert_id] = delivery_id
        return True

    def _enqueue_again(self, delivery: Delivery) -> None:
        self._queue[delivery.delivery_id] = delivery
        self._retry_us[delivery.delivery_id] = delivery.next_us

    async def pending(self) -> int:
        return len(self._due_us) + len(self._retry_us) + len(self._gathered)

    async def disable(self, receiver: str, address: str, why: str, at_us: int) -> None:
        self._disabled[receiver] = {"address": address, "why": why, "at_us": at_us}

    async def enable(self, receiver: str) -> bool:
        return self._disabled.pop(receiver, None) is not None

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
