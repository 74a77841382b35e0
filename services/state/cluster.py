"""A Redis Cluster as one client: what services ask for is a ``Redis``, and this is one that knows where each key lies.

redis-py's own cluster client was read and refused (docs/adr/0026-redis-cluster.md). Here every node is an ordinary
client with the pool, the timeouts and the retries that a single Redis would have. A node that says where a key lies
now (MOVED, ASK) has not carried the command out, so following it is no repetition; whatever may have been carried out
is never sent again by us where the client is one for writes.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import TimeoutError as Unanswered

Place = tuple[str, int]
"""Host and port of a node."""
Make = Callable[[str, int], Redis]
Command = tuple[tuple[Any, ...], Mapping[str, Any]]

_SLOTS: Final = 16_384
_TURNS: Final = 6
"""How often a command is sent on or put off before it is given up for now."""
_PAUSE_S: Final = 0.02
_EVERYWHERE: Final = frozenset({"PING", "FLUSHDB"})
_SCRIPTS: Final = frozenset({"EVAL", "EVALSHA"})
_LOST: Final = (Disconnected, Unanswered)
_ABSENT: Final = ":absent"
"""Ends a key that never exists. Scripts touch more keys than they declare, and while a slot is on its way to another
node, a key that is not there any more would end a script between two of its writes. With this key declared, Redis
refuses the whole script (TRYAGAIN) for as long as its slot is on the way."""
_CURSOR_BITS: Final = 64
_NODE_BITS: Final = 16


@dataclass(frozen=True, slots=True)
class _Map:
    """Who serves each slot (an index into ``primaries``, -1 for nobody). ``revision`` counts changes."""

    revision: int
    primaries: tuple[Place, ...]
    owner: tuple[int, ...]


class Cluster(Redis):
    """Commands go to the node that has their key; a pipeline is split by node; a transaction lies in one slot.

    ``again`` is how many times more a command is sent when a connection is lost: 0 for writes.
    """

    def __init__(self, seeds: Sequence[Place], make: Make, again: int = 0) -> None:
        self._make = make
        self._nodes: dict[Place, Redis] = {place: make(*place) for place in seeds}
        super().__init__(connection_pool=self._nodes[seeds[0]].connection_pool)
        self._seeds = tuple(seeds)
        self._again = again
        self._map = _Map(0, (), (-1,) * _SLOTS)
        self._stale = True
        self._failed: Place | None = None
        self._pointed: Place | None = None
        self._looking = asyncio.Lock()
        self._scripts: dict[str, str] = {}

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        """As of ``Redis``. Without a transaction, its commands may go to several nodes, and are then in no order."""
        return _Pipeline(self, transaction)

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """Closes every node's connections."""
        for node in self._nodes.values():
            await node.connection_pool.disconnect()

    async def scan(
        self, cursor: int = 0, match: Any = None, count: int | None = None, _type: str | None = None, **kwargs: Any
    ) -> tuple[int, list[bytes | str]]:
        """As of ``Redis``, through one primary after the other. Begins anew by itself when slots changed hands on the
        way, so that what is there from the first call to the last is found in any case."""
        known = await self._current()
        revision, at, cursor = _split(cursor)
        if revision != known.revision % (1 << _NODE_BITS) or at >= len(known.primaries):
            at = cursor = 0
        place = known.primaries[at]
        with _Watched(self, place):
            following, keys = await self._nodes[place].scan(cursor, match, count, _type, **kwargs)
        if following:
            return _joined(known.revision, at, int(following)), keys
        if at + 1 < len(known.primaries):
            return _joined(known.revision, at + 1, 0), keys
        self._stale = True
        if (await self._current()).revision == known.revision and not await self._moving():
            return 0, keys
        return _joined(self._map.revision, 0, 0), keys

    async def script_load(self, script: Any) -> str:
        """Nothing is sent: a node that does not know the script gets it with its first call, after a failover too."""
        text = script.decode() if isinstance(script, bytes) else str(script)
        sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        self._scripts[sha] = text
        return sha

    def register_script(self, script: Any) -> Any:
        """As of ``Redis``."""
        made = super().register_script(script)
        self._scripts[str(made.sha)] = str(made.script)
        return made

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """As of ``Redis``. Raises ``RedisError`` for a command that names no key."""
        name = str(args[0]).upper()
        if name in _EVERYWHERE or name in ("INFO", "ACL WHOAMI"):
            known = await self._current()
            places = known.primaries if name in _EVERYWHERE else known.primaries[:1]
            answers = [await self._at(place, args, options) for place in places]
            return answers[0]
        return (await self._settled([(args, options)], single=True))[0]

    async def batch(self, stack: Sequence[Command], *, raising: bool) -> list[Any]:
        """The answers to commands of a pipeline, errors of Redis among them unless ``raising``."""
        return await self._settled(stack, raising=raising)

    async def transaction_of(self, stack: Sequence[Command]) -> list[Any]:
        """All of the commands in one MULTI and EXEC, or none."""
        slots = {_slot(args) for args, _ in stack}
        if len(slots) != 1:
            raise RedisError("a transaction on a Cluster lies in one slot")
        slot, lost = slots.pop(), self._again
        for turn in range(_TURNS):
            place = await self._owner(slot)
            whole = self._nodes[place].pipeline(transaction=True)
            for args, options in stack:
                whole.execute_command(*args, **options)
            try:
                return list(await whole.execute())
            except MovedError as moved:
                self._sent_on(moved, place)  # refused as a whole, as whatever ends in EXECABORT
            except (AskError, TryAgainError):
                await asyncio.sleep(_PAUSE_S * (turn + 1))
            except (*_LOST, ClusterDownError, ReadOnlyError) as exc:
                self._lost(place)
                if lost == 0 or not isinstance(exc, _LOST):
                    raise
                lost -= 1
        raise TryAgainError("the slot is on its way to another node")

    async def _settled(self, stack: Sequence[Command], *, single: bool = False, raising: bool = True) -> list[Any]:
        commands = [(_guarded(args), options) for args, options in stack]
        answers: list[Any] = [None] * len(commands)
        waiting, lost = list(range(len(commands))), self._again
        for turn in range(_TURNS):
            groups: dict[Place, list[int]] = {}
            for at in waiting:
                groups.setdefault(await self._owner(_slot(commands[at][0])), []).append(at)
            if single:
                found = [await self._tried(next(iter(groups)), commands[0])]
            else:
                found = await asyncio.gather(
                    *(self._group(place, [commands[at] for at in places]) for place, places in groups.items())
                )
            waiting = []
            broken: Exception | None = None
            for (place, places), answered in zip(groups.items(), found, strict=True):
                if isinstance(answered, Exception):
                    self._lost(place)
                    broken = answered
                    waiting += places
                    continue
                for at, answer in zip(places, answered, strict=True):
                    answers[at] = answer
                    if isinstance(answer, (AskError, TryAgainError, NoScriptError)):  # a MovedError is an AskError
                        waiting.append(at)
                    elif isinstance(answer, (ClusterDownError, ReadOnlyError)):
                        self._lost(place)
            if broken is not None:
                if lost == 0:
                    raise broken
                lost -= 1
                continue
            waiting = [at for at in waiting if not await self._led(at, commands, answers, turn)]
            if not waiting:
                break
        first = next((answer for answer in answers if isinstance(answer, Exception)), None)
        if first is not None and raising:
            raise TryAgainError("the slot is on its way to another node") if isinstance(first, AskError) else first
        return answers

    async def _led(self, at: int, commands: Sequence[Command], answers: list[Any], turn: int) -> bool:
        """Does what the error asks for. Whether that settled the command."""
        args, options = commands[at]
        error = answers[at]
        if isinstance(error, NoScriptError):
            text = self._scripts.get(str(args[1]))
            if text is None:
                return True
            args = ("EVAL", text, *args[2:])
            place = await self._owner(_slot(args))
            try:
                answers[at] = await self._at(place, args, options)
            except ResponseError as exc:
                answers[at] = exc
        elif isinstance(error, MovedError):
            self._sent_on(error, await self._owner(_slot(args)))
            return False
        elif isinstance(error, AskError):
            place = (str(error.host) or (await self._owner(_slot(args)))[0], int(error.port))
            both = self._node(place).pipeline(transaction=False)  # on one connection: what follows ASKING is meant
            both.execute_command("ASKING")
            both.execute_command(*args, **options)
            with _Watched(self, place):
                answers[at] = (await both.execute(raise_on_error=False))[1]
        else:
            await asyncio.sleep(_PAUSE_S * (turn + 1))
            return False
        return not isinstance(answers[at], (AskError, TryAgainError, NoScriptError))

    async def _group(self, place: Place, commands: Sequence[Command]) -> list[Any] | Exception:
        """The answers of one node, or how its connection was lost."""
        pipeline = self._nodes[place].pipeline(transaction=False)
        for args, options in commands:
            pipeline.execute_command(*args, **options)
        try:
            return list(await pipeline.execute(raise_on_error=False))
        except _LOST as exc:
            return exc

    async def _tried(self, place: Place, command: Command) -> list[Any] | Exception:
        args, options = command
        try:
            return [await _executed(self._nodes[place], args, options)]
        except ResponseError as exc:
            return [exc]
        except _LOST as exc:
            return exc

    async def _at(self, place: Place, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        with _Watched(self, place):
            return await _executed(self._nodes[place], args, options)

    def _node(self, place: Place) -> Redis:
        if place not in self._nodes:
            self._nodes[place] = self._make(*place)
        return self._nodes[place]

    def _sent_on(self, moved: MovedError, by: Place) -> None:
        self._stale, self._pointed = True, (str(moved.host) or by[0], int(moved.port))

    def _lost(self, place: Place) -> None:
        self._stale, self._failed = True, place

    async def _owner(self, slot: int) -> Place:
        known = await self._current()
        at = known.owner[slot]
        if at < 0:
            self._stale = True
            raise ClusterDownError("nobody serves the slot")
        return known.primaries[at]

    async def _current(self) -> _Map:
        if self._stale:
            async with self._looking:
                if self._stale:
                    await self._look()
        return self._map

    async def _look(self) -> None:
        """Asks the nodes that are known until one tells who serves what: first the one that a command was sent on to,
        which knows best, last the one that failed."""
        places = [*self._map.primaries, *(self._nodes.keys() - set(self._map.primaries))]
        random.shuffle(places)
        places.sort(key=lambda place: (place == self._failed, place != self._pointed))
        why: Exception = Disconnected("no node of the Cluster is known")
        for place in dict.fromkeys([*places, *self._seeds]):
            try:
                told = await _executed(self._node(place), ("CLUSTER", "SLOTS"), {})
            except _LOST as exc:
                why = exc
                continue
            except ResponseError as exc:
                if "cluster support disabled" not in str(exc).lower():
                    raise
                raise Disconnected("this Redis is not a Cluster: unset DESKPULSE_REDIS_CLUSTER") from None
            await self._take(told, place)
            return
        raise why

    async def _take(self, told: Sequence[Any], asked: Place) -> None:
        owner = [-1] * _SLOTS
        owners = [(int(row[0]), int(row[1]), (_host(row[2][0]) or asked[0], int(row[2][1]))) for row in told]
        primaries = tuple(sorted({place for _, _, place in owners}))
        for first, last, place in owners:
            owner[first : last + 1] = [primaries.index(place)] * (last + 1 - first)
        for place in primaries:
            self._node(place)
        if (primaries, tuple(owner)) != (self._map.primaries, self._map.owner):
            self._map = _Map(self._map.revision + 1, primaries, tuple(owner))
        self._stale = False
        for place in self._nodes.keys() - set(primaries) - set(self._seeds):
            await self._nodes.pop(place).connection_pool.disconnect(inuse_connections=False)

    async def _moving(self) -> bool:
        """Whether a slot is on its way from one node to another."""
        for place in self._map.primaries:
            told = await self._at(place, ("CLUSTER", "NODES"), {})
            text = told.decode() if isinstance(told, bytes) else str(told)
            if "->-" in text or "-<-" in text:
                return True
        return False


class _Pipeline(Pipeline):
    """Gathers commands, and hands them to the Cluster."""

    def __init__(self, cluster: Cluster, transaction: bool) -> None:
        super().__init__(cluster.connection_pool, cluster.response_callbacks, transaction, None)
        self._cluster = cluster

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        stack = list(self.command_stack)
        for script in self.scripts:
            await self._cluster.script_load(script.script)
        self.command_stack, self.scripts = [], set()
        if not stack:
            return []
        if self.is_transaction:
            return await self._cluster.transaction_of(stack)
        return await self._cluster.batch(stack, raising=raise_on_error)


class _Watched:
    """Notices a lost connection, so that the next command looks who serves what by then."""

    def __init__(self, cluster: Cluster, place: Place) -> None:
        self._cluster = cluster
        self._place = place

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, _LOST):
            self._cluster._lost(self._place)


async def _executed(node: Any, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    return await node.execute_command(*args, **options)


def _slot(args: tuple[Any, ...]) -> int:
    name = str(args[0]).upper()
    if name in _SCRIPTS:
        key = args[3] if int(args[2]) else None
    elif name == "XREAD":
        streams = next(at for at, one in enumerate(args) if one in ("STREAMS", b"STREAMS"))
        key = args[streams + 1]
    else:
        key = args[1] if len(args) > 1 else None
    if key is None:
        raise RedisError(f"{name} names no key: a Cluster cannot tell where it belongs")
    return key_slot(_bytes(key))


def _guarded(args: tuple[Any, ...]) -> tuple[Any, ...]:
    if str(args[0]).upper() not in _SCRIPTS or not int(args[2]):
        return args
    count = int(args[2])
    tag, brace, _ = _bytes(args[3]).partition(b"}")
    if not brace:
        return args
    return (*args[:2], count + 1, *args[3 : 3 + count], tag + brace + _ABSENT.encode(), *args[3 + count :])


def _bytes(key: Any) -> bytes:
    return key if isinstance(key, bytes) else str(key).encode()


def _host(told: Any) -> str:
    host = told.decode() if isinstance(told, bytes) else str(told or "")
    return "" if host == "?" else host


def _split(cursor: int) -> tuple[int, int, int]:
    at = cursor >> _CURSOR_BITS
    return at >> _NODE_BITS, at & ((1 << _NODE_BITS) - 1), cursor & ((1 << _CURSOR_BITS) - 1)


def _joined(revision: int, at: int, cursor: int) -> int:
    return ((revision % (1 << _NODE_BITS)) << _NODE_BITS | at) << _CURSOR_BITS | cursor
