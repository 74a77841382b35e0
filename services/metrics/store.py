"""Where the worker's state lies: a port with two implementations that behave alike (``tests/contract``).

Redis is the real one. A batch is applied in one Lua step that checks the fence first, so a crash or a lost answer
between any two lines here leaves either all of a batch or nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from itertools import chain
from typing import Any, Final, Protocol
from uuid import uuid4

import msgspec
from redis import exceptions
from redis.asyncio import Redis

from schemas import codec
from schemas import state as layout
from schemas.forms import KNOWN, SHARED_FORM_KEY, Known
from schemas.instant import SECOND_US
from schemas.state import Entry, Fact
from services.kpi.cuts import Cuts, by_cut, read
from services.kpi.window import resolutions
from services.metrics.delta import Delta
from services.metrics.position import Position
from services.state.client import away
from services.state.forms import guarded

LUA: Final = files("services.metrics") / "lua"


class Fenced(Exception):
    """The partition is not where this worker left it: another worker took it, or Redis went back in time."""


class Newer(Exception):
    """The partition holds versions that this code must not touch."""


class Store(Protocol):
    """The state of partitions. Every call may raise ``NotNow``; only :meth:`apply` changes a ticket."""

    async def claim(self, partition: int) -> Position:
        """Takes the partition over; from now on older owners are fenced off. Raises :class:`Newer`, and takes nothing,
        where it holds versions that are not known here."""

    async def entries(self, partition: int, keys: Sequence[str]) -> dict[str, Entry]:
        """The stored tickets among ``keys`` (``source:ticket_id``)."""

    async def facts(self, partition: int, keys: Sequence[str]) -> dict[str, list[Fact]]:
        """The facts of ``keys``, in order of arrival."""

    async def outdated(self, partition: int, keys: Sequence[str], form: int) -> dict[str, Entry]:
        """The stored tickets among ``keys`` that are not wholly of this form."""

    async def due(self, clocks_us: Mapping[int, int], limit: int) -> dict[int, list[str]]:
        """For each partition that has any, up to ``limit`` tickets whose time has come at its clock, the longest
        overdue first."""

    async def forgettable(self, clocks_us: Mapping[int, int], limit: int) -> dict[int, list[str]]:
        """As :meth:`due`, the tickets that may be forgotten by now."""

    async def steps(self, partitions: Sequence[int]) -> dict[int, tuple[int, int]]:
        """Epoch and step of each partition as they are now: ``(0, 0)`` where there is no state."""

    async def cuts(self, wanted: Sequence[str] | None = None) -> Cuts | None:
        """The cuts that are counted, after those that are ``wanted`` were registered; ``None`` where there are none."""

    async def admit(self, cuts: Cuts, cut: str, limit: int, segments: Sequence[str]) -> list[str]:
        """Those of ``segments`` that are counted by themselves. An answer stands for ever; of new ones as many are
        admitted as ``limit`` leaves room for, until one is not."""

    async def readmit(self, cuts: Cuts, known: Mapping[str, Sequence[str]]) -> None:
        """Admits, whatever the limit, what was counted by itself: ``known`` (segments by cut), and whatever any
        partition has counted. Heals admissions that a Redis restored from an older copy has lost."""

    async def admitted(self, cuts: Cuts) -> dict[str, int]:
        """How many values each cut has."""

    async def scan(self, cursor: int) -> tuple[int, dict[int, list[str]]]:
        """Tickets by partition, some at a time: the next cursor, 0 at the end. Every ticket that is there from the
        first call (with 0) to the last is among them at least once."""

    async def segments(self, partition: int) -> list[str]:
        """The segments, as stored, that have counted anything or have a gauge."""

    async def apply(self, partition: int, before: Position, after: Position, delta: Delta) -> None:
        """All of ``delta`` and ``after``, or nothing: raises :class:`Fenced` unless the state is at ``before``.

        After ``NotNow`` it is unknown which. Repeating is safe: what was applied is refused as :class:`Fenced`, and a
        new :meth:`claim` tells where the partition stands.
        """


class RedisStore:
    """The real store. Takes a client that never re-sends by itself (``services.state.client.writer``)."""

    def __init__(self, redis: Redis, known: Known = KNOWN) -> None:
        self._redis: Any = redis  # its stubs return unions of everything that any option could make it return
        self._known = known
        self._claim = redis.register_script((LUA / "claim.lua").read_text())
        self._apply = redis.register_script((LUA / "apply.lua").read_text())
        self._register, self._admit = (
            redis.register_script(guarded((LUA / f"{name}.lua").read_text(), SHARED_FORM_KEY, known))
            for name in ("register", "admit")
        )

    async def claim(self, partition: int) -> Position:
        with away():
            await self._redis.sadd(layout.PARTITIONS_KEY, partition)
            found = await self._claim(
                keys=[layout.position_key(partition)], args=[uuid4().hex, self._known.reads, self._known.newest]
            )
        if found[0] == b"refused":
            raise Newer(self._known.refusal(int(found[1]), int(found[2])))
        epoch, step, next_offset, last, clock_us, swept, began_us, oldest, newest = found
        return Position(
            int(epoch),
            int(step or 0),
            int(next_offset or 0),
            (last or b"").decode(),
            int(clock_us or 0),
            int(swept or 0),
            int(began_us or 0),
            int(oldest or 0),
            int(newest or 0),
        )

    async def entries(self, partition: int, keys: Sequence[str]) -> dict[str, Entry]:
        if not keys:
            return {}
        with away():
            found = await self._redis.mget([_ticket(partition, key) for key in keys])
        return {key: layout.unpack_entry(stored) for key, stored in zip(keys, found, strict=True) if stored is not None}

    async def facts(self, partition: int, keys: Sequence[str]) -> dict[str, list[Fact]]:
        if not keys:
            return {}
        pipeline = self._redis.pipeline(transaction=False)
        for key in keys:
            pipeline.lrange(_facts(partition, key), 0, -1)
            pipeline.get(_ticket(partition, key))
        with away():
            found = await pipeline.execute()
        return {key: _arrived(found[2 * at], found[2 * at + 1]) for at, key in enumerate(keys)}

    async def outdated(self, partition: int, keys: Sequence[str], form: int) -> dict[str, Entry]:
        pipeline = self._redis.pipeline(transaction=False)
        for key in keys:
            pipeline.get(_ticket(partition, key))
            pipeline.lindex(_facts(partition, key), 0)
        with away():
            found = await pipeline.execute() if keys else []
        stored = zip(keys, found[::2], found[1::2], strict=True)
        entries = ((key, layout.unpack_entry(packed), first) for key, packed, first in stored if packed is not None)
        return {key: entry for key, entry, first in entries if layout.outdated(entry, first, form)}

    async def due(self, clocks_us: Mapping[int, int], limit: int) -> dict[int, list[str]]:
        return await self._scheduled(clocks_us, 0, limit)

    async def forgettable(self, clocks_us: Mapping[int, int], limit: int) -> dict[int, list[str]]:
        return await self._scheduled(clocks_us, layout.FORGET_FROM, limit)

    async def _scheduled(self, clocks_us: Mapping[int, int], from_us: int, limit: int) -> dict[int, list[str]]:
        if not clocks_us:
            return {}
        pipeline = self._redis.pipeline(transaction=False)
        for number, clock_us in clocks_us.items():
            pipeline.zrangebyscore(layout.due_key(number), from_us, from_us + clock_us, start=0, num=limit)
        with away():
            found = await pipeline.execute()
        return {n: [key.decode() for key in keys] for n, keys in zip(clocks_us, found, strict=True) if keys}

    async def steps(self, partitions: Sequence[int]) -> dict[int, tuple[int, int]]:
        if not partitions:
            return {}
        pipeline = self._redis.pipeline(transaction=False)
        for number in partitions:
            pipeline.hmget(layout.position_key(number), "epoch", "step")
        with away():
            found = await pipeline.execute()
        return {n: (int(epoch or 0), int(step or 0)) for n, (epoch, step) in zip(partitions, found, strict=True)}

    async def cuts(self, wanted: Sequence[str] | None = None) -> Cuts | None:
        with away():
            if wanted is None:
                return read(await self._redis.hgetall(layout.CUTS_KEY))
            flat = await self._register(keys=[layout.CUTS_KEY], args=list(wanted))
        return read(dict(zip(flat[::2], flat[1::2], strict=True)))

    async def admit(self, cuts: Cuts, cut: str, limit: int, segments: Sequence[str]) -> list[str]:
        added = cuts.added[cut]
        keys = [layout.values_key(cut, added), layout.SEALED_KEY]
        found: list[str] = []
        for at in range(0, len(segments), _ASKED_AT_ONCE):
            asked = segments[at : at + _ASKED_AT_ONCE]
            with away():
                answers = await self._admit(keys=keys, args=[f"{cut}:{added}", limit, *asked])
            found += [segment for segment, admitted in zip(asked, answers, strict=True) if admitted]
        return found

    async def readmit(self, cuts: Cuts, known: Mapping[str, Sequence[str]]) -> None:
        counted = {cut: set(segments) for cut, segments in known.items()}
        with away():
            for number in await self._redis.smembers(layout.PARTITIONS_KEY):
                names = await self._redis.zrange(layout.segments_key(int(number)), 0, -1)
                for cut, segments in by_cut(cuts, (name.decode() for name in names)).items():
                    counted.setdefault(cut, set()).update(segments)
            pipeline = self._redis.pipeline(transaction=False)
            for cut, values in counted.items():
                if values and cut in cuts.added:
                    pipeline.sadd(layout.values_key(cut, cuts.added[cut]), *values)
            await pipeline.execute()

    async def admitted(self, cuts: Cuts) -> dict[str, int]:
        pipeline = self._redis.pipeline(transaction=False)
        for cut, added in cuts.added.items():
            pipeline.scard(layout.values_key(cut, added))
        with away():
            return dict(zip(cuts.added, await pipeline.execute() if cuts.added else [], strict=True))

    async def scan(self, cursor: int) -> tuple[int, dict[int, list[str]]]:
        with away():
            following, keys = await self._redis.scan(cursor, match=f"{layout.slot(0).replace('0', '*')}t:*", count=500)
        found: dict[int, list[str]] = {}
        for key in keys:
            slot, _, ticket = key.decode().partition("}:t:")
            found.setdefault(int(slot.rpartition("p")[2]), []).append(ticket)
        return int(following), found

    async def segments(self, partition: int) -> list[str]:
        with away():
            counted = await self._redis.zrange(layout.segments_key(partition), 0, -1)
        return sorted(name.decode() for name in counted)

    async def apply(self, partition: int, before: Position, after: Position, delta: Delta) -> None:
        values: list[bytes] = []
        changes = msgspec.msgpack.encode(_changes(partition, before, after, delta, values))
        fence = (str(before.epoch), str(before.step), uuid4().hex, changes, str(before.newest))
        arguments: list[str | bytes] = [*fence, *values]
        with away():
            try:
                outcome = await self._step(partition, arguments)
            except (exceptions.TimeoutError, exceptions.ConnectionError):
                # The answer was lost, not necessarily the step: the same id asks again and is not done twice.
                outcome = await self._step(partition, arguments)
        if outcome == b"fenced":
            raise Fenced(f"partition {partition} is not at step {before.step} of epoch {before.epoch}")

    async def _step(self, partition: int, arguments: list[str | bytes]) -> bytes:
        outcome: bytes = await self._apply(keys=[layout.position_key(partition)], args=arguments)
        return outcome


class MemoryStore:
    """The same in memory, for property tests: plain dictionaries, no expiry."""

    def __init__(self, known: Known = KNOWN) -> None:
        self.known = known
        self.positions: dict[int, Position] = {}
        self.tickets: dict[tuple[int, str], bytes] = {}
        self.history: dict[tuple[int, str], list[bytes]] = {}
        self.buckets: dict[tuple[int, str, int, str], dict[str, int]] = {}
        self.gauges: dict[tuple[int, str], dict[str, int]] = {}
        self.schedule: dict[tuple[int, str], int] = {}
        self.listed: dict[tuple[int, str, str], int] = {}
        self.outbox: list[tuple[int, bytes]] = []
        self.registered: Cuts | None = None
        self.values: dict[tuple[str, int], set[str]] = {}
        self.sealed: set[tuple[str, int]] = set()
        self.touched: set[tuple[int, str]] = set()

    async def claim(self, partition: int) -> Position:
        old = self.positions.get(partition, Position(0))
        if old.step and (refusal := self.known.refusal(old.oldest, old.newest)):
            raise Newer(refusal)
        taken = replace(old, epoch=old.epoch + 1)
        self.positions[partition] = taken
        return taken

    async def entries(self, partition: int, keys: Sequence[str]) -> dict[str, Entry]:
        return {
            key: layout.unpack_entry(self.tickets[partition, key]) for key in keys if (partition, key) in self.tickets
        }

    async def facts(self, partition: int, keys: Sequence[str]) -> dict[str, list[Fact]]:
        return {
            key: _arrived(self.history.get((partition, key), ()), self.tickets.get((partition, key))) for key in keys
        }

    async def outdated(self, partition: int, keys: Sequence[str], form: int) -> dict[str, Entry]:
        entries = await self.entries(partition, keys)
        return {
            key: entry
            for key, entry in entries.items()
            if layout.outdated(entry, next(iter(self.history.get((partition, key), ())), None), form)
        }

    async def due(self, clocks_us: Mapping[int, int], limit: int) -> dict[int, list[str]]:
        return self._scheduled(clocks_us, 0, limit)

    async def forgettable(self, clocks_us: Mapping[int, int], limit: int) -> dict[int, list[str]]:
        return self._scheduled(clocks_us, layout.FORGET_FROM, limit)

    def _scheduled(self, clocks_us: Mapping[int, int], from_us: int, limit: int) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        for (number, key), score in sorted(self.schedule.items(), key=lambda item: item[1]):
            at_us = score - from_us
            if number in clocks_us and 0 <= at_us <= clocks_us[number] and len(found.get(number, ())) < limit:
                found.setdefault(number, []).append(key)
        return found

    async def steps(self, partitions: Sequence[int]) -> dict[int, tuple[int, int]]:
        held = {number: self.positions.get(number, Position(0)) for number in partitions}
        return {number: (position.epoch, position.step) for number, position in held.items()}

    async def cuts(self, wanted: Sequence[str] | None = None) -> Cuts | None:
        if wanted is not None:
            before = self.registered
            self.registered = before.after(wanted) if before is not None else Cuts(0, dict.fromkeys(wanted, 0))
        return self.registered

    async def admit(self, cuts: Cuts, cut: str, limit: int, segments: Sequence[str]) -> list[str]:
        place = (cut, cuts.added[cut])
        values, found = self.values.setdefault(place, set()), []
        for segment in segments:
            if segment not in values and place not in self.sealed:
                if len(values) < limit:
                    values.add(segment)
                else:
                    self.sealed.add(place)
            if segment in values:
                found.append(segment)
        return found

    async def readmit(self, cuts: Cuts, known: Mapping[str, Sequence[str]]) -> None:
        for counted in (known, by_cut(cuts, (name for _, name in self.touched))):
            for cut, segments in counted.items():
                if cut in cuts.added:
                    self.values.setdefault((cut, cuts.added[cut]), set()).update(segments)

    async def admitted(self, cuts: Cuts) -> dict[str, int]:
        return {cut: len(self.values.get((cut, added), ())) for cut, added in cuts.added.items()}

    async def scan(self, cursor: int) -> tuple[int, dict[int, list[str]]]:
        found: dict[int, list[str]] = {}
        for partition, key in self.tickets:
            found.setdefault(partition, []).append(key)
        return 0, found

    async def segments(self, partition: int) -> list[str]:
        return sorted(name for number, name in self.touched if number == partition)

    async def apply(self, partition: int, before: Position, after: Position, delta: Delta) -> None:
        if self.positions.get(partition) != before:
            raise Fenced(f"partition {partition} is not at step {before.step} of epoch {before.epoch}")
        for key in delta.forgotten:
            self.tickets.pop((partition, key), None)
            self.history.pop((partition, key), None)
        for key, entry in delta.entries.items():
            self.tickets[partition, key] = entry
        for key, facts in delta.facts.items():
            self.history.setdefault((partition, key), []).extend(facts)
        for (resolution, start_s), segments in delta.buckets.items():
            for segment, amounts in segments.items():
                _add(self.buckets.setdefault((partition, resolution, start_s, segment), {}), amounts)
                self.touched.add((partition, segment))
        for segment, amounts in delta.gauge.items():
            _add(self.gauges.setdefault((partition, segment), {}), amounts)
            self.touched.add((partition, segment))
        for key, at in delta.due.items():
            if at is None:
                self.schedule.pop((partition, key), None)
            else:
                self.schedule[partition, key] = at
        for listed, member in delta.unlisted:
            self.listed.pop((partition, listed, member), None)
        for (listed, member), score in delta.listed.items():
            self.listed[partition, listed, member] = score
        for segment in delta.dropped:
            self.gauges.pop((partition, segment), None)
            self.touched.discard((partition, segment))
        self.outbox += [(partition, codec.encode(event)) for event in delta.events]
        self.positions[partition] = after


def _add(counters: dict[str, int], amounts: Mapping[str, int]) -> None:
    for field, amount in amounts.items():
        total = counters.get(field, 0) + amount
        if total:
            counters[field] = total
        else:
            counters.pop(field, None)


_ASKED_AT_ONCE: Final = 1000
_WIDTHS_S: Final = {resolution.name: resolution.width_s for resolution in resolutions(())}
_VALUES_FROM: Final = 6
"""The place of the first packed value among the arguments of ``apply.lua``."""


def _changes(partition: int, before: Position, after: Position, delta: Delta, values: list[bytes]) -> dict[str, Any]:
    """The changes in the form that ``apply.lua`` reads: lists of ``[key, …]`` for each kind of command.

    Packed values are appended to ``values`` and named by their place.
    """

    def placed(value: bytes) -> int:
        values.append(value)
        return len(values) - 1 + _VALUES_FROM

    gone = [key for key, at in delta.due.items() if at is None]
    scheduled = [(at, key) for key, at in delta.due.items() if at is not None]
    zrem: list[list[object]] = [[layout.due_key(partition), *gone]] if gone else []
    zadd: list[list[object]] = [[layout.due_key(partition), *_flat(scheduled)]] if scheduled else []
    left: dict[str, list[object]] = {}
    for listed, member in delta.unlisted:
        left.setdefault(listed, [layout.timers_key(partition, listed)]).append(member)
    zrem += left.values()
    entered: dict[str, list[object]] = {}
    for (listed, member), score in delta.listed.items():
        entered.setdefault(listed, [layout.timers_key(partition, listed)]).extend((score, member))
    zadd += entered.values()
    touched = set(delta.gauge).union(*delta.buckets.values())
    if touched:
        at_s = after.clock_us // SECOND_US
        zadd.append([layout.segments_key(partition), *_flat((at_s, segment) for segment in touched)])
    over_s = before.clock_us // SECOND_US
    add: list[list[Any]] = []
    packed: dict[int, int] = {}  # many buckets change by the same
    prefix = layout.bucket_prefix(partition)
    for (resolution, start_s), segments in delta.buckets.items():
        over = start_s + _WIDTHS_S[resolution] <= over_s
        add.append([f"{prefix}{resolution}:{start_s}:", delta.expires[resolution, start_s], over])
        add[-1] += _places(segments, packed, placed)
    add.append([layout.gauge_key(partition, ""), False, False, *_places(delta.gauge, packed, placed)])
    return {
        "del": [name(partition, key) for key in delta.forgotten for name in (_ticket, _facts)],
        "set": [[_ticket(partition, key), placed(entry)] for key, entry in delta.entries.items()],
        "push": [[_facts(partition, key), *map(placed, facts)] for key, facts in delta.facts.items()],
        "add": add,
        "zrem": zrem,
        "zadd": zadd,
        "append": [
            [layout.outbox_key(partition), event.event_id, event.key, placed(codec.encode(event))]
            for event in delta.events
        ],
        "drop": delta.dropped,
        "gauges": layout.gauge_key(partition, ""),
        "segments": layout.segments_key(partition),
        "position": [
            *("next", after.next_offset),
            *("last", after.last),
            *("clock_us", after.clock_us),
            *("swept", after.swept),
            *("began_us", after.began_us),
            *("oldest", after.oldest),
            *("newest", after.newest),
        ],
    }


def _places(
    changed: Mapping[str, dict[str, int]], packed: dict[int, int], placed: Callable[[bytes], int]
) -> Iterator[str | int]:
    """Segments, each with the place of what it changes by, as stored. As many to add as to take back is no change."""
    for segment, amounts in changed.items():
        place = packed.get(id(amounts))
        if place is None:
            kept = amounts
            if 0 in amounts.values():
                kept = {field: amount for field, amount in amounts.items() if amount}
            place = packed[id(amounts)] = placed(msgspec.msgpack.encode(kept)) if kept else 0
        if place:
            yield segment
            yield place


def _flat(pairs: Iterable[tuple[object, object]]) -> Iterator[object]:
    """Pairs, one after the other. Integers stay integers: below 2^53 Lua hands them on without losing a digit."""
    return chain.from_iterable(pairs)


def _arrived(listed: Iterable[bytes], stored: bytes | None) -> list[Fact]:
    return layout.unpack_facts(listed, layout.unpack_entry(stored).newest if stored is not None else b"")


def _ticket(partition: int, key: str) -> str:
    return f"{layout.slot(partition)}t:{key}"


def _facts(partition: int, key: str) -> str:
    return f"{layout.slot(partition)}f:{key}"
