"""Asks Redis for buckets so that nobody has to wait long for it: every question goes in pieces.

Redis serves what one client has sent in a row before it serves the next, and runs a script to its end. So a piece is a
few calls that together look at a few thousand buckets at most, and the next one is sent when it is answered: a large
question takes longer and holds up nobody, and no answer is so late that it counts as lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, Final

import msgspec
from redis import exceptions
from redis.asyncio import Redis

from schemas import state as layout
from schemas.failure import NotNow
from schemas.instant import SECOND_US
from schemas.state import NOW
from services.kpi.bucket import Fields
from services.kpi.shelf import NOTHING, Counted, Group, Place, Row, add
from services.kpi.wanted import Wanted, Wants, bounded
from services.state.client import away

PIECE: Final = 3000
"""What one piece may cost: a bucket is 1, and so are some fields of it. About 1 µs each, 3 µs on a bad day."""
_CHUNK: Final = 1000
_OF_ALL: Final = 8
"""What a bucket is thought to cost of which all fields are read."""
LEAST: Final = 100
_AGAIN: Final = 5
_SCRIPT: Final = (files("services.kpi") / "lua" / "read.lua").read_text()
_OLD_VERSION: Final = b"@"
"""What a bucket has, or begins with, that changed after its end: no counter."""
_VERSION_SIZE: Final = 13
_EMPTY: Final = b"\x90"
"""A bucket of which only its version is left: Lua takes an empty table for a list."""


class Fetch:
    """Reads buckets of any number of partitions. Calls may raise ``NotNow``."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Any = redis
        self._sha = ""

    async def fill(
        self, group: Group, partitions: Sequence[int], places: Mapping[Place, int], wants: Wants, most: int
    ) -> dict[Place, Counted]:
        """Brings what ``group`` keeps up to date for ``places`` (with their widths in seconds).

        Returns what cannot be kept, summed over the partitions: buckets that are not over, and what is too much.
        """
        segments = list(group.segments)
        if not segments:
            return {}
        chunks = [segments[at : at + _CHUNK] for at in range(0, len(segments), _CHUNK)]
        names = [f"{name}:{start_s}:" for name, start_s in places]
        wanted = [[list(want.fields), list(want.beginnings)] for want in (wants.counted, wants.standing)]
        questions = [msgspec.msgpack.encode([names, chunk, *wanted]) for chunk in chunks]
        loose: dict[Place, Counted] = {}
        room = [most // 2 - sum(row.size for row in group.rows.values())]
        waiting = [
            _Part(number, group.rows.setdefault(number, Row()), places, chunks, wants, loose, room)
            for number in partitions
        ]
        while waiting:
            piece, cost = [waiting.pop(0)], 0
            cost = piece[0].cost
            while waiting and cost + waiting[0].cost <= PIECE:
                piece.append(waiting.pop(0))
                cost += piece[-1].cost
            answers = await self._asked([(part, questions[part.chunk]) for part in piece])
            going_on = []
            for part, answer in zip(piece, answers, strict=True):
                part.answered(answer)
                if not part.done:
                    going_on.append(part)
            waiting = going_on + waiting
        return loose

    async def _asked(self, calls: Sequence[tuple[_Part, bytes]]) -> list[Any]:
        for _ in range(2):
            if not self._sha:
                with away():
                    self._sha = await self._redis.script_load(_SCRIPT)
            pipeline = self._redis.pipeline(transaction=False)
            for part, question in calls:
                key, prefix = layout.position_key(part.number), layout.bucket_prefix(part.number)
                pipeline.evalsha(self._sha, 1, key, prefix, question, part.asked())
            try:
                with away():
                    return list(await pipeline.execute())
            except exceptions.NoScriptError:
                self._sha = ""
        raise NotNow("Redis does not keep a script")


class _Part:
    """One partition's share of a question: how far it has come, and what was found."""

    def __init__(
        self,
        number: int,
        row: Row,
        places: Mapping[Place, int],
        chunks: Sequence[Sequence[str]],
        wants: Wants,
        loose: dict[Place, Counted],
        room: list[int],
    ) -> None:
        self.number = number
        self.done = False
        self.chunk = 0
        self._row = row
        self._places = list(places)
        self._widths = list(places.values())
        self._chunks = chunks
        self._wants = [wants.standing if name == NOW else wants.counted for name, _ in places]
        self._weight = 1 if wants.counted.one_by_one else _OF_ALL
        self._loose = loose
        self._room = room
        self._again = 0
        self._spilt = False
        self._known = "".join(["1" if place in row.places else "0" for place in places])
        self._begin()

    def _begin(self) -> None:
        self.chunk, self._place, self._segment, self._first = 0, 1, 1, True
        self._life, self._step, self._over_s, self._keeps = "", -1, 0, False
        self._found: dict[int, Counted] = {}
        self._changed: dict[int, Counted] = {}

    @property
    def cost(self) -> int:
        """What the next call is thought to cost, up to what it may."""
        segments = len(self._chunks[self.chunk])
        left = self._known.count("0", self._place - 1) * segments * self._weight
        return max(LEAST, min(PIECE, left + segments // 4))

    def asked(self) -> bytes:
        """The next call."""
        since = self._row.step if self._first and self._row.places else -1
        return msgspec.msgpack.encode([self._row.life, since, self._known, self._place, self._segment, self.cost])

    def answered(self, answer: list[Any]) -> None:
        """Takes an answer in."""
        life, step, clock_us, keeps, place, segment, names, buckets = answer
        life = life.decode()
        lost = names is None
        if (self.chunk or not self._first) and (lost or life != self._life):
            self._start_over()
            return
        if self.chunk == 0 and self._first:
            self._life, self._step, self._over_s, self._keeps = life, step, int(clock_us) // SECOND_US, bool(keeps)
            if lost:
                self._row.begin(life, -1)
                self._known = "0" * len(self._places)
        self._take(names or (), buckets)
        self._first = not place
        self._place, self._segment = place or 1, segment or 1
        if not place:
            self.chunk += 1
            if self.chunk == len(self._chunks):
                self._finish()

    def _take(self, names: Sequence[bytes], buckets: list[Any]) -> None:
        if names:
            asked = {f"{name}:{start_s}:": number for number, (name, start_s) in enumerate(self._places)}
            for name in names:
                resolution, start_s, _ = name.decode().split(":", 2)
                if f"{resolution}:{start_s}:" not in asked:
                    self._row.drop((resolution, int(start_s)))
        segments, found, known = self._chunks[self.chunk], self._found, self._known
        size = 0
        for at in range(0, len(buckets), 3):
            place = buckets[at] - 1
            fields = _parsed(buckets[at + 2], self._wants[place])
            if known[place] == "1":
                self._changed.setdefault(place, {})[segments[buckets[at + 1] - 1]] = fields
            elif fields:
                found.setdefault(place, {})[segments[buckets[at + 1] - 1]] = fields
                size += len(fields) + 3
        self._room[0] -= size
        if self._room[0] < 0 and found:
            self._spill()

    def _spill(self) -> None:
        """There is no room to keep all of this: it is only added up."""
        self._spilt = True
        self._room[0] += sum(len(fields) + 3 for counted in self._found.values() for fields in counted.values())
        for place, counted in self._found.items():
            add(self._loose.setdefault(self._places[place], {}), counted)
        self._found = {}

    def _start_over(self) -> None:
        self._again += 1
        if self._spilt or self._again > _AGAIN:
            raise NotNow("the state has changed hands while it was read")
        self._row.begin("", -1)
        self._known = "0" * len(self._places)
        self._begin()

    def _finish(self) -> None:
        self.done = True
        row = self._row
        for at, changed in self._changed.items():
            counted = row.places[self._places[at]] | changed
            row.put(self._places[at], {segment: fields for segment, fields in counted.items() if fields})
        row.life, row.step = self._life, self._step
        for number, place in enumerate(self._places):
            if self._known[number] == "1":
                continue
            counted = self._found.get(number, NOTHING)
            if self._keeps and not self._spilt and place[1] + self._widths[number] <= self._over_s:
                row.put(place, counted)
            elif counted:
                add(self._loose.setdefault(place, {}), counted)


def _parsed(stored: bytes | list[bytes], want: Wanted) -> Fields:
    """A bucket as Redis has it: packed, or as a flat list of what is wanted."""
    if isinstance(stored, bytes):
        if stored.startswith(_OLD_VERSION):
            stored = stored[_VERSION_SIZE:]
        packed = _unpack(stored) if stored != _EMPTY else {}
        if want.one_by_one:
            return {field: packed[field] for field in want.fields if field in packed}
        if not want.fields and not want.beginnings:
            return packed
        chosen, beginnings = set(want.fields), want.beginnings
        return {name: amount for name, amount in packed.items() if name in chosen or name.startswith(beginnings)}
    found: Fields = {}
    for at in range(0, len(stored), 2):
        name = stored[at]
        known = _NAMES.get(name)
        if known is None:
            if name == _OLD_VERSION:
                continue
            known = name.decode()
            if bounded(known):
                _NAMES[name] = known
        found[known] = int(stored[at + 1])
    return found


_unpack: Final = msgspec.msgpack.Decoder(dict[str, int]).decode
_NAMES: Final[dict[bytes, str]] = {}
"""One string for all fields of the same name, as far as the catalogue bounds how many there are: some thousands."""
